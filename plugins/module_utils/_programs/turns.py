# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may send requests to a server now: a measurement, or the watch beside the server, but not both.

A measurement holds a shared lock, and the watch an exclusive one for the time of a request. The kernel releases the
lock of a program that was killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LOCK = "/run/hgx-inference/measuring.lock"
# In the state directory of a server while a play deploys. Its time stamp is the play's last sign of life.
ANNOUNCEMENT = "deployment.json"
SILENT_AFTER_S = 300.0
# A request of the watch takes seconds. One that takes longer shows trouble that a measurement will meet, too.
_MEASURING_WAIT_S = 60.0
_POLL_S = 0.2


@contextmanager
def measuring(path: str = LOCK, limit_s: float = _MEASURING_WAIT_S) -> Iterator[None]:
    """Keep the watch from sending requests meanwhile. A user who may not lock runs no watch, and measures without."""
    lock = _open(path)
    try:
        deadline = time.monotonic() + limit_s
        while lock is not None and not _lock(lock, fcntl.LOCK_SH) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        yield
    finally:
        if lock is not None:
            os.close(lock)


class Turn:
    """The turn of the watch."""

    def __init__(self, path: str = LOCK) -> None:
        self._path = path
        self._lock: int | None = None

    def take(self) -> bool:
        """Take the turn, or keep it; return whether nobody measures. Where there can be no lock, nobody does."""
        if self._lock is None:
            self._lock = _open(self._path)
        return self._lock is None or _lock(self._lock, fcntl.LOCK_EX)

    def give_back(self) -> None:
        """Let measurements begin."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None


def deployment_under_way(state_dir: str, now: float) -> bool:
    """Return whether a play deploys on this host; C(now) is in seconds since 1970."""
    path = os.path.join(state_dir, ANNOUNCEMENT)
    with suppress(OSError, ValueError), open(path, encoding="utf-8") as stream:
        json.load(stream)
        return abs(now - os.fstat(stream.fileno()).st_mtime) < SILENT_AFTER_S  # the clock may have been set back
    return False


def _open(path: str) -> int | None:
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return None


def _lock(descriptor: int, kind: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return True
    return False
