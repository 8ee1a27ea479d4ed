# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the figures of a benchmark run mean anything. Pure.

Two kinds of condition. A run is C(invalid) if what it measured is unknown or impossible: requests failed, lengths are
wrong, other traffic or a cache took part, the server restarted, its counters contradict the client, the client
contradicts itself, all answers are rubbish, or tokens came faster than the hardware can read the weights for them.
A run that only looks odd, by bounds that no HGX B200 has confirmed yet, gets C(warn) with its figure and the bound, and
so does one of which something is unknown.
"""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._core.verdict import INVALID, PASS, WARN
from .measure import cached_share, compute_metrics, concurrency_of, requests
from .metrics import HIGHER, METRICS
from .plan import ENGINE_DEFAULTS, Check, Engine, Physical, Run, number, request_count, telling_decimals

# A prompt may have this many tokens more than asked for and than the chat template adds, as far as the server tells the
# latter. More means that client and server tokenize differently.
TEMPLATE_TOKENS = 64
# The share by which the server's and the client's counts may differ.
TRAFFIC_TOLERANCE = 0.01
# The share by which the length of a single prompt may differ from the requested one.
LENGTH_SLACK = 0.1
# How many special tokens, which leave no text, a single answer may have.
SPECIAL_TOKENS = 4
# In percent. Apart from the warm-up's prompt and the chat template, hardly anything may be in the prefix cache.
CACHED_SHARE_MAX = 50.0
CACHED_SHARE_SLACK = 2.0

# All bounds below only warn.
# Steps of the engine in a chunk: on average over the run, and in any single answer.
STEPS_PER_CHUNK = 1.5
STEPS_PER_CHUNK_OF_ANSWER = 32
# Milliseconds that a step of an engine takes at least, with its scheduling.
STEP_MIN_MS = 0.8
# How many times better than published a figure may be. A smaller or warmer load shortens the time to the first token
# much more, and high percentiles of a short run are noise.
TIMES_BETTER, TIMES_BETTER_TTFT = 1.5, 20
# In percent of the drafted tokens. Beyond, a model most likely repeats itself.
ACCEPTED_SHARE_MAX = 90.0
# The share of the answers from which something concerns the run and not single answers.
MOST = 0.5
# Data sets of random tokens. What a healthy model answers to them need not make sense.
RANDOM_DATASETS = ("random", "random-mm", "random-rerank", "prefix_repetition", "burstgpt")
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
    physical: Physical | None = None,
) -> list[Check]:
    """Return the conditions that the run must meet, met or not; without an answer, only the first ones."""
    readable = _client_result(run.client, workload)
    if run.client.get("problems"):
        return [readable]
    checks = [readable, _all_completed(run, request_count(workload, size)), _server_stayed_up(run)]
    if not run.client["completed"]:
        return checks
    one_length = _has_one_length(workload)
    checks.append(_output_length(run.client, workload["output_len"] if one_length else None))
    if not requests(run.client):
        return checks
    checks.append(_no_other_traffic(run, workload, one_length))
    if one_length:
        checks += [_input_length(run, workload["input_len"]), _prompts_not_cached(run, workload, size)]
    metrics = compute_metrics(run, workload)
    speed = _beyond_physics(run.client, metrics, engine, physical) or _plausible_speed(
        run.client, metrics, published or {}
    )
    acceptance = _acceptance(metrics, published or {})
    too_good = not speed.status == acceptance.status == PASS
    return [
        *checks,
        _answers_readable(run, workload, too_good, engine),
        _answers_streamed(run.client, metrics, engine),
        _first_token(run.client),
        speed,
        acceptance,
        _slots_filled(run.client, workload),
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


def _client_result(client: Mapping[str, Any], workload: Mapping[str, Any]) -> Check:
    name = "client_result"
    if client.get("problems"):
        return Check(name, INVALID, "the result of the client cannot be judged: " + "; ".join(client["problems"]))
    found = list(client.get("contradictions") or ())
    ends = [start + e2el for start, e2el in zip(client["start_times"], client["e2els"])]
    span = max(ends, default=0.0) - min(client["start_times"], default=0.0)
    if span > client["duration"] * (1 + TRAFFIC_TOLERANCE):
        found.append(f"the requests took {span:g} s, the duration is {client['duration']:g} s")
    at_once, wanted = client.get("max_concurrency"), workload["max_concurrency"]
    if at_once not in (None, wanted):
        found.append(f"it says that it sent {at_once} requests at a time, {wanted} were asked for")
    if found:
        return Check(name, INVALID, "the client contradicts itself: " + "; ".join(found))
    return Check(name, PASS, "the client's sums are those of its requests")


def _server_stayed_up(run: Run) -> Check:
    name = "server_stayed_up"
    if not run.counters.get("after"):
        return Check(
            name, INVALID, "the server's counters could not be read after the run, so no figure can be verified"
        )
    if (run.gained("output_tokens", with_warmup=True) or 0) < 0:
        return Check(name, INVALID, "the server's counters were reset: it restarted")
    fallen = [name for name in run.counters["before"] or {} if (run.gained(name, with_warmup=True) or 0) < 0]
    fallen = [name for name in fallen if name not in ("running", "waiting")]
    if fallen:
        words = " and ".join(name.replace("_", " ") for name in fallen)
        message = f"the server counts fewer {words} than before the run: it restarted, or several servers answered"
        return Check(name, INVALID, message)
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


def _template_max(run: Run) -> int:
    """Return how many tokens more than asked for a prompt may have."""
    return TEMPLATE_TOKENS + (run.template_tokens or 0)


def _input_length(run: Run, wanted: int) -> Check:
    lengths, template = [request.inputs for request in requests(run.client)], _template_max(run)
    mean = statistics.fmean(lengths)
    # Random tokens, decoded and encoded again, may become a few fewer.
    low, high = round(wanted * (1 - TRAFFIC_TOLERANCE)), wanted + template
    message = f"the prompts have {mean:.1f} tokens on average, {low} to {high} are expected"
    if run.template_tokens is not None:
        message += f"; the server adds {run.template_tokens} to each"
    if min(lengths) < wanted * (1 - LENGTH_SLACK) or max(lengths) > wanted * (1 + LENGTH_SLACK) + template:
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
    if misfit:
        return Check(name, INVALID, misfit)
    unknown = [words for counter, words in _COUNTED.items() if run.gained(counter, with_warmup=True) is None]
    if unknown:
        return Check(name, WARN, f"{found}; its counts of {' and '.join(unknown)} are unknown")
    return Check(name, PASS, found)


_COUNTED = {"requests": "requests", "prompt_tokens": "prompt tokens"}


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
    template = _template_max(run)
    if run.template_tokens is not None:
        template = max(0, workload["input_len"] + template - min(lengths))
    most = sum_ + warmup * max(lengths) + template * (client["completed"] + client.get("failed", 0) + warmup)
    if read > most * (1 + TRAFFIC_TOLERANCE) + max(lengths):
        return f"the server counted {read:.0f} prompt tokens, the client sent at most {most}"
    return ""


def _prompts_not_cached(run: Run, workload: Mapping[str, Any], size: str) -> Check:
    name, share = "prompts_not_cached", cached_share(run)
    if share is None:
        return Check(name, WARN, "unknown: the server does not count how much of the input was in its prefix cache")
    count, template = request_count(workload, size), _counted_template(run, workload)
    unavoidable = 100 / count
    if not run.counters.get("measuring"):  # the counters include the warm-up, which repeats one prompt
        unavoidable += 100 * workload["warmup_prompts"] / (count + workload["warmup_prompts"])
    if template is None:
        unavoidable += 100 * TEMPLATE_TOKENS / workload["input_len"]
        limit = min(CACHED_SHARE_MAX, unavoidable + CACHED_SHARE_SLACK)
    else:  # which each request has, and of the rest hardly anything
        own = workload["input_len"] / (workload["input_len"] + template)
        limit = 100 * (1 - own) + own * min(CACHED_SHARE_MAX, unavoidable) + CACHED_SHARE_SLACK
    message = f"{share:.1f} % of the input was in the prefix cache, at most {limit:.1f} % is expected"
    return _condition(name, share <= limit, message)


def _counted_template(run: Run, workload: Mapping[str, Any]) -> int | None:
    """Return how many tokens the server adds to a prompt, but no more than its count of all prompts has room for."""
    told, read = run.template_tokens, run.gained("prompt_tokens", with_warmup=True)
    if told is None or read is None:
        return told
    prompts = run.client["completed"] + workload["warmup_prompts"]
    return min(told, max(0, math.ceil(read / prompts - workload["input_len"])))


def _answers_readable(run: Run, workload: Mapping[str, Any], too_good: bool, engine: Engine) -> Check:
    """Look at the texts. C(too_good) is whether other figures suggest that the model repeats itself."""
    name, found = "answers_readable", run.client.get("texts")
    if engine.random_weights:
        return Check(name, WARN, "the weights are random (load-format: dummy): the answers are noise by intent")
    if not found or not found["count"]:
        return Check(name, WARN, "unknown: the client has kept no text of the answers")
    count, spoken = found["count"], found["count"] - found["empty"]
    tokens, whose = _recounted(found, run.look)
    padded = _padded(tokens, whose)
    if not spoken:
        only = _only_thoughts(name, count, run.look)
        return Check(name, WARN, padded) if padded and only.status == PASS else only
    random = workload["dataset"] in RANDOM_DATASETS
    counted = "" if tokens else "; the number of tokens in them is unknown"
    worst = (PASS, f"{count} answers were read{counted}")
    for status, message in (
        *_rubbish(found, spoken, random, too_good),
        *_unlike_answers(found, run.look, random, too_good),
        *([(WARN, padded)] if padded else []),
    ):
        if _GRAVITY.index(status) > _GRAVITY.index(worst[0]):
            worst = (status, message)
    return Check(name, *worst)


_GRAVITY = (PASS, WARN, INVALID)


def _rubbish(found: Mapping[str, Any], spoken: int, random: bool, too_good: bool) -> Iterable[tuple[str, str]]:
    """Yield what is wrong with answers that have text. Single ones may be odd if their prompts are random."""
    loops = found["loops"] or {"": 0}
    most_frequent = max(loops, key=lambda loop: loops[loop])
    for kind, number_of, alike in (
        (f"repeat few words or characters, such as {most_frequent!r}", found["looping"], loops[most_frequent]),
        ("are no valid Unicode", found["broken"], found["broken"]),
    ):
        message = f"{number_of} of {found['count']} answers {kind}"
        if number_of >= MOST * spoken:
            certain = not random or too_good or (alike == spoken and spoken > 1)
            yield INVALID if certain else WARN, f"{message}: the figures are those of a model that does not work"
        elif number_of and not random:
            yield WARN, message


def _unlike_answers(
    found: Mapping[str, Any], look: Mapping[str, Any], random: bool, too_good: bool
) -> Iterable[tuple[str, str]]:
    """Yield what is odd about readable answers, as a whole."""
    count = found["count"]
    if found["empty"] >= MOST * count and look.get("thoughts") is not True:
        yield WARN, f"{found['empty']} of {count} answers have no text"
    if found["distinct"] == 1 and count > 1 and (too_good or not random):
        yield WARN, f"all {count} answers are alike"


def _recounted(found: Mapping[str, Any], look: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    """Return the tokens in texts as server and tokenizer count them, or None, and whose texts they are.

    Of a model that thinks, only one more answer is known with its thoughts.
    """
    sample = look.get("sample") or {}
    if sample.get("tokens"):
        return sample["tokens"], "one more answer whose text, with its thoughts, has"
    return found.get("tokens"), "answers whose texts have"


def _padded(tokens: Mapping[str, Any] | None, whose: str) -> str:
    """Return how many more tokens the server counts than there are, or nothing."""
    # A special token before and one after the thoughts, and those that end the answer, leave no text.
    if not tokens or tokens["claimed"] <= tokens["counted"] * (1 + LENGTH_SLACK) + SPECIAL_TOKENS:
        return ""
    counted = f"the server counts {tokens['claimed']} tokens in {whose} {tokens['counted']}"
    return f"{counted} by the model's tokenizer; special tokens leave no text"


def _only_thoughts(name: str, count: int, look: Mapping[str, Any]) -> Check:
    """Judge a run whose answers have no text; the client keeps no thoughts."""
    sample, nothing = look.get("sample"), f"none of the {count} answers has a text"
    if look.get("thoughts") is False and not look["text"].strip():
        return Check(name, INVALID, f"{nothing}, nor has one more")
    if not sample:
        return Check(name, WARN, f"unknown: {nothing}, and whether they are thoughts was not seen")
    if sample["empty"] or sample["looping"] or sample["broken"]:
        return Check(name, INVALID, f"{nothing}, and one more answer is {sample['samples'][0][:60]!r}")
    return Check(name, PASS, f"{nothing} beside its thoughts, which the client does not keep; one more was read")


def _first_token(client: Mapping[str, Any]) -> Check:
    name, late = "first_token", client.get("late_text")
    if not late:
        return Check(name, PASS, "the first chunk has the first token")
    times = [f"{1000 * late[moment]:.0f} ms" for moment in ("first_chunk_s", "second_chunk_s")]
    if late["corrected"]:
        message = f"the first chunk came after {times[0]} and has no text, the first text after {times[1]}"
        return Check(name, WARN, f"{message}; the time to the first token is the latter")
    message = f"the first chunk came after {times[0]}, the second after {times[1]}"
    return Check(name, WARN, f"{message}; if the first one has no text, the time to the first token is the latter")


def _acceptance(metrics: Mapping[str, float], published: Mapping[str, float]) -> Check:
    name, share = "acceptance_plausible", metrics.get("acceptance_rate")
    if share is None:
        return Check(name, PASS, "the server counts no drafts")
    message = f"{share:.1f} % of the drafted tokens were accepted"
    if not 0 <= share <= 100 * (1 + TRAFFIC_TOLERANCE):
        return Check(name, INVALID, f"{message}, which is impossible")
    faster = [name for name in _speeds(published) if _times_better(name, metrics, published) > 1]
    usual = published.get("acceptance_rate", ACCEPTED_SHARE_MAX)
    if share > max(usual, ACCEPTED_SHARE_MAX) and faster:
        compared = f"{faster[0]} is {_times_better(faster[0], metrics, published):.2f} times as good as published"
        return Check(name, WARN, f"{message} and {compared}: a model that repeats itself does that")
    return Check(name, PASS, message)


def _speeds(published: Mapping[str, float]) -> list[str]:
    """Return the published figures of speed, without percentiles."""
    return [
        name
        for name in published
        if name in METRICS and name.endswith(("_throughput", "_tpot_ms", "_itl_ms", "_e2el_ms")) and name[0] != "p"
    ]


def _times_better(name: str, metrics: Mapping[str, float], published: Mapping[str, float]) -> float:
    """Return how many times as good as published a figure is, 0 if it is unknown."""
    if not (metrics.get(name, 0) > 0 and published.get(name, 0) > 0):
        return 0.0
    ratio = metrics[name] / published[name]
    return ratio if METRICS[name].better == HIGHER else 1 / ratio


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


def _beyond_physics(
    client: Mapping[str, Any], metrics: Mapping[str, float], engine: Engine, physical: Physical | None
) -> Check | None:
    """Return the check that has failed if tokens came faster than the weights for them can be read."""
    # An answer in one piece does not show when its tokens came.
    streamed = [request for request in requests(client) if request.chunks and request.outputs > 1]
    if physical is None or not streamed:
        return None
    # Added up, since each step counts once, whatever the lengths of the answers.
    seconds = sum(request.e2el - request.ttft for request in streamed)
    took_ms = 1000 * seconds / sum(request.outputs - 1 for request in streamed)
    per_step = max(1.0, metrics.get("acceptance_length", 1.0 + engine.num_speculative_tokens))
    least_ms = physical.step_ms / per_step
    if took_ms >= least_ms * (1 - TRAFFIC_TOLERANCE):
        return None
    digits = telling_decimals(took_ms, least_ms)
    return Check(
        "plausible_speed",
        INVALID,
        f"a token took {number(took_ms, digits)} ms, which is impossible: {physical.gpus} GPUs with"
        f" {number(physical.gpu_memory_gb_s)} GB/s take {number(least_ms, digits)} ms or more, because each step of"
        f" {number(per_step)} tokens reads {number(physical.active_gb)} GB of weights",
    )


def _plausible_speed(client: Mapping[str, Any], metrics: Mapping[str, float], published: Mapping[str, float]) -> Check:
    first = 1000 * statistics.median(request.ttft for request in requests(client))
    gap = metrics.get("median_itl_ms", STEP_MIN_MS)
    expected = f"a step of an engine takes {STEP_MIN_MS} ms or more"
    odd = []
    if first < STEP_MIN_MS:
        odd.append(f"half of the answers started within {first:.2f} ms; {expected}")
    if gap < STEP_MIN_MS:
        odd.append(f"half of the chunks came within {gap:.2f} ms of the one before; {expected}")
    bounds = {**dict.fromkeys(_speeds(published), TIMES_BETTER), "mean_ttft_ms": TIMES_BETTER_TTFT}
    for metric, most in bounds.items():
        times = _times_better(metric, metrics, published)
        if times > most:
            figures = f"{number(metrics[metric])} against {number(published[metric])} {METRICS[metric].unit}"
            odd.append(f"{metric} is {times:.1f} times as good as published ({figures})")
    return _unless_odd("plausible_speed", odd, "the speed is possible")


def _slots_filled(client: Mapping[str, Any], workload: Mapping[str, Any]) -> Check:
    answered, slots = requests(client), concurrency_of(client, workload)
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
    prompts = concurrency_of(client, workload) * math.ceil(workload["input_len"] / engine.max_num_batched_tokens)
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
