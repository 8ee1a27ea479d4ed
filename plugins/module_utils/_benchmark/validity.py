# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the figures of a benchmark run mean anything. Pure.

Two kinds of condition. A run is C(invalid) if what it measured is unknown: requests failed, lengths are wrong, other
traffic or a cache took part, the server restarted, or its counters contradict the client. A run that only looks odd, by
bounds that no HGX B200 has confirmed yet, gets C(warn) with its figure and the bound.
"""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from .._core.verdict import INVALID, PASS, WARN
from .measure import cached_share, compute_metrics, requests
from .metrics import HIGHER, METRICS
from .plan import ENGINE_DEFAULTS, Check, Engine, Run, number, request_count

# A chat template adds at most this many tokens. More means that client and server tokenize differently.
TEMPLATE_TOKENS = 64
# The share by which the server's and the client's counts may differ.
TRAFFIC_TOLERANCE = 0.01
# The share by which the length of a single prompt may differ from the requested one.
LENGTH_SLACK = 0.1
# In percent. Apart from the warm-up's prompt and the chat template, hardly anything may be in the prefix cache.
CACHED_SHARE_MAX = 50.0
CACHED_SHARE_SLACK = 2.0

# All bounds below only warn.
# Steps of the engine in a chunk: on average over the run, and in any single answer.
STEPS_PER_CHUNK = 1.5
STEPS_PER_CHUNK_OF_ANSWER = 32
# Milliseconds that a step of an engine takes at least, with its scheduling.
STEP_MIN_MS = 0.8
# How many times better than published a figure may be. A smaller load shortens the time to the first token much more.
TIMES_BETTER = {"output_throughput": 3, "mean_tpot_ms": 3, "mean_ttft_ms": 20}
# The share of the slots' time, between the first and the last start, in which requests run.
BUSY_SHARE_MIN = 0.9
# How long the client may run on after the last token: a share of the time before it, and seconds.
AFTERWARDS_SHARE = 0.1
AFTERWARDS_S = 0.5
# Answers wait while the prompts of others are read. If they wait this many times as often, ...
WAITS_SLACK = 1.25
# ... they may spend this share of their time in long gaps between chunks.
WAITING_SHARE_MAX = 0.3


def validity_checks(
    run: Run,
    workload: Mapping[str, Any],
    size: str,
    published: Mapping[str, float] | None = None,
    engine: Engine = ENGINE_DEFAULTS,
) -> list[Check]:
    """Return the conditions that the run must meet, met or not; without an answer, only the first ones."""
    checks = [_all_completed(run, request_count(workload, size)), _server_stayed_up(run)]
    if not run.client["completed"]:
        return checks
    one_length = _has_one_length(workload)
    checks.append(_output_length(run.client, workload["output_len"] if one_length else None))
    if not requests(run.client):
        return checks
    checks.append(_no_other_traffic(run, workload, one_length))
    if one_length:
        checks += [_input_length(run.client, workload["input_len"]), _prompts_not_cached(run, workload, size)]
    metrics = compute_metrics(run, workload)
    return [
        *checks,
        _answers_streamed(run.client, metrics, engine),
        _plausible_speed(run.client, metrics, published or {}),
        _slots_filled(run.client),
        _even_speed(run.client, metrics, workload, engine),
    ]


def _has_one_length(workload: Mapping[str, Any]) -> bool:
    """Other data sets vary the lengths of prompts and answers; so does this one with the options below."""
    args = {option.replace("_", "-"): value for option, value in (workload.get("args") or {}).items()}
    ratio, prefix = args.get("random-range-ratio"), args.get("random-prefix-len")
    ratios = list(ratio.values()) if isinstance(ratio, Mapping) else [ratio]
    return workload["dataset"] == "random" and all(map(_is_zero, [*ratios, prefix]))


def _is_zero(value: Any) -> bool:
    with contextlib.suppress(ValueError):  # a mapping as text
        return not float(value or 0)
    return False


def _server_stayed_up(run: Run) -> Check:
    name = "server_stayed_up"
    if not run.counters.get("after"):
        return Check(
            name, INVALID, "the server's counters could not be read after the run, so no figure can be verified"
        )
    if (run.gained("output_tokens", with_warmup=True) or 0) < 0:
        return Check(name, INVALID, "the server's counters were reset: it restarted")
    return Check(name, PASS, "the server did not restart")


def _all_completed(run: Run, wanted: int) -> Check:
    client = run.client
    completed, failed = client["completed"], client.get("failed", 0)
    reported = min((len(client[name]) for name in ("ttfts", "output_lens") if name in client), default=wanted)
    message = f"{completed} of {wanted} requests completed, {failed} failed{_first_error(client)}"
    if reported != completed + failed:
        message += f"; the client reports figures for {reported}"
    return _condition("all_requests_completed", completed == reported == wanted and failed == 0, message)


def _output_length(client: Mapping[str, Any], wanted: int | None) -> Check:
    # A failed request has no output. If none failed, 0 is the length of an answer that was cut off.
    outputs = [tokens for tokens in client["output_lens"] if tokens or not client.get("failed")] or [0]
    message = f"the answers have {_range(outputs)} tokens"
    if wanted is None:
        return _condition("output_length", 0 not in outputs, message)
    return _condition("output_length", set(outputs) == {wanted}, f"{message}, {wanted} were requested")


def _input_length(client: Mapping[str, Any], wanted: int) -> Check:
    lengths = [request.inputs for request in requests(client)]
    mean = statistics.fmean(lengths)
    # Random tokens, decoded and encoded again, may become a few fewer.
    low, high = round(wanted * (1 - TRAFFIC_TOLERANCE)), wanted + TEMPLATE_TOKENS
    message = f"the prompts have {mean:.1f} tokens on average, {low} to {high} are expected"
    if min(lengths) < wanted * (1 - LENGTH_SLACK) or max(lengths) > wanted * (1 + LENGTH_SLACK) + TEMPLATE_TOKENS:
        message = f"the prompts have {_range(lengths)} tokens, all should have about {wanted}"
        return Check("input_length", INVALID, message)
    return _condition("input_length", low <= mean <= high, message)


def _no_other_traffic(run: Run, workload: Mapping[str, Any], one_length: bool) -> Check:
    name = "no_other_traffic"
    produced = run.gained("output_tokens", with_warmup=True)
    if not run.counters.get("after") or (produced or 0) < 0:
        return Check(name, PASS, "unknown, because the server did not stay up")
    if produced is None:
        return Check(name, INVALID, "the server counts no tokens, so no figure can be verified")
    client, warmup = run.client, workload["warmup_prompts"]
    # The tokens of a warm-up with varying lengths are unknown.
    wanted = client["total_output_tokens"] + (warmup * workload["output_len"] if one_length else 0)
    counted = f"{wanted}, warm-up included" if one_length else f"{wanted}"
    found = f"the server produced {produced:.0f} tokens, the client received {counted}"
    if produced < wanted * (1 - TRAFFIC_TOLERANCE):
        return Check(name, INVALID, found + "; something else answered, such as a cache or another server")
    # The client may have sent one request of its own to probe the server.
    longest_answer = workload["output_len"] if one_length else max(client["output_lens"])
    unknown = 0 if one_length else warmup * longest_answer
    if produced > wanted * (1 + TRAFFIC_TOLERANCE) + unknown + longest_answer:
        return Check(name, INVALID, found)
    misfit = _misfit_of_requests(run, workload) or (_misfit_of_prompts(run, workload) if one_length else "")
    return Check(name, INVALID, misfit) if misfit else Check(name, PASS, found)


def _misfit_of_requests(run: Run, workload: Mapping[str, Any]) -> str:
    """Return how the server's count of requests contradicts the client, or nothing."""
    completed, failed = run.client["completed"], run.client.get("failed", 0)
    counted, sent = run.gained("requests", with_warmup=True), completed + failed + workload["warmup_prompts"]
    if counted is not None and counted < completed * (1 - TRAFFIC_TOLERANCE):
        return f"the server counted {counted:.0f} requests, {completed} were answered"
    if (counted or 0) > sent * (1 + TRAFFIC_TOLERANCE) + 1:
        return f"the server counted {counted:.0f} requests, the client sent at most {sent}"
    busiest = run.counters.get("busiest") or {}
    under_way, concurrency = busiest.get("running", 0) + busiest.get("waiting", 0), workload["max_concurrency"]
    if under_way > 1.1 * concurrency + 2:
        return f"{under_way:.0f} requests were in flight at once, the client sends {concurrency} at a time"
    return ""


