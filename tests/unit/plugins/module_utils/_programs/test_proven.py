# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is proven, as metrics, from the records of the releases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.hgx.inference.plugins.module_utils._programs import proven
from ansible_collections.hgx.inference.plugins.module_utils._programs.exposition import render
from ansible_collections.hgx.inference.plugins.module_utils._programs.prometheus import samples

RESULT: dict[str, Any] = {
    "verdict": "pass",
    "finished_at": "1970-01-01T00:01:00Z",
    "metrics": {"mean_tpot_ms": 21.0, "steady_output_throughput": 1439.0, "broken": None},
    "workload": {"max_concurrency": 32, "input_len": 8192, "output_len": 2048},
    "checks": [
        {"name": "mean_tpot_ms", "op": "<=", "limit": 25.0, "status": "pass"},
        {"name": "no_other_traffic", "status": "pass"},
    ],
}


def write(state: Path, release: str, result: Any = None, points: Any = None) -> None:
    folder = state / "releases" / release
    folder.mkdir(parents=True)
    record = {
        "id": release,
        "recipe": "kimi",
        "profile": "published",
        "image": {"name": "v", "digest": "", "id": "sha256:1"},
    }
    (folder / "release.json").write_text(json.dumps(record))
    for name, content in (("benchmark.json", result), (proven.POINTS, points)):
        if content is not None:
            (folder / name).write_text(json.dumps(content))


def told(state: Path) -> dict[str, float]:
    return {name + labels: value for name, labels, value in samples(render(proven.read(str(state), "vllm")))}


def test_the_figures_are_those_of_the_current_release(tmp_path: Path) -> None:
    write(tmp_path, "a" * 12, RESULT)
    point = {"concurrency": 8, "metrics": {"mean_tpot_ms": 9.0}}
    write(tmp_path, "b" * 12, {**RESULT, "verdict": "warn"}, [point, {"concurrency": 16, "metrics": {}}, "damaged"])
    (tmp_path / "current").symlink_to(f"releases/{'b' * 12}")
    found = told(tmp_path)
    own = f'server="vllm",release="{"b" * 12}"'
    assert found[f'hgx_release_proven{{server="vllm",release="{"a" * 12}",verdict="pass"}}'] == 1
    assert found[f'hgx_release_proven{{{own},verdict="warn"}}'] == 1
    assert found[f"hgx_proof_timestamp_seconds{{{own}}}"] == 60
    assert found[f'hgx_proof_limit{{{own},metric="mean_tpot_ms",op="<="}}'] == 25
    assert found[f'hgx_proof_workload{{{own},part="concurrency"}}'] == 32
    figures = {
        name: value for name, value in found.items() if name.startswith(("hgx_proof_figure", "hgx_proof_point_t"))
    }
    assert figures == {
        f'hgx_proof_figure{{{own},metric="mean_tpot_ms"}}': 21,
        f'hgx_proof_figure{{{own},metric="steady_output_throughput"}}': 1439,
        f'hgx_proof_point_tpot_seconds{{{own},point="8"}}': 0.009,
        f'hgx_proof_point_tpot_seconds{{{own},point="32"}}': 0.021,
    }
    current = [name for name in found if 'current="1"' in name]
    assert len(current) == 1
    assert 'digest="sha256:1"' in current[0]


def test_what_was_never_proven_has_no_figure(tmp_path: Path) -> None:
    assert told(tmp_path / "nowhere") == {}
    write(tmp_path, "c" * 12)
    (tmp_path / "releases" / ("d" * 12)).mkdir()
    (tmp_path / "current").symlink_to(f"releases/{'c' * 12}")
    assert [name.partition("{")[0] for name in told(tmp_path)] == ["hgx_release_info"]
    (tmp_path / "releases" / ("c" * 12) / "benchmark.json").write_text("[damaged")
    assert [name.partition("{")[0] for name in told(tmp_path)] == ["hgx_release_info"]
