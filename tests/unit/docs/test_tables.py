# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the documentation makes of data, and that it names only what exists."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.hgx.inference.docs import tables

PAGES = [tables.README, *(tables.ROOT / "docs").rglob("*.md")]


def test_the_readme_holds_the_evidence_as_it_is() -> None:
    readme = tables.README.read_text(encoding="utf-8")
    assert tables.with_evidence(readme, tables.load_evidence()) == readme, "run `make evidence`"


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


def test_evidence_is_shown_by_something() -> None:
    for claim in tables.load_evidence()["claims"]:
        for place in claim["shown_by"].split(", "):
            assert place == "nothing yet" or (tables.ROOT / place).exists(), place


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
