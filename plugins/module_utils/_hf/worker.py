# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The transfer process. It may hang and be killed; the next one resumes from what it has written.

It reads its job, one line, from stdin, which then stays open and silent. When stdin is closed, the process ends. Each
line that it prints is an event, a JSON object:

    {"stored": BLOB, "repo": REPO}      a blob is stored and has the right hash
    {"wait": SECONDS}                   expect no byte for so long
    {"note": TEXT}                      a message to the user
    {"error": TEXT, "full": BOOL}       the transfer failed; whether the disk is full
    {"done": true}
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from .cache import CacheError, RepoCache, RepoFile, written_bytes
from .errors import explain, is_final, is_full, status_of
from .peer import Peer
from .verify import Count, content_hash

_HASH_TRIES = 2
_NO_RANGES = (416, 501)  # a server that sends no parts of files
# How often to ask a peer for a file that it does not have yet.
_LOOK_S = 2.0
_CONNECT_S = 10.0
# No byte arrives while a file is hashed; each sign of life excuses that for so long.
_HASH_PACE_S = 1.0
_PAUSE = re.compile(r"(?:Waiting|Retrying in) ([\d.]+)s")


@dataclass(frozen=True)
class Job:
    """What to transfer. C(snapshots) are the fields of a Snapshot each; their files are recorded in the cache."""

    cache_home: str
    endpoint: str
    token: str | None
    snapshots: list[tuple[str, str, str]]
    max_workers: int
    xet: bool
    peer: str | None
    patience_s: float
    retry_waits_s: list[float]
    umask: int


class Snapshot(NamedTuple):
    """One commit of a repository. C(asked) is how to name it to the user."""

    repo: str
    commit: str
    asked: str


class CorruptError(Exception):
    """The content served does not match the listed hash; the message names the file."""


class TransferError(Exception):
    """A file could not be fetched."""

    def __init__(self, cause: Exception, snapshot: Snapshot, file: RepoFile) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.snapshot = snapshot
        self.file = file


def main() -> None:
    job = Job(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_input, daemon=True).start()
    os.umask(job.umask)
    prepare_library(job.cache_home, job.endpoint)
    if job.peer:
        _go_without_proxy(job.peer)
    worker = Worker(job)
    try:
        worker.run()
    except Exception as exc:
        cause = exc.cause if isinstance(exc, TransferError) else exc
        emit(error=worker.reason(exc), full=is_full(cause))
    else:
        emit(done=True)
    # Does not wait for other threads: what they have written is on the disk.
    os._exit(0)


def prepare_library(cache_home: str, endpoint: str) -> None:
    """Set the environment that huggingface_hub reads once, at its import."""
    for offline in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        os.environ.pop(offline, None)
    os.environ.update(
        HF_HOME=cache_home,
        HF_ENDPOINT=endpoint,
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        # Blobs stay in their repository's folder, a layout that every version reads.
        HF_HUB_DISABLE_SHARED_BLOBS="1",
    )
    os.environ.setdefault("HF_XET_HIGH_PERFORMANCE", "1")


def _go_without_proxy(url: str) -> None:
    """Bypass this host's proxy for a host of the private network."""
    exempt = [urllib.request.getproxies().get("no", ""), urllib.parse.urlsplit(url).hostname]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, exempt))


def emit(**event: Any) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


