# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's side of a benchmark run: starts the worker next to the client, follows it, and always ends it."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping
from typing import IO, Any, NamedTuple, cast

from .._core.secrets import scrubbed
from .._docker.cli import WORKER_PROGRAM, worker_job
from .._hf.cache import CacheError, RepoCache
from .._programs import benchmark_worker, prometheus, secrets, texts
from .._vllm.args import option_values
from .._vllm.log.watch import newest_lines, settled, stopped
from .plan import Run

# The time the worker needs to end a client that ignores SIGTERM.
END_GRACE_S = 15
# The time limit of a request for one token, on a server that may be busy.
ASK_LIMIT_S = 60
# By the kernel's clock, a process may seem to start this much earlier than its container.
CLOCK_SLACK_S = 60
# The time the worker needs in addition to the client's limit: waiting for an idle server and for late counters, two
# requests of its own, reading results and counting tokens.
WORKER_GRACE_S = (
    2 * benchmark_worker.IDLE_WAIT_S
    + 2 * benchmark_worker.LATE_COUNTERS_S
    + 2 * benchmark_worker.LOOK_LIMIT_S
    + benchmark_worker.LAST_LOOK_S
    + benchmark_worker.TOKENIZER_LIMIT_S
    + 40
)


class RunError(Exception):
    """A run without a result; the message gives the cause and the fix."""


class LoadError(RunError):
    """The same, after the client was started."""


class Place(NamedTuple):
    """Where the client runs. C(command) is a prefix that runs a command there; C(container) is empty without Docker."""

    command: list[str]
    container: str = ""

    @classmethod
    def of(cls, container: str | None, command: list[str] | None) -> Place:
        """Return the place behind a command if there is one, otherwise in a container."""
        return cls(list(command)) if command else cls(["docker", "exec", "-i", container or ""], container or "")

    def __str__(self) -> str:
        return f"in the container {self.container}" if self.container else f"behind '{shown(self.command)}'"


def shown(argv: list[str]) -> str:
    """Return a command as text for messages and records, without secrets."""
    return shlex.join(scrubbed(argv))


class Measured(NamedTuple):
    """A finished run, what the server reports about itself, and the vLLM version of the client."""

    run: Run
    server: dict[str, Any]
    client_version: str


class Load(NamedTuple):
    """What to run where. C(output_tokens) is the total of all measured requests.

    C(server_since) is the earliest time, in seconds since 1970, at which the server can have started, if it is known.
    """

    place: Place
    argv: list[str]
    base_url: str
    served_model_name: str
    key_file: str
    time_limit_s: int
    warmup_requests: int
    requests: int
    output_tokens: int
    endpoint: str = ""
    server_since: float | None = None

    @classmethod
    def none(cls, place: Place, base_url: str, key_file: str, served_model_name: str = "", endpoint: str = "") -> Load:
        """Return a load without a client: the server is only identified, or asked for one token at C(endpoint)."""
        limit_s = ASK_LIMIT_S if endpoint else 0
        return cls(place, [], base_url, served_model_name, key_file, limit_s, 0, 0, 0, endpoint)


def identify(place: Place, base_url: str, key_file: str) -> dict[str, Any] | None:
    """Return what the server reports about itself, or None if it cannot be reached."""
    load = Load.none(place, base_url, key_file)
    try:
        with tempfile.TemporaryFile() as stderr, contextlib.closing(_events(load, stderr)) as events:
            return next((event["server"] for event in events if event["event"] == "server"), None)
    except RunError:
        return None


def require_answer(load: Load) -> None:
    """Raise RunError unless the server answers a request for one token. It does not if its engine hangs."""
    with tempfile.TemporaryFile() as stderr, contextlib.closing(_events(load, stderr)) as events:
        last = [{}, *events][-1]
    problem = last.get("problem", last.get("error", "the request was interrupted"))
    if problem:
        name = load.place.container
        fix = (
            f" Its log may say why: docker logs --tail 50 {name}. To restart it: docker restart {name}" if name else ""
        )
        raise RunError(
            f"The server has passed before, but now a request for one token at {load.base_url}{load.endpoint} fails:"
            f" {problem}.{fix}"
        )


