# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server is compared with the newest good results of its siblings, if they carried the same load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.filter.sibling_thresholds import sibling_thresholds

LOAD = {"input_len": 8192, "output_len": 2048, "max_concurrency": 32, "sizes": {"smoke": 128}, "seed": None}
ALIKE = {"metadata": {"recipe": "kimi", "profile": "published"}, "size": "smoke", "workload": LOAD}
FLEET: dict[str, list[dict[str, Any]]] = {"node1": [], "node2": [{"name": "a"}, {"name": "b"}], "node3": []}


def keep(folder: Path, server: str, figure: float, day: int = 1, **changes: Any) -> None:
    record = {
        "verdict": "pass",
        "metrics": {"steady_output_throughput": figure},
        "metadata": {"recipe": "kimi", "profile": "published", "title": "x", "instance": "a"},
        "size": "smoke",
        "workload": {**LOAD, "sizes": {}, "time_limit_s": 900},
        **changes,
    }
    (folder / server).mkdir(exist_ok=True)
    (folder / server / f"202611{day:02d}T100000Z-smoke.json").write_text(json.dumps(record), encoding="utf-8")


def compare(folder: Path, server: str = "node3", **changes: Any) -> list[dict[str, Any]]:
    wanted: dict[str, Any] = {"alike": ALIKE, "tolerance": "10%", "severity": "fail", "results": str(folder), **changes}
    return sibling_thresholds(FLEET, server=server, **wanted)


def test_a_server_is_compared_with_the_median_of_its_siblings(tmp_path: Path) -> None:
    for server, figure in (("node1", 1000), ("node2-a", 1100), ("node2-b", 5000), ("node3", 1), ("other", 9000)):
        keep(tmp_path, server, figure)
    assert compare(tmp_path) == [
        {
            "metric": "steady_output_throughput",
            "op": ">=",
            "value": 1100,
            "tolerance": "10%",
            "severity": "fail",
            "source": "the median of node1, node2-a, node2-b",
        }
    ]


def test_the_newest_good_result_counts(tmp_path: Path) -> None:
    keep(tmp_path, "node1", 900, day=1)
    keep(tmp_path, "node1", 1000, day=2)
    keep(tmp_path, "node1", 10, day=3, verdict="fail")
    keep(tmp_path, "node1", 10, day=4, verdict="invalid", metrics={})
    (tmp_path / "node1" / "20261105T100000Z-smoke.json").write_text("{")
    (found,) = compare(tmp_path)
    assert (found["value"], found["source"]) == (1000, "the newest run of node1")


@pytest.mark.parametrize(
    "changes",
    [
        {"size": "full"},
        {"workload": {**LOAD, "max_concurrency": 8}},
        {"metadata": {"recipe": "kimi", "profile": "agentic"}},
        {"metrics": {}},
        {"verdict": "fail"},
    ],
)
def test_another_load_is_not_compared(tmp_path: Path, changes: dict[str, Any]) -> None:
    keep(tmp_path, "node1", 1000, **changes)
    assert compare(tmp_path) == []


def test_nothing_is_compared_without_results_or_a_tolerance(tmp_path: Path) -> None:
    assert compare(tmp_path) == []
    keep(tmp_path, "node1", 1000)
    assert compare(tmp_path, tolerance="") == []
    assert compare(tmp_path, results="") == []
    assert compare(tmp_path, server="node1") == []
