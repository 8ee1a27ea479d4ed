# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a server from starting, found while the old one runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._hf.cache import RepoCache, RepoFile
from ansible_collections.hgx.inference.plugins.module_utils._hf.verify import Memory
from ansible_collections.hgx.inference.plugins.module_utils._vllm import precheck

COMMIT = "a" * 40
SHARDS = ["model-1.safetensors", "model-2.safetensors"]
PINNED = {"model": "org/name", "trust-remote-code": True, "revision": COMMIT, "code-revision": COMMIT}


@pytest.mark.parametrize(
    ("address", "key", "refused"),
    [
        ("127.0.0.1", False, False),
        ("0.0.0.0", True, False),
        ("0.0.0.0", False, True),
        ("192.0.2.1", False, True),
        ("", True, True),
        ("::1", False, False),
        ("[2001:db8::1]", True, False),
        ("localhost", True, True),  # Docker takes addresses only
    ],
)
def test_an_open_endpoint(address: str, key: bool, refused: bool) -> None:
    assert bool(precheck.open_endpoint(address, key)) is refused


# A draft is named by a mapping, and in the words of another program by JSON or by options with dots.
DRAFT = {"model": "org/draft", "revision": COMMIT}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"model": "org/name"}, None),
        ({"model": "org/name", "trust-remote-code": False}, None),
        (PINNED, None),
        ({"model": "/srv/model", "trust-remote-code": True}, None),
        ({"model": "org/name", "trust-remote-code": True}, "--revision, --code-revision is none"),
        ({"model": "org/name", "trust-remote-code": ""}, "--revision, --code-revision is none"),
        ({**PINNED, "revision": "main"}, "--revision is none"),
        ({**PINNED, "tokenizer": "org/other"}, "--tokenizer-revision is none"),
        ({**PINNED, "tokenizer": "org/other", "tokenizer-revision": COMMIT}, None),
        ({**PINNED, "tokenizer": "org/name"}, None),
        ({**PINNED, "speculative-config": {"model": "org/draft"}}, "revision in --speculative-config is none"),
        ({**PINNED, "speculative-config": DRAFT}, None),
        ({**PINNED, "speculative-config": '{"model": "org/draft"}'}, "revision in --speculative-config is none"),
        ({**PINNED, "speculative-config": json.dumps(DRAFT)}, None),
        ({**PINNED, "speculative-config.model": "org/draft"}, "revision in --speculative-config is none"),
        ({**PINNED, "speculative-config.model": "org/draft", "speculative-config.revision": COMMIT}, None),
    ],
)
def test_remote_code_is_run_at_a_commit_only(args: dict[str, Any], words: str | None) -> None:
    problems = precheck.remote_code(args)
    assert len(problems) == (words is not None)
    assert words is None or words in problems[0]


@pytest.fixture
def cache(tmp_path: Path) -> RepoCache:
    """Return a cache with two shards that were verified."""
    cache = RepoCache(str(tmp_path), "org/name")
    files = {}
    memory = Memory(cache.memory)
    os.makedirs(cache.blobs)
    for number, name in enumerate(SHARDS):
        blob = f"{number}" * 64
        Path(cache.blob(blob)).write_bytes(b"0123456789")
        cache.link(COMMIT, RepoFile(name, 10, blob))
        memory.remember(blob, cache.blob(blob))
        files[name] = {"size": 10, "blob_id": "b" * 40, "lfs_sha256": blob, "lfs_size": 10}
    memory.save()
    cache.record(COMMIT, {"format_version": 1, "files": files})
    return cache


def test_complete_weights(cache: RepoCache, tmp_path: Path) -> None:
    assert precheck.weights(str(tmp_path), {"org/name": COMMIT}) == []


def test_a_truncated_and_a_missing_shard(cache: RepoCache, tmp_path: Path) -> None:
    Path(cache.blob("0" * 64)).write_bytes(b"01234")
    os.unlink(cache.blob("1" * 64))
    (problem,) = precheck.weights(str(tmp_path), {"org/name": COMMIT})
    assert "model-1.safetensors, model-2.safetensors are missing from, or of a wrong size in," in problem
    assert "playbooks/cache.yml" in problem


def test_a_shard_that_was_written_to_since(cache: RepoCache, tmp_path: Path) -> None:
    with open(cache.blob("1" * 64), "r+b") as stream:
        stream.write(b"X")
    os.utime(cache.blob("1" * 64), (1, 1))
    (problem,) = precheck.weights(str(tmp_path), {"org/name": COMMIT})
    assert problem.startswith("model-2.safetensors is not what was verified")


def test_a_shard_that_was_replaced_in_the_snapshot(cache: RepoCache, tmp_path: Path) -> None:
    shard = Path(cache.snapshot(COMMIT), SHARDS[1])
    shard.unlink()
    shard.write_bytes(b"9876543210")
    (problem,) = precheck.weights(str(tmp_path), {"org/name": COMMIT})
    assert problem.startswith("model-2.safetensors is not what was verified, but was written to since, in")


def test_weights_of_another_program(cache: RepoCache, tmp_path: Path) -> None:
    os.unlink(cache.tree(COMMIT))
    assert precheck.weights(str(tmp_path), {"org/name": COMMIT}) == []
    os.unlink(cache.blob("0" * 64))
    assert "model-1.safetensors is missing from" in precheck.weights(str(tmp_path), {"org/name": COMMIT})[0]


@pytest.mark.parametrize("commit", ["", "b" * 40])
def test_no_weights(cache: RepoCache, tmp_path: Path, commit: str) -> None:
    (problem,) = precheck.weights(str(tmp_path), {"org/name": commit})
    assert "is not in the cache" in problem


def test_memory_counts_what_the_old_server_gives_back() -> None:
    gib = 1024**3
    assert precheck.memory(3, 2 * gib, gib) == []
    (problem,) = precheck.memory(4, 2 * gib, gib)
    assert "needs 4 GiB of memory (vllm_memory_gib); 2.0 GiB are available, 1.0 GiB are held" in problem


@pytest.mark.parametrize(
    ("draft", "is_warned"),
    [
        ({"method": "eagle3"}, False),
        ({"method": "eagle3", "rejection_sample_method": "synthetic"}, True),
        ('{"rejection_sample_method": "synthetic"}', True),
        (None, False),
    ],
)
def test_a_server_whose_answers_are_nonsense(draft: Any, is_warned: bool) -> None:
    assert ("nonsense" in precheck.synthetic({"speculative-config": draft})) is is_warned


def test_shared_memory() -> None:
    assert precheck.shared_memory(16, 1, "") == []
    assert precheck.shared_memory(0, 0, "host") == []
    assert "size=32G" in precheck.shared_memory(16, 1, "host")[0]


def test_a_port_that_another_program_has() -> None:
    assert precheck.port("127.0.0.1", 8001, None) == []
    assert precheck.port("::1", 8001, "taken by nginx (pid 7)")[0].startswith("[::1]:8001 is taken by nginx (pid 7).")
