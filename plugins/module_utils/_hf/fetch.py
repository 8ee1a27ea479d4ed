# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Supervise the transfer process: progress, partial files, stalls and retries."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from enum import Enum, auto
from typing import IO, Any, cast

from .._core.units import human_bytes, human_duration
from . import worker
from .watchdog import Attempt, Watchdog
from .worker import Job

_LOOK_INTERVAL_S = 0.5
_RUN = f"from {worker.__name__} import main; main()"


def start_worker(errors: IO[bytes], lock: int) -> subprocess.Popen[bytes]:
    """Start a process that transfers. It inherits the lock, and writes to C(errors) what it does not expect."""
    return subprocess.Popen(  # pylint: disable=ansible-bad-function  # run_command shows nothing before the end
        [sys.executable, "-c", _RUN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        pass_fds=[lock],
    )


class FetchError(Exception):
    """The transfer failed; the message says why. C(full) is set if the disk is full."""

    def __init__(self, message: str, full: bool = False) -> None:
        super().__init__(message)
        self.full = full


class End(Enum):
    """How a transfer process can end."""

    DONE = auto()
    STALLED = auto()
    GONE = auto()


class Fetcher:
    """Runs the worker until everything is fetched. Each worker process resumes from what is on the disk.

    C(look) saves unfinished files, reports progress, and returns the number of bytes on disk. C(stored) is called for
    each fetched blob, C(note) for each message to the user. C(start) starts a process, which inherits C(lock). C(clock)
    measures for how long no byte has come, and is read every C(interval_s) seconds.
    """

    def __init__(
        self,
        job: Job,
        stall_s: float,
        lock: int,
        look: Callable[[], int],
        stored: Callable[[str, str], None],
        note: Callable[[str], None],
        start: Callable[[IO[bytes], int], subprocess.Popen[bytes]] = start_worker,
        clock: Callable[[], float] = time.monotonic,
        interval_s: float = _LOOK_INTERVAL_S,
    ) -> None:
        self._job = job
        self._stall_s = stall_s
        self._lock = lock
        self._look = look
        self._stored = stored
        self._note = note
        self._start = start
        self._clock = clock
        self._interval_s = interval_s

    def run(self) -> None:
        """Fetch everything. Raises FetchError."""
        attempt: Attempt | None = Attempt(self._job.xet)
        while attempt:
            before = self._look()
            trouble = self._trouble_of(replace(self._job, xet=attempt.xet))
            if not trouble:
                return
            way, present = _way(attempt), self._look()
            attempt = attempt.after_stall(progressed=present > before)
            if attempt:
                self._note(f"{way}: {trouble} after {human_bytes(present)}; resumed by {_way(attempt)}")
        raise FetchError(
            f"{self._job.endpoint}: {trouble}, several times in a row, after {human_bytes(present)}. Check this host's "
            "network and the endpoint. Fetched data is kept; run again to resume."
        )

    def _trouble_of(self, job: Job) -> str:
        """Run one process; return why it must be restarted, or an empty text if it finished."""
        with tempfile.TemporaryFile() as errors, self._start(errors, self._lock) as process:
            stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
            try:
                with suppress(BrokenPipeError):
                    stdin.write(json.dumps(asdict(job)).encode() + b"\n")
                    stdin.flush()
                end = self._follow(stdout)
                if end is End.DONE:
                    return ""
                if end is End.STALLED:
                    return f"no byte came for {human_duration(self._stall_s)}"
                return f"the process ended with code {process.wait()} ({_last_line(errors)})"
            finally:
                process.kill()
                self._look()

    def _follow(self, output: IO[bytes]) -> End:
        """Follow the events of a process until it is done, has stalled or is gone."""
        watchdog = Watchdog(self._stall_s, self._clock())
        looked_at = 0.0
        pending = b""
        while True:
            if select.select([output], [], [], self._interval_s)[0]:
                data = os.read(output.fileno(), 65536)
                if not data:
                    return End.GONE
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    if self._heed(json.loads(line), watchdog):
                        return End.DONE
            now = self._clock()
            if now - looked_at >= self._interval_s:
                looked_at = now
                watchdog.saw(now, self._look())
                if watchdog.stalled(now):
                    return End.STALLED

    def _heed(self, event: dict[str, Any], watchdog: Watchdog) -> bool:
        """Handle an event; return whether it is the last one."""
        if "error" in event:
            raise FetchError(event["error"], event["full"])
        if "stored" in event:
            self._stored(event["repo"], event["stored"])
        if "wait" in event:
            watchdog.excuse(self._clock(), event["wait"])
        if "note" in event:
            self._note(event["note"])
        return "done" in event


def _way(attempt: Attempt) -> str:
    return "Xet" if attempt.xet else "plain HTTP"


def _last_line(stream: IO[bytes]) -> str:
    stream.seek(0)
    lines = stream.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")
