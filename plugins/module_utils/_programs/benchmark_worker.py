# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a benchmark that runs beside the client: in the serving container, with that container's Python.

Its source arrives through stdin, which then stays open and silent. When stdin ends, the host's side is gone, for
whatever reason, and the client is ended, so that nothing keeps running there. Each line printed is an
event, a JSON object.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import functools
import http.client
import importlib.metadata
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from .prometheus import samples
from .secrets import Known
from .texts import excerpt, survey

POLL_INTERVAL_S = 2.0
# The last request of a readiness probe may still be under way.
IDLE_WAIT_S = 20.0
# A single look that fails must not cost a run.
LAST_LOOK_S = 30.0
FIRST_LOOK_S = 5.0
# A cache or a metrics exporter may serve counters that are some seconds old.
LATE_COUNTERS_S = 15.0
# One request before the run shows what the server adds to a prompt and how it streams.
LOOK_LIMIT_S = 60.0
LOOK_PROMPT, LOOK_TOKENS = "1", 16
# One after it, if the model thinks: the client drops thoughts, so that its texts are not all that was generated.
SAMPLE_PROMPT, SAMPLE_TOKENS = "Describe the sea in a few sentences.", 128
# The tokenizer is loaded after the run, and counts this many answers at most.
TOKENIZER_LIMIT_S = 120.0
COUNTED_TEXTS = 32
INTERVALS_MAX = 120
# A server that sends more, or for longer, when it is asked for little does not want to end.
ANSWER_MAX_BYTES = 16 * 2**20
ANSWER_MAX_S = 10.0
# Gaps between chunks that are this many times as long as the median one are long.
LONG_GAP = 3.0
# The client prints this between its warm-up and the part that it measures.
MEASURING_LINE = "Starting main benchmark run"

COUNTERS = {
    "running": "vllm:num_requests_running",
    "waiting": "vllm:num_requests_waiting",
    "requests": "vllm:request_success_total",
    "prompt_tokens": "vllm:prompt_tokens_total",
    "output_tokens": "vllm:generation_tokens_total",
    "drafts": "vllm:spec_decode_num_drafts_total",
    "draft_tokens": "vllm:spec_decode_num_draft_tokens_total",
    "accepted_tokens": "vllm:spec_decode_num_accepted_tokens_total",
    "accepted_at_": "vllm:spec_decode_num_accepted_tokens_per_pos_total",  # and the position in the draft
    "preemptions": "vllm:num_preemptions_total",
    "prefix_cache_queries": "vllm:prefix_cache_queries_total",
    "prefix_cache_hits": "vllm:prefix_cache_hits_total",
    "external_cache_hits": "vllm:external_prefix_cache_hits_total",
    "prompt_tokens_cached": "vllm:prompt_tokens_cached_total",  # in any cache
}

# The client's result must have these; the lists have one entry for each request.
_FIGURES = ("completed", "duration")
_LISTS = ("input_lens", "output_lens", "start_times", "ttfts", "itls")
# The client's sums may differ from those of its own lists by this share.
ROUNDING = 0.01
_UNAMBIGUOUS = ("_tokens", "_throughput", "mean_ttft_ms")
FIGURE_MAX = 1e15


