# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the client is told of the server's container; its run is in the tests of the module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.hgx.inference.plugins.module_utils._benchmark.run import tokenizer_args
from ansible_collections.hgx.inference.plugins.module_utils._hf.cache import RepoCache
from ansible_collections.hgx.inference.tests.unit.support.benchmark_runs import WORKLOAD

COMMIT = "c" * 40


def test_the_tokenizer_is_that_of_the_served_commit(tmp_path: Path) -> None:
    cache = RepoCache(str(tmp_path), "org/name")
    Path(cache.snapshot(COMMIT)).mkdir(parents=True)
    container: dict[str, Any] = {
        "Args": ["-c", "exec", "vllm", "serve", "--model", "org/name", "--revision", COMMIT],
        "Config": {"Env": ["A=b"]},
        "Mounts": [{"Source": str(tmp_path), "Destination": "/root/.cache/huggingface"}],
    }
    folder = f"/root/.cache/huggingface/hub/models--org--name/snapshots/{COMMIT}"
    assert tokenizer_args(container, WORKLOAD) == ["--tokenizer", folder]
    assert tokenizer_args(container, {**WORKLOAD, "args": {"tokenizer": "/own"}}) == []
    cache.pin("main", COMMIT)  # which the client finds by itself
    assert tokenizer_args(container, WORKLOAD) == []
    cache.pin("main", "d" * 40)
    assert tokenizer_args(container, WORKLOAD) == ["--tokenizer", folder]
    assert tokenizer_args({**container, "Mounts": []}, WORKLOAD) == []
