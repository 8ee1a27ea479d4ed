# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hash the files of a cache, and remember the good ones, so that an unchanged file is hashed only once."""

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
# With more threads the disks are the bottleneck, not the cores.
_MAX_THREADS = 16


@dataclass(frozen=True)
class Check:
    """One file to hash."""

    cache: RepoCache
    commit: str
    file: RepoFile

    @property
    def path(self) -> str:
        return self.cache.content(self.commit, self.file)


class Memory:
    """The blobs of a repository that were found good. A blob that was written to since then no longer counts.

    If the memory is not C(trusted), only blobs that are found good from now on count.
    """

    def __init__(self, path: str, trusted: bool = True) -> None:
        self._path = path
        self._known: set[str] = set()
        self._saved_at = time.monotonic()
        self._changed = False
        self._good: dict[str, list[int]] = {}
        with suppress(OSError, ValueError, AttributeError, RecursionError), open(path, encoding="utf-8") as stream:
            self._good = dict(json.load(stream).items())
        if trusted:
            self._known = set(self._good)

    def knows(self, blob: str, path: str) -> bool:
        try:
            return blob in self._known and self._good[blob] == _fingerprint(path)
        except OSError:
            return False

    def changed(self, blob: str, path: str) -> bool:
        """Return whether a file was found good and has been written to since then."""
        return blob in self._known and not self.knows(blob, path)

    def remember(self, blob: str, path: str) -> None:
        with suppress(OSError):
            self._good[blob] = _fingerprint(path)
            self._known.add(blob)
            self._changed = True
        if time.monotonic() - self._saved_at > _SAVE_INTERVAL_S:
            self.save()

    def save(self) -> None:
        """Save the memory. If the disk is full, the files are only hashed again next time."""
        self._saved_at = time.monotonic()
        if not self._changed:
            return
        self._changed = False
        with suppress(OSError):
            replace_text(self._path, json.dumps(self._good, indent=1, sort_keys=True))


def content_hash(path: str, blob: str, seen: Callable[[int], None] = lambda count: None) -> str:
    """Return the hash of a file, of the same kind as its blob's name.

    64 digits are a sha256 (large files), 40 are git's hash. C(seen) is called with the size of each block.
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
    """Hash files in parallel; return those that do not match their name, with their real hash.

    C(seen) is called about every second with the number of bytes hashed.
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
    """Adds up the counts of several threads, and reports the sum about every second."""

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