def percentile(share: float, values: Sequence[float]) -> float:
    """Return a percentile by linear interpolation, as the client computes it."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


# The statistics of the client, by its name for them.
STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    **{f"p{share}": functools.partial(percentile, share) for share in (90, 95, 99)},
}

# The API key.
_KNOWN = Known()

# Prints the number of tokens in each of the texts that stand in its input.
_COUNT_TOKENS = """\
import json, sys
job = json.load(sys.stdin)
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(job["tokenizer"], trust_remote_code=job["trust"])
print("\\n" + json.dumps([len(tokenizer(text, add_special_tokens=False).input_ids) for text in job["texts"]]))
"""


def main(job: dict[str, Any]) -> None:
    """Run the client C(job["argv"]) against the server C(job["base_url"]) and print what happens.

    Without a client it only prints what the server says of itself and, if there is a C(job["endpoint"]), whether a
    request is answered there. All that may take C(job["time_limit_s"]) seconds. If there is a file
    C(job["key_file"]), it holds the server's API key. A server that was started before C(job["server_since"]) gets no
    load. A server may be busy for C(job["idle_wait_s"]) seconds more, and count an answer C(job["late_counters_s"])
    seconds late.
    """
    gone = threading.Event()
    threading.Thread(target=_wait_for_end_of_input, args=(gone,), daemon=True).start()
    key = _read_key(job["key_file"])
    try:
        server = identify(job["base_url"], key)
    except OSError as exc:
        return emit("unreachable", error=str(exc))
    emit("server", server=server)
    if not job["argv"]:
        return emit("asked", problem=ask(job, key)) if job["endpoint"] else None
    if _started_before(server, job["server_since"]):
        return None  # a different server, as the host's side reports
    with contextlib.ExitStack() as stack:
        if not stack.enter_context(_only_one()):
            return emit("locked")
        if shutil.which(job["argv"][0]) is None:
            return emit("no_client")
        if server["models"] and job["served_model_name"] not in server["models"]:
            return emit("other_model", models=server["models"])
        try:
            before = wait_until_idle(job["base_url"], key, job["idle_wait_s"])
            if _under_way(before):
                return emit("busy", counters=before)
            look = look_at_stream(job, key, LOOK_PROMPT, LOOK_TOKENS)
            # Counters that show this request are new, so they hold all earlier requests too.
            if look:
                wait_for_counters(job, key, {"requests": before.get("requests", 0.0) + 1})
            before = wait_until_idle(job["base_url"], key, job["idle_wait_s"])
        except OSError as exc:
            return emit("unreachable", error=str(exc))
        if _under_way(before):
            return emit("busy", counters=before)
        if look:
            look["text"] = excerpt(look["text"])
        emit("started", counters=before, client_version=_client_version(), look=look)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hgx-benchmark-"))
        return _run(job, folder, key, gone, before, look)


def emit(event: str, **details: Any) -> None:
    """Print one event, without the API key: nothing else leaves this program."""
    # One write: two threads print.
    details = _KNOWN.masked_in(details)
    sys.stdout.write(json.dumps({"event": event, "seconds": time.monotonic(), **details}) + "\n")
    sys.stdout.flush()


def parse_counters(text: str) -> dict[str, float]:
    """Return the figures of interest in the text of C(/metrics), summed over engines and labels."""
    names = {sample: name for name, sample in COUNTERS.items()}
    counters: dict[str, float] = {}
    for sample, labels, value in samples(text):
        name = names.get(sample)
        if name == "accepted_at_":
            name += labels.partition('position="')[2].partition('"')[0]
        if name:
            counters[name] = counters.get(name, 0.0) + value
    return counters


def identify(base_url: str, key: str) -> dict[str, Any]:
    """Return what tells this start of this server from others; a part that the server does not say is empty.

    Raises OSError when nothing answers or what answers is no vLLM server.
    """
    text = _metrics(base_url, key)
    started = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith("process_start_time_seconds ")]
    version, models = "", []
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        version = str(json.loads(_get(base_url + "/version"))["version"])
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        models = [str(model["id"]) for model in json.loads(_get(base_url + "/v1/models", key))["data"]]
    return {"version": version, "started": "".join(started), "models": models}


def _started_before(server: dict[str, Any], since: float | None) -> bool:
    """Return whether the server reports a start before C(since), in seconds since 1970."""
    with contextlib.suppress(ValueError):  # the server does not report its start time
        return since is not None and float(server["started"]) < since
    return False


def ask(job: dict[str, Any], key: str) -> str:
    """Ask the server for one token and return what is wrong with it, or nothing if the engine has produced one."""
    prompt = {"messages": [{"role": "user", "content": "1"}]} if "chat" in job["endpoint"] else {"prompt": "1"}
    body = json.dumps({"model": job["served_model_name"], "max_tokens": 1, **prompt}).encode()
    try:
        before = read_counters(job["base_url"], key)
        _get(job["base_url"] + job["endpoint"], key, body, job["time_limit_s"])
        wanted = {"output_tokens": before.get("output_tokens", 0.0) + 1}
        if not _shows(wait_for_counters(job, key, wanted), wanted):
            return "it is answered, but the engine has produced nothing"
    except OSError as exc:
        if isinstance(getattr(exc, "reason", exc), socket.timeout):
            return f"no answer within {job['time_limit_s']} s, so the engine hangs, or others keep it busy"
        return str(exc)
    return ""


def look_at_stream(job: dict[str, Any], key: str, prompt: str, tokens: int) -> dict[str, Any]:
    """Send one request as the client does and return what its answer is like; nothing if there is none.

    C(prompt_tokens) and C(completion_tokens) are the server's counts, None if it gives none. C(first_chunk_has_text)
    is None if the answer is not streamed. C(thoughts) says whether they come apart from the text, C(comments) whether
    the stream has comments.
    """
    body: dict[str, Any] = {"model": job["served_model_name"], "stream": True, "temperature": 0}
    body["stream_options"] = {"include_usage": True}
    if "chat" in job["endpoint"]:
        body.update(messages=[{"role": "user", "content": prompt}], max_completion_tokens=tokens)
    elif "completions" in job["endpoint"]:
        body.update(prompt=prompt, max_tokens=tokens)
    else:
        return {}
    body.update(extra_body(job["argv"]))
    try:
        answer = _get(job["base_url"] + job["endpoint"], key, json.dumps(body).encode(), LOOK_LIMIT_S)
    except OSError:  # the client runs into the same and reports it
        return {}
    look = read_stream(answer)
    if look and look["prompt_tokens"] is None and "messages" in body:
        asked = {name: value for name, value in body.items() if name in _TOKENIZED}
        with contextlib.suppress(OSError, ValueError, AttributeError):
            answer = _get(job["base_url"] + "/tokenize", key, json.dumps(asked).encode())
            look["prompt_tokens"] = _count(json.loads(answer).get("count"))
    return look


# What of a request changes its prompt.
_TOKENIZED = ("model", "messages", "chat_template", "chat_template_kwargs", "tools")


def extra_body(argv: Sequence[str]) -> dict[str, Any]:
    """Return what the client adds to each request."""
    for index, argument in enumerate(argv):
        name, _sign, value = argument.partition("=")
        if name.replace("_", "-") == "--extra-body":
            with contextlib.suppress(ValueError, IndexError):
                extra = json.loads(value or argv[index + 1])
                return extra if isinstance(extra, dict) else {}
    return {}


def read_stream(answer: str) -> dict[str, Any]:
    """Return what C(look_at_stream) returns of the text of an answer, streamed or whole; nothing of other texts."""
    lines = answer.splitlines() if "data:" in answer else ["data: " + " ".join(answer.split())]
    parts: list[tuple[str, str]] = []
    usage: dict[str, Any] = {}
    streamed, chunks = False, 0
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            event = json.loads(line.partition("data:")[2]) if line.startswith("data:") else None
            if not isinstance(event, dict):
                continue
            if isinstance(event.get("usage"), dict):
                usage = event["usage"]
            choices = event.get("choices")
            choice = choices[0] if isinstance(choices, list) and choices else None
            if isinstance(choice, dict):
                chunks += 1
                streamed = streamed or ("message" not in choice and "data:" in answer)
                parts.append(_text_of(choice))
    if not chunks:
        return {}
    thoughts, text = ("".join(column) for column in zip(*parts))
    return {
        "prompt_tokens": _count(usage.get("prompt_tokens")),
        "completion_tokens": _count(usage.get("completion_tokens")),
        "first_chunk_has_text": bool("".join(parts[0]).strip()) if streamed else None,
        "thoughts": bool(thoughts),
        "comments": any(line.startswith(":") for line in lines),
        "text": thoughts + text,
    }


def _text_of(choice: Mapping[str, Any]) -> tuple[str, str]:
    """Return the thoughts and the text in a choice."""
    found = choice.get("delta") or choice.get("message")
    delta = found if isinstance(found, dict) else {"content": choice.get("text")}
    thoughts = delta.get("reasoning") or delta.get("reasoning_content")
    content = delta.get("content")
    return thoughts if isinstance(thoughts, str) else "", content if isinstance(content, str) else ""


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


# The addresses that want the key. vLLM's own counters do not, those behind a gateway may.
_GUARDED: set[str] = set()


def _metrics(base_url: str, key: str) -> str:
    """Return the text of C(/metrics). Raises OSError, whose message names it."""
    url = base_url + "/metrics"
    try:
        text = _get(url, key if url in _GUARDED else "")
    except urllib.error.HTTPError as exc:
        answer = f"{url} answers {exc.code} {exc.reason}"
        if exc.code not in (401, 403):
            raise OSError(answer) from exc
        if not key or url in _GUARDED:
            known = "also with the API key" if key else "and there is no API key here"
            raise OSError(f"{answer}, {known}; it must be readable") from exc
        _GUARDED.add(url)
        return _metrics(base_url, key)
    if not {"running", "waiting"} <= set(parse_counters(text)):
        raise OSError(f"{url} shows no counters of a vLLM server")
    return text


def read_counters(base_url: str, key: str) -> dict[str, float]:
    """Return the server's counters. Raises OSError when it does not answer or is no vLLM server."""
    return parse_counters(_metrics(base_url, key))