def _misfit_of_prompts(run: Run, workload: Mapping[str, Any]) -> str:
    """Return how the server's count of prompt tokens contradicts the client, or nothing."""
    client, warmup = run.client, workload["warmup_prompts"]
    lengths, sum_ = client["input_lens"], client["total_input_tokens"]
    read = run.gained("prompt_tokens", with_warmup=True)
    if read is None:
        return ""
    least = sum_ + warmup * min(lengths)
    if read < least * (1 - TRAFFIC_TOLERANCE):
        return f"the server counted {read:.0f} prompt tokens, the client sent {least}: it did not read all of them"
    # A client that counts its own text (vLLM 0.19 and older) does not know the chat template.
    template = TEMPLATE_TOKENS * (client["completed"] + client.get("failed", 0) + warmup)
    most = sum_ + warmup * max(lengths) + template
    if read > most * (1 + TRAFFIC_TOLERANCE) + max(lengths):
        return f"the server counted {read:.0f} prompt tokens, the client sent at most {most}"
    return ""


def _prompts_not_cached(run: Run, workload: Mapping[str, Any], size: str) -> Check:
    share = cached_share(run) or 0
    count = request_count(workload, size)
    unavoidable = 1 / count + TEMPLATE_TOKENS / workload["input_len"]
    if not run.counters.get("measuring"):  # the counters include the warm-up, which repeats one prompt
        unavoidable += workload["warmup_prompts"] / (count + workload["warmup_prompts"])
    limit = min(CACHED_SHARE_MAX, 100 * unavoidable + CACHED_SHARE_SLACK)
    message = f"{share:.1f} % of the input was in the prefix cache, at most {limit:.1f} % is expected"
    return _condition("prompts_not_cached", share <= limit, message)


