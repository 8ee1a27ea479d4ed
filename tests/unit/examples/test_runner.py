# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner example: what it shows, what it keeps, how it ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.examples.runner import Progress, SiteResult, Verdict, run_site


def result_event(kind: str, action: str = "hgx.inference.smoke_benchmark", **result: Any) -> dict[str, Any]:
    data = {"task": "Run | Measure", "task_action": action, "host": "node1", "res": result, "ignore_errors": False}
    return {"event": kind, "stdout": "", "event_data": data}


def handled(*events: dict[str, Any]) -> tuple[Progress, list[str]]:
    shown: list[str] = []
    ticks = iter(range(0, 10_000, 65))
    progress = Progress(shown.append, clock=lambda: next(ticks))
    for event in events:
        assert progress.handle(event) is False
    return progress, shown


def test_shows_phases_and_the_progress_of_long_modules() -> None:
    _progress, shown = handled(
        {"event": "playbook_on_play_start", "event_data": {"play": "Cache the weights"}},
        {
            "event": "playbook_on_task_start",
            "event_data": {"task": "Validating arguments", "task_action": "ansible.builtin.validate_argument_spec"},
        },
        {
            "event": "playbook_on_task_start",
            "event_data": {"play": "Cache the weights", "role": "hgx.inference.hf_cache", "task": "Fetch | Download"},
        },
        {"event": "verbose", "stdout": "\x1b[0m  hf_snapshot [node1] 12.0 of 595.0 GB, 1.1 GB/s\x1b[0m\r\n"},
        {"event": "verbose", "stdout": "Using /etc/ansible/ansible.cfg as config file"},
    )
    assert shown == [
        "  1:05 Cache the weights",
        "  2:10   hf_cache: Fetch | Download",
        "  3:15     hf_snapshot [node1] 12.0 of 595.0 GB, 1.1 GB/s",
    ]


@pytest.mark.parametrize("kind", ["runner_on_ok", "runner_on_failed"])
def test_keeps_the_verdict_of_a_benchmark_that_passed_or_failed(kind: str) -> None:
    checks = [{"name": "output_throughput", "status": "warn"}]
    progress, _shown = handled(result_event(kind, verdict="warn", summary=["WARN: 1 of 2"], checks=checks))
    assert progress.verdicts == {"node1": Verdict("warn", ["WARN: 1 of 2"], checks)}
    assert progress.failures == []


def test_keeps_other_failures_and_not_ignored_ones() -> None:
    ignored = result_event("runner_on_failed", "ansible.builtin.command", msg="no such command")
    ignored["event_data"]["ignore_errors"] = True
    progress, shown = handled(
        ignored,
        result_event("runner_on_ok", "ansible.builtin.debug", msg="fine"),
        result_event("runner_on_unreachable", "ansible.builtin.setup", msg="no route to host"),
        {"event": "verbose", "stdout": "\x1b[0;31m[ERROR]: The role 'x' was not found\x1b[0m"},
    )
    assert progress.failures == ["node1: Run | Measure: no route to host", "The role 'x' was not found"]
    assert shown == ["  1:05   FAILED node1: Run | Measure: no route to host"]


@pytest.mark.parametrize(
    ("status", "verdicts", "code"),
    [
        ("successful", ["pass", "pass"], 0),
        ("successful", ["pass", "warn"], 2),
        ("successful", [], 2),
        ("successful", ["warn", "fail"], 1),
        ("successful", ["invalid"], 1),
        ("failed", ["pass"], 1),
        ("canceled", [], 1),
    ],
)
def test_exit_code(status: str, verdicts: list[str], code: int) -> None:
    found = {f"node{number}": Verdict(verdict, [], []) for number, verdict in enumerate(verdicts)}
    assert SiteResult(status, found).exit_code == code


def test_table() -> None:
    lines = ["PASS: 2 of 2 thresholds met", "  pass  output_throughput"]
    result = SiteResult("failed", {"node1": Verdict("pass", lines, [])}, ["node2: Gather facts: no route to host"])
    assert result.table().splitlines() == [
        "node1: pass",
        "  PASS: 2 of 2 thresholds met",
        "    pass  output_throughput",
        "node2: Gather facts: no route to host",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argument", "status", "code", "last"),
    [
        ("/bin/true", "successful", 2, "  Run a command"),
        ("/bin/false", "failed", 1, "  FAILED here: Run a command: "),  # the rest varies with ansible-core
    ],
)
def test_a_real_run(tmp_path: Path, argument: str, status: str, code: int, last: str) -> None:
    inventory = tmp_path / "hosts.json"
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory.write_text(json.dumps({"all": {"hosts": {"here": host}}}), encoding="utf-8")
    playbook = tmp_path / "play.yml"
    playbook.write_text(
        "- name: A play\n  hosts: all\n  gather_facts: false\n  tasks:\n"
        "    - name: Run a command\n      ansible.builtin.command: '{{ command }}'\n",
        encoding="utf-8",
    )
    shown: list[str] = []
    result = run_site(inventory, playbook, extra_vars={"command": argument}, show=shown.append)
    assert (result.status, result.exit_code) == (status, code)
    assert shown[0].endswith(" A play")
    assert last in shown[-1]
    assert len(result.failures) == (status == "failed")
