# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find and remove the parts of a repository's cache that no wanted revision needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from .cache import RepoCache


@dataclass(frozen=True)
class Waste:
    """Paths that can be removed. C(revisions) are commits, C(size) is in bytes."""

    revisions: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    size: int = 0

    def remove(self) -> None:
        # References first, so that after an interruption nothing points to a half-removed snapshot.
        for path in self.paths:
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                with suppress(FileNotFoundError):
                    os.unlink(path)


def find_waste(cache: RepoCache, keep: set[str]) -> Waste:
    """Return the references, snapshots, records and blobs that belong only to commits not in C(keep)."""
    snapshots = os.path.join(cache.root, "snapshots")
    kept = keep & set(_names(snapshots))
    needed = {
        os.path.basename(os.path.realpath(path)) for commit in kept for path in _files(os.path.join(snapshots, commit))
    }
    needed |= {file.blob for commit in keep for file in cache.recorded_files(commit) or []}
    references = [path for path in _files(os.path.join(cache.root, "refs")) if _text(path) not in keep]
    revisions = sorted(set(_names(snapshots)) - keep)
    trees = [path for path in _files(os.path.join(cache.root, "trees")) if os.path.basename(path)[:40] not in keep]
    blobs = [cache.blob(name) for name in _names(cache.blobs) if name.split(".")[0] not in needed]
    return Waste(
        revisions=tuple(revisions),
        paths=(*references, *(os.path.join(snapshots, commit) for commit in revisions), *trees, *sorted(blobs)),
        size=sum(os.lstat(path).st_size for path in blobs),
    )


def _names(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []


def _files(folder: str) -> Iterator[str]:
    for parent, _folders, names in os.walk(folder):
        for name in names:
            yield os.path.join(parent, name)


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read().strip()
