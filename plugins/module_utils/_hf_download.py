# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring one snapshot into the Hugging Face cache: the edge that talks to the Hub, through huggingface_hub.

The library is imported when it is first needed: a complete cache is answered for without it.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ._hf_cache import (
    COMMIT,
    CacheError,
    Meter,
    RepoCache,
    RepoFile,
    SnapshotState,
    free_bytes,
    human_bytes,
    space_problem,
)
from ._hf_errors import explain
from ._progress import ProgressFile

_ANSWER_TIMEOUT_S = 30.0
_LOCK_TIMEOUT_S = 0.5
_WATCH_INTERVAL_S = 0.5
_READ_BYTES = 16 * 1024 * 1024


class HubError(Exception):
    """The snapshot cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Request:
    """What the user asks for."""

    repo: str
    revision: str
    cache_home: str
    endpoint: str
    token: str | None
    max_workers: int
    reserve_bytes: int
    update: bool


def ensure_snapshot(request: Request, check_mode: bool, progress: ProgressFile) -> dict[str, Any]:
    """Complete the snapshot, or in check mode say what that would take, and return the module's result.

    Raises HubError or CacheError, and ImportError where huggingface_hub is needed and missing.
    """
    cache = RepoCache(request.cache_home, request.repo)
    pin = cache.pinned_commit(request.revision)
    if pin and not request.update:
        recorded = cache.recorded_files(pin)
        if recorded is not None:
            state = cache.state(pin, recorded)
            if state.complete:
                return _result(request, cache, pin, pin, state, state)

    hub = _Hub(request, cache)
    asked = request.revision if request.update or not pin else pin
    with hub.explained_errors(asked):
        commit, files = hub.list_files(asked)
        before = after = cache.state(commit, files)
        problem = space_problem(cache.hub, before.bytes_missing, request.reserve_bytes, free_bytes(cache.hub))
        if problem:
            raise HubError(f"{request.repo}: {problem}")
        if not check_mode:
            if not pin:
                # Recorded before the first byte, so that a second attempt goes on with the same commit.
                cache.pin(request.revision, commit)
            if before.missing or cache.recorded_files(commit) is None:
                hub.fetch(commit, files, before, progress)
            after = cache.state(commit, files)
            if not after.complete:
                raise HubError(
                    f"{request.repo}: after the download {len(after.missing)} of {after.files} files are missing or of "
                    f"another size than {request.endpoint} lists, such as {after.missing[0].path}. Run again; "
                    "if it stays so, the endpoint does not serve what it lists."
                )
            # A recorded revision moves only now, when what it points to is complete.
            cache.pin(request.revision, commit)
    return _result(request, cache, pin, commit, before, after)


def _result(
    request: Request, cache: RepoCache, pin: str | None, commit: str, before: SnapshotState, after: SnapshotState
) -> dict[str, Any]:
    fetched = before.bytes_missing - after.bytes_missing
    if before.complete:
        summary = f"complete: {before.files} files, {human_bytes(before.bytes_total)}"
    else:
        verb = "fetched" if after.complete else "would fetch"
        summary = f"{verb} {human_bytes(before.bytes_missing)} in {len(before.missing)} of {before.files} files"
    return {
        "changed": pin != commit or not before.complete,
        "msg": f"{request.repo} at {commit[:12]}: {summary}",
        "repo": request.repo,
        "revision": request.revision,
        "commit": commit,
        "path": cache.snapshot(commit),
        "files": after.files,
        "bytes_total": after.bytes_total,
        "bytes_fetched": fetched,
        "bytes_missing": after.bytes_missing,
        "diff": {
            "before": {"commit": pin, "files_missing": len(before.missing), "bytes_missing": before.bytes_missing},
            "after": {"commit": commit, "files_missing": 0, "bytes_missing": 0},
        },
    }


class _Hub:
    """One repository at one endpoint."""

    def __init__(self, request: Request, cache: RepoCache) -> None:
        # The library reads these once, at its import.
        for offline in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
            os.environ.pop(offline, None)
        os.environ.update(
            HF_HOME=request.cache_home,
            HF_ENDPOINT=request.endpoint,
            HF_HUB_DISABLE_PROGRESS_BARS="1",
            HF_HUB_DISABLE_TELEMETRY="1",
            # Blobs stay in their repository's folder, the layout that every version reads.
            HF_HUB_DISABLE_SHARED_BLOBS="1",
        )
        os.environ.setdefault("HF_XET_HIGH_PERFORMANCE", "1")
        from huggingface_hub import HfApi

        self._request = request
        self._cache = cache
        self._api = HfApi(endpoint=request.endpoint, token=request.token)

    def list_files(self, revision: str) -> tuple[str, list[RepoFile]]:
        """Ask the endpoint for the commit of a revision and its files."""
        info = self._api.model_info(
            self._request.repo, revision=revision, files_metadata=True, timeout=_ANSWER_TIMEOUT_S
        )
        commit = info.sha or ""
        if not COMMIT.fullmatch(commit):
            raise HubError(f"{self._request.repo}: {self._request.endpoint} names no commit. Is it a Hugging Face hub?")
        files = [
            RepoFile(
                path=sibling.rfilename,
                size=(sibling.lfs.size if sibling.lfs else sibling.size) or 0,
                blob=(sibling.lfs.sha256 if sibling.lfs else sibling.blob_id) or "",
                sha256=sibling.lfs.sha256 if sibling.lfs else None,
            )
            for sibling in info.siblings or []
        ]
        return commit, files

    def fetch(self, commit: str, files: Iterable[RepoFile], state: SnapshotState, progress: ProgressFile) -> None:
        """Download what is missing: first the rest of files that an earlier run left unfinished, then the others."""
        from huggingface_hub import snapshot_download

        for path in state.damaged:
            # The library takes a file that exists for a good one.
            with suppress(FileNotFoundError):
                os.unlink(path)
        with _Watcher(self._cache, commit, list(files), progress, self._request.repo):
            partials = self._cache.partials()
            unfinished = [file for file in state.missing if file.blob in partials]
            pool = ThreadPoolExecutor(self._request.max_workers)
            try:
                list(pool.map(lambda file: self._finish_blob(commit, file), unfinished))
            finally:
                pool.shutdown(cancel_futures=True)
            snapshot_download(
                self._request.repo,
                revision=commit,
                cache_dir=self._cache.hub,
                endpoint=self._request.endpoint,
                token=self._request.token,
                max_workers=self._request.max_workers,
            )

    def _finish_blob(self, commit: str, file: RepoFile) -> None:
        """Fetch the rest of an unfinished blob, where the library would begin again.

        A partial file that is of no use is removed; the library then fetches the blob as if there were none.
        """
        from filelock import Timeout
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import WeakFileLock, build_hf_headers

        lock = self._cache.blob_lock(file.blob)
        os.makedirs(os.path.dirname(lock), exist_ok=True)
        try:
            with WeakFileLock(lock, timeout=_LOCK_TIMEOUT_S):
                if os.path.exists(self._cache.blob(file.blob)):
                    return
                best, *others = self._cache.partials()[file.blob]
                for path in others if file.sha256 else [best, *others]:
                    os.unlink(path)
                if not file.sha256:
                    return
                kept = self._cache.kept_partial(file.blob)
                os.replace(best, kept)
                status = os.stat(kept)
                # A file with holes was not written from front to back.
                if status.st_size <= file.size and status.st_size <= status.st_blocks * 512:
                    with open(kept, "r+b") as stream:
                        stream.seek(status.st_size)
                        http_get(
                            hf_hub_url(self._request.repo, file.path, revision=commit, endpoint=self._request.endpoint),
                            stream,
                            resume_size=status.st_size,
                            headers=build_hf_headers(token=self._request.token),
                            expected_size=file.size,
                        )
                    if _sha256(kept) == file.sha256:
                        os.replace(kept, self._cache.blob(file.blob))
                        return
                os.unlink(kept)
        except (FileNotFoundError, KeyError, Timeout):
            return  # another run is at it, or has just done it; the library waits for that one

    @contextmanager
    def explained_errors(self, asked: str) -> Iterator[None]:
        """Turn whatever the library raises into a HubError that says what to do."""
        from huggingface_hub import get_token

        try:
            yield
        except (HubError, CacheError):
            raise
        except Exception as exc:
            request = self._request
            has_token = bool(request.token or get_token())
            if asked != request.revision:
                asked += f" (recorded for {request.revision!r}; update resolves that again)"
            reason = explain(exc, request.repo, asked, request.endpoint, has_token, self._cache.hub)
            raise HubError(f"{request.repo}: {reason}") from exc


class _Watcher:
    """While files are fetched: reports progress by what is on disk, and keeps what an error would throw away.

    The library removes the unfinished file of a failed download. A second name for the same file keeps its bytes.
    """

    def __init__(
        self, cache: RepoCache, commit: str, files: list[RepoFile], progress: ProgressFile, title: str
    ) -> None:
        self._cache = cache
        self._commit = commit
        self._files = files
        self._large = {file.blob for file in files if file.sha256}
        self._progress = progress
        self._title = title
        self._meter = Meter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()
        self._report(force=True)
        for blob, paths in self._cache.partials().items():
            if os.path.exists(self._cache.blob(blob)) and self._cache.kept_partial(blob) in paths:
                with suppress(FileNotFoundError):
                    os.unlink(self._cache.kept_partial(blob))

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._keep_partials()
            self._report()
            self._stop.wait(_WATCH_INTERVAL_S)

    def _report(self, force: bool = False) -> None:
        state = self._cache.state(self._commit, self._files)
        with suppress(OSError):
            self._progress.report(f"{self._title}: {self._meter.line(time.monotonic(), state)}", force=force)

    def _keep_partials(self) -> None:
        for blob, paths in self._cache.partials().items():
            kept = self._cache.kept_partial(blob)
            if blob not in self._large or paths[0] == kept:
                continue
            # A disk without hard links only loses the safety net; a file may vanish between two looks.
            with suppress(OSError):
                if os.path.exists(kept):
                    if os.path.samefile(paths[0], kept):
                        continue
                    os.unlink(kept)  # it has fewer bytes
                os.link(paths[0], kept)


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while True:
            block = stream.read(_READ_BYTES)
            if not block:
                return digest.hexdigest()
            digest.update(block)
