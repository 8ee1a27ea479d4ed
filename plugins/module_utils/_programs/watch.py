# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watch a server that serves, off the path of its requests, and record what was seen in watch.json.

It reads the counters every few seconds, new reports of the driver (Xid) in the kernel's log, and sends a short request
of its own each N minutes. With the mode C(restart) a server that is proven to hang, or to answer rubbish, is restarted.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import subprocess
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from . import exposition, proven
from .exposition import COUNTER, TEXTFILE_DIR, Family
from .gpu_metrics import Sampler, bus_id, query
from .health import HANGING, RUBBISH, STATES, TOKEN, Answer, Finding, Judge, Look
from .kernel_log import KernelLog
from .nccl import RAS_PROGRAM, ras_words
from .prometheus import samples
from .stacks import dump_all, installed, stopped, words_of
from .turns import LOCK, Turn, deployment_under_way

# vLLM logs each request for its counters, so there are not too many of them.
INTERVAL_S = 10.0
# Looking at the container takes a process, so it is done less often than reading the counters.
INSPECT_S = 30.0
# At least so often the record shows that the watch lives.
SAVE_S = 60.0
OFF, OBSERVE, RESTART = "off", "observe", "restart"
RECORD = "watch.json"
FOLLOWER = "follower"  # the state of a rank that answers nobody
XID = "xid"  # the kind of an event that is a line of the kernel's log
EVENTS = 50
_COUNT = {"last_at", "times"}
_KEYS = {"kind", "words", "at", *_COUNT}
DUMPS = 3  # of the newest events keep theirs
_METRICS_TIMEOUT_S = 5.0
_MOST_BYTES = 4 * 2**20
_TEXT_TOKENS = 48
_PROMPTS = (
    "Describe the sea in one sentence.",
    "Why is the sky blue?",
    "Name four rivers of Europe.",
    "How does a clock work?",
)
_STARTED = "process_start_time_seconds"
_DRAFTS, _ACCEPTED = "vllm:spec_decode_num_drafts_total", "vllm:spec_decode_num_accepted_tokens_total"
# The acceptance length is that of the last so many seconds, if there were enough drafts.
_ACCEPTANCE_S = 600.0
_FEWEST_DRAFTS = 100
_XID_LINE = "NVRM: Xid"
_XID = re.compile(r"NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+)")


class Question:
    """A request of our own, on its way in a thread. The key is sent in a header and is nowhere else."""

    def __init__(self, base_url: str, key: str, body: Mapping[str, Any], limit_s: float) -> None:
        url = urllib.parse.urlsplit(base_url)
        self._connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=limit_s)
        self._headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._body = json.dumps(body)
        self._answers: list[Answer] = []
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def answer(self) -> Answer | None:
        """Return the answer, None while it has not come."""
        return self._answers[0] if self._answers else None

    def wait(self, limit_s: float) -> None:
        """Wait until the answer has come, for at most C(limit_s)."""
        self._thread.join(limit_s)

    def drop(self) -> None:
        """Give up, so that the server need not answer."""
        with suppress(OSError, AttributeError):
            self._connection.sock.shutdown(2)

    def _send(self) -> None:
        try:
            self._connection.request("POST", "/v1/chat/completions", self._body, self._headers)
            response = self._connection.getresponse()
            data = response.read(_MOST_BYTES)
            self._answers.append(Answer(response.status, _said(data) if response.status == 200 else ""))
        except (OSError, ValueError, http.client.HTTPException):
            self._answers.append(Answer(0))
        finally:
            self._connection.close()


class Host(NamedTuple):
    """What the watch needs of its host.

    C(docker) runs the command. C(restart) restarts the container of an ID for a reason, and returns why it did not, or
    nothing. C(show) tells the journal.
    """

    docker: Callable[..., subprocess.CompletedProcess[str]]
    restart: Callable[[str, str], str]
    show: Callable[[str], None]
    lock: str = LOCK
    kernel_log: str = "/dev/kmsg"
    textfiles: str = TEXTFILE_DIR
    gpus: Callable[[], str] = query


