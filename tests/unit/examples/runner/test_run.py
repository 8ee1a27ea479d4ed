# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner example: what it shows, what it keeps, how it ends and how it is ended."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ansible_collections.hgx.inference.examples.runner import run as example
from ansible_collections.hgx.inference.examples.runner.run import (
    Advance,
    Cancellation,
    Drawing,
    Lines,
    Progress,
    SiteResult,
    Verdict,
    run_site,
)

PROJECT = Path(example.__file__).parent
VERBOSE = "\x1b[0m  hf_snapshot [node1] 12.0 of 595.0 GB, 1.1 GB/s\x1b[0m\r\n"
EVENTS: list[dict[str, Any]] = [
    {"event": "playbook_on_play_start", "event_data": {"play": "Cache the weights"}},
    {
        "event": "playbook_on_task_start",
        "event_data": {"task": "Validating arguments", "task_action": "ansible.builtin.validate_argument_spec"},
    },
    {
        "event": "playbook_on_task_start",
        "event_data": {"play": "Cache the weights", "role": "hgx.inference.hf_cache", "task": "Fetch | Download"},
    },
    {"event": "verbose", "stdout": VERBOSE},
    {"event": "verbose", "stdout": "Using /etc/ansible/ansible.cfg as config file"},
]


def result_event(kind: str, action: str = "hgx.inference.smoke_benchmark", **result: Any) -> dict[str, Any]:
    data = {"task": "Run | Measure", "task_action": action, "host": "node1", "res": result, "ignore_errors": False}
    return {"event": kind, "stdout": "", "event_data": data}


def handled(*events: dict[str, Any]) -> tuple[Progress, list[str]]:
    shown: list[str] = []
    ticks = iter(range(0, 10_000, 65))
    progress = Progress(Lines(shown.append, clock=lambda: next(ticks)))
    for event in events:
        assert progress.handle(event) is False
    return progress, shown


def verdict(found: str, proof: str = "benchmark", checks: list[dict[str, Any]] | None = None) -> Verdict:
    return Verdict("node1", proof, found, ["a summary"], checks or [])


def printed(result: SiteResult) -> list[str]:
    console = Console(file=io.StringIO(), width=120)
    result.show(console)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()]


def test_lines_show_phases_steps_and_the_progress_of_long_modules() -> None:
    _progress, shown = handled(*EVENTS)
    assert shown == [
        "  1:05 Cache the weights",
        "  2:10   hf_cache: Fetch | Download",
        "  3:15     hf_snapshot [node1] 12.0 of 595.0 GB, 1.1 GB/s",
    ]


def test_a_terminal_gets_a_bar_and_a_tick_for_what_is_over() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with Drawing(console) as drawing:
        progress = Progress(drawing)
        for event in EVENTS:
            progress.handle(event)
        drawing._live.refresh()
        assert isinstance(console.file, io.StringIO)
        drawn = console.file.getvalue()
        progress.handle({"event": "playbook_on_play_start", "event_data": {"play": "Serve the model"}})
    assert "hf_cache: Fetch | Download" in drawn
    assert "12.0 of 595.0 GB, 1.1 GB/s" in drawn
    assert "✓" not in drawn
    assert "✓" in console.file.getvalue()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("  hf_snapshot [n] 1.5 of 8 GB", Advance("hf_snapshot", "n", "1.5 of 8 GB", 1.5, 8)),
        ("  vllm_ready [n] 12 s, compiling", Advance("vllm_ready", "n", "12 s, compiling", None, None)),
        ("ok: [n]", None),
    ],
)
def test_advance(line: str, expected: Advance | None) -> None:
    assert Advance.parse(line) == expected


@pytest.mark.parametrize("kind", ["runner_on_ok", "runner_on_failed"])
def test_keeps_the_verdict_of_a_proof_that_passed_or_failed(kind: str) -> None:
    checks = [{"name": "output_throughput", "status": "warn"}]
    progress, _shown = handled(result_event(kind, verdict="warn", summary=["WARN: 1 of 2"], checks=checks))
    assert list(progress.verdicts.values()) == [Verdict("node1", "benchmark", "warn", ["WARN: 1 of 2"], checks)]
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
        ("successful", [verdict("pass"), verdict("pass", "functions")], 0),
        ("successful", [verdict("pass"), verdict("warn")], 2),
        ("successful", [verdict("pass"), verdict("warn", "functions")], 2),
        ("successful", [verdict("pass", "functions")], 2),
        ("successful", [], 2),
        ("successful", [verdict("warn"), verdict("fail")], 1),
        ("successful", [verdict("invalid")], 1),
        ("failed", [verdict("pass")], 1),
        ("canceled", [], 1),
    ],
)
def test_exit_code(status: str, verdicts: list[Verdict], code: int) -> None:
    assert SiteResult(status, verdicts).exit_code == code


