# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._hf.cache import RepoCache, RepoFile
from ansible_collections.hgx.inference.plugins.module_utils._hf.verify import (
    Check,
    Memory,
    content_hash,
    find_corrupt,
)
from ansible_collections.hgx.inference.tests.support.hub_server import git_blob

CONTENT = b"{{ content }}\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("name", [SHA256, git_blob(CONTENT)])
def test_content_hash_follows_the_name(blob: Path, name: str) -> None:
    assert content_hash(str(blob), name) == name


def test_what_was_found_good_is_remembered(blob: Path, tmp_path: Path) -> None:
    memory = Memory(str(tmp_path / "memory.json"))
    assert not memory.knows(SHA256, str(blob))
    memory.remember(SHA256, str(blob))
    memory.save()
    assert Memory(str(tmp_path / "memory.json")).knows(SHA256, str(blob))
    assert not Memory(str(tmp_path / "memory.json"), trusted=False).knows(SHA256, str(blob))


def test_untrusted_memory_is_still_kept(blob: Path, tmp_path: Path) -> None:
    memory = Memory(str(tmp_path / "memory.json"))
    memory.remember(SHA256, str(blob))
    memory.save()
    again = Memory(str(tmp_path / "memory.json"), trusted=False)
    again.remember("0" * 64, str(blob))
    assert again.knows("0" * 64, str(blob))
    again.save()
    assert Memory(str(tmp_path / "memory.json")).knows(SHA256, str(blob))


@pytest.mark.parametrize("change", ["content", "time", "file", "gone"])
def test_what_was_written_to_is_forgotten(blob: Path, tmp_path: Path, change: str) -> None:
    memory = Memory(str(tmp_path / "memory.json"))
    memory.remember(SHA256, str(blob))
    if change == "content":
        blob.write_bytes(CONTENT + b"x")
    elif change == "time":
        os.utime(blob, ns=(0, 0))
    elif change == "file":
        times = (blob.stat().st_atime_ns, blob.stat().st_mtime_ns)
        (tmp_path / "other").write_bytes(CONTENT)
        os.utime(tmp_path / "other", ns=times)
        os.replace(tmp_path / "other", blob)
    else:
        blob.unlink()
    assert not memory.knows(SHA256, str(blob))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"x": 1}'])
def test_broken_memory_knows_nothing(blob: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "memory.json").write_text(text)
    assert not Memory(str(tmp_path / "memory.json")).knows(SHA256, str(blob))


def test_memory_that_cannot_be_written_is_no_error(blob: Path) -> None:
    memory = Memory(str(blob / "memory.json"))
    memory.remember(SHA256, str(blob))
    memory.save()


def test_find_corrupt(tmp_path: Path) -> None:
    cache = RepoCache(str(tmp_path), "org/name")
    Path(cache.blobs).mkdir(parents=True)
    checks = []
    for number in range(8):
        content = b"%d" % number
        file = RepoFile(f"{number}.bin", 1, hashlib.sha256(content).hexdigest())
        Path(cache.blob(file.blob)).write_bytes(content if number != 5 else b"x")
        checks.append(Check(cache, "c" * 40, file))
    good: list[Check] = []
    ((corrupt, found),) = find_corrupt(checks, good.append, lambda count: None)
    assert corrupt.file.path == "5.bin"
    assert found == hashlib.sha256(b"x").hexdigest()
    assert len(good) == 7
