# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outcome of a benchmark as text: the verdict, a line per check, and hints at the cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .metrics import LOWER, METRICS
from .plan import (
    ENGINE_DEFAULTS,
    FAIL,
    INVALID,
    PASS,
    WARN,
    Check,
    Engine,
    Run,
    delta_percent,
    judged_texts,
    number,
    request_count,
)

_ORDER = [INVALID, FAIL, WARN, PASS, ""]

# By part of a request's error: the probable cause.
_ERROR_HINTS = {
    "not found": "The server does not know the model name or the path: compare served_model_name with /v1/models.",
    "unauthorized": "The server requires an API key, and the client found none at /run/secrets/vllm_api_key.",
    "connect call failed": "Nothing answered: the server stopped, or base_url has the wrong port.",
    "payload is not completed": "The server broke off its answers: it stopped or restarted during the run.",
    "disconnected": "The server broke off its answers: it stopped or restarted during the run.",
}


def summary(
    verdict: str,
    workload: Mapping[str, Any],
    size: str,
    checks: Sequence[Check],
    metrics: Mapping[str, float],
    published: Mapping[str, float],
    interval: float | None,
) -> list[str]:
    """Return the outcome: a headline, then one aligned line per check and per further figure."""
    validity = [check for check in checks if check.limit is None]
    thresholds = [check for check in checks if check.limit is not None]
    rows = [[check.status, check.name, check.message] for check in validity if check.status != PASS]
    unknown = [
        ["", check.name, check.message] for check in validity if check.status == PASS and "unknown" in check.message
    ]
    judged = [
        [
            check.status,
            check.name,
            *judged_texts(check.limit, check.measured),
            _compared(check.measured, check.published),
            check.limit.source,
        ]
        for check in thresholds
        if check.limit is not None
    ]
    named = {check.name for check in thresholds}
    further = [name for name in metrics if name not in named and (name in published or name == _STEADY)]
    judged += [
        [
            "",
            name,
            f"{number(metrics[name])} {METRICS[name].unit}",
            "",
            _compared(metrics[name], published.get(name)),
            "",
        ]
        for name in further
    ]
    odd = verdict != INVALID and bool(rows)
    lines = [_headline(verdict, workload, size, thresholds, metrics, odd)]
    for table in (rows, judged, unknown):
        lines += ["  " + line for line in _aligned(sorted(table, key=lambda row: _ORDER.index(row[0])))]
    if interval is not None and verdict != INVALID:
        lines.append(f"  {_STEADY} is known to +/- {number(interval)} tok/s (95 %)")
    return lines


_STEADY = "steady_output_throughput"


def repeated(count: int, spread: Mapping[str, float]) -> str:
    """Return the line about repetitions, whose medians the figures are."""
    return f"  medians of {count} runs, in which {_STEADY} differed by {number(spread.get(_STEADY, 0))} tok/s"


def failure(lines: Sequence[str]) -> str:
    """Return the part of a summary for a failure: headline, missed checks and hints."""
    good = ("  " + PASS, " " * 6)
    return "\n".join(line for line in lines if not line.startswith(good))


def _headline(
    verdict: str,
    workload: Mapping[str, Any],
    size: str,
    thresholds: Sequence[Check],
    metrics: Mapping[str, float],
    odd: bool,
) -> str:
    missed = [check for check in thresholds if check.status != PASS]
    if verdict == INVALID:
        reason = "the run cannot be judged"
    elif not thresholds:
        reason = f"no threshold applies to size {size}, so nothing is proven"
    elif missed:
        reason = f"{len(missed)} of {len(thresholds)} thresholds missed"
    else:
        reason = f"{len(thresholds)} of {len(thresholds)} thresholds met"
    if odd:
        reason += "; the run looks odd"
    took = f", {metrics['duration_s']:.1f} s" if "duration_s" in metrics else ""
    return f"{verdict.upper()}: {reason} ({describe(workload, size)}{took})"


def describe(workload: Mapping[str, Any], size: str) -> str:
    """Return the load in words."""
    return (
        f"size {size}: {request_count(workload, size)} requests of {workload['input_len']} + {workload['output_len']}"
        f" tokens, {workload['max_concurrency']} at a time"
    )


def _compared(measured: float | None, published: float | None) -> str:
    delta = delta_percent(measured, published)
    return "" if delta is None or published is None else f"{delta:+.1f} % of published {number(published)}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def hints(
    run: Run,
    workload: Mapping[str, Any],
    checks: Iterable[Check],
    metrics: Mapping[str, float],
    engine: Engine = ENGINE_DEFAULTS,
) -> list[str]:
    """Return the probable causes of missed checks, the most certain first."""
    # If a metric has several checks, the worst counts.
    status = {check.name: check.status for check in sorted(checks, key=lambda check: -_ORDER.index(check.status))}
    missed = {name for name, found in status.items() if found != PASS}
    return [*_validity_hints(run, missed, status, metrics, workload), *_speed_hints(missed, status, metrics, engine)]


