# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The standard Hugging Face cache on disk: its paths, and which files of a snapshot are present or missing.

Needs neither huggingface_hub nor the network. The layout is the one huggingface_hub 2.4 writes:

    hub/models--ORG--NAME/refs/REVISION         the commit of a branch or tag; any program may move it
    hub/models--ORG--NAME/trees/COMMIT.json     every file of the commit, with its size and hashes
    hub/models--ORG--NAME/blobs/HASH            content (sha256 of a large file, git's hash of a small one)
    hub/models--ORG--NAME/blobs/HASH.*.incomplete
    hub/models--ORG--NAME/snapshots/COMMIT/...  links into blobs

Our own folder beside hub holds what no other program needs: the lock, the list of verified files, and for each
repository the pins, a mapping of revision to commit.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from .._core.files import read_text, replace_link, replace_text
from .._core.units import human_bytes

COMMIT = re.compile(r"[0-9a-f]{40}")
_REPO = re.compile(r"([A-Za-z0-9_][\w.-]*/)?[A-Za-z0-9_][\w.-]*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_NAME = 255
_HASH = re.compile(r"[0-9a-f]{40,64}")
_TREE_FORMAT = 1
_PARTIAL_SUFFIX = ".incomplete"
_ASIDE_SUFFIX = ".corrupt"


class CacheError(ValueError):
    """An invalid repository, revision or file name; the message says why."""


@dataclass(frozen=True)
class RepoFile:
    """One file of a commit. C(blob) is the hash of its content; C(xet) says that the Hub stores it in chunks."""

    path: str
    size: int
    blob: str
    xet: bool = False

    def __post_init__(self) -> None:
        # Both come from a server and become paths on this disk.
        parts = self.path.split("/")
        is_name = all(part not in ("", ".", "..") and len(os.fsencode(part)) <= _LONGEST_NAME for part in parts)
        if not is_name or _CONTROL.search(self.path) or not _HASH.fullmatch(self.blob) or self.size < 0:
            raise CacheError(f"The endpoint lists a file that cannot be stored: {self.path!r}, hash {self.blob!r}.")


@dataclass(frozen=True)
class SnapshotState:
    """Which parts of a snapshot are on disk. Bytes count each blob once, even if several files share it.

    C(replaced) are missing files whose blob is present, but whose path in the snapshot leads to another file.
    """

    files: int
    bytes_total: int
    bytes_present: int
    missing: tuple[RepoFile, ...]
    damaged: tuple[str, ...]
    replaced: tuple[RepoFile, ...]

    @property
    def complete(self) -> bool:
        return not self.missing

    @property
    def bytes_missing(self) -> int:
        return self.bytes_total - self.bytes_present


class RepoCache:
    """The part of a cache that belongs to one model repository."""

    def __init__(self, cache_home: str, repo: str) -> None:
        if not _REPO.fullmatch(repo):
            raise CacheError(f"{repo!r} is not the name of a repository. Give it as ORGANISATION/NAME.")
        folder = "models--" + repo.replace("/", "--")
        self.repo = repo
        self.folder = folder
        self.hub = os.path.join(cache_home, "hub")
        self.root = os.path.join(self.hub, folder)
        self.memory = os.path.join(own_folder(cache_home), "verified", f"{folder}.json")
        self.blobs = os.path.join(self.root, "blobs")
        self._pins = os.path.join(own_folder(cache_home), "pins", f"{folder}.json")
        self._locks = os.path.join(self.hub, ".locks", folder)

    def snapshot(self, commit: str) -> str:
        return os.path.join(self.root, "snapshots", commit)

    def blob(self, name: str) -> str:
        return os.path.join(self.blobs, name)

    def blob_lock(self, name: str) -> str:
        """Return the file that huggingface_hub locks while it downloads the blob."""
        return os.path.join(self._locks, f"{name}.lock")

    def kept_partial(self, name: str) -> str:
        """Return our own path for an unfinished blob that is written sequentially."""
        return self.blob(f"{name}.kept{_PARTIAL_SUFFIX}")

    def saved_partial(self, name: str) -> str:
        """Return the second path that keeps what the library would delete; the file may have holes."""
        return self.blob(f"{name}.saved{_PARTIAL_SUFFIX}")

    def aside(self, name: str) -> str:
        """Return the path that a blob with a wrong hash is moved to until a good one is there."""
        return self.blob(f"{name}{_ASIDE_SUFFIX}")

    def content(self, commit: str, file: RepoFile) -> str:
        """Return the path of a file's content: its blob, or the snapshot itself where links are not possible."""
        blob = self.blob(file.blob)
        return blob if os.path.exists(blob) else os.path.join(self.snapshot(commit), file.path)

    def link(self, commit: str, file: RepoFile) -> None:
        """Link the file in the snapshot to its blob."""
        link = os.path.join(self.snapshot(commit), file.path)
        target = os.path.relpath(self.blob(file.blob), os.path.dirname(link))
        if os.path.islink(link) and os.readlink(link) == target:
            return
        os.makedirs(os.path.dirname(link), exist_ok=True)
        replace_link(link, target)

    def set_aside(self, commit: str, file: RepoFile) -> str:
        """Move a corrupt file out of the way and return its new path."""
        os.replace(self.content(commit, file), self.aside(file.blob))
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self.snapshot(commit), file.path))
        return self.aside(file.blob)

    def pinned_commit(self, revision: str) -> str | None:
        """Return the commit that was recorded for a branch or tag; a commit is its own pin.

        A cache that only other programs have filled has no pins: there, what they recorded is adopted.
        """
        if COMMIT.fullmatch(revision):
            return revision
        return self._own_pins().get(revision) or self.referenced_commit(revision)

    def has_pin(self, revision: str) -> bool:
        """Return whether the commit of a revision can no longer be moved by other programs."""
        return bool(COMMIT.fullmatch(revision)) or revision in self._own_pins()

    def referenced_commit(self, revision: str) -> str | None:
        """Return the commit that Hugging Face programs take for a branch or tag without asking the Hub."""
        commit = read_text(self._ref(revision)).strip()
        return commit if COMMIT.fullmatch(commit) else None

    def pin(self, revision: str, commit: str) -> None:
        """Record the commit that a branch or tag was resolved to, also for other programs.

        A reference that another program has moved stays.
        """
        if COMMIT.fullmatch(revision):
            return
        pins, ref = self._own_pins(), self._ref(revision)
        if pins.get(revision) == commit:
            return
        replace_text(self._pins, json.dumps({**pins, revision: commit}, indent=1))
        if self.referenced_commit(revision) != commit:
            replace_text(ref, commit)

    def _own_pins(self) -> dict[str, str]:
        try:
            pins = json.loads(read_text(self._pins))
        except (ValueError, RecursionError):
            return {}
        if not isinstance(pins, dict):
            return {}
        return {str(name): str(commit) for name, commit in pins.items() if COMMIT.fullmatch(str(commit))}

    def tree(self, commit: str) -> str:
        return os.path.join(self.root, "trees", f"{commit}.json")

    def recorded_files(self, commit: str) -> list[RepoFile] | None:
        """Return the files of a commit as the library or this module recorded them, or None if there is no record.

        A record without any file is none.
        """
        try:
            with open(self.tree(commit), encoding="utf-8") as stream:
                return parse_tree(json.load(stream)) or None
        except (OSError, ValueError, RecursionError):
            return None

    def record(self, commit: str, tree: object) -> None:
        """Record the files of a commit for every Hugging Face program; for the shape see C(parse_tree)."""
        replace_text(self.tree(commit), json.dumps(tree, indent=1))

    def partials(self) -> dict[str, list[str]]:
        """Return blob name -> paths of its unfinished downloads, largest first."""
        found: dict[str, list[tuple[int, str]]] = {}
        try:
            with os.scandir(self.blobs) as entries:
                for entry in entries:
                    if entry.name.endswith(_PARTIAL_SUFFIX):
                        size = written_bytes(entry.path)
                        found.setdefault(entry.name.split(".")[0], []).append((size, entry.path))
        except OSError:
            return {}
        return {name: [path for _size, path in sorted(paths, reverse=True)] for name, paths in found.items()}

    def claim_partial(self, file: RepoFile) -> str:
        """Take over the largest unfinished download of the blob, remove the others, and return its path.

        The caller must hold the blob's lock.
        """
        kept = self.kept_partial(file.blob)
        claimed = False
        for path in self.partials().get(file.blob, []):
            size = os.stat(path).st_size
            # A file with holes was not written sequentially.
            if not claimed and size <= file.size and size <= written_bytes(path):
                os.replace(path, kept)
                claimed = True
            elif not (claimed and path == kept):
                os.unlink(path)
        return kept

    def save_partials(self) -> None:
        """Hard-link every unfinished download of the library, because the library deletes it when it fails."""
        for blob, paths in self.partials().items():
            saved = self.saved_partial(blob)
            if paths[0] in (saved, self.kept_partial(blob)):
                continue
            # Without hard links only the safety net is lost. A file may vanish between two calls.
            with suppress(OSError):
                if os.path.exists(saved):
                    if os.path.samefile(paths[0], saved):
                        continue
                    os.unlink(saved)  # it has fewer bytes
                os.link(paths[0], saved)

    def drop_leftovers(self) -> None:
        """Remove the leftovers of a finished blob: our partial files, and the corrupt one that was set aside."""
        with suppress(FileNotFoundError):
            for name in os.listdir(self.blobs):
                blob, _dot, rest = name.partition(".")
                ours = rest in ("corrupt", "kept.incomplete", "saved.incomplete")
                if ours and os.path.exists(self.blob(blob)):
                    with suppress(OSError):  # they take space, and nothing else
                        os.unlink(self.blob(name))

    def state(self, commit: str, files: Iterable[RepoFile]) -> SnapshotState:
        """Compare the disk with the files of a commit: names, sizes, and the targets of the snapshot's links."""
        partials = self.partials()
        sizes: dict[str, int] = {}
        present: dict[str, int] = {}
        missing: list[RepoFile] = []
        damaged: set[str] = set()
        replaced: list[RepoFile] = []
        count = 0
        for file in files:
            count += 1
            sizes[file.blob] = file.size
            link, blob = os.path.join(self.snapshot(commit), file.path), self.blob(file.blob)
            shown, stored = _status(link), _status(blob)
            found = {path: status.st_size for path, status in ((link, shown), (blob, stored)) if status}
            damaged.update(path for path, size in found.items() if size != file.size)
            # Only blobs are hashed, so a file that replaces the link, as "sed -i" leaves it, would go unnoticed.
            if shown and stored and stored.st_size == file.size and not os.path.samestat(shown, stored):
                damaged.add(link)
                replaced.append(file)
                missing.append(file)
            elif found.get(link) != file.size:
                missing.append(file)
            if file.size in found.values():
                present[file.blob] = file.size
            elif file.blob in partials:
                present[file.blob] = min(written_bytes(partials[file.blob][0]), file.size)
        return SnapshotState(
            files=count,
            bytes_total=sum(sizes.values()),
            bytes_present=sum(present.values()),
            missing=tuple(missing),
            damaged=tuple(sorted(damaged)),
            replaced=tuple(replaced),
        )

    def _ref(self, revision: str) -> str:
        inside = os.path.normpath(revision)
        if inside.startswith(("/", ".")) or _CONTROL.search(revision):
            raise CacheError(f"{revision!r} is not a revision. Give a branch, a tag or a commit.")
        return os.path.join(self.root, "refs", inside)


