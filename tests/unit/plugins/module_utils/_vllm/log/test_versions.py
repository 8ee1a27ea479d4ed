# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read of each version of vLLM: logs and client results that `make matrix` has recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.docs.versions import load_records
from ansible_collections.hgx.inference.plugins.module_utils._programs.benchmark_worker import (
    COUNTERS,
    condense,
    problems_of,
)
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.diagnose import diagnose
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.phases import Start

RECORDED = Path(__file__).parents[4] / "fixtures" / "versions"
RECORDS = {record["version"]: record for record in load_records()}


def lines_of(version: str, name: str) -> list[str]:
    return (RECORDED / version / f"{name}.log").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("version", RECORDS)
def test_a_healthy_start_names_no_cause_and_has_its_phases(version: str) -> None:
    lines = lines_of(version, "start")
    assert diagnose(lines) is None
    start = Start(0)
    for line in lines:
        start.feed(line)
    result = start.result()
    names = [phase["name"] for phase in result["phases"]]
    assert names[:3] == ["process", "configuration", "engine"]
    assert {"weights", "kv_cache", "api_server"} <= set(names)
    assert ("draft" in names) is ("acceptance_length" in RECORDS[version]["benchmark"])
    assert result["kv_cache_tokens"] > 65536


FAILURES = [(version, path.stem) for version in RECORDS for path in sorted((RECORDED / version).glob("*.log"))]


@pytest.mark.parametrize(("version", "profile"), [each for each in FAILURES if each[1] not in ("start", "killed")])
def test_a_failure_has_its_cause(version: str, profile: str) -> None:
    found = diagnose(lines_of(version, profile), 1)
    assert found is not None
    assert found.signature.key == RECORDS[version]["profiles"][profile]["cause"]


@pytest.mark.parametrize("version", RECORDS)
def test_the_result_of_the_benchmark_client_is_read(version: str) -> None:
    result: dict[str, Any] = json.loads((RECORDED / version / "client.json").read_text(encoding="utf-8"))
    assert problems_of(result) == []
    condensed = condense(result)
    assert condensed["completed"] == len(condensed["e2els"]) == 8
    assert condensed["contradictions"] == []
    assert set(RECORDS[version]["client_keys"]) == set(result)


@pytest.mark.parametrize("version", RECORDS)
def test_every_metric_that_is_read_exists(version: str) -> None:
    names = set(RECORDS[version]["interfaces"]["metrics"])
    has_draft = "acceptance_length" in RECORDS[version]["benchmark"]
    newer = {"external_cache_hits", "prompt_tokens_cached"}
    wanted = {name for short, name in COUNTERS.items() if short not in newer}
    assert {name for name in wanted if "spec_decode" not in name or has_draft} <= names
