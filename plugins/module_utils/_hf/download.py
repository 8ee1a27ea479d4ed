# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch snapshots into the Hugging Face cache: plan, transfer, verify, record.

A complete cache whose files were verified before needs neither huggingface_hub nor the network.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from .._core.files import free_bytes
from .._core.progress import Meter, ProgressFile
from .cache import (
    COMMIT,
    CacheError,
    RepoCache,
    RepoFile,
    SnapshotState,
    human_bytes,
    list_hash,
    own_folder,
    parse_tree,
    space_problem,
)
from .errors import explain_os_error
from .fetch import Fetcher, FetchError
from .gaps import listed_gap, snapshot_gap
from .hub import Hub, HubError
from .peer import FAILED, FETCHING, READY, Offer, Peer
from .prune import Waste, find_waste
from .verify import Check, Memory, find_corrupt
from .worker import Job

# A request fails after the last of them, when the hub has been down for half a minute.
RETRY_WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
_LOCK_INTERVAL_S = 0.5
_NAMED_FILES = 3


@dataclass(frozen=True)
class Model:
    """A repository at a revision; C(commit) and C(list_hash) are set if another node has resolved it already."""

    repo: str
    revision: str = "main"
    commit: str | None = None
    list_hash: str | None = None


@dataclass(frozen=True)
class Request:
    """What the user asks for."""

    models: tuple[Model, ...]
    cache_home: str
    endpoint: str = "https://huggingface.co"
    token: str | None = None
    max_workers: int = 8
    reserve_bytes: int = 0
    update: bool = False
    verify: bool = False
    xet: bool = True
    stall_s: float = 60.0
    peer: str | None = None
    offer: bool = False
    prune: bool = False
    keep: frozenset[str] = frozenset()
    umask: int = 0o022


@dataclass(frozen=True)
class Plan:
    """One wanted snapshot. C(pin) is the recorded commit of the revision, C(before) the state of the disk."""

    model: Model
    cache: RepoCache
    pin: str | None
    commit: str
    files: list[RepoFile]
    tree: object
    before: SnapshotState

    @property
    def asked(self) -> str:
        if self.commit == self.model.revision:
            return self.commit
        return f"{self.commit} (recorded for {self.model.revision!r}; update resolves that again)"

    def state(self) -> SnapshotState:
        return self.cache.state(self.commit, self.files)


def ensure_snapshots(request: Request, check_mode: bool, progress: ProgressFile) -> dict[str, Any]:
    """Complete and verify the snapshots, or predict that in check mode, and return the module's result.

    Raises HubError or CacheError, and ImportError if huggingface_hub is needed and missing.
    """
    run = _Run(request, progress)
    try:
        plans = [run.plan(model) for model in request.models]
        run.require_space(plans)
        if not check_mode:
            os.umask(request.umask)
            with run.offered(plans):
                if any(run.has_work(plan) for plan in plans):
                    complete = all(plan.before.complete and plan.pin == plan.commit for plan in plans)
                    with _lock(request.cache_home, progress, needed=not complete or request.prune) as lock:
                        plans = run.carry_out(plans, lock)
        for plan in plans:
            run.require_whole(plan)
    except OSError as exc:
        raise HubError(explain_os_error(exc, request.cache_home)) from exc
    return run.result(plans, check_mode)


def is_settled(request: Request) -> bool:
    """Return whether the cache has all that is asked for, which is seen without the hub. Raises CacheError."""
    if request.offer or request.update:
        return False
    for model in request.models:
        cache = RepoCache(request.cache_home, model.repo)
        commit = model.commit or cache.pinned_commit(model.revision)
        if not commit or cache.recorded_files(commit) is None:
            return False
    run = _Run(request, ProgressFile(None))
    return not any(run.has_work(run.plan(model)) for model in request.models)