def parse_tree(tree: object) -> list[RepoFile] | None:
    """Return the files of a C(trees/COMMIT.json), or None if it has another format.

    Raises CacheError for a file that cannot be stored.

    Shape: C({"format_version": 1, "files": {PATH: {"size", "blob_id", "lfs_sha256"?, "lfs_size"?, "xet_hash"?}}}).
    """
    if not isinstance(tree, dict) or tree.get("format_version") != _TREE_FORMAT:
        return None
    try:
        return [
            RepoFile(
                path=path,
                size=int(entry.get("lfs_size") or entry["size"]),
                blob=entry.get("lfs_sha256") or entry["blob_id"],
                xet=bool(entry.get("xet_hash")),
            )
            for path, entry in tree["files"].items()
        ]
    except CacheError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None


def list_hash(files: Iterable[RepoFile]) -> str:
    """Return a hash of the names, sizes and contents of a commit's files, the same on every node."""
    lines = sorted(json.dumps([file.path, file.size, file.blob]) for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def space_problem(path: str, missing: int, reserve: int, free: int) -> str | None:
    """Return why C(missing) bytes must not be written, or None if they may be."""
    lack = missing + reserve - free
    if not missing or lack <= 0:
        return None
    return (
        f"The file system of {path} has {human_bytes(free)} free. The download needs {human_bytes(missing)} and "
        f"{human_bytes(reserve)} must stay free, so {human_bytes(lack)} are missing. "
        "Free space there, move the cache to a larger file system, or lower the reserve."
    )


def own_folder(cache_home: str) -> str:
    """Return this collection's own folder, which is beside C(hub)."""
    return os.path.join(cache_home, "hgx-inference")


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def written_bytes(path: str) -> int:
    """Return how many bytes of an unfinished file were really written: some writers set its final size first."""
    try:
        status = os.stat(path)
    except OSError:
        return 0
    if path.endswith(f".kept{_PARTIAL_SUFFIX}"):
        return status.st_size  # on a compressing file system the blocks would say less
    return min(status.st_size, status.st_blocks * 512)
