# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role vllm says of servers that have ended and of rollbacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).parents[2] / "roles" / "vllm"


def load(path: str) -> Any:
    return DataLoader().load_from_file(str(ROLE / path), trusted_as_template=True)


def task(file: str, name: str) -> dict[str, Any]:
    (found,) = (task for task in load(f"tasks/{file}.yml") if task["name"] == f"{file} | {name}")
    return dict(found)


def render(value: Any, **variables: Any) -> Any:
    internal = {name: text for name, text in load("vars/main.yml").items() if name not in variables}
    return Templar(DataLoader(), variables={**internal, **variables}).template(value)


def holds(rule: str, **variables: Any) -> bool:
    return bool(render(trust_as_template("{{ " + rule + " }}"), **variables))


def release(name: str, verdict: str) -> dict[str, str]:
    return {"id": name, "verdict": verdict}


@pytest.mark.parametrize(
    ("releases", "words"),
    [
        (
            [release("new", "pass"), release("bad", "fail"), release("tried", ""), release("old", "warn")],
            "Other releases that have passed their benchmark: old. Name one:",
        ),
        ([release("new", "pass"), release("tried", "")], "No other release on this host has passed its benchmark."),
    ],
    ids=["an older one", "none"],
)
def test_a_rollback_to_what_runs_names_the_others(releases: list[dict[str, str]], words: str) -> None:
    required = task("rollback", "Require another release than the running one")
    known = {"releases": releases, "current": "new", "last_good": "new"}
    variables = {**required["vars"], "__vllm_releases": known, "vllm_rollback_to": ""}
    rule, message = required["ansible.builtin.assert"]["that"], required["ansible.builtin.assert"]["fail_msg"]
    assert not holds(rule, __vllm_compared={"action": "none"})
    assert holds(rule, __vllm_compared={"action": "start"}), "it is down"
    told = render(message, **variables)
    assert told.startswith(f"The server runs the release new already, so there is nothing to roll back. {words}")
    assert told.endswith("Nothing was changed.")


def test_why_a_server_has_ended_is_shown_in_lines() -> None:
    shown = task("prepare_change", "Show why the server has ended")["ansible.builtin.debug"]["msg"]
    ended = {"cause": ["It died: {{ braces }}.", "Fix: so."], "kept_log": "/state/ended.log"}
    lines = render(shown, __vllm_ended=ended).splitlines()
    assert lines == [*ended["cause"], "The log is kept in /state/ended.log when the server is replaced."]


@pytest.mark.parametrize(
    ("started", "where"),
    [({"kept_log": "/state/ended.log"}, "/state/ended.log"), ({}, "docker logs vllm")],
    ids=["replaced", "still there"],
)
def test_a_failure_names_the_log_where_it_is(started: dict[str, str], where: str) -> None:
    failed = task("rollback_on_failure", "Fail with both facts")["ansible.builtin.fail"]["msg"]
    told = render(
        failed,
        __vllm_failure_message="It died.\nThe whole log: docker logs vllm",
        __vllm_started=started,
        __vllm_rollback_outcome="It serves again.",
        vllm_container_name="vllm",
        vllm_gateway=False,
    )
    assert told == f"It died.\nThe whole log: {where}\n\nIt serves again."


def test_ranks_agree_on_a_rollback_though_one_has_left_the_play() -> None:
    agreed = task("rollback_on_failure", "Agree with the other ranks on the release at fault")
    rule = agreed["ansible.builtin.set_fact"]["__vllm_roll_back"]
    span = {"hosts": ["node-a", "node-b"]}
    for at_fault in (True, False):
        hosts = {"node-a": {"__vllm_roll_back": at_fault}, "node-b": {}}
        assert render(rule, vllm_span=span, hostvars=hosts) is at_fault


def test_a_release_is_recorded_once_its_container_is_there() -> None:
    changes = [found["name"] for found in load("tasks/prepare_change.yml")]
    last = ["Create the next container", "Require all ranks of the server"]
    assert changes[-2:] == [f"prepare_change | {name}" for name in last]
    assert [found["name"] for found in load("tasks/prepare.yml")][-2:] == [
        "prepare | Prepare the change",
        "prepare | Record the release",
    ]


@pytest.mark.parametrize(
    ("action", "image_present", "span", "included"),
    [
        ("none", True, {}, False),
        ("none", False, {}, True),
        ("none", True, {"hosts": ["node-a", "node-b"]}, True),
        ("start", True, {}, True),
        ("adopt", True, {}, True),
    ],
)
def test_a_server_that_runs_as_it_should_needs_no_preparation(
    action: str, image_present: bool, span: dict[str, Any], included: bool
) -> None:
    compared = {"action": action, "image_present": image_present}
    assert holds(task("prepare", "Prepare the change")["when"], __vllm_compared=compared, vllm_span=span) is included


def test_a_dead_server_is_explained_before_anything_replaces_it() -> None:
    names = [found["name"] for found in load("tasks/prepare_change.yml")]
    assert "prepare_change | Show why the server has ended" in names, "which is before the release is recorded"
    asked = task("prepare_change", "Find out why the server has ended")
    compared = {"__vllm_compared": {"action": "start", "engine": True}}
    assert all(holds(rule, **compared) for rule in asked["when"])
    assert not all(holds(rule, **compared, vllm_replaced_release="x") for rule in asked["when"]), "it is told already"


@pytest.mark.parametrize(
    ("at_fault", "rolled_back", "gateway", "stays_out", "words"),
    [
        (True, False, True, True, "The gateways send node1-a no requests until a play has succeeded with it."),
        (True, False, False, True, ""),  # there is none
        (True, True, True, False, ""),
        (False, False, True, False, ""),  # such as an invalid measurement, which says nothing of the release
    ],
)
def test_a_server_with_a_bad_release_stays_out_of_the_gateways(
    at_fault: bool, rolled_back: bool, gateway: bool, stays_out: bool, words: str
) -> None:
    known = {
        "__vllm_roll_back": at_fault,
        "__vllm_rolled_back": rolled_back,
        "vllm_gateway": gateway,
        "vllm_server": {"backend": "node1-a"},
    }
    assert holds("__vllm_stays_out", **known) is stays_out
    assert render(trust_as_template("{{ __vllm_gateway_words }}"), **known).strip() == words
    put_back = task("rollback_on_failure", "Put the server back into the gateways")
    assert holds(put_back["when"], **known) is not stays_out


def test_no_host_is_touched_after_the_failure_of_another() -> None:
    required = task("servers", "Require success on the hosts before this one")
    rule, message = required["ansible.builtin.assert"]["that"], required["ansible.builtin.assert"]["fail_msg"]
    hosts = {"ansible_play_hosts_all": ["node1", "node2", "node3"], "inventory_hostname": "node3"}
    assert holds(rule, **hosts, ansible_play_hosts=["node1", "node2", "node3"])
    failed = {**hosts, "ansible_play_hosts": ["node1", "node3"]}
    assert not holds(rule, **failed)
    assert render(message, **failed).startswith("node2 failed, so node3 was not touched:")
    conditions = {"vllm_server_rolls": True, "vllm_gateway": True}
    assert all(holds(condition, **conditions) for condition in required["when"])
    assert not all(holds(condition, **{**conditions, "vllm_gateway": False}) for condition in required["when"])