def _answers_streamed(client: Mapping[str, Any], metrics: Mapping[str, float], engine: Engine) -> Check:
    step = metrics.get("acceptance_length", 1.0)
    usual = step * engine.stream_interval
    message = f"{number(metrics.get('tokens_per_chunk', 0))} tokens per chunk, {number(step)} per step of the engine"
    if engine.stream_interval > 1:
        message += f", stream-interval {engine.stream_interval}"
    odd = []
    if metrics.get("tokens_per_chunk", 0) > STEPS_PER_CHUNK * usual:
        expected = f"at most {number(STEPS_PER_CHUNK * usual)} per chunk are expected"
        odd.append(f"{message}; {expected}: the server or the client is short of CPU, or a proxy holds chunks back")
    joined = [r for r in requests(client) if r.outputs - 1 > STEPS_PER_CHUNK_OF_ANSWER * usual * r.chunks]
    if joined:
        worst = max(joined, key=lambda request: request.outputs / (request.chunks + 1))
        such = f"such as {worst.outputs} tokens in {worst.chunks + 1} chunk{'s' if worst.chunks else ''}"
        expected = f"at most {number(STEPS_PER_CHUNK_OF_ANSWER * usual)} tokens per chunk are expected"
        odd.append(f"answers in too few chunks: {len(joined)}, {such}; {expected}")
    return _unless_odd("answers_streamed", odd, message)


