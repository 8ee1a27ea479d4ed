# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._hf.cache import RepoCache, RepoFile
from ansible_collections.hgx.inference.plugins.module_utils._hf.prune import find_waste

OLD, NEW = "a" * 40, "b" * 40
SHARED, OF_OLD, OF_NEW = (RepoFile(f"{digit}.bin", 10, digit * 64) for digit in "123")


@pytest.fixture
def cache(tmp_path: Path) -> RepoCache:
    cache = RepoCache(str(tmp_path), "org/name")
    Path(cache.blobs).mkdir(parents=True)
    for commit, own in ((OLD, OF_OLD), (NEW, OF_NEW)):
        for file in (SHARED, own):
            Path(cache.blob(file.blob)).write_bytes(b"x" * 10)
            cache.link(commit, file)
        cache.record(commit, {"format_version": 1, "files": {}})
    cache.pin("main", NEW)
    cache.pin("v1", OLD)
    Path(cache.blob(f"{OF_OLD.blob}.kept.incomplete")).write_bytes(b"x")
    return cache


def content(cache: RepoCache) -> set[str]:
    return {
        os.path.relpath(os.path.join(folder, name), cache.root)
        for folder, _folders, names in os.walk(cache.root)
        for name in names
    }


def test_what_only_others_need_goes(cache: RepoCache) -> None:
    waste = find_waste(cache, {NEW})
    assert (waste.revisions, waste.size) == ((OLD,), 11)
    waste.remove()
    assert content(cache) == {
        "refs/main",
        f"trees/{NEW}.json",
        f"snapshots/{NEW}/1.bin",
        f"snapshots/{NEW}/3.bin",
        f"blobs/{SHARED.blob}",
        f"blobs/{OF_NEW.blob}",
    }
    assert cache.state(NEW, [SHARED, OF_NEW]).complete
    assert not find_waste(cache, {NEW}).paths


def test_what_is_kept_stays(cache: RepoCache) -> None:
    assert find_waste(cache, {NEW, OLD}).paths == ()


def test_blobs_of_a_kept_commit_that_is_not_complete_stay(cache: RepoCache) -> None:
    entry = {"size": 10, "blob_id": "9" * 40, "lfs_sha256": OF_OLD.blob, "lfs_size": 10}
    cache.record(NEW, {"format_version": 1, "files": {"more.bin": entry}})
    find_waste(cache, {NEW}).remove()
    assert Path(cache.blob(OF_OLD.blob)).exists()


def test_no_cache_no_waste(tmp_path: Path) -> None:
    assert not find_waste(RepoCache(str(tmp_path), "org/name"), {NEW}).paths
