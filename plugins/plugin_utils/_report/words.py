# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Format figures, durations, times and commands for the report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime

from ...module_utils._benchmark.metrics import HIGHER, METRICS
from ...module_utils._core.verdict import FAIL, INVALID, PASS, SKIPPED, WARN

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
_JOINED = "\N{NO-BREAK SPACE}"
# Not strftime's names, which depend on the locale.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
STATUS_WORDS = {PASS: "pass", WARN: "warning", FAIL: "fail", INVALID: "invalid", SKIPPED: "skipped"}
STATUS_SYMBOLS = {PASS: "✓", WARN: "!", FAIL: "✗", INVALID: "?", SKIPPED: NOTHING}

_TITLES = {
    "output_throughput": "Output throughput, whole run",
    "steady_output_throughput": "Output throughput, steady state",
    "steps_per_s": "Steps per second, without the draft",
    "total_token_throughput": "Total throughput",
    "request_throughput": "Requests",
    "warm_mean_ttft_ms": "Mean TTFT after the first wave",
    "mean_input_len": "Mean input",
    "mean_output_len": "Mean output",
    "duration_s": "Duration",
    "prefix_cache_hit_rate": "Prefix cache hits",
}
_LATENCIES = {"ttft": "TTFT", "tpot": "TPOT", "itl": "ITL", "e2el": "end-to-end latency"}
_STATISTICS = {"mean": "Mean", "median": "Median", "p90": "P90", "p95": "P95", "p99": "P99"}


def metric_title(name: str) -> str:
    """Return the display name of a metric or a condition: C(mean_tpot_ms) is "Mean TPOT"."""
    statistic, _underscore, rest = name.partition("_")
    latency = _LATENCIES.get(rest.removesuffix("_ms"))
    if statistic in _STATISTICS and latency:
        return f"{_STATISTICS[statistic]} {latency}"
    return _TITLES.get(name) or name.replace("_", " ").capitalize()


def figure(value: float | None, decimals: int | None = None) -> str:
    """Return a figure with its significant digits: 1,408, 373.2, 44.50 and 2.10; a whole number as it is.

    With C(decimals) it has exactly that many decimals.
    """
    if value is None:
        return NOTHING
    size = abs(value)
    if decimals is not None:
        written = f"{value:,.{decimals}f}"
    elif size >= 1000 or float(value).is_integer():
        written = f"{value:,.0f}"
    else:
        written = f"{value:.1f}" if size >= 100 else f"{value:.2f}"
    return written.replace("-", MINUS)


def with_unit(metric: str, value: float | None, decimals: int | None = None) -> str:
    """Return a metric's figure with its unit."""
    known = METRICS.get(metric)
    return figure(value, decimals) + (f" {known.unit}" if known and value is not None else "")


def signed_percent(delta: float | None) -> str:
    """Return a difference in percent with its sign."""
    if delta is None:
        return NOTHING
    rounded = round(delta, 1)
    if abs(rounded) >= 1000:
        return f"{rounded:+,.0f} %".replace("-", MINUS)
    return "±0.0 %" if rounded == 0 else f"{rounded:+.1f} %".replace("-", MINUS)


def judged(metric: str, delta: float | None) -> str:
    """Return whether a difference in percent is better or worse, or an empty text if neither applies."""
    better = METRICS[metric].better if metric in METRICS else None
    if delta is None or better is None or round(delta, 1) == 0:
        return ""
    return "better" if (delta > 0) == (better == HIGHER) else "worse"


def duration(seconds: float | None) -> str:
    """Return a duration: 0.82 s, 42.0 s, 12 min 25 s, 1 h 2 min."""
    if seconds is None:
        return NOTHING
    minutes, rest = divmod(round(seconds), 60)
    if seconds < 60:
        written = f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    elif minutes < 60:
        written = f"{minutes} min {rest} s"
    else:
        written = f"{minutes // 60} h {minutes % 60} min"
    return written.replace(" ", _JOINED)


def moment(written: str | None, short: bool = False) -> str:
    """Return a record's time in readable form, or unchanged if it is not a time: 25 November 2026, 16:31 UTC."""
    try:
        time = datetime.strptime(str(written)[:19], "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return str(written or NOTHING)
    month = _MONTHS[time.month - 1]
    if short:
        return f"{time.day} {month[:3]} {time.year}, {time:%H:%M}".replace(" ", _JOINED)
    return f"{time.day} {month} {time.year}, {time:%H:%M} UTC"


def usd(amount: float) -> str:
    """Return a price."""
    return f"{amount:,.2f} USD"


def command(argv: Sequence[str]) -> str:
    """Return a command to copy into a shell, each long option on its own line."""
    lines: list[str] = []
    for argument in argv:
        if lines and not argument.startswith("--"):
            lines[-1] += " " + shlex.quote(argument)
        else:
            lines.append(shlex.quote(argument))
    return " \\\n  ".join(lines)


def load(workload: Mapping[str, object], size: str) -> str:
    """Return the load in words."""
    sizes = workload.get("sizes")
    count = sizes.get(size) if isinstance(sizes, Mapping) else None
    return (
        f"size {size}: {count or '?'} requests of {workload.get('input_len', '?')} + {workload.get('output_len', '?')}"
        f" tokens, {workload.get('max_concurrency', '?')} at a time"
    )