def read_counters_patiently(base_url: str, key: str, limit_s: float) -> dict[str, float] | None:
    """Return the server's counters, or None if it has not told them for C(limit_s) seconds."""
    deadline = time.monotonic() + limit_s
    while True:
        with contextlib.suppress(OSError):
            return read_counters(base_url, key)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.5)


def wait_for_counters(job: dict[str, Any], key: str, wanted: Mapping[str, float]) -> dict[str, float] | None:
    """Return the counters as soon as they reach the C(wanted) figures, or those after C(job["late_counters_s"])."""
    deadline = time.monotonic() + job["late_counters_s"]
    while True:
        counters = read_counters_patiently(job["base_url"], key, LAST_LOOK_S)
        if counters is None or _shows(counters, wanted) or time.monotonic() > deadline:
            return counters
        time.sleep(0.2)


def _shows(counters: Mapping[str, float] | None, wanted: Mapping[str, float]) -> bool:
    """Return whether the counters reach C(wanted). Those that the server does not have are not waited for."""
    known = {name: figure for name, figure in wanted.items() if name in (counters or {})}
    return counters is not None and all(counters[name] >= figure for name, figure in known.items())


def wait_until_idle(base_url: str, key: str, limit_s: float) -> dict[str, float]:
    """Return the counters as soon as no request is under way, or after C(limit_s) seconds."""
    deadline = time.monotonic() + limit_s
    while True:
        counters = read_counters(base_url, key)
        if not _under_way(counters) or time.monotonic() > deadline:
            return counters
        time.sleep(0.5)


