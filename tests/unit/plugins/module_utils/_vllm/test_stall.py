# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a start moves, and where it waits, by what py-spy 0.4.3 printed of processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._docker.cli import Completed
from ansible_collections.hgx.inference.plugins.module_utils._programs import stacks
from ansible_collections.hgx.inference.plugins.module_utils._vllm import stall

STILL = stall.Sample(frozenset({"loading"}), frozenset({7, 8}), 10**9, 10**9, 1000)
DUMP = """\
Process 8: python3 -m vllm.entrypoints.openai.api_server
Python v3.12.1 (/usr/bin/python3.12)

Thread 99 (idle): "Thread-1 (_monitor)"
    wait (threading.py:359)
    _monitor (multiprocessing/resource_tracker.py:20)
Thread 8 (idle): "MainThread"
    wait (threading.py:355)
    init_process_group (torch/distributed/distributed_c10d.py:1764)
    init_distributed_environment (vllm/distributed/parallel_state.py:1200)
    <module> (<string>:1)
"""


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        ({}, False),
        ({"lines": frozenset({"loading", "compiling"})}, True),
        ({"lines": frozenset()}, False),
        ({"pids": frozenset({7, 8, 9})}, True),
        ({"pids": frozenset({7})}, False),
        ({"read_bytes": 10**9 + 2**21}, True),
        ({"read_bytes": 10**9 + 4096}, False),
        ({"memory_bytes": 10**9 - 2**21}, True),
        ({"gpu_mib": 1100}, True),
    ],
)
def test_what_counts_as_a_move(changes: dict[str, Any], moved: bool) -> None:
    assert stall.has_moved(STILL, STILL._replace(**changes)) is moved


def test_the_time_since_the_last_move() -> None:
    samples = [STILL, STILL, STILL._replace(gpu_mib=5000), *[STILL._replace(gpu_mib=5000)] * 9]
    now = [0.0]
    movement = stall.Movement(100, lambda: samples.pop(0), lambda: now[0])
    stills = []
    for now[0] in (10.0, 40.0, 80.0, 90.0, 120.0, 200.0):
        stills.append(movement.still_s())
    assert stills == [10.0, 40.0, 0.0, 10.0, 40.0, 120.0]


def test_a_line_that_only_repeats_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall, "_pids", lambda _container: [])
    line = "2026-11-23T10:{}:04.5Z No available shared memory broadcast block found in {} seconds."
    one = stall.take_sample("vllm", [line.format("00", "60")], has_gpus=False)
    more = stall.take_sample("vllm", [line.format("00", "60"), line.format("01", "120")], has_gpus=False)
    assert not stall.has_moved(one, more)


def test_the_main_thread_of_a_dump() -> None:
    frames = stacks.parse_dump(DUMP)
    assert frames[0] == "wait (threading.py:355)"
    assert stacks.waits_in(frames) == "init_process_group"
    assert stacks.waits_in(["wait (threading.py:359)"]) == "wait"
    assert stacks.parse_dump("Error: Permission denied") == []


def test_the_message_names_where_each_process_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall, "run_docker", lambda *_words: Completed(1, "", "no such container"))
    py_spy = tmp_path / "py-spy"
    py_spy.write_text(f"#!/bin/sh\n[ $4 = 8 ] && cat <<'END'\n{DUMP}END\n")
    py_spy.chmod(0o755)
    assert stacks.installed(str(py_spy)) == str(py_spy)
    text = stall.explain("vllm", "starting the engine", 900, STILL, str(py_spy))
    assert "does not move: while starting the engine, for 15 min no new line" in text
    assert "  process 8 waits in init_process_group:\n    wait (threading.py:355)" in text
    assert "NCCL_NVLS_ENABLE=0" in text
    assert "NCCL_P2P_DISABLE=1" in text
    assert "timeout" not in text


def test_what_nccl_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = "Status\n\nErrors\n======\n\nINCOMPLETE\n  Missing communicator data from 1 rank\n"
    monkeypatch.setattr(stall, "run_docker", lambda *_words: Completed(0, answer, ""))
    text = stall.explain("vllm", "starting the engine", 900, STILL, "")
    assert "  NCCL says:\n    INCOMPLETE\n      Missing communicator data from 1 rank\n" in text
    assert (
        "NCCL"
        not in stall.explain("vllm", "starting the engine", 900, STILL._replace(gpu_mib=0), "").partition("Fix")[0]
    )


def test_the_class_of_a_waiting_function_tells_nothing() -> None:
    assert (
        stacks.waits_in(["Condition.wait (threading.py:320)", "EngineCoreProc.step (core.py:1)"])
        == "EngineCoreProc.step"
    )


def test_stopped_processes_and_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall, "run_docker", lambda *_words: Completed(1, "", "no such container"))
    assert stacks.installed("/nonexistent") == ""
    text = stall.explain("vllm", "loading weights", 900, STILL._replace(stopped=frozenset({8, 7})), "")
    assert "A signal has stopped the processes 7, 8" in text
    assert "py-spy dump --pid PID" in text
