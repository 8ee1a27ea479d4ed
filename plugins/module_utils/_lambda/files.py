# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""State shared by the processes of one user: the rate limit, the locks of launches and the journal."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any, Protocol

CLOCK_JUMP_S = 60.0


class Time(Protocol):
    def time(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class Pacer:
    """Spaces out requests, including those of other processes with the same file.

    Without a file, or where it cannot be written, only the requests of this process count.
    """

    def __init__(self, path: str | None, clock: Time) -> None:
        self._path = path
        self._clock = clock
        self._last: dict[str, float] = {}

    def wait(self, kind: str, interval_s: float) -> None:
        """Take the next free slot and sleep until it comes."""
        if interval_s <= 0:
            return
        try:
            slot = self._reserve(f"{self._path}-{kind}", interval_s) if self._path else None
        except OSError:
            slot = None
        now = self._clock.time()
        if slot is None:
            slot = next_slot(self._last.get(kind, 0.0), now, interval_s)
        self._last[kind] = slot
        self._clock.sleep(slot - now)

    def _reserve(self, path: str, interval_s: float) -> float:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+", encoding="ascii") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            try:
                last = float(stream.read() or 0)
            except ValueError:
                last = 0.0
            slot = next_slot(last, self._clock.time(), interval_s)
            stream.seek(0)
            stream.truncate()
            stream.write(f"{slot:.6f}")
        return slot


def next_slot(last: float, now: float, interval_s: float) -> float:
    """Return when the next request may be sent. A slot far in the future comes from a wrong clock and is ignored."""
    if last > now + CLOCK_JUMP_S + interval_s:
        return now
    return max(now, last + interval_s)


class Journal:
    """One line of JSON for each step that costs or saves money, written before the step is taken.

    Never holds a secret. The file belongs to the user alone.
    """

    def __init__(self, path: str, clock: Time) -> None:
        self.path = path
        self._clock = clock

    def add(self, event: str, **facts: Any) -> None:
        """Append an entry; it is on the disk when this returns. Raises OSError."""
        os.makedirs(os.path.dirname(self.path) or ".", mode=0o700, exist_ok=True)
        line = json.dumps({"time": round(self._clock.time(), 3), "event": event, **facts}, sort_keys=True) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def last(self, **facts: Any) -> dict[str, Any] | None:
        """Return the newest entry with these facts, or None. Lines that a crash has truncated are skipped."""
        newest = None
        try:
            with open(self.path, encoding="utf-8", errors="replace") as stream:
                for line in stream:
                    try:
                        entry = json.loads(line)
                    except ValueError:
                        continue
                    if isinstance(entry, dict) and all(entry.get(key) == value for key, value in facts.items()):
                        newest = entry
        except FileNotFoundError:
            return None
        return newest


class Locked(Exception):
    """Another process holds the lock."""


@contextlib.contextmanager
def lock(folder: str, name: str) -> Iterator[None]:
    """Hold the lock of C(name), or raise Locked at once. The kernel releases it when the process ends."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, hashlib.sha256(name.encode()).hexdigest()[:16] + ".lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise Locked(name) from exc
        yield
    finally:
        os.close(descriptor)
