# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""State shared by the processes of one user: the rate limit, the locks of launches and the journal."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import math
import os
from collections.abc import Iterator
from typing import Any, Protocol

from .._core.files import sync_folder

CLOCK_JUMP_S = 60.0
FORCED = "forced"  # a journal event: a person has decided that earlier launches are settled


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
        """Append an entry; it is whole on the disk when this returns. Raises OSError, and then nothing was appended."""
        folder = os.path.dirname(self.path) or "."
        os.makedirs(folder, mode=0o700, exist_ok=True)
        line = json.dumps({"time": round(self._clock.time(), 3), "event": event, **facts}, sort_keys=True) + "\n"
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            # After a line that a crash has cut, the entry starts a line of its own.
            is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            try:
                write_all(descriptor, f"{chr(10) if is_cut else ''}{line}".encode())
                os.fsync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        if size == 0:
            sync_folder(folder)

    def last(self, **facts: Any) -> tuple[dict[str, Any] | None, list[int]]:
        """Return the newest entry with these facts, or None, and the numbers of the lines that cannot be read.

        Each of those may hold these facts. They do not count if a newer entry with these facts is a
        person's decision (C(forced)).
        """
        newest: dict[str, Any] | None = None
        unread: list[int] = []
        try:
            with open(self.path, "rb") as stream:
                for number, line in enumerate(stream, start=1):
                    if not line.strip():
                        continue
                    entry = parse_entry(line)
                    if entry is None:
                        unread.append(number)
                    elif all(entry.get(key) == value for key, value in facts.items()):
                        newest = entry
                        if entry["event"] == FORCED:
                            unread = []
        except FileNotFoundError:
            return None, []
        return newest, unread


def parse_entry(line: bytes) -> dict[str, Any] | None:
    """Return the entry in a line of the journal, or None if it is not a whole one."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("event"), str):
        return None
    when = entry.get("time")
    good = isinstance(when, (int, float)) and not isinstance(when, bool) and math.isfinite(when)
    return entry if good else None


def numbered(lines: list[int]) -> str:
    """Return C(line 3) or C(lines 3, 7 and 2 more)."""
    if len(lines) == 1:
        return f"line {lines[0]}"
    more = f" and {len(lines) - 5} more" if lines[5:] else ""
    return f"lines {', '.join(map(str, lines[:5]))}{more}"


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of C(content); a full disk may take only a part at first. Raises OSError."""
    while content:
        written = os.write(descriptor, content)
        if not written:
            raise OSError(errno.EIO, "nothing could be written")
        content = content[written:]


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