class Worker:
    """Fetches all missing files of some snapshots into the cache."""

    def __init__(self, job: Job) -> None:
        from huggingface_hub import constants
        from huggingface_hub.utils import build_hf_headers
        from huggingface_hub.utils import logging as library_logging

        # The library buffers 10 MiB for each file, which a kill would lose, and which look like a stall on a slow
        # network. So each piece is written as it comes.
        constants.DOWNLOAD_CHUNK_SIZE = cast("int", None)
        library_logging.get_logger("huggingface_hub").addHandler(_PauseHandler())
        self._job = job
        self._xet = job.xet
        self._headers = build_hf_headers(token=job.token)
        self._without_peer = False
        self._peer = Peer(job.peer, job.patience_s) if job.peer else None

    def run(self) -> None:
        """Transfer the missing files. The first error that no retry would fix ends the run."""
        blobs: dict[tuple[str, str], tuple[RepoCache, Snapshot, list[RepoFile]]] = {}
        for snapshot in map(Snapshot._make, self._job.snapshots):
            cache = RepoCache(self._job.cache_home, snapshot.repo)
            for file in cache.state(snapshot.commit, cache.recorded_files(snapshot.commit) or []).missing:
                blobs.setdefault((snapshot.repo, file.blob), (cache, snapshot, []))[2].append(file)
        pool = ThreadPoolExecutor(self._job.max_workers)
        for transfer in as_completed([pool.submit(self._provide, *blob) for blob in blobs.values()]):
            transfer.result()

    def reason(self, error: Exception) -> str:
        """Return cause and remedy of an error, with the file concerned."""
        if isinstance(error, (CorruptError, CacheError)):
            return str(error)
        if isinstance(error, TransferError):
            from huggingface_hub import get_token

            has_token = bool(self._job.token or get_token())
            repo, _commit, asked = error.snapshot
            text = explain(error.cause, repo, asked, self._job.endpoint, has_token, self._job.cache_home)
            return f"{repo}: {error.file.path}: {text}"
        return f"{type(error).__name__}: {error}"

    def _provide(self, cache: RepoCache, snapshot: Snapshot, files: list[RepoFile]) -> None:
        """Fetch one blob into the cache, and link all its names in the snapshot to it."""
        file, commit = files[0], snapshot.commit
        try:
            if not os.path.exists(cache.blob(file.blob)):
                ways = (self._from_peer, self._by_xet, self._from_hub)
                any(way(cache, commit, file) for way in ways)
            for name in files:
                cache.link(commit, name)
        except (CorruptError, CacheError):
            raise
        except Exception as exc:
            raise TransferError(exc, snapshot, file) from exc

    def _from_peer(self, cache: RepoCache, commit: str, file: RepoFile) -> bool:
        last = False
        while peer := self._peer:
            emit(wait=_CONNECT_S)  # the library takes some seconds to connect
            try:
                self._by_http(cache, file, peer.blob_url(cache, file), {})
                return True
            except Exception as exc:
                if is_full(exc):
                    raise
                status = status_of(exc)
                if status == 404 and not last:
                    emit(wait=_LOOK_S)
                    last = not peer.wait_for(commit)
                    continue
                if status is None and not isinstance(exc, CorruptError):
                    self._peer = None  # it is gone
                if not self._without_peer:
                    self._without_peer = True
                    emit(note=f"{self._job.peer} did not serve {file.path}, so the Hub was used: {_first_line(exc)}")
                return False
        return False

    def _by_xet(self, cache: RepoCache, commit: str, file: RepoFile) -> bool:
        """Fetch a file by Xet, unless there is a partial download to resume."""
        if not (self._xet and file.xet):
            return False
        from huggingface_hub import hf_hub_download

        with _locked(cache, file):
            kept = cache.claim_partial(file)
            if written_bytes(kept) > 0:
                return False
            with suppress(FileNotFoundError):
                os.unlink(kept)

        try:
            hf_hub_download(
                cache.repo,
                file.path,
                revision=commit,
                cache_dir=cache.hub,
                endpoint=self._job.endpoint,
                token=self._job.token,
            )
        except Exception as exc:
            if is_full(exc) or is_final(exc, self._job.endpoint):
                raise
            if self._xet:
                self._xet = False
                emit(note=f"resumed by plain HTTP, because Xet failed: {type(exc).__name__}: {_first_line(exc)}")
            return False
        good = self._is_good(cache, file, cache.blob(file.blob))
        if good:
            emit(stored=file.blob, repo=cache.repo)
        return good

    def _from_hub(self, cache: RepoCache, commit: str, file: RepoFile) -> bool:
        from huggingface_hub import hf_hub_url

        url = hf_hub_url(cache.repo, file.path, revision=commit, endpoint=self._job.endpoint)
        failures = 0
        while True:
            before = _unfinished_bytes(cache, file)
            try:
                self._by_http(cache, file, url, self._headers)
                return True
            except Exception as exc:
                if isinstance(exc, CorruptError) or is_final(exc, self._job.endpoint) or is_full(exc):
                    raise
                failures = 1 if _unfinished_bytes(cache, file) > before else failures + 1
                if failures > len(self._job.retry_waits_s):
                    raise
                emit(wait=self._job.retry_waits_s[failures - 1])
                time.sleep(self._job.retry_waits_s[failures - 1])

    def _by_http(self, cache: RepoCache, file: RepoFile, url: str, headers: dict[str, str]) -> None:
        """Fetch a blob, or the rest of it, by plain HTTP. It gets its final name only once its hash is right."""
        from huggingface_hub.file_download import http_get

        with _locked(cache, file):
            for _try in range(_HASH_TRIES):
                if os.path.exists(cache.blob(file.blob)):
                    return
                kept = cache.claim_partial(file)
                with open(kept, "ab", buffering=0) as stream:
                    try:
                        http_get(url, stream, resume_size=stream.tell(), headers=headers, expected_size=file.size)
                    except Exception as exc:
                        if status_of(exc) not in _NO_RANGES or not stream.tell():
                            raise
                        emit(
                            note=f"{file.path} of {cache.repo} was fetched from its start, because its rest was refused"
                        )
                        stream.truncate(0)
                        stream.seek(0)
                        http_get(url, stream, headers=headers, expected_size=file.size)
                if self._is_good(cache, file, kept):
                    os.replace(kept, cache.blob(file.blob))
                    emit(stored=file.blob, repo=cache.repo)
                    return
        raise CorruptError(
            f"{cache.repo}: {file.path}: {url} serves content that does not match the listed hash {file.blob}. "
            f"It was moved to {cache.aside(file.blob)}. Run again. If this persists, the endpoint or a proxy on "
            "the way to it damages files."
        )

    def _is_good(self, cache: RepoCache, file: RepoFile, path: str) -> bool:
        """Return whether a finished file has the right hash. A corrupt file is set aside."""
        emit(wait=_HASH_PACE_S)
        life = Count(lambda _hashed: emit(wait=_HASH_PACE_S))
        if content_hash(path, file.blob, life.add) == file.blob:
            return True
        os.replace(path, cache.aside(file.blob))
        emit(note=f"{file.path} of {cache.repo} arrived with a wrong hash and was fetched again")
        return False


class _PauseHandler(logging.Handler):
    """Reports that the library waits before its next try."""

    def emit(self, record: logging.LogRecord) -> None:
        pause = _PAUSE.search(record.getMessage())
        if pause:
            emit(wait=float(pause.group(1)))


@contextmanager
def _locked(cache: RepoCache, file: RepoFile) -> Iterator[None]:
    """Hold the lock that every Hugging Face program takes while it fetches the blob."""
    from huggingface_hub.utils import WeakFileLock

    lock = cache.blob_lock(file.blob)
    os.makedirs(os.path.dirname(lock), exist_ok=True)
    os.makedirs(cache.blobs, exist_ok=True)
    with WeakFileLock(lock):
        yield


def _unfinished_bytes(cache: RepoCache, file: RepoFile) -> int:
    return max((written_bytes(path) for path in cache.partials().get(file.blob, [])), default=0)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).split("\n")[0]


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(1)