def tokenizer_args(container: Mapping[str, Any], workload: Mapping[str, Any]) -> list[str]:
    """Return the options that point the client at the tokenizer of the served commit, if it would not find it itself.

    The client has no option for a revision and looks for the branch main, which a cache of one commit or tag lacks.
    """
    options = option_values(" ".join(container["Args"]).split())
    if "tokenizer" in options or "tokenizer" in (workload.get("args") or {}) or "revision" not in options:
        return []
    home = dict(entry.partition("=")[::2] for entry in container["Config"].get("Env") or []).get("HF_HOME")
    for mount in container.get("Mounts") or []:
        if mount["Destination"] == (home or "/root/.cache/huggingface"):
            try:
                cache = RepoCache(mount["Source"], options.get("model", ""))
            except CacheError:  # a folder, not a repository
                return []
            snapshot = cache.snapshot(options["revision"])
            if os.path.isdir(snapshot) and cache.referenced_commit("main") != options["revision"]:
                return ["--tokenizer", mount["Destination"] + snapshot[len(mount["Source"]) :]]
    return []


def measure(load: Load, report: Callable[[str], None]) -> Measured:
    """Run the client in its place and return what it measured. C(report) is called with lines of progress.

    Raises RunError if nothing was measured, LoadError if the server may have been under load. The client is ended
    before anything is raised, also by C(report).
    """
    progress = Progress(load)
    last: dict[str, Any] = {}
    with tempfile.TemporaryFile() as stderr:
        with contextlib.closing(_events(load, stderr)) as events:
            for event in events:
                last = event
                if event["event"] == "server":
                    _require_same_start(load, event["server"])
                if event["event"] in ("server", "started", "measuring", "progress"):
                    report(progress.line(event))
        if last.get("event") == "finished":
            return _measured(last, progress, load.warmup_requests)
        stderr.seek(0)
        noise = stderr.read().decode("utf-8", errors="replace").strip()
    raise (LoadError if progress.before else RunError)(_why_nothing(load, last, progress, noise))


def _require_same_start(load: Load, server: Mapping[str, Any]) -> None:
    with contextlib.suppress(ValueError):  # the server does not report its start time
        since, started = load.server_since, float(server["started"])
        if since is not None and started < since - CLOCK_SLACK_S:
            raise RunError(
                f"The server at {load.base_url} was running {since - started:.0f} s before the container"
                f" {load.place.container} was started, so it is a different server. Is base_url right?"
            )


