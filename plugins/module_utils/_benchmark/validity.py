# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the figures of a benchmark run mean anything: the conditions that a run must meet before it is judged. Pure.

A server is not believed on its word. What it says in its answers (usage), how its answers arrive (chunks, times) and
what it counts (metrics) must fit together. A server that counts nothing cannot be believed, so its runs are invalid.
"""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from .._core.verdict import INVALID, PASS, WARN
from .measure import cached_share, compute_metrics, requests
from .plan import ENGINE_DEFAULTS, Check, Engine, Run, number, request_count

# A chat template adds this many tokens at most; more means that client and server tokenize differently.
TEMPLATE_TOKENS = 64
# The share by which the server's and the client's counts may differ.
TRAFFIC_TOLERANCE = 0.01
# The share by which a single prompt may be longer or shorter than all should be.
LENGTH_SLACK = 0.1
# In percent. Beside the warm-up's prompt and the chat template, hardly anything may be in the prefix cache.
CACHED_SHARE_MAX = 50.0
CACHED_SHARE_SLACK = 2.0
# No draft is so long that the server's word for more would be taken.
TOKENS_PER_STEP_MAX = 16.0
# Tokens in a chunk, in steps of the engine. A server or a client short of CPU joins some, which is worth a warning. An
# answer in fewer chunks than the greater figure allows has not been streamed as it was produced.
STEPS_PER_CHUNK_WARN = 1.5
STEPS_PER_CHUNK_MAX = 32.0
# The share of answers that may come in fewer chunks than the others without a word; one always may.
THIN_SHARE_MAX = 0.025
# A step is one chunk; what opens and ends an answer may be more.
CHUNKS_PER_STEP_MAX = 1.25
CHUNKS_AROUND = 3
# Answers in fewer chunks say nothing of single chunks.
CHUNKS_MIN = 8
# Milliseconds. No step of an engine, with its scheduling, is faster, however small the model.
STEP_MIN_MS = 0.8
# By what factor figures may be better than published before another model, or no model, is the likelier reason.
TOO_GOOD = 3.0
# The same for the time to the first token, which a smaller load shortens much more.
TTFT_TOO_GOOD = 20.0
# The share of the slots' time, between the first and the last start, in which requests run; the rest is nobody's.
BUSY_SHARE_MIN = 0.9
# What the client may take on top of the time from the first request to the last token: a share of it, and seconds.
AFTERWARDS_SHARE = 0.1
AFTERWARDS_S = 0.5
# Answers with fewer tokens are no stream whose pace says something.
PACED_TOKENS_MIN = 4
# Gaps between chunks spread more than whole requests, which average over many of them. Each request waits for the
# prompts of as many others as run with it: only where these are few of its gaps does the 90th percentile say something.
GAP_SPREAD = 1.5
PROMPT_GAPS_MAX = 0.05
# The share of the time that answers may spend in long gaps, if these are so many times more than the prompts of others.
LONG_GAPS_SHARE_MAX = 0.3
LONG_GAPS_SLACK = 1.25


def validity_checks(
    run: Run,
    workload: Mapping[str, Any],
    size: str,
    published: Mapping[str, float] | None = None,
    engine: Engine = ENGINE_DEFAULTS,
) -> list[Check]:
    """Return the conditions without which no figure of the run means anything."""
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
        _answers_streamed(run, metrics, engine),
        _plausible_speed(run, metrics, published or {}),
        _slots_filled(run),
        _even_speed(run.client, metrics, workload, engine),
    ]


def _has_one_length(workload: Mapping[str, Any]) -> bool:
    """Other data sets have prompts and answers of various lengths; so has this one, with these options."""
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
        return Check(name, INVALID, "the server's counters could not be read after the run, so nothing can be believed")
    if (run.gained("output_tokens", with_warmup=True) or 0) < 0:
        return Check(name, INVALID, "the server's counters went back: it has restarted")
    return Check(name, PASS, "the server counted on")


def _all_completed(run: Run, wanted: int) -> Check:
    client = run.client
    completed, failed = client["completed"], client.get("failed", 0)
    reported = min((len(client[name]) for name in ("ttfts", "output_lens") if name in client), default=wanted)
    message = f"{completed} of {wanted} requests completed, {failed} failed{_first_error(client)}"
    if reported != completed + failed:
        message += f"; the client reports figures of {reported}"
    return _condition("all_requests_completed", completed == reported == wanted and failed == 0, message)


def _output_length(client: Mapping[str, Any], wanted: int | None) -> Check:
    # A request that failed has no output; where none did, 0 is the length of an answer that was cut off.
    outputs = [tokens for tokens in client["output_lens"] if tokens or not client.get("failed")] or [0]
    message = f"the answers have {_range(outputs)} tokens"
    if wanted is None:
        return _condition("output_length", 0 not in outputs, message)
    return _condition("output_length", set(outputs) == {wanted}, f"{message}, {wanted} were asked for")


def _input_length(client: Mapping[str, Any], wanted: int) -> Check:
    lengths = [request.inputs for request in requests(client)]
    mean = statistics.fmean(lengths)
    # Random tokens, written out and read again, may be a few less.
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
        return Check(name, PASS, "not known, for the server did not stay up")
    if produced is None:
        return Check(name, INVALID, "the server counts no tokens, so nothing can be believed")
    client, warmup = run.client, workload["warmup_prompts"]
    # What a warm-up of various lengths comes to is not known.
    wanted = client["total_output_tokens"] + (warmup * workload["output_len"] if one_length else 0)
    counted = f"{wanted}, warm-up included" if one_length else f"{wanted}"
    found = f"the server produced {produced:.0f} tokens, the client received {counted}"
    if produced < wanted * (1 - TRAFFIC_TOLERANCE):
        return Check(name, INVALID, found + "; something else has answered, such as a cache or another server")
    # One request may be the client's own, sent to look around.
    longest_answer = workload["output_len"] if one_length else max(client["output_lens"])
    unknown = 0 if one_length else warmup * longest_answer
    if produced > wanted * (1 + TRAFFIC_TOLERANCE) + unknown + longest_answer:
        return Check(name, INVALID, found)
    misfit = _misfit_of_requests(run, workload) or (_misfit_of_prompts(run, workload) if one_length else "")
    return Check(name, INVALID, misfit) if misfit else Check(name, PASS, found)


def _misfit_of_requests(run: Run, workload: Mapping[str, Any]) -> str:
    """Return how the requests that the server counts do not fit what the client has sent; other ones cost as much."""
    completed, failed = run.client["completed"], run.client.get("failed", 0)
    counted, sent = run.gained("requests", with_warmup=True), completed + failed + workload["warmup_prompts"]
    if counted is not None and counted < completed * (1 - TRAFFIC_TOLERANCE):
        return f"the server counted {counted:.0f} requests, {completed} were answered"
    if (counted or 0) > sent * (1 + TRAFFIC_TOLERANCE) + 1:
        return f"the server counted {counted:.0f} requests, at most {sent} are the client's"
    busiest = run.counters.get("busiest") or {}
    under_way, concurrency = busiest.get("running", 0) + busiest.get("waiting", 0), workload["max_concurrency"]
    if under_way > 1.1 * concurrency + 2:
        return f"{under_way:.0f} requests were under way at once, the client sends {concurrency}"
    return ""


def _misfit_of_prompts(run: Run, workload: Mapping[str, Any]) -> str:
    """Return how the prompt tokens that the server counts do not fit what the client has sent."""
    client, warmup = run.client, workload["warmup_prompts"]
    lengths, sum_ = client["input_lens"], client["total_input_tokens"]
    read = run.gained("prompt_tokens", with_warmup=True)
    if read is None:
        return ""
    least = sum_ + warmup * min(lengths)
    if read < least * (1 - TRAFFIC_TOLERANCE):
        return f"the server counted {read:.0f} prompt tokens, the client sent {least}: it has not read all of them"
    # A client that counts its own text (vLLM 0.19 and older) does not know the chat template.
    template = TEMPLATE_TOKENS * (client["completed"] + client.get("failed", 0) + warmup)
    most = sum_ + warmup * max(lengths) + template
    if read > most * (1 + TRAFFIC_TOLERANCE) + max(lengths):
        return f"the server counted {read:.0f} prompt tokens, at most {most} are the client's"
    return ""


def _prompts_not_cached(run: Run, workload: Mapping[str, Any], size: str) -> Check:
    share = cached_share(run) or 0
    count = request_count(workload, size)
    unavoidable = 1 / count + TEMPLATE_TOKENS / workload["input_len"]
    if not run.counters.get("measuring"):  # the warm-up, all of one prompt, is counted in
        unavoidable += workload["warmup_prompts"] / (count + workload["warmup_prompts"])
    limit = min(CACHED_SHARE_MAX, 100 * unavoidable + CACHED_SHARE_SLACK)
    message = f"{share:.1f} % of the input was in the prefix cache"
    return _condition("prompts_not_cached", share <= limit, message)


def _answers_streamed(run: Run, metrics: Mapping[str, float], engine: Engine) -> Check:
    name = "answers_streamed"
    answered = requests(run.client)
    drafted, accepted = run.gained("draft_tokens"), run.gained("accepted_tokens") or 0.0
    outputs = max(run.gained("output_tokens") or 0.0, 0.0) or sum(request.outputs for request in answered)
    # The last step of an answer may accept tokens that are not wanted any more.
    credible = outputs + TOKENS_PER_STEP_MAX * len(answered) if drafted is None else drafted
    if accepted > credible * (1 + TRAFFIC_TOLERANCE):
        message = f"the server counts {accepted:.0f} accepted tokens of drafts, {credible:.0f} could be at most"
        return Check(name, INVALID, message)
    per_step = outputs / max(outputs - accepted, outputs / TOKENS_PER_STEP_MAX, 1.0)
    usual = max(per_step, 1.0) * engine.stream_interval
    short = [r for r in answered if r.outputs - 1 > STEPS_PER_CHUNK_MAX * usual * r.chunks]
    if short:
        worst = min(short, key=lambda request: request.chunks / request.outputs)
        such = f"{worst.outputs} tokens in {worst.chunks + 1} chunks"
        return Check(name, INVALID, f"{len(short)} answers claim more than can have been streamed, such as {such}")
    mean = metrics.get("tokens_per_chunk", 0)
    message = f"a chunk holds {number(mean)} tokens, a step of the engine yields {number(per_step)}"
    if engine.stream_interval > 1:
        message += f", and it sends every {engine.stream_interval} (stream-interval)"
    if mean > STEPS_PER_CHUNK_WARN * usual:
        return Check(name, WARN, f"{message}: it joins them, for want of CPU, or claims tokens that it has not sent")
    return _odd_chunks(run, engine, per_step) or Check(name, PASS, message)


def _odd_chunks(run: Run, engine: Engine, per_step: float) -> Check | None:
    """Return what is strange about the chunks of some answers, or about their pace, though the mean is right."""
    name = "answers_streamed"
    answered = [request for request in requests(run.client) if request.chunks]
    if not answered or statistics.median(request.chunks for request in answered) < CHUNKS_MIN:
        return None
    sizes = [(request.outputs - 1) / request.chunks for request in answered]
    drafts = run.gained("drafts")
    longest_step = 1 + (run.gained("draft_tokens") or 0) / drafts if drafts else 1.0
    limit = STEPS_PER_CHUNK_WARN * max(longest_step * engine.stream_interval, statistics.median(sizes))
    thin = [size for size in sizes if size > limit]
    if len(thin) > max(1, THIN_SHARE_MAX * len(sizes)):
        others = f"{number(max(thin))} tokens in a chunk where others have {number(statistics.median(sizes))}"
        return Check(name, WARN, f"{len(thin)} answers came in fewer chunks than the others, up to {others}")
    chunks, outputs = (sum(getattr(request, what) for request in answered) for what in ("chunks", "outputs"))
    steps = outputs / per_step
    if chunks > CHUNKS_PER_STEP_MAX * steps + CHUNKS_AROUND * len(answered):
        message = f"the answers came in {chunks} chunks, but by the tokens of drafts that the server counts as accepted"
        return Check(name, WARN, f"{message} the engine made {steps:.0f} steps: do not believe its acceptance")
    median = run.client.get("median_itl_ms")
    if median is not None and median < STEP_MIN_MS:
        message = f"half of the chunks came within {median:.2f} ms of the one before, no step of an engine is as fast"
        return Check(name, WARN, f"{message}: something held them back, or the client is short of CPU")
    return None


def _plausible_speed(run: Run, metrics: Mapping[str, float], published: Mapping[str, float]) -> Check:
    name = "plausible_speed"
    # Steps may share a chunk, but no two chunks share a step, whatever the server says of its drafts.
    answered = requests(run.client)
    gaps = [
        1000 * (request.e2el - request.ttft) / request.chunks
        for request in answered
        if request.chunks and request.outputs >= PACED_TOKENS_MIN
    ]
    if gaps and statistics.median(gaps) < STEP_MIN_MS:
        gap = f"chunks follow each other within {statistics.median(gaps):.2f} ms"
        return Check(name, INVALID, f"{gap}, and no engine's step takes less than {STEP_MIN_MS} ms: it is none")
    steps = [1000 * request.e2el / (request.outputs / TOKENS_PER_STEP_MAX) for request in answered]
    first = 1000 * statistics.median(request.ttft for request in answered)
    if min(first, statistics.median(steps)) < STEP_MIN_MS:
        message = f"answers start after {first:.2f} ms and have {statistics.median(steps):.2f} ms for a step"
        return Check(name, INVALID, f"{message}, and no engine's step takes less than {STEP_MIN_MS} ms: it is none")
    factors = {
        metric: (metrics[metric] / published[metric]) ** better
        for metric, better in (("output_throughput", 1), ("mean_tpot_ms", -1))
        if metric in metrics and published.get(metric) and metrics[metric]
    }
    too_good = {metric: factor for metric, factor in factors.items() if factor > TOO_GOOD}
    if not too_good:
        if first < (published.get("mean_ttft_ms") or 0) / TTFT_TOO_GOOD:
            message = f"answers start after {first:.1f} ms, published are {number(published['mean_ttft_ms'])} ms"
            return Check(name, WARN, f"{message}: were the prompts read?")
        return Check(name, PASS, "the speed is possible")
    words = " and ".join(f"{metric} is {factor:.1f} times better" for metric, factor in too_good.items())
    # More requests at once make for more throughput, and fewer for faster answers, but nothing honest for both.
    status = INVALID if len(too_good) == len(factors) else WARN
    return Check(name, status, f"{words} than published: is that the model, its server, and the load?")


def _slots_filled(run: Run) -> Check:
    name = "slots_filled"
    answered, slots = requests(run.client), run.client["max_concurrency"]
    span = max(request.start + request.e2el for request in answered) - min(request.start for request in answered)
    afterwards = run.client["duration"] - span
    if afterwards > AFTERWARDS_SHARE * span + AFTERWARDS_S:
        message = f"the client waited {afterwards:.1f} s after the last token, {span:.1f} s after it had begun"
        return Check(name, INVALID, f"{message}: connections stay open though the answer has ended")
    if len(answered) <= slots:
        return Check(name, PASS, "no slot was used twice")
    # As long as there are requests to start, a slot that is free is taken at once.
    first, last = min(request.start for request in answered), max(request.start for request in answered)
    busy = sum(min(request.start + request.e2el, last) - request.start for request in answered)
    share = busy / (slots * (last - first)) if last > first else 1.0
    message = f"the {slots} slots were busy for {100 * share:.1f} % of the time, by start and latency of each request"
    return _condition(name, share >= BUSY_SHARE_MIN, message)


def _even_speed(
    client: Mapping[str, Any], metrics: Mapping[str, float], workload: Mapping[str, Any], engine: Engine
) -> Check:
    name, limit = "even_speed", workload.get("spread_max") or 0
    spread = metrics.get("e2el_spread", 1.0)
    message = f"the slower half of the requests took {number(spread)} times as long as the faster half"
    if limit and spread > limit:
        return Check(name, WARN, f"{message}, up to {number(limit)} is usual: a mean says little about such a run")
    median, high = metrics.get("median_itl_ms"), metrics.get("p90_itl_ms")
    prompt_gaps = client["max_concurrency"] * math.ceil(workload["input_len"] / engine.max_num_batched_tokens)
    chunks = max(statistics.fmean(client["chunks"]), 1)
    if limit and median and high and prompt_gaps / chunks < PROMPT_GAPS_MAX and high / median > GAP_SPREAD * limit:
        gaps = f"a tenth of the chunks came after {number(high)} ms or more, the median is {number(median)} ms"
        return Check(name, WARN, f"{gaps}: the server was slow for a part of the time")
    answered = requests(client)
    long_gaps = client.get("long_gaps") or {"count": 0, "seconds": 0.0}
    count = long_gaps["count"] / len(answered)
    share = long_gaps["seconds"] / (sum(request.e2el for request in answered) or 1.0)
    if limit and chunks >= CHUNKS_MIN and count > LONG_GAPS_SLACK * prompt_gaps and share > LONG_GAPS_SHARE_MAX:
        gaps = f"an answer stood still {count:.0f} times, for {100 * share:.0f} % of its time in all"
        return Check(name, WARN, f"{gaps}, more than the prompts of others explain: the server stalls again and again")
    return Check(name, PASS, message)


def _condition(name: str, holds: bool, message: str) -> Check:
    return Check(name, PASS if holds else INVALID, message)


def _first_error(client: Mapping[str, Any]) -> str:
    errors = client.get("errors") or {}
    if not errors:
        return ""
    error = max(errors, key=lambda text: errors[text])
    return f" ({errors[error]} x {error})"


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"
