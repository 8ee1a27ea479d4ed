# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hash the files of a cache, and remember which were found good, so that an unchanged file is hashed only once."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass

from .._core.files import replace_text
from .cache import RepoCache, RepoFile

_READ_BYTES = 4 * 1024 * 1024
_SAVE_INTERVAL_S = 5.0
_TELL_INTERVAL_S = 1.0
# Above that the disks, not the cores, set the pace.
_MAX_THREADS = 16


@dataclass(frozen=True)
class Check:
    """One file that is to be hashed."""

    cache: RepoCache
    commit: str
    file: RepoFile

    @property
    def path(self) -> str:
        return self.cache.content(self.commit, self.file)


class Memory:
    """Which blobs of a repository were found good. One that was written to since then is not known any more.

    If it is not C(trusted), only what is found good from now on is known.
    """

    def __init__(self, path: str, trusted: bool = True) -> None:
        self._path = path
        self._known: set[str] = set()
        self._saved_at = time.monotonic()
        self._changed = False
        self._good: dict[str, list[int]] = {}
        with suppress(OSError, ValueError, AttributeError), open(path, encoding="utf-8") as stream:
            self._good = dict(json.load(stream).items())
        if trusted:
            self._known = set(self._good)

    def knows(self, blob: str, path: str) -> bool:
        try:
            return blob in self._known and self._good[blob] == _fingerprint(path)
        except OSError:
            return False

    def changed(self, blob: str, path: str) -> bool:
        """Return whether a file that was found good was written to since then."""
        return blob in self._known and not self.knows(blob, path)

    def remember(self, blob: str, path: str) -> None:
        with suppress(OSError):
            self._good[blob] = _fingerprint(path)
            self._known.add(blob)
            self._changed = True
        if time.monotonic() - self._saved_at > _SAVE_INTERVAL_S:
            self.save()

    def save(self) -> None:
        """Write it down. A full disk costs no more than hashing again."""
        self._saved_at = time.monotonic()
        if not self._changed:
            return
        self._changed = False
        with suppress(OSError):
            replace_text(self._path, json.dumps(self._good, indent=1, sort_keys=True))


def content_hash(path: str, blob: str, seen: Callable[[int], None] = lambda count: None) -> str:
    """Return the hash of a file in the manner of its blob's name.

    A large file has 64 digits, its sha256; a small one 40, git's hash. C(seen) is told the size of every block.
    """
    digest = hashlib.sha256() if len(blob) == 64 else hashlib.sha1(b"blob %d\0" % os.stat(path).st_size)
    with open(path, "rb") as stream:
        while True:
            block = stream.read(_READ_BYTES)
            if not block:
                return digest.hexdigest()
            digest.update(block)
            seen(len(block))


def find_corrupt(
    checks: Iterable[Check], good: Callable[[Check], None], seen: Callable[[int], None]
) -> list[tuple[Check, str]]:
    """Hash files in parallel; return those with another content than their name says, and what they hash to.

    C(seen) is told, every second or so, how many bytes were hashed.
    """
    corrupt = []
    count = Count(seen)
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MAX_THREADS)) as pool:
        running = {pool.submit(content_hash, check.path, check.file.blob, count.add): check for check in checks}
        for future in as_completed(running):
            check, found = running[future], future.result()
            if found == check.file.blob:
                good(check)
            else:
                corrupt.append((check, found))
    return corrupt


class Count:
    """Adds up what several threads have done, and tells the sum every second or so."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._sum = 0
        self._told_at = time.monotonic()

    def add(self, count: int) -> None:
        with self._lock:
            self._sum += count
            if time.monotonic() - self._told_at >= _TELL_INTERVAL_S:
                self._told_at = time.monotonic()
                self._tell(self._sum)


def _fingerprint(path: str) -> list[int]:
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns, status.st_ino]
