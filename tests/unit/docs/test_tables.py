# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the documentation makes of data, and that it names only what exists."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.hgx.inference.docs import tables
from ansible_collections.hgx.inference.plugins.module_utils._endpoint import findings, shapes

PAGES = [tables.README, *(tables.ROOT / "docs").rglob("*.md")]


def test_the_readme_holds_the_evidence_as_it_is() -> None:
    readme = tables.README.read_text(encoding="utf-8")
    assert tables.with_evidence(readme, tables.load_evidence(), tables.load_recipe()) == readme, "run `make evidence`"


def test_the_estimates_of_a_first_run() -> None:
    recipe = {
        "hardware": {"disk_gb": {"weights": 60}, "price_usd_per_hour": 30},
        "estimates": {"image_min": [5, 12], "download_mb_s": [1000, 100], "start_min": [15, 30]},
        "benchmark": {
            "sizes": {"quick": 900, "smoke": 80},
            "max_concurrency": 85,
            "warmup_prompts": 10,
            "output_len": 1000,
        },
        "thresholds": [{"metric": "steady_output_throughput", "value": 1500}],
    }
    rows = [one.row() for one in tables.estimates(recipe)]
    assert [row[:2] for row in rows] == [
        ["weights, up to 60 GB, and image beside them", "5-12"],
        ["load and start", "15-30"],
        ["benchmark `smoke`", "1"],
        ["**first run with `smoke`**", "21-43"],
        ["changed configuration, weights cached", "16-31"],
    ]
    assert rows[2][2].endswith("at 1500 tok/s; `quick` takes 2, or 10 if two waves do not decide")
    assert rows[-2][2] == "10-22 USD at 30 USD an hour"
    recipe["hardware"]["price_usd_per_hour"] = None  # type: ignore[index]
    assert tables.estimates(recipe)[-1].basis == "price unknown"


def test_what_has_not_run_stands_out() -> None:
    claim = {"what": "`site.yml`", "cpu": True, "b200": False, "h100": "no; not | yet", "shown_by": "tests/e2e"}
    evidence = {"hardware": {"cpu": "CPU", "b200": "B200", "h100": "H100"}, "claims": [claim]}
    assert tables.evidence_table(evidence) == (
        "|  | CPU | B200 | H100 | shown by |\n| --- | --- | --- | --- | --- |\n"
        "| `site.yml` | yes | **no** | **no**; not \\| yet | tests/e2e |\n"
    )


def test_the_readme_shows_the_claims_that_say_so() -> None:
    claims = [{"what": "shown", "readme": True, "cpu": True}, {"what": "not shown", "cpu": True}]
    assert tables.readme_table({"hardware": {"cpu": "CPU"}, "claims": claims}) == (
        "|  | CPU |\n| --- | --- |\n| shown | yes |\n"
    )


def test_each_claim_says_something_of_all_hardware() -> None:
    evidence = tables.load_evidence()
    for claim in evidence["claims"]:
        assert set(evidence["hardware"]) <= set(claim), claim["what"]


def test_evidence_is_shown_by_something() -> None:
    for claim in tables.load_evidence()["claims"]:
        for place in claim["shown_by"].split(", "):
            assert place == "nothing yet" or (tables.ROOT / place).exists(), place


def test_clients_of_the_same_outcome_share_a_row() -> None:
    def client(version: str, refused: str, failed: int) -> dict[str, Any]:
        return {"version": version, "accepted": "works", "refused": refused, "failed_requests": failed}

    tried = {
        "__llm_client_vllm_tried": [
            {"version": "0.22", "accepts_system_role": False},
            {"version": "0.23", "accepts_system_role": True},
        ],
        "__llm_client_claude_code_tried": [
            *(client("1", "works", 0), client("2", "fails", 1), client("3", "fails", 4), client("4", "works", 1)),
        ],
    }
    assert tables.clients_table(tried).splitlines()[2:] == [
        "| 1 | works | works |",
        "| 2 to 3 (2 tried) | **fails** | works |",
        "| 4 | works; 1 request of each conversation fails | works |",
    ]


def test_the_advice_of_the_checks_names_the_versions_that_were_tried() -> None:
    tried = tables.load_clients()["__llm_client_claude_code_tried"]
    sends = [one for one in tried if one["sends_system_role"]]
    first, falls_back = sends[0]["version"], next(one["version"] for one in sends if one["refused"] == "works")
    for cause in (findings.SYSTEM_ROLE, findings.SYSTEM_ROLE_IN_OTHER_WORDS):
        assert f"Claude Code {first} and newer send one. {falls_back} and newer" in findings.ADVICE[cause]
    assert shapes.CLAUDE_CODE.client == f"Claude Code {tried[-1]['version']}"


def test_signatures_are_shown_as_they_are_written() -> None:
    one = SimpleNamespace(key="no-gpu", title="No GPU", cause="<none> of *them*", fix="Set CUDA_X=1", alternatives=())
    assert tables.troubleshooting_table([one]).splitlines()[-1] == (
        "| **No GPU** `no-gpu` | &lt;none&gt; of \\*them\\* | Set CUDA\\_X=1 |"
    )


def test_each_of_several_causes_is_shown_with_its_test() -> None:
    each = [SimpleNamespace(cause=f"Cause {name}.", test=f"see {name}.", fix=f"do {name}.") for name in "AB"]
    one = SimpleNamespace(key="k", title="T", cause="Seen.", fix="", alternatives=each)
    assert tables.troubleshooting_table([one]).splitlines()[-1] == (
        "| **T** `k` | Seen. (1) Cause A. (2) Cause B. | (1) Test: see A. If so: do A. (2) Test: see B. If so: do B. |"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_playbooks_and_targets_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    playbooks = set(re.findall(r"(?:playbooks|demo)/\w+\.yml", text))
    assert [name for name in sorted(playbooks) if not (tables.ROOT / name).exists()] == []
    makefile = (tables.ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z][a-z0-9-]*)", text, re.MULTILINE)) <= targets
