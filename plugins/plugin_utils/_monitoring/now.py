# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the servers do now, beside what they have proven, from the answers of Prometheus. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .._report import words
from . import queries as q

_WINDOW = "5m"


class Figure(NamedTuple):
    """A figure with its proven counterpart, in words."""

    title: str
    now: str
    proven: str


class Server(NamedTuple):
    """A server and its figures."""

    node: str
    server: str
    state: str
    figures: list[Figure]


class Alarm(NamedTuple):
    """A firing alarm in words."""

    name: str
    severity: str
    summary: str
    cause: str


class _Asked(NamedTuple):
    title: str
    now: str
    proven: str
    unit: str
    factor: float = 1.0


_ASKED = {
    "running": _Asked("Running requests", q.running(), q.proven_load("concurrency"), ""),
    "waiting": _Asked("Waiting requests", q.waiting(), "", ""),
    "output": _Asked("Output tokens per second", q.output_rate(_WINDOW), q.proven("steady_output_throughput"), "tok/s"),
    "tpot": _Asked("Time per output token", q.tpot(_WINDOW), q.proven_tpot(_WINDOW), "ms", 1000),
    "ttft": _Asked("Time to first token", q.ttft(_WINDOW), f"{q.proven('warm_mean_ttft_ms')} / 1000", "ms", 1000),
    "acceptance": _Asked("Tokens per step", q.acceptance(_WINDOW), q.proven_acceptance(), ""),
    "kv_cache": _Asked("KV cache in use", q.kv_cache(), "", "%", 100),
    "prefix": _Asked("Prefix cache hits", q.prefix_hits(_WINDOW), "", "%", 100),
    "errors": _Asked("Requests with an error", q.error_share(_WINDOW), "", "%", 100),
}
_UP = 'max by (node, server) (up{job="vllm"})'
# Of a watch that has stopped looking, the last state says nothing.
_WATCH = "hgx_watch_state == 1 and on (node, server) time() - hgx_watch_looked_timestamp_seconds < 300"


def queries() -> dict[str, str]:
    """Return what Prometheus is asked for."""
    asked = {f"now_{name}": each.now for name, each in _ASKED.items()}
    asked |= {f"proven_{name}": each.proven for name, each in _ASKED.items() if each.proven}
    return {**asked, "now_up": _UP, "now_watch": _WATCH}


def servers(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Server]:
    """Return the servers that Prometheus scrapes, from its answers."""
    found = {name: _by_server(samples) for name, samples in results.items()}
    watch = {_key(each): str(each["labels"].get("state", "")) for each in results.get("now_watch", [])}
    return [
        Server(
            node=key[0],
            server=key[1],
            state="does not answer" if not up else watch.get(key, "answers; its watch tells nothing"),
            figures=[figure for name, each in _ASKED.items() for figure in _figures(name, each, key, found)],
        )
        for key, up in sorted(found.get("now_up", {}).items())
    ]


# --- the nightly self-test ---

DAILY = {
    "selftest": "max by (node, server) (last_over_time(hgx_selftest_tokens_per_second[1d]))",
    "throttled": 'max by (node, gpu) (max_over_time(hgx_gpu_throttled{reason!="sw_power_cap"}[1d])) == 1',
}
# By so much a server must be slower, on as many days, to be told.
_SLOWER = 0.95
_DAYS = 2


class Trend(NamedTuple):
    """The results of the self-test of a server, by date; C(finding) is empty if it has not become slower."""

    node: str
    server: str
    days: list[tuple[str, float]]
    finding: str


def trends(daily: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Trend]:
    """Return the trend of each server that has tested itself."""
    found = []
    for each in daily.get("selftest", []):
        node, server = _key(each)
        days = sorted(each["days"].items())
        throttled = {
            str(gpu["labels"].get("gpu")): set(gpu["days"])
            for gpu in daily.get("throttled", [])
            if gpu["labels"].get("node") == node
        }
        found.append(Trend(node, server, days, _finding(days, throttled)))
    return found


def _finding(days: Sequence[tuple[str, float]], throttled: Mapping[str, set[str]]) -> str:
    """Return since when a server is slower, and which GPUs throttle since then and did not before."""
    rates = [rate for _date, rate in days]
    # Each night since must have been slower than it was before.
    ratios = {
        split: statistics.median(rates[split:]) / before
        for split in range(_DAYS, len(days) - _DAYS + 1)
        for before in [statistics.median(rates[:split])]
        if max(rates[split:]) < _SLOWER * before
    }
    if not ratios:
        return ""
    split = min(ratios, key=lambda split: (ratios[split], split))
    since = days[split][0]
    new = [gpu for gpu, dates in throttled.items() if dates and min(dates) >= since]
    causes = "".join(f", GPU {gpu} throttles" for gpu in sorted(new))
    return f"{100 * (1 - ratios[split]):.0f} % slower since {words.moment(f'{since}T00:00:00Z').split(',')[0]}{causes}"


def alarms(firing: Iterable[Mapping[str, Any]]) -> list[Alarm]:
    """Return the firing alarms, those that wake somebody first."""
    found = [
        Alarm(
            str(each["labels"].get("alertname", "")),
            str(each["labels"].get("severity", "")),
            str(each["annotations"].get("summary", "")),
            str(each["annotations"].get("cause", "")).strip(),
        )
        for each in firing
    ]
    return sorted(found, key=lambda alarm: (alarm.severity != "page", alarm))


def _figures(
    name: str, asked: _Asked, key: tuple[str, str], found: Mapping[str, Mapping[tuple[str, str], float]]
) -> Iterable[Figure]:
    """Yield a figure, unless nothing is known of it."""
    current, proven = found.get(f"now_{name}", {}).get(key), found.get(f"proven_{name}", {}).get(key)
    if current is not None or proven is not None:
        yield Figure(asked.title, _told(current, asked), _told(proven, asked))


def _told(value: float | None, asked: _Asked) -> str:
    if value is None:
        return words.NOTHING
    return f"{words.figure(asked.factor * value)} {asked.unit}".strip()


def _by_server(samples: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], float]:
    return {_key(each): float(each["value"]) for each in samples}


def _key(sample: Mapping[str, Any]) -> tuple[str, str]:
    return str(sample["labels"].get("node", "")), str(sample["labels"].get("server", ""))