class Progress:
    """The progress of a run, from the events of the worker."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._measuring: dict[str, Any] | None = None
        self._text = "the client is starting"
        self.before: dict[str, float] = {}
        self.look: dict[str, Any] = {}
        self.server: dict[str, Any] = {}
        self.client_version = ""

    def line(self, event: dict[str, Any]) -> str:
        """Record C(event) and return the progress in words."""
        if event["event"] == "server":
            self.server = event["server"]
        elif event["event"] == "started":
            self.before = event["counters"]
            self.look = event.get("look") or {}
            self.client_version = event["client_version"]
        elif event["event"] == "measuring":
            self._measuring = event
        elif event["event"] == "progress":
            measuring = self._measuring
            self._text = self._measured_part(measuring, event) if measuring else self._warmup_part(event["counters"])
        return self._text

    def __str__(self) -> str:
        return self._text

    def _warmup_part(self, counters: dict[str, float]) -> str:
        done = counters.get("requests", 0) - self.before.get("requests", 0)
        if counters["running"] + counters["waiting"] + done == 0:
            return "the client is starting"
        return f"warm-up, {done:.0f} of {self._load.warmup_requests} requests done"

    def _measured_part(self, measuring: dict[str, Any], event: dict[str, Any]) -> str:
        now, start = event["counters"], measuring["counters"]
        seconds = event["seconds"] - measuring["seconds"]
        done = now.get("requests", 0) - start.get("requests", 0)
        tokens = now.get("output_tokens", 0) - start.get("output_tokens", 0)
        text = f"{done:.0f} of {self._load.requests} requests done"
        if tokens <= 0 or seconds <= 0:
            return text
        rate = tokens / seconds
        left = max(self._load.output_tokens - tokens, 0) / rate
        return f"{text}, {rate:.0f} tok/s, about {left:.0f} s left"


def _events(load: Load, stderr: Any) -> Generator[dict[str, Any], None, None]:
    """Start the worker and yield its events. Closing the generator ends the worker and its client."""
    try:
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function  # run_command shows nothing before the end
            [*load.place.command, "python3", "-c", WORKER_PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    except OSError as exc:
        raise RunError(f"The client cannot be run {load.place}: {exc.strerror}.") from exc
    stdin, stdout = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
    # If Docker hangs, this ends the docker command and with it the loop below.
    watchdog = threading.Timer(load.time_limit_s + WORKER_GRACE_S, process.kill)
    watchdog.start()
    job = worker_job(
        prometheus,
        secrets,
        texts,
        benchmark_worker,
        argv=load.argv,
        base_url=load.base_url,
        served_model_name=load.served_model_name,
        time_limit_s=load.time_limit_s,
        key_file=load.key_file,
        endpoint=load.endpoint,
        server_since=None if load.server_since is None else load.server_since - CLOCK_SLACK_S,
        idle_wait_s=benchmark_worker.IDLE_WAIT_S,
        late_counters_s=benchmark_worker.LATE_COUNTERS_S,
        warmup_requests=load.warmup_requests,
    )
    try:
        with contextlib.suppress(BrokenPipeError):
            stdin.write(job)
            stdin.flush()
        for line in stdout:
            if event := _event(line):
                yield event
    finally:
        watchdog.cancel()
        with contextlib.suppress(BrokenPipeError):
            stdin.close()
        try:
            process.wait(timeout=END_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        stdout.close()


def _event(line: bytes) -> dict[str, Any] | None:
    """Return the event in a line, or None: a command prefix may print other lines."""
    with contextlib.suppress(ValueError):
        event = json.loads(line)
        return event if isinstance(event, dict) and "event" in event else None
    return None


def _measured(event: dict[str, Any], progress: Progress, warmup_requests: int) -> Measured:
    client = event["result"]
    if client is None:
        ended = f"The client ended with exit code {event['rc']} and wrote no result. Its last lines:"
        raise LoadError("\n".join([ended, *("  " + line for line in event["output"][-10:])]))
    before, measuring = progress.before, event["measuring"]
    if measuring and measuring.get("requests", math.inf) < before.get("requests", 0.0) + warmup_requests:
        measuring = None  # they are older than the end of the warm-up
    counters = {"before": before, "measuring": measuring, "busiest": event["busiest"], "after": event["counters"]}
    look = {**progress.look, "sample": event.get("sample")}
    return Measured(Run(client, counters, look), progress.server, progress.client_version)


def _why_nothing(load: Load, last: dict[str, Any], progress: Progress, noise: str) -> str:
    event = last.get("event")
    if event == "locked":
        return f"Another benchmark is running {load.place}. Wait until it has finished, then try again."
    if event == "no_client":
        return (
            f"There is no command {load.argv[0]!r} {load.place}. Only the client of the server's own version measures"
            " as that version does: serve with an image of vLLM, or name a place that has it."
        )
    if event == "other_model":
        return (
            f"The server at {load.base_url} serves {', '.join(last['models'])}, not {load.served_model_name}."
            " Is that its port, and is served_model_name right?"
        )
    if event == "unreachable" and load.base_url + "/metrics" in last["error"]:
        return (
            f"The server's counters cannot be read {load.place}: {last['error']}. Without them no figure can be"
            " verified. Is the server vLLM, and does what stands before it let /metrics through?"
        )
    if event == "unreachable":
        return (
            f"The server does not answer at {load.base_url} {load.place}: {last['error']}."
            " Is it ready, and is that its port?"
        )
    if event == "busy":
        counters = last["counters"]
        return (
            f"The server is busy: {counters['running']:.0f} requests running, {counters['waiting']:.0f} waiting."
            " Other traffic distorts the figures. Keep other clients away, then try again."
        )
    if event == "time_limit":
        return (
            f"The run was stopped at its time limit of {load.time_limit_s} s: {progress}. Choose a smaller size or"
            " raise time_limit_s of the workload."
        )
    container = load.place.container
    if container:
        details = settled(container)
        if details is None:
            return f"The container {container} was removed during the run, at: {progress}."
        if not details["State"].get("Running"):
            lines = newest_lines(container, details["State"])
            return stopped(container, details, lines, f" during the run, at: {progress}")
    evidence = f" Its output: {noise[-600:]}" if noise else ""
    return f"The benchmark {load.place} was interrupted: {progress}.{evidence}"