class _Run:
    """One run of the module."""

    def __init__(self, request: Request, progress: ProgressFile) -> None:
        self._request = request
        self._progress = progress
        self._hub = Hub(request.cache_home, request.endpoint, request.token, RETRY_WAITS_S)
        self._peer = Peer(request.peer, request.stall_s) if request.peer else None
        self._memories: dict[str, Memory] = {}
        self._offer: Offer | None = None
        self._corrupt: list[str] = []
        self._wanted = set(request.keep)
        self._pruned: list[Waste] = []
        self.notes: list[str] = []

    def plan(self, model: Model) -> Plan:
        """Return the wanted snapshot and what is on disk. Asks the hub only for what is not recorded."""
        cache = RepoCache(self._request.cache_home, model.repo)
        pin = cache.pinned_commit(model.revision)
        commit = model.commit or pin
        if not commit or (self._request.update and not model.commit and not COMMIT.fullmatch(model.revision)):
            commit = self._hub.resolve(model.repo, model.revision)
        files, tree = cache.recorded_files(commit), None
        if files is None:
            tree = self._tree_of_peer(model, cache, commit) or self._tree_of_hub(model, commit)
            try:
                files = parse_tree(tree)
            except CacheError as exc:
                raise HubError(f"{model.repo}: {exc}") from exc
            if files is None:
                raise HubError(f"{model.repo}: {self._request.endpoint} lists the files of {commit} in no known form.")
        problem = listed_gap(files)
        if problem:
            raise HubError(f"{model.repo} at {commit}: {problem}")
        self._wanted.add(commit)
        return Plan(model, cache, pin, commit, files, tree, cache.state(commit, files))

    def _tree_of_peer(self, model: Model, cache: RepoCache, commit: str) -> object:
        """Return the peer's record of a commit's files, or None if it has none or its hash is not the expected one."""
        if not (self._peer and model.list_hash):
            return None
        tree = self._peer.tree(cache, commit)
        files = None
        with suppress(CacheError):
            files = parse_tree(tree)
        if files is not None and list_hash(files) == model.list_hash:
            return tree
        if tree is not None:
            self.notes.append(
                f"{self._request.peer} lists other files of {model.repo} at {commit} than the node that resolved it. "
                f"Its list was ignored, and {self._request.endpoint} was used instead. Check the cache of that node"
            )
        return None

    def _tree_of_hub(self, model: Model, commit: str) -> object:
        try:
            return self._hub.tree(model.repo, commit)
        except HubError as exc:
            raise HubError(self._after_notes(str(exc))) from exc

    def has_work(self, plan: Plan) -> bool:
        pinned = plan.pin == plan.commit and plan.cache.has_pin(plan.model.revision)
        complete = plan.before.complete and pinned
        return not complete or bool(self._doubtful(plan) or self._waste(plan).paths)

    def require_space(self, plans: Sequence[Plan]) -> None:
        """Raise HubError if the missing bytes of all repositories together do not fit."""
        hub = plans[0].cache.hub
        missing = sum(plan.before.bytes_missing for plan in plans)
        problem = space_problem(hub, missing, self._request.reserve_bytes, free_bytes(hub))
        if problem:
            raise HubError(f"{_names(plans)}: {problem}")

    @contextmanager
    def offered(self, plans: Sequence[Plan]) -> Iterator[None]:
        """Announce to peers what this cache will have, and the outcome."""
        if not self._request.offer:
            yield
            return
        self._offer = Offer(self._request.cache_home, [plan.commit for plan in plans])
        self._offer.tell(READY if all(plan.before.complete for plan in plans) else FETCHING, 0)
        end = FAILED
        try:
            yield
            end = READY
        finally:
            self._offer.tell(end, 0)

    def carry_out(self, plans: Sequence[Plan], lock: int) -> list[Plan]:
        """Carry out the plans, and return them with the state before the transfer."""
        for plan in plans:
            if plan.tree:
                plan.cache.record(plan.commit, plan.tree)
            if not plan.cache.pinned_commit(plan.model.revision):
                # Recorded before the first byte, so that a second attempt resumes with the same commit.
                plan.cache.pin(plan.model.revision, plan.commit)
            state = plan.state()
            self._tell_replaced(plan, state.replaced)
            for path in state.damaged:
                with suppress(FileNotFoundError):
                    os.unlink(path)
        self._verify(plans)
        plans = [replace(plan, before=plan.state()) for plan in plans]
        if not all(plan.before.complete for plan in plans):
            self.require_space(plans)
            self._transfer(plans, lock)
            self._verify(plans)
        for plan in plans:
            self._require_complete(plan)
            plan.cache.drop_leftovers()
            # A recorded revision moves only now, when its snapshot is complete.
            plan.cache.pin(plan.model.revision, plan.commit)
        for plan in plans:
            waste = self._waste(plan)
            waste.remove()
            self._pruned.append(waste)
        return plans

    def _doubtful(self, plan: Plan) -> list[Check]:
        """Return the files on disk that must be hashed."""
        missing = {file.blob for file in plan.state().missing}
        here = {file.blob: file for file in plan.files if file.blob not in missing}
        checks = [Check(plan.cache, plan.commit, file) for file in here.values()]
        memory = self._memory(plan.cache)
        return [check for check in checks if not memory.knows(check.file.blob, check.path)]

    def _memory(self, cache: RepoCache) -> Memory:
        if cache.repo not in self._memories:
            self._memories[cache.repo] = Memory(cache.memory, trusted=not self._request.verify)
        return self._memories[cache.repo]

    def _waste(self, plan: Plan) -> Waste:
        if not self._request.prune:
            return Waste()
        return find_waste(plan.cache, self._wanted)

    def _verify(self, plans: Sequence[Plan]) -> None:
        """Hash the files that are not known to be good. Report corrupt ones and set them aside."""
        checks = [check for plan in plans for check in self._doubtful(plan)]
        meter, total = Meter(), sum(check.file.size for check in checks)

        def seen(count: int) -> None:
            line = meter.line(time.monotonic(), count, total)
            self._report(f"{_names(plans)}: checking hashes, {line}")

        def good(check: Check) -> None:
            self._memory(check.cache).remember(check.file.blob, check.path)

        for check, found in find_corrupt(checks, good, seen):
            try:
                aside = check.cache.set_aside(check.commit, check.file)
            except OSError as exc:
                raise HubError(
                    f"{check.file.path} of {check.cache.repo} is corrupt: its hash is {found} instead of "
                    f"{check.file.blob}. It cannot be replaced: {explain_os_error(exc, self._request.cache_home)}"
                ) from exc
            self._corrupt.append(f"{check.cache.repo}/{check.file.path}")
            self.notes.append(
                f"{check.file.path} of {check.cache.repo} was corrupt: its hash is {found} instead of "
                f"{check.file.blob}. It was set aside as {aside}"
            )
        self._save_memories()

    def _tell_replaced(self, plan: Plan, files: Sequence[RepoFile]) -> None:
        if not files:
            return
        self._corrupt += [f"{plan.cache.repo}/{file.path}" for file in files]
        more = f" and {len(files) - _NAMED_FILES} more" if files[_NAMED_FILES:] else ""
        self.notes.append(
            f"In the snapshot of {plan.cache.repo} another file had replaced "
            f"{', '.join(file.path for file in files[:_NAMED_FILES])}{more}, as an editor does. "
            "It was removed, and the link to the fetched content was restored"
        )

    def _transfer(self, plans: Sequence[Plan], lock: int) -> None:
        if importlib.util.find_spec("huggingface_hub") is None:
            raise ImportError("huggingface_hub")
        request = self._request
        caches = {plan.cache.repo: plan.cache for plan in plans}
        meter, total = Meter(), sum(plan.before.bytes_total for plan in plans)

        def look() -> int:
            states = [plan.state() for plan in plans]
            for plan in plans:
                plan.cache.save_partials()
            present = sum(state.bytes_present for state in states)
            files = sum(state.files for state in states)
            done = files - sum(len(state.missing) for state in states)
            line = meter.line(time.monotonic(), present, total)
            self._report(f"{_names(plans)}: {line}, {done} of {files} files", force=done == files)
            if self._offer:
                self._offer.tell(FETCHING, present)
            return present

        def stored(repo: str, blob: str) -> None:
            self._memory(caches[repo]).remember(blob, caches[repo].blob(blob))

        job = Job(
            cache_home=request.cache_home,
            endpoint=request.endpoint,
            token=request.token,
            snapshots=[(plan.cache.repo, plan.commit, plan.asked) for plan in plans],
            max_workers=request.max_workers,
            xet=request.xet,
            peer=request.peer,
            patience_s=request.stall_s,
            retry_waits_s=list(RETRY_WAITS_S),
            umask=request.umask,
        )
        fetcher = Fetcher(job, request.stall_s, lock, look, stored, self.notes.append)
        try:
            fetcher.run()
        except FetchError as exc:
            raise HubError(self._with_evidence(plans, exc)) from exc
        finally:
            self._save_memories()

    def _with_evidence(self, plans: Sequence[Plan], error: FetchError) -> str:
        message = str(error)
        if error.full:
            hub = plans[0].cache.hub
            missing = sum(plan.state().bytes_missing for plan in plans)
            message += " " + (space_problem(hub, missing, self._request.reserve_bytes, free_bytes(hub)) or "")
        return self._after_notes(message)

    def _after_notes(self, message: str) -> str:
        return " ".join([*(f"{note}." for note in self.notes), message])

    def _require_complete(self, plan: Plan) -> None:
        state, doubtful = plan.state(), self._doubtful(plan)
        bad = state.missing or tuple(check.file for check in doubtful)
        if bad:
            raise HubError(
                f"{plan.cache.repo}: after the download {len(bad)} of {state.files} files are missing, or have another "
                f"size or hash than {self._request.endpoint} lists, such as {bad[0].path}. Run again. If this "
                "persists, the endpoint does not serve what it lists, or this disk corrupts data."
            )

    def require_whole(self, plan: Plan) -> None:
        """Raise HubError if a snapshot has all files that are listed, but these are not the whole model."""
        if plan.state().complete:
            problem = snapshot_gap(plan.cache, plan.commit, plan.files)
            if problem:
                raise HubError(
                    self._after_notes(
                        f"{plan.cache.repo} at {plan.commit} is incomplete at {self._request.endpoint}: {problem} "
                        "Ask its owner to upload the missing content, or choose another revision."
                    )
                )

    def _report(self, line: str, force: bool = False) -> None:
        with suppress(OSError):
            self._progress.report(line, force=force)

    def _save_memories(self) -> None:
        for memory in self._memories.values():
            memory.save()

    def result(self, plans: Sequence[Plan], check_mode: bool) -> dict[str, Any]:
        """Return the module's result; C(before) in the plans is the state before the transfer."""
        waste = [self._waste(plan) for plan in plans] if check_mode else self._pruned
        freed, pruned = sum(part.size for part in waste), any(part.paths for part in waste)
        snapshots = [_snapshot_result(plan, plan.state()) for plan in plans]
        sentences = [_sentence(plan, plan.state()) for plan in plans]
        if pruned:
            sentences.append(f"{'would free' if check_mode else 'freed'} {human_bytes(freed)} of other revisions")
        return {
            "changed": any(plan.pin != plan.commit or not plan.before.complete for plan in plans) or pruned,
            "msg": "; ".join(sentences + _moved(plans)),
            "snapshots": snapshots,
            "bytes_total": sum(snapshot["bytes_total"] for snapshot in snapshots),
            "bytes_fetched": sum(snapshot["bytes_fetched"] for snapshot in snapshots),
            "bytes_missing": sum(snapshot["bytes_missing"] for snapshot in snapshots),
            "bytes_freed": freed,
            "corrupt": self._corrupt,
            "notes": self.notes,
            "diff": {
                "before": {
                    plan.cache.repo: {
                        "commit": plan.pin,
                        "files_missing": len(plan.before.missing),
                        "bytes_missing": plan.before.bytes_missing,
                    }
                    for plan in plans
                },
                "after": {
                    plan.cache.repo: {"commit": plan.commit, "files_missing": 0, "bytes_missing": 0} for plan in plans
                },
            },
        }