def problems_of(result: Any) -> list[str]:
    """Return why the client's result cannot be judged: what it lacks, and what has another form than expected."""
    if not isinstance(result, dict):
        return ["it is no JSON object"]
    missing = [name for name in (*_FIGURES, *_LISTS) if result.get(name) is None]
    problems = ["it lacks " + ", ".join(missing)] if missing else []
    for name in _FIGURES:
        if name not in missing and not _is_figure(result[name]):
            problems.append(f"{name} is {str(result[name])[:40]!r}, which is no figure")
    for name in _LISTS:
        if name in missing:
            continue
        entries = result[name]
        if not isinstance(entries, list) or not all(map(_are_figures if name == "itls" else _is_figure, entries)):
            problems.append(f"{name} is no list of {'lists of ' if name == 'itls' else ''}figures")
    if not problems:
        lengths = {name: len(result[name]) for name in _LISTS}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} {count}" for name, count in lengths.items())
            problems.append(f"its lists have different lengths: {listed}")
        if result["duration"] <= 0:
            problems.append(f"the duration is {result['duration']:g} s")
    return problems


def _is_figure(value: Any) -> bool:
    """Return whether a value is a finite number of 0 or more, and not so large that no sum can hold it."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < FIGURE_MAX


def _are_figures(values: Any) -> bool:
    return isinstance(values, list) and all(map(_is_figure, values))


def condense(result: Any, first_chunk_has_text: bool | None = None) -> dict[str, Any]:
    """Return the client's C(result) without texts and single tokens, which make up nearly all of its size.

    The times between chunks are replaced by their number (C(chunks)), by the latency and the time per token of each
    request (C(e2els), C(tpots), seconds), by how many are long and how many seconds these are in all (C(long_gaps)),
    and by what the run was like over time (C(series)); the errors by the number of times that each occurred; the texts
    by what they are like (C(texts)). The client's sums are replaced by those of its own lists, and where the two differ
    C(contradictions) says so. If the result cannot be judged, C(problems) says why, and only its figures are kept.

    The client takes any first chunk for the first token. If it has no text and the next one comes much later, that one
    is taken. C(late_text) has the median times to both, in seconds, and whether the figures are corrected.
    """
    problems = problems_of(result)
    if problems:
        figures = result.items() if isinstance(result, dict) else ()
        scalars = {key: value for key, value in figures if isinstance(value, (int, float, str))}
        return {**scalars, "problems": problems, "errors": _errors(result)}
    kept: dict[str, Any] = {
        key: value for key, value in result.items() if key not in ("generated_texts", "itls", "errors")
    }
    e2els = [ttft + sum(gaps) for ttft, gaps in zip(result["ttfts"], result["itls"])]
    by_client = sums(result, e2els)
    kept["late_text"] = late = late_text(result, first_chunk_has_text)
    if late and late["corrected"]:
        pairs = list(zip(result["ttfts"], result["itls"]))
        ttfts = [ttft + sum(gaps[:1]) for ttft, gaps in pairs]
        result = {**result, "ttfts": ttfts, "itls": [gaps[1:] for _ttft, gaps in pairs]}
        kept["ttfts"] = [round(ttft, 6) for ttft in ttfts]
    kept["chunks"] = [len(gaps) for gaps in result["itls"]]
    kept["e2els"] = [round(e2el, 6) for e2el in e2els]
    times = zip(result["ttfts"], e2els, result["output_lens"])
    kept["tpots"] = [round((e2el - ttft) / max(tokens - 1, 1), 6) for ttft, e2el, tokens in times]
    kept["long_gaps"] = long_gaps(result["itls"])
    kept["series"] = series(result, e2els)
    kept["errors"] = _errors(result)
    answers = result.get("generated_texts")
    kept["texts"] = None
    if isinstance(answers, list) and answers and all(isinstance(answer, str) for answer in answers):
        kept["texts"] = survey([answer for answer, tokens in zip(answers, result["output_lens"]) if tokens])
    if not _is_figure(kept.get("failed")):  # older clients do not count them
        kept["failed"] = max(len(e2els) - kept["completed"], 0)
    if not _is_figure(kept.get("max_concurrency")):
        kept["max_concurrency"] = None
    kept["contradictions"] = [
        f"{name} is {kept[name]:g} by the client and {figure:g} by its own list"
        for name, figure in by_client.items()
        # The others have several definitions: of percentiles, and of a latency with the chunk of the usage or without.
        if name.endswith(_UNAMBIGUOUS) and _is_figure(kept.get(name)) and _differ(kept[name], figure)
    ]
    if isinstance(answers, list) and answers and len(answers) != len(e2els):
        kept["contradictions"].append(f"it has the texts of {len(answers)} answers and the figures of {len(e2els)}")
    kept.update(sums(result, e2els))
    return kept


def late_text(result: Mapping[str, Any], first_chunk_has_text: bool | None) -> dict[str, Any] | None:
    """Return the median times to the first and to the second chunk if the gap between them holds the prefill."""
    rows = [row for row in zip(result["ttfts"], result["itls"], result["output_lens"]) if row[1] and row[2]]
    if not rows:
        return None
    first, gap = statistics.median(row[0] for row in rows), statistics.median(row[1][0] for row in rows)
    later = statistics.median([gap for row in rows for gap in row[1][1:]] or [gap])
    empty = first_chunk_has_text is False
    if gap <= LONG_GAP * later or not (empty or gap > first):
        return None
    return {"first_chunk_s": round(first, 6), "second_chunk_s": round(first + gap, 6), "corrected": empty}


def _differ(one: float, other: float) -> bool:
    return abs(one - other) > ROUNDING * max(abs(one), abs(other)) + 1e-3


def _errors(result: Any) -> dict[str, int]:
    found = result.get("errors") if isinstance(result, dict) else None
    # A traceback says in its last line what happened.
    errors = (str(error).strip() for error in (found if isinstance(found, list) else ()))
    return dict(collections.Counter(error.splitlines()[-1].strip() for error in errors if error))


def sums(result: Mapping[str, Any], e2els: Sequence[float]) -> dict[str, float]:
    """Return the client's sums and statistics from its lists, as it defines them; only those of a run with answers."""
    rows = zip(result["input_lens"], result["output_lens"], result["ttfts"], result["itls"], e2els)
    answered = [row for row in rows if row[1]]
    if not answered:
        return {}
    inputs, outputs = sum(row[0] for row in answered), sum(row[1] for row in answered)
    seconds = result["duration"]
    found: dict[str, float] = {
        "total_input_tokens": inputs,
        "total_output_tokens": outputs,
        "output_throughput": outputs / seconds,
        "total_token_throughput": (inputs + outputs) / seconds,
        "request_throughput": len(answered) / seconds,
    }
    lists = {
        "ttft": [row[2] for row in answered],
        "itl": [gap for row in answered for gap in row[3]],
        "e2el": [row[4] for row in answered],
        "tpot": [(row[4] - row[2]) / (row[1] - 1) for row in answered if row[1] > 1],
    }
    for name, values in lists.items():
        if values:
            found.update({f"{word}_{name}_ms": 1000 * of(values) for word, of in STATISTICS.items()})
    return found


