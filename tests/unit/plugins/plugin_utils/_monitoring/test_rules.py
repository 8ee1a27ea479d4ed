# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The alarms: their settings, and that each is described and has cases for promtool, which molecule/monitoring runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.plugin_utils._monitoring import rules
from ansible_collections.hgx.inference.tests.support import rule_cases

GUIDE = (Path(__file__).parents[5] / rules.RUNBOOK).read_text(encoding="utf-8")


@pytest.mark.parametrize("alarm", rules.ALARMS, ids=lambda alarm: alarm.name)
def test_an_alarm_has_a_runbook_and_cases(alarm: rules.Alarm) -> None:
    assert GUIDE.count(f"\n#### {alarm.name}\n") == 1
    case = rule_cases.CASES[alarm.name]
    assert case.fires != case.almost


def test_settings_change_an_alarm_and_no_other() -> None:
    settings = {"VllmStalled": {"for": "5s", "window": "20s"}, "KvCacheFull": {"limit": 0.5, "severity": "page"}}
    before = {rule["alert"]: rule for rule in rules.rules({})["groups"][0]["rules"]}
    after = {rule["alert"]: rule for rule in rules.rules(settings)["groups"][0]["rules"]}
    assert {name for name in before if before[name] != after[name]} == set(settings)
    assert (after["VllmStalled"]["for"], "[20s]" in after["VllmStalled"]["expr"]) == ("5s", True)
    assert after["KvCacheFull"]["expr"].endswith("> 0.5")
    without = rules.rules({"KvCacheFull": {"enabled": False}})["groups"][0]["rules"]
    assert "KvCacheFull" not in {rule["alert"] for rule in without}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"VllmStaled": {}}, "There is no alarm 'VllmStaled'; did you mean 'VllmStalled'?"),
        ({"VllmStalled": 5}, "VllmStalled needs a mapping"),
        ({"VllmStalled": {"four": "5m"}}, "VllmStalled has no setting 'four'"),
        ({"VllmStalled": {"for": 5}}, "VllmStalled.for is 5, which is no duration"),
        ({"KvCacheFull": {"limit": "high"}}, "KvCacheFull.limit is 'high', which is no number."),
        ({"KvCacheFull": {"severity": "bad"}}, "none of page, warn, info"),
        ({"KvCacheFull": {"enabled": "no"}}, "neither true nor false"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(rules.RuleError) as refused:
        rules.rules(settings)
    assert problem in refused.value.problems[0]
