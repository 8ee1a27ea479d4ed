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
import urllib.request
from collections.abc import Iterator
from typing import Any, TextIO

from .prometheus import samples

POLL_INTERVAL_S = 2.0
# The last request of a readiness probe may still be under way.
IDLE_WAIT_S = 20.0
# A single look that fails must not cost a run.
LAST_LOOK_S = 30.0
FIRST_LOOK_S = 5.0
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
}


def main(job: dict[str, Any]) -> None:
    """Run the client C(job["argv"]) against the server C(job["base_url"]) and print what happens.

    Without a client it only prints what the server says of itself and, if there is a C(job["endpoint"]), whether a
    request is answered there. All that may take C(job["time_limit_s"]) seconds. If there is a file
    C(job["key_file"]), it holds the server's API key. A server that was started before C(job["server_since"]) gets no
    load. A server may be busy for C(job["idle_wait_s"]) seconds more, and count an answer C(job["first_look_s"])
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
            before = wait_until_idle(job["base_url"], job["idle_wait_s"])
        except OSError as exc:
            return emit("unreachable", error=str(exc))
        if _under_way(before):
            return emit("busy", counters=before)
        emit("started", counters=before, client_version=_client_version())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hgx-benchmark-"))
        return _run(job, folder, key, gone)


def emit(event: str, **details: Any) -> None:
    """Print one event."""
    # One write: two threads print.
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
    text = _get(base_url + "/metrics")
    _require_counters(parse_counters(text), base_url)
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
        before = read_counters(job["base_url"])
        _get(job["base_url"] + job["endpoint"], key, body, job["time_limit_s"])
        deadline = time.monotonic() + job["first_look_s"]
        while read_counters(job["base_url"]).get("output_tokens", 0.0) <= before.get("output_tokens", 0.0):
            if time.monotonic() > deadline:
                return "it is answered, but the engine has produced nothing"
            time.sleep(0.1)
    except OSError as exc:
        if isinstance(getattr(exc, "reason", exc), socket.timeout):
            return f"no answer within {job['time_limit_s']} s, so the engine hangs, or others keep it busy"
        return str(exc)
    return ""


def read_counters(base_url: str) -> dict[str, float]:
    """Return the server's counters. Raises OSError when it does not answer or is no vLLM server."""
    counters = parse_counters(_get(base_url + "/metrics"))
    _require_counters(counters, base_url)
    return counters


def read_counters_patiently(base_url: str, limit_s: float) -> dict[str, float] | None:
    """Return the server's counters, or None if it has not told them for C(limit_s) seconds."""
    deadline = time.monotonic() + limit_s
    while True:
        with contextlib.suppress(OSError):
            return read_counters(base_url)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.5)


def _require_counters(counters: dict[str, float], base_url: str) -> None:
    if "running" not in counters or "waiting" not in counters:
        raise OSError(f"{base_url}/metrics shows no counters of a vLLM server")


def wait_until_idle(base_url: str, limit_s: float) -> dict[str, float]:
    """Return the counters as soon as no request is under way, or after C(limit_s) seconds."""
    deadline = time.monotonic() + limit_s
    while True:
        counters = read_counters(base_url)
        if not _under_way(counters) or time.monotonic() > deadline:
            return counters
        time.sleep(0.5)


def condense(result: dict[str, Any]) -> dict[str, Any]:
    """Return the client's C(result) without texts and single tokens, which make up nearly all of its size.

    The times between chunks are replaced by their number (C(chunks)), by the latency and the time per token of each
    request (C(e2els), C(tpots), seconds), by how many are long and how many seconds these are in all (C(long_gaps)),
    and by what the run was like over time (C(series)); the errors by the number of times that each occurred.
    """
    kept = {key: value for key, value in result.items() if key not in ("generated_texts", "itls", "errors")}
    if "itls" in result:
        e2els = [ttft + sum(gaps) for ttft, gaps in zip(result["ttfts"], result["itls"])]
        kept["chunks"] = [len(gaps) for gaps in result["itls"]]
        kept["e2els"] = [round(e2el, 6) for e2el in e2els]
        times = zip(result["ttfts"], e2els, result["output_lens"])
        kept["tpots"] = [round((e2el - ttft) / max(tokens - 1, 1), 6) for ttft, e2el, tokens in times]
        kept["long_gaps"] = long_gaps(result["itls"])
        kept["series"] = series(result, e2els)
    # A traceback says in its last line what happened.
    errors = (str(error).strip().splitlines()[-1].strip() for error in result.get("errors", ()) if str(error).strip())
    kept["errors"] = dict(collections.Counter(errors))
    return kept


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

    def result(self) -> dict[str, Any] | None:
        """Return what the client measured, or None if it wrote nothing that can be read."""
        try:
            with open(self._result_file, encoding="utf-8") as stream:
                condensed = condense(json.load(stream))
        except (OSError, ValueError):
            return None
        condensed["errors"] = {self._without_key(error): count for error, count in condensed["errors"].items()}
        return condensed

    def last_lines(self) -> list[str]:
        """Return the end of what the client printed."""
        self._reader.join(timeout=5)
        return [self._without_key(line) for line in self._lines]

    def _read_lines(self, stream: TextIO) -> None:
        for line in stream:
            self._lines.append(line.rstrip())
            if MEASURING_LINE in line and self.measuring is None:
                self.measuring = read_counters_patiently(self._base_url, FIRST_LOOK_S)
                if self.measuring is not None:
                    emit("measuring", counters=self.measuring)

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "********") if self._key else text


def _run(job: dict[str, Any], folder: str, key: str, gone: threading.Event) -> None:
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
                    counters = read_counters(job["base_url"])
                    busiest = max(busiest, counters, key=_under_way)
                    emit("progress", counters=counters)
        after = read_counters_patiently(job["base_url"], LAST_LOOK_S)
        return emit(
            "finished",
            rc=client.process.returncode,
            result=client.result(),
            output=client.last_lines(),
            measuring=client.measuring,
            busiest=busiest,
            counters=after,
        )


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
            return stream.read().strip()
    except OSError:  # without a key: a server that wants one says so
        return ""


def _client_version() -> str:
    """The version of vLLM beside this worker, without importing it, which takes seconds. Empty if it is not known."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version("vllm")
    return ""


def _get(url: str, key: str = "", data: bytes | None = None, limit_s: float = ANSWER_MAX_S) -> str:
    """Return the answer of C(url), to a POST if there is C(data). Raises OSError without one."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
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