class Watch:
    """Watches one container. C(settings) returns those of the supervisor at each call; C(clock) is in seconds."""

    def __init__(
        self,
        folder: str,
        settings: Callable[[], Mapping[str, Any]],
        host: Host,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._host = host
        self._clock = clock
        self._judge = Judge(1, 1, clock)
        self._question: Question | None = None
        self._turn = Turn(host.lock)
        self._kernel = KernelLog(host.kernel_log, only_new=True)
        self._sampler = Sampler(host.gpus, host.textfiles)
        self._proven: list[tuple[str, int, int]] = []
        self._drafts: deque[tuple[float, float, float]] = deque()
        self._prompts = itertools.cycle(_PROMPTS)
        self._container: dict[str, Any] = {}
        self._inspected_at = self._saved_at = clock() - SAVE_S
        self._started = 0.0
        self._saved: dict[str, Any] = {}
        record = _read(os.path.join(folder, RECORD))
        events = record.get("events")
        # An earlier version may have written others, and one that cannot be read would end each turn.
        self._events = (
            [each for each in events if isinstance(each, dict) and set(each) >= _KEYS]
            if isinstance(events, list)
            else []
        )
        # Apart from the events, of which the oldest are dropped: a counter never goes down.
        self._counts = _counts(record.get("counts"), self._events)

    def run(self) -> None:
        """Watch without end. Nothing that goes wrong here may end the supervision."""
        while True:
            try:
                self.turn()
            except Exception as exc:
                self._host.show(f"the watch failed: {exc!r}")
            self._pause()

    def _pause(self) -> None:
        """Wait for the next look. An answer of our own is looked at once it comes: a measurement may wait for it."""
        time.sleep(1 if self._question else INTERVAL_S)
        if self._question:
            self._question.wait(INTERVAL_S - 1)

    def turn(self) -> None:
        """Look once, and do what follows."""
        settings = self._settings()
        watch = settings.get("watch") or {}
        if watch.get("mode", OFF) == OFF:
            self._drop()
            self._save(OFF, OFF, "")
            exposition.remove(subject(settings["container"]), self._host.textfiles)
            self._tell_host(settings)
            return
        if not watch["base_url"]:
            self._turn_of_follower(settings, watch["mode"])
            return
        self._judge.limit_s, self._judge.interval_s = float(watch["limit_s"]), float(watch["interval_s"])
        look = self._look(settings, watch)
        step = self._judge.step(look, self._question.answer() if self._question else None)
        if step.ask or not self._judge.pending:
            self._drop()
        if step.ask:
            self._ask(step.ask, watch)
        findings = [*step.findings, *self._xids()]
        for finding in findings:
            self._note(finding, self._dump(settings["container"], watch) if finding.kind in (HANGING, RUBBISH) else [])
        if step.faulty and watch["mode"] == RESTART:
            refused = self._host.restart(str(self._container.get("Id", "")), f"the watch has found it {step.state}")
            self._note(Finding("restart", refused or f"the server was restarted: {step.words}"), [])
        self._save(watch["mode"], step.state, step.words)
        self._tell(settings, step.state, look.counters)

    def _turn_of_follower(self, settings: Mapping[str, Any], mode: str) -> None:
        """Look at the hardware only: a follower of a server across hosts answers nobody."""
        for finding in self._xids():
            self._note(finding, [])
        words = "a follower answers nobody; only the driver's reports are read"
        self._save(mode, FOLLOWER, words)
        self._tell(settings, FOLLOWER, None)

    def _tell(self, settings: Mapping[str, Any], state: str, counters: Mapping[str, float] | None) -> None:
        """Write what was seen for Prometheus."""
        self._tell_host(settings)
        server = {"server": settings["container"]}
        found = metrics(server, state, self._counts, self._acceptance(counters), time.time())
        readable = float(self._kernel.readable)
        found.append(Family("hgx_kernel_log_readable", "1 if the watch can count Xid events.", [(server, readable)]))
        exposition.write(subject(settings["container"]), found, self._host.textfiles)

    def _tell_host(self, settings: Mapping[str, Any]) -> None:
        """Write the state of the GPUs, and what is proven, whenever a play, a rollback or a person has changed it."""
        if settings.get("gpus"):
            self._sampler.sample()
        container = settings["container"]
        state_dir, subject = os.path.dirname(self._folder), f"proof_{container}"
        signature = proven.signature(state_dir)
        if signature != self._proven or not os.path.exists(exposition.path_of(subject, self._host.textfiles)):
            exposition.write(subject, proven.read(state_dir, container), self._host.textfiles)
            self._proven = signature

    def _acceptance(self, counters: Mapping[str, float] | None) -> float | None:
        """Return the mean tokens per step of late; None if there is no draft, or too little was drafted."""
        now, counters = self._clock(), counters or {}
        if _DRAFTS not in counters or _ACCEPTED not in counters:
            return None
        drafts, accepted = counters[_DRAFTS], counters[_ACCEPTED]
        if self._drafts and drafts < self._drafts[-1][1]:  # the server has started again
            self._drafts.clear()
        self._drafts.append((now, drafts, accepted))
        while now - self._drafts[0][0] > _ACCEPTANCE_S:
            self._drafts.popleft()
        _at, first_drafts, first_accepted = self._drafts[0]
        drafted = drafts - first_drafts
        return 1 + (accepted - first_accepted) / drafted if drafted >= _FEWEST_DRAFTS else None

    def _look(self, settings: Mapping[str, Any], watch: Mapping[str, Any]) -> Look:
        counters = read_counters(watch["base_url"])
        started = (counters or {}).get(_STARTED, 0.0)
        now = self._clock()
        if counters is None or started != self._started or now - self._inspected_at >= INSPECT_S:
            self._container, self._inspected_at = self._inspect(settings["container"]), now
        self._started = started
        state = self._container.get("State") or {}
        runs = bool(state.get("Running")) and not state.get("Paused") and not state.get("Restarting")
        quiet = ""
        if settings.get("paused") or deployment_under_way(os.path.dirname(self._folder), time.time()):
            quiet = "a play deploys"
        elif runs and self._question is None and not self._turn.take():
            quiet = "a benchmark or a check runs"
        if self._question is None or quiet:
            self._turn.give_back()
        start = f"{self._container.get('Id')} {state.get('StartedAt')}" if runs else ""
        return Look(start, counters, (state.get("Health") or {}).get("Status") == "unhealthy", quiet)

    def _inspect(self, container: str) -> dict[str, Any]:
        done = self._host.docker("container", "inspect", "--format", "{{json .}}", container)
        with suppress(ValueError):
            found = json.loads(done.stdout) if done.returncode == 0 else {}
            return found if isinstance(found, dict) else {}
        return {}

    def _ask(self, kind: str, watch: Mapping[str, Any]) -> None:
        if not self._turn.take():
            return  # a measurement has just begun; the next look sees it
        body = {
            "model": watch["served_model_name"],
            "messages": [{"role": "user", "content": next(self._prompts)}],
            "max_tokens": 1 if kind == TOKEN else _TEXT_TOKENS,
        }
        self._question = Question(
            watch["base_url"], _key(watch["key_file"]), body, float(watch["limit_s"]) + INTERVAL_S
        )

    def _drop(self) -> None:
        if self._question is not None:
            self._question.drop()
        self._question = None
        self._turn.give_back()

    def _xids(self) -> list[Finding]:
        return [Finding(XID, text[:300]) for _at, text in self._kernel.read() if _XID_LINE in text]

    def _dump(self, container: str, watch: Mapping[str, Any]) -> list[str]:
        words = self._host.docker("top", container, "-eo", "pid").stdout.split()
        pids = [int(word) for word in words if word.isdigit()]
        dump = [f"process {pid} was stopped by a signal" for pid in sorted(stopped(pids))]
        dump += words_of(dump_all(installed(watch["py_spy"]), pids))
        if not self._settings().get("gpus"):
            return dump
        said = ras_words(self._host.docker("exec", container, "python3", "-c", RAS_PROGRAM).stdout)
        return [*dump, *(f"NCCL: {line}" for line in said)]

    def _note(self, finding: Finding, dump: Sequence[str]) -> None:
        """Record a finding. The same again is counted: a fault of a GPU may be reported a thousand times."""
        now = round(time.time())
        known = next((event for event in self._events if _is_same(event, finding)), None)
        if known:
            self._events.remove(known)
            event = {**known, "words": finding.words, "last_at": now, "times": known["times"] + 1}
        else:
            self._host.show(f"the watch has found: {finding.kind}, {finding.words}")
            event = {"kind": finding.kind, "words": finding.words, "at": now, "last_at": now, "times": 1}
        self._events.append({**event, **({"dump": list(dump)} if dump else {})})
        del self._events[:-EVENTS]
        series = _series(finding.kind, finding.words)
        times = self._counts.get(series, {}).get("times", 0)
        self._counts[series] = {"times": times + 1, "last_at": now}
        for event in [event for event in self._events if "dump" in event][:-DUMPS]:
            del event["dump"]

    def _save(self, mode: str, state: str, words: str) -> None:
        """Write the record if it has changed, and once a minute. A full disk must not end the watch."""
        record = {"mode": mode, "state": state, "words": words, "events": self._events, "counts": self._counts}
        now = self._clock()
        if record == self._saved and now - self._saved_at < SAVE_S:
            return
        path = os.path.join(self._folder, RECORD)
        with suppress(OSError):
            with open(f"{path}.new", "w", encoding="utf-8") as stream:
                json.dump({**record, "looked_at": round(time.time())}, stream, indent=1)
            os.replace(f"{path}.new", path)
            # A copy, as the list of events is changed in place.
            self._saved, self._saved_at = json.loads(json.dumps(record)), now


def subject(container: str) -> str:
    """Return the name under which the watch of a container writes its metrics."""
    return f"watch_{container}"


def metrics(
    server: Mapping[str, str],
    state: str,
    counts: Mapping[str, Mapping[str, int]],
    acceptance: float | None,
    now: float,
) -> list[Family]:
    """Return the metrics of a watch; C(server) are the labels of its server, C(now) is an epoch."""
    findings, xids = [], []
    for series, count in counts.items():
        kind, *labels = series.split()
        if kind != XID:
            findings.append(({**server, "kind": kind}, count))
        elif labels:
            xids.append(({**server, **dict(zip(("bus_id", "xid"), labels))}, count))
    return [
        Family("hgx_watch_looked_timestamp_seconds", "When the watch has last looked.", [(server, now)]),
        Family(
            "hgx_watch_state",
            "1 for the state that the watch has found the server in.",
            [({**server, "state": name}, float(name == state)) for name in STATES],
        ),
        Family(
            "hgx_watch_findings_total",
            "Findings of the watch.",
            [(labels, count["times"]) for labels, count in findings],
            COUNTER,
        ),
        Family(
            "hgx_watch_finding_timestamp_seconds",
            "When a finding was last made.",
            [(labels, count["last_at"]) for labels, count in findings],
        ),
        Family("hgx_acceptance_length", "Tokens per step in the last 10 minutes.", [(server, acceptance)]),
        Family(
            "hgx_xid_total",
            "Xid events in the kernel log.",
            [(labels, count["times"]) for labels, count in xids],
            COUNTER,
        ),
        Family(
            "hgx_xid_timestamp_seconds",
            "When an Xid event was last seen.",
            [(labels, count["last_at"]) for labels, count in xids],
        ),
    ]


def _series(kind: str, words: str) -> str:
    """Return by what findings are counted: their kind, and of the driver's reports the GPU and the number."""
    found = _XID.search(words) if kind == XID else None
    return f"{XID} {bus_id(found[1])} {found[2]}" if found else kind


def _counts(recorded: Any, events: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Return the counts of a record; those of its events if an earlier version has written it."""
    if isinstance(recorded, dict) and all(isinstance(each, dict) and set(each) >= _COUNT for each in recorded.values()):
        return recorded
    counts: dict[str, dict[str, int]] = {}
    for event in events:
        series = _series(event["kind"], str(event["words"]))
        times = counts.get(series, {}).get("times", 0)
        counts[series] = {"times": times + event["times"], "last_at": event["last_at"]}
    return counts


def _is_same(event: Mapping[str, Any], finding: Finding) -> bool:
    """Return whether an event is of the same kind; of the driver's reports also of the same GPU and number."""
    if event["kind"] != finding.kind:
        return False
    if finding.kind == XID:
        return str(event["words"]).partition(",")[0] == finding.words.partition(",")[0]
    return bool(event["words"] == finding.words)


def read_counters(base_url: str) -> dict[str, float] | None:
    """Return the server's counters, the sum of each name over its labels; None if it does not tell them in time."""
    url = urllib.parse.urlsplit(base_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_METRICS_TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        text = response.read(_MOST_BYTES).decode("utf-8", "replace")
        if response.status != 200:
            return None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    counters: dict[str, float] = {}
    for name, _labels, value in samples(text):
        counters[name] = counters.get(name, 0.0) + value
    return counters


def _said(data: bytes) -> str:
    """Return the text of a completion, thoughts first; nothing if it has another form."""
    with suppress(ValueError, LookupError, TypeError, AttributeError):
        message = json.loads(data)["choices"][0]["message"]
        thoughts = message.get("reasoning") or message.get("reasoning_content") or ""
        return f"{thoughts}{message.get('content') or ''}"
    return ""


def _key(path: str) -> str:
    with suppress(OSError, UnicodeDecodeError), open(path, encoding="utf-8") as stream:
        return stream.read().strip()
    return ""


def _read(path: str) -> dict[str, Any]:
    with suppress(OSError, ValueError), open(path, encoding="utf-8") as stream:
        found = json.load(stream)
        return found if isinstance(found, dict) else {}
    return {}