def _traffic_hints(run: Run, workload: Mapping[str, Any]) -> Iterable[str]:
    """Return why the counts of server and client differ. Other clients are named only if the counts show them."""
    produced, counted = (run.gained(counter, with_warmup=True) for counter in ("output_tokens", "requests"))
    sent = run.client["completed"] + run.client["failed"] + workload["warmup_prompts"]
    if produced is None:
        yield "The server counts no tokens: start it without --disable-log-stats."
    elif produced < run.client["total_output_tokens"]:
        yield "The server counted less than the client received: a cache, a proxy or another server answered."
    elif counted is None:
        yield "The server produced more than the client received. It does not count requests, so the cause is unknown."
    elif counted <= sent + 1:
        yield (
            "The server counted no more requests than the client sent, so no other client took part. A proxy between"
            " them may lose or change chunks."
        )
    else:
        yield "Other traffic reached the server: keep other clients away."


def _validity_hints(
    run: Run, missed: set[str], status: Mapping[str, str], metrics: Mapping[str, float], workload: Mapping[str, Any]
) -> Iterable[str]:
    errors = " ".join(run.client.get("errors") or {}).lower()
    yield from dict.fromkeys(hint for part, hint in _ERROR_HINTS.items() if part in errors)
    if "server_stayed_up" in missed:
        yield "The server stopped, restarted or hung during the run: its log says why; playbooks/status.yml shows it."
    if "input_length" in missed and metrics["mean_input_len"] > workload["input_len"]:
        yield "Prompts are longer than asked for: client and server tokenize differently (version of transformers?)."
    lossy = missed & {"all_requests_completed", "output_length", "no_other_traffic", "answers_streamed"}
    if lossy and run.look.get("comments"):
        yield "The stream has SSE comments, such as keep-alives of a proxy. vLLM's client loses chunks there."
    elif "no_other_traffic" in missed and status["no_other_traffic"] == INVALID:
        yield from _traffic_hints(run, workload)
    elif "output_length" in missed:
        yield "Answers are shorter than asked for: max-model-len is too small, or ignore_eos had no effect."
    if status.get("prompts_not_cached") == INVALID:
        if workload.get("seed") is not None:
            yield "An earlier run had the same seed: leave out the seed, so that each run chooses its own."
        else:
            yield "This run chose its own seed: do its prompts have something in common, such as a prefix in args?"
    if status.get("answers_readable") == INVALID:
        yield "The model does not work: check its weights, KV cache type and kernels, and restart the server."
    if "client_result" in missed:
        yield "The client's version writes another result than expected: measure with the image of a tested version."
    if "acceptance_plausible" in missed and status.get("answers_readable") != PASS:
        yield "Read texts of the result: a model that repeats one token is fast, because its drafts are right."
    if "plausible_speed" in missed:
        yield "Faster than expected: are model and load the published ones, and did a cache or a proxy answer?"
    if "slots_filled" in missed:
        yield "Time passed between requests: the client is short of CPU, or connections stay open after the last token."
    if "even_speed" in missed:
        yield "The speed was uneven: another load on the machine, throttled clocks, or a server that was cold at first."


def _speed_hints(
    missed: set[str], status: Mapping[str, str], metrics: Mapping[str, float], engine: Engine
) -> Iterable[str]:
    slow = {name for name in missed if name in METRICS and METRICS[name].better}
    if not slow:
        return
    acceptance = metrics.get("acceptance_length")
    if "steady_output_throughput" in slow and status.get("steps_per_s") == PASS:
        yield (
            "Per step the node is as fast as it has to be, but a step yields too few tokens: the draft is weak, not the"
            " node slow."
        )
    elif "steps_per_s" in slow:
        yield "The node does too few steps per second, whatever the draft is worth: it is slow."
    if acceptance is None and slow & {"acceptance_length", "acceptance_rate"}:
        yield "The server counts no drafts: speculative decoding is not active."
    elif acceptance is not None and acceptance < 1.1:
        yield "No draft is accepted: the draft model does not match the model, or its weights are damaged."
    elif acceptance is not None and slow & {"acceptance_length", "acceptance_rate"}:
        yield "Fewer drafts are accepted than expected: do draft, revision and quantization match the published ones?"
    elif metrics.get("tokens_per_chunk", 0) > 1.5 * (acceptance or 1) * engine.stream_interval:
        yield "Chunks hold more tokens than a step yields: the API server is short of CPU and joins them."
    if metrics.get("preemptions"):
        yield "Requests were preempted: the KV cache is too small for this concurrency."
    ttft, warm = metrics.get("mean_ttft_ms"), metrics.get("warm_mean_ttft_ms")
    if any("ttft" in name for name in slow) and ttft and warm and ttft > 2 * warm:
        yield "Only the first wave waited long for its first token: the server was cold. Warm it up, or measure again."
    if status.get("output_throughput") == FAIL and status.get("steady_output_throughput") == PASS:
        yield "The steady state passes and the whole run does not: the run is too short. Choose a larger size."
    healthy = not metrics.get("preemptions") and "acceptance_length" not in missed
    if healthy and any(name.endswith("_tpot_ms") and METRICS[name].better == LOWER for name in slow):
        yield "Tokens take too long although drafts are accepted: check clocks, NVLink, all-reduce fusion, KV type."