def long_gaps(itls: list[list[float]]) -> dict[str, float]:
    """Return the number of gaps between chunks that are much longer than the median one, and their seconds in all."""
    every_gap = [gap for gaps in itls for gap in gaps]
    limit = LONG_GAP * statistics.median(every_gap) if every_gap else 0.0
    found = [gap for gap in every_gap if gap > limit]
    return {"count": len(found), "seconds": round(sum(found), 3)}


def series(result: dict[str, Any], e2els: list[float]) -> dict[str, Any] | None:
    """Return tokens produced and requests under way in each interval of the run, or None if nothing was produced.

    The client knows how many tokens an answer has, and when its chunks came: each chunk stands for an equal share.
    """
    rows = list(zip(result["start_times"], result["ttfts"], result["itls"], result["output_lens"], e2els))
    rows = [row for row in rows if row[3]]
    if not rows:
        return None
    origin = min(row[0] for row in rows)
    duration = max(row[0] + row[4] for row in rows) - origin
    steps = (base * 10.0**power for power in range(-3, 4) for base in (1, 2, 5))
    interval = next((step for step in steps if duration / step <= INTERVALS_MAX), duration or 1.0)
    count = int(duration / interval) + 1
    tokens, running = [0.0] * count, [0] * count
    for start, ttft, gaps, outputs, e2el in rows:
        moment = start - origin + ttft
        for gap in gaps or [0.0]:
            moment += gap
            tokens[min(int(moment / interval), count - 1)] += outputs / max(len(gaps), 1)
        for index in range(count):
            running[index] += start <= origin + (index + 0.5) * interval < start + e2el
    return {"interval_s": interval, "output_tokens": [round(value, 1) for value in tokens], "running": running}