def test_every_host_needs_a_benchmark() -> None:
    other = Verdict("node2", "functions", "pass", [], [])
    assert SiteResult("successful", [verdict("pass"), other]).exit_code == 2
    assert SiteResult("successful", [verdict("pass"), other, replace(other, proof="benchmark")]).exit_code == 0
    result = SiteResult("successful", [verdict("pass")], hosts=frozenset({"node1", "node3"}))
    assert result.exit_code == 2
    assert printed(result)[-1] == "No benchmark ran on node3."


def test_every_host_of_the_run_is_seen() -> None:
    skipped = result_event("runner_on_skipped", "ansible.builtin.debug")
    skipped["event_data"]["host"] = "node2"
    progress, _shown = handled(*EVENTS, result_event("runner_on_ok", verdict="pass"), skipped)
    assert progress.hosts == {"node1", "node2"}


def test_the_table_holds_each_check_and_what_went_wrong() -> None:
    checks = [{"status": "pass", "message": "the answers [/x] have 16 tokens"}, {"status": "fail", "message": "slow"}]
    result = SiteResult("failed", [verdict("fail", checks=checks), verdict("pass", "functions")], ["node2: no [route]"])
    rows = [line.split(maxsplit=3) for line in printed(result)]
    assert ["node1", "benchmark", "fail", "pass  the answers [/x] have 16 tokens"] in rows
    assert ["fail", "slow"] in rows
    assert ["node1", "functions", "pass", "a summary"] in rows
    assert printed(result)[-2:] == ["node2: no [route]", "The run ended as failed."]


def test_without_a_benchmark_nothing_is_proven() -> None:
    assert printed(SiteResult("successful")) == ["No benchmark ran, so nothing is proven."]


def test_a_run_is_ended_in_order_then_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(example.os, "kill", lambda pid, number: sent.append((pid, number)))
    now, wanted = [0.0], [0]
    progress, _shown = handled({"event": "verbose", "stdout": "", "pid": 4711})
    cancellation = Cancellation(progress, lambda: wanted[0], clock=lambda: now[0])
    assert not cancellation()
    assert sent == []
    wanted[0] = 1
    assert not cancellation()
    assert not cancellation()
    assert sent == [(4711, signal.SIGINT)]
    now[0] = example.CANCEL_GRACE_S + 1
    assert cancellation()
    now[0], wanted[0] = 1.0, 2
    assert cancellation()


def test_a_value_is_given_by_name() -> None:
    assert example._name_and_value("smoke_benchmark_size=a=b") == ("smoke_benchmark_size", "a=b")
    with pytest.raises(example.argparse.ArgumentTypeError, match="NAME=VALUE"):
        example._name_and_value("smoke_benchmark_size")


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.json"
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    path.write_text(json.dumps({"all": {"hosts": {"here": host}}}), encoding="utf-8")
    return path


@pytest.fixture
def playbook(tmp_path: Path) -> Path:
    path = tmp_path / "play.yml"
    path.write_text(
        "- name: A play\n  hosts: all\n  gather_facts: false\n  tasks:\n"
        "    - name: Run a command\n      ansible.builtin.command: '{{ command }}'\n",
        encoding="utf-8",
    )
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argument", "status", "code", "last"),
    [
        ("/bin/true", "successful", 2, "  Run a command"),
        ("/bin/false", "failed", 1, "  FAILED here: Run a command: "),  # the rest varies with ansible-core
    ],
)
def test_a_real_run(inventory: Path, playbook: Path, argument: str, status: str, code: int, last: str) -> None:
    before = sorted(PROJECT.rglob("*"))
    shown: list[str] = []
    result = run_site(inventory, playbook, extra_vars={"command": argument}, display=Lines(shown.append))
    assert (result.status, result.exit_code) == (status, code)
    assert shown[0].endswith(" A play")
    assert last in shown[-1]
    assert len(result.failures) == (status == "failed")
    assert sorted(PROJECT.rglob("*")) == before


@pytest.mark.slow
def test_a_canceled_run_leaves_nothing_running(inventory: Path, playbook: Path) -> None:
    marker = f"{time.time_ns() % 10**6 + 10**6}"
    started = time.monotonic()
    shown: list[str] = []

    def cancel() -> int:
        running = subprocess.run(["pgrep", "-f", f"^sleep {marker}$"], capture_output=True, check=False)
        return int(running.returncode == 0 or time.monotonic() - started > 30)

    result = run_site(
        inventory, playbook, extra_vars={"command": f"sleep {marker}"}, display=Lines(shown.append), cancel=cancel
    )
    assert (result.status, result.exit_code) == ("canceled", 1)
    assert time.monotonic() - started < example.CANCEL_GRACE_S
    assert not cancel()


@pytest.mark.slow
def test_the_folder_is_one_that_ansible_runner_itself_takes(tmp_path: Path) -> None:
    before = sorted(PROJECT.rglob("*"))
    command = ["ansible-runner", "run", str(PROJECT), "-p", "site.yml", "--artifact-dir", str(tmp_path)]
    options = ["--omit-env-files", "--cmdline=--list-tasks"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hgx.inference.vllm : " in done.stdout
    assert sorted(PROJECT.rglob("*")) == before
