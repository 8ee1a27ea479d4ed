# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of vLLM's versions."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.hgx.inference.docs import versions

RECORD: dict[str, Any] = {
    "version": "0.19.1",
    "torch": "2.10.0+cu128",
    "transformers": "4.57.6",
    "site": {"passed": True},
    "checks": {"chat": "pass", "messages": "warn", "key": "skipped"},
    "told": {"messages": "A message of the role system is refused."},
    "interfaces": {"system_role": 400},
    "claude_code": {"works": True, "failed_requests": 1},
    "killed_engine": {"exit_code": 0},
    "wrong_flag": {"refused": True},
    "profiles": {
        "published": {"works": False, "line": "AssertionError: spec decode is not supported."},
        "mla": {"works": False, "line": "NotImplementedError: `MLA` | none"},
    },
}


def test_a_version_and_its_own_words() -> None:
    page = versions.versions_page([RECORD])
    row = page.splitlines()[2]
    assert row == (
        "| 0.19.1 | 2.10.0+cu128, 4.57.6 | PASS | 1 of 2 | **no** | **no** | **HTTP 400** | works; 1 failed request a"
        " conversation | refused before the start | container ends with exit code 0 |"
    )
    assert "| 0.19.1 | draft | `AssertionError: spec decode is not supported.` |" in page
    assert "| 0.19.1 | MLA | `NotImplementedError: 'MLA' \\| none` |" in page
    assert "check `messages`: warn" in page


def test_a_version_that_does_not_serve_still_has_its_row() -> None:
    failed = {**RECORD, "site": {"passed": False, "line": "ImportError: x"}, "checks": {}, "told": {}}
    for name in ("torch", "transformers", "interfaces", "claude_code", "killed_engine"):
        del failed[name]
    page = versions.versions_page([failed])
    assert "| 0.19.1 |  | **fails** |" in page
    assert "| 0.19.1 | site | `ImportError: x` |" in page


def test_the_records_are_of_the_versions_of_the_demo() -> None:
    known = json.loads((versions.ROOT / "demo" / "versions.json").read_text(encoding="utf-8"))
    recorded = [record["version"] for record in versions.load_records()]
    assert {"0.19.1", known["newest"]} <= set(recorded) <= set(known["versions"])