class Client:
    """The running client; ends it on leaving the context."""

    def __init__(self, job: dict[str, Any], folder: str, key: str) -> None:
        self.measuring: dict[str, float] | None = None
        self.answers: list[tuple[str, int]] = []  # some of them, with the number of tokens that the server counted
        self._base_url = job["base_url"]
        self._result_file = os.path.join(folder, "result.json")
        self._key = key
        self._lines: collections.deque[str] = collections.deque(maxlen=30)
        # A proxy must not stand between the client and the server. Unbuffered, lines come when they are printed.
        environment = {**os.environ, "no_proxy": "*", "NO_PROXY": "*", "PYTHONUNBUFFERED": "1"}
        if key:
            environment["OPENAI_API_KEY"] = key
        self.process = subprocess.Popen(  # pylint: disable=ansible-bad-function  # there is no module here
            [*job["argv"], "--result-dir", folder, "--result-filename", "result.json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read_lines, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal_number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=5)
                return

    def result(self, first_chunk_has_text: bool | None) -> dict[str, Any] | None:
        """Return what the client measured, or None if it wrote nothing."""
        try:
            with open(self._result_file, encoding="utf-8", errors="replace") as stream:
                result = json.load(stream)
        except OSError:
            return None
        except (ValueError, RecursionError) as exc:
            return {"problems": [f"it is no JSON: {exc}"], "errors": {}}
        condensed = condense(result, first_chunk_has_text)
        if condensed.get("texts"):
            pairs = [pair for pair in zip(result["generated_texts"], result["output_lens"]) if pair[1]]
            self.answers = pairs[:: max(1, len(pairs) // COUNTED_TEXTS)][:COUNTED_TEXTS]
        return condensed

    def last_lines(self) -> list[str]:
        """Return the end of what the client printed."""
        self._reader.join(timeout=5)
        return list(self._lines)

    def _read_lines(self, stream: TextIO) -> None:
        for line in stream:
            self._lines.append(line.rstrip())
            if MEASURING_LINE in line and self.measuring is None:
                self.measuring = read_counters_patiently(self._base_url, self._key, FIRST_LOOK_S)
                if self.measuring is not None:
                    emit("measuring", counters=self.measuring)


def _run(
    job: dict[str, Any],
    folder: str,
    key: str,
    gone: threading.Event,
    before: Mapping[str, float],
    look: Mapping[str, Any],
) -> None:
    deadline = time.monotonic() + job["time_limit_s"]
    next_poll = 0.0
    busiest: dict[str, float] = {}
    with Client(job, folder, key) as client:
        while client.process.poll() is None:
            if gone.wait(timeout=0.2):
                return None
            if time.monotonic() > deadline:
                return emit("time_limit")
            if time.monotonic() >= next_poll:
                next_poll = time.monotonic() + POLL_INTERVAL_S
                # A server that has died shows in the client's result; a slow answer is none of our business.
                with contextlib.suppress(OSError):
                    counters = read_counters(job["base_url"], key)
                    busiest = max(busiest, counters, key=_under_way)
                    emit("progress", counters=counters)
        result = client.result(look.get("first_chunk_has_text"))
        after = wait_for_counters(job, key, _expected(job, before, result or {}))
        sample = None
        if result and result.get("texts"):
            result["texts"]["tokens"] = None
            if look and look["thoughts"]:
                sample = _sample(job, key)
            elif look and any(text for text, _tokens in client.answers):
                result["texts"]["tokens"] = count_tokens(job, client.answers)
        return emit(
            "finished",
            rc=client.process.returncode,
            result=result,
            sample=sample,
            output=client.last_lines(),
            measuring=client.measuring,
            busiest=busiest,
            counters=after,
        )


def _expected(job: dict[str, Any], before: Mapping[str, float], result: Mapping[str, Any]) -> dict[str, float]:
    """Return the counters that a server shows at least when it has counted all that the client has received."""
    outputs = [tokens for tokens in result.get("output_lens", ()) if tokens]
    if not outputs:
        return {}
    warmup = job["warmup_requests"]
    gains = {"requests": len(outputs) + warmup, "output_tokens": sum(outputs) + warmup * min(outputs)}
    return {name: before[name] + gain for name, gain in gains.items() if name in before}


def _sample(job: dict[str, Any], key: str) -> dict[str, Any] | None:
    """Return what one more answer is like, with its thoughts, which the client drops; its tokens are counted."""
    found = look_at_stream(job, key, SAMPLE_PROMPT, SAMPLE_TOKENS)
    if not found:
        return None
    claimed = found["completion_tokens"]
    return {**survey([found["text"]]), "tokens": count_tokens(job, [(found["text"], claimed)]) if claimed else None}


def count_tokens(job: dict[str, Any], answers: Sequence[tuple[str, int]]) -> dict[str, int] | None:
    """Return how many tokens the texts of answers have and how many the server counted, or None without a tokenizer."""
    argv = job["argv"]
    name = argv[argv.index("--tokenizer" if "--tokenizer" in argv else "--model") + 1]
    wanted = {
        "tokenizer": name,
        "trust": "--trust-remote-code" in argv,
        "texts": [text.encode("utf-8", "replace").decode() for text, _tokens in answers],
    }
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function  # there is no module here
            [sys.executable, "-c", _COUNT_TOKENS],
            input=json.dumps(wanted),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TOKENIZER_LIMIT_S,
            check=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        counts = json.loads(done.stdout.splitlines()[-1])
        return {"counted": sum(counts), "claimed": sum(tokens for _text, tokens in answers)}
    except (OSError, subprocess.SubprocessError, ValueError, IndexError, TypeError):
        return None


def _under_way(counters: dict[str, float]) -> float:
    return counters.get("running", 0.0) + counters.get("waiting", 0.0)


@contextlib.contextmanager
def _only_one() -> Iterator[bool]:
    """Give True to the only benchmark in this place; the lock goes with the process that holds it."""
    # One for each user: what another one has left in a shared folder could not even be opened.
    path = os.path.join(tempfile.gettempdir(), f"hgx-benchmark-{os.getuid()}.lock")
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _wait_for_end_of_input(gone: threading.Event) -> None:
    sys.stdin.read()
    gone.set()


def _read_key(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            key = stream.read().strip()
    except OSError:  # without a key: a server that wants one says so
        return ""
    _KNOWN.add(key)
    return key


def _client_version() -> str:
    """The version of vLLM beside this worker, without importing it, which takes seconds. Empty if it is not known."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version("vllm")
    return ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A server of vLLM redirects nothing, and the key must not follow to another address."""

    def redirect_request(self, *_args: Any, **_options: Any) -> None:
        return None


def _get(url: str, key: str = "", data: bytes | None = None, limit_s: float = ANSWER_MAX_S) -> str:
    """Return the answer of C(url), to a POST if there is C(data). Raises OSError without one."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    deadline, body = time.monotonic() + limit_s, b""
    try:
        with opener.open(urllib.request.Request(url, data, headers), timeout=limit_s) as response:
            while piece := response.read1(2**16):
                body += piece
                if len(body) > ANSWER_MAX_BYTES or time.monotonic() > deadline:
                    raise OSError(f"the answer of {url} does not end")
    except http.client.HTTPException as exc:  # an answer that breaks off
        raise OSError(repr(exc)) from exc
    return body.decode("utf-8", errors="replace")