def _plausible_speed(client: Mapping[str, Any], metrics: Mapping[str, float], published: Mapping[str, float]) -> Check:
    first = 1000 * statistics.median(request.ttft for request in requests(client))
    gap = metrics.get("median_itl_ms", STEP_MIN_MS)
    expected = f"a step of an engine takes {STEP_MIN_MS} ms or more"
    odd = []
    if first < STEP_MIN_MS:
        odd.append(f"half of the answers started within {first:.2f} ms; {expected}")
    if gap < STEP_MIN_MS:
        odd.append(f"half of the chunks came within {gap:.2f} ms of the one before; {expected}")
    for metric, most in TIMES_BETTER.items():
        if not (metrics.get(metric) and published.get(metric)):
            continue
        ratio = metrics[metric] / published[metric]
        times = ratio if METRICS[metric].better == HIGHER else 1 / ratio
        if times > most:
            odd.append(f"{metric} is {times:.1f} times better than published; at most {most} times is expected")
    return _unless_odd("plausible_speed", odd, "the speed is possible")


def _slots_filled(client: Mapping[str, Any]) -> Check:
    answered, slots = requests(client), client["max_concurrency"]
    first, last = min(request.start for request in answered), max(request.start for request in answered)
    span = max(request.start + request.e2el for request in answered) - first
    afterwards, most = client["duration"] - span, AFTERWARDS_SHARE * span + AFTERWARDS_S
    odd = []
    if afterwards > most:
        odd.append(f"the client ran on for {afterwards:.1f} s after the last token; at most {most:.1f} s are expected")
    if len(answered) <= slots or last == first:
        return _unless_odd("slots_filled", odd, "no slot was used twice")
    # As long as requests are left to start, a free slot is taken at once.
    share = sum(min(request.start + request.e2el, last) - request.start for request in answered)
    share /= slots * (last - first)
    message = f"the {slots} slots were busy for {100 * share:.1f} % of the time"
    if share < BUSY_SHARE_MIN:
        odd.append(f"{message}; {100 * BUSY_SHARE_MIN:.0f} % or more is expected")
    return _unless_odd("slots_filled", odd, message)


def _even_speed(
    client: Mapping[str, Any], metrics: Mapping[str, float], workload: Mapping[str, Any], engine: Engine
) -> Check:
    limit = workload.get("spread_max") or math.inf
    spread = metrics.get("e2el_spread", 1.0)
    message = f"the slower half of the requests took {number(spread)} times as long as the faster half"
    odd = []
    if spread > limit:
        odd.append(f"{message}; at most {number(limit)} times is expected")
    answered = requests(client)
    prompts = client["max_concurrency"] * math.ceil(workload["input_len"] / engine.max_num_batched_tokens)
    gaps = client.get("long_gaps") or {"count": 0, "seconds": 0.0}
    waits, most = gaps["count"] / len(answered), WAITS_SLACK * prompts
    share = gaps["seconds"] / (sum(request.e2el for request in answered) or 1.0)
    if limit < math.inf and waits > most and share > WAITING_SHARE_MAX:
        stood = f"an answer paused {waits:.0f} times on average, for {100 * share:.0f} % of its time"
        expected = f"at most {most:.0f} times or {100 * WAITING_SHARE_MAX:.0f} % is expected"
        odd.append(f"{stood}; {expected}")
    return _unless_odd("even_speed", odd, message)


def _condition(name: str, holds: bool, message: str) -> Check:
    return Check(name, PASS if holds else INVALID, message)


def _unless_odd(name: str, odd: Sequence[str], message: str) -> Check:
    return Check(name, WARN, "; ".join(odd)) if odd else Check(name, PASS, message)


def _first_error(client: Mapping[str, Any]) -> str:
    errors = client.get("errors") or {}
    if not errors:
        return ""
    error = max(errors, key=lambda text: errors[text])
    return f" ({errors[error]} x {error})"


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"