def _snapshot_result(plan: Plan, after: SnapshotState) -> dict[str, Any]:
    return {
        "repo": plan.cache.repo,
        "revision": plan.model.revision,
        "commit": plan.commit,
        "path": plan.cache.snapshot(plan.commit),
        "files": after.files,
        "bytes_total": after.bytes_total,
        "bytes_fetched": plan.before.bytes_missing - after.bytes_missing,
        "bytes_missing": after.bytes_missing,
        "list_hash": list_hash(plan.files),
    }


def _sentence(plan: Plan, after: SnapshotState) -> str:
    before = plan.before
    if before.complete:
        summary = f"complete: {before.files} files, {human_bytes(before.bytes_total)}"
    else:
        verb = "fetched" if after.complete else "would fetch"
        summary = f"{verb} {human_bytes(before.bytes_missing)} in {len(before.missing)} of {before.files} files"
    return f"{plan.cache.repo} at {plan.commit[:12]}: {summary}"


def _moved(plans: Sequence[Plan]) -> list[str]:
    """Return a sentence for each revision that another program has moved in this cache."""
    sentences = []
    for plan in plans:
        other = None if COMMIT.fullmatch(plan.model.revision) else plan.cache.referenced_commit(plan.model.revision)
        if other not in (None, plan.commit):
            sentences.append(
                f"another program has moved {plan.model.revision} of {plan.cache.repo} to {other[:12]} in this cache;"
                f" {plan.commit[:12]} stays in use until hf_cache_update is set"
            )
    return sentences


def _names(plans: Sequence[Plan]) -> str:
    return ", ".join(plan.cache.repo for plan in plans)


@contextmanager
def _lock(cache_home: str, progress: ProgressFile, needed: bool) -> Iterator[int]:
    """Allow one run at a time to fill the cache; others wait. The transfer process inherits the lock.

    A lock that is not C(needed), because nothing will be written, may be missing on a read-only cache.
    """
    path = os.path.join(own_folder(cache_home), "lock")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        if needed:
            raise
        yield -1
        return
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                with suppress(OSError):
                    progress.report(f"waiting for another run that is filling {cache_home}")
                time.sleep(_LOCK_INTERVAL_S)
            except OSError:
                break  # a network file system without locks; the library has its own
        yield lock
    finally:
        os.close(lock)
