# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who else is on the GPUs of a server, and when that is too much."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.progress import ProgressFile
from ansible_collections.hgx.inference.plugins.module_utils._vllm import gpus
from ansible_collections.hgx.inference.tests.support.simulated_clock import SimulatedClock

SPEC: dict[str, Any] = {"gpus": "runtime", "env": {}, "server": {"args": {"tensor-parallel-size": 2}}}
NOTEBOOK = (7, "python3", 40_000)


def gpu(index: int, used: int | None, *processes: tuple[int, str, int | None]) -> dict[str, Any]:
    return {
        "index": index,
        "uuid": f"GPU-{index}",
        "memory_total_mib": 183_359,
        "memory_used_mib": used,
        "processes": [{"pid": pid, "name": name, "memory_mib": memory} for pid, name, memory in processes],
    }


def test_the_memory_of_the_old_server_must_be_free_and_others_may_stay() -> None:
    found = [gpu(0, 90_000, (1, "a", 80_000), (7, "b", 9_000)), gpu(1, 9_000, (7, "b", 9_000)), gpu(2, None)]
    assert gpus.memory_limits(found, {1, 2}) == {"GPU-0": 10_512}


@pytest.mark.parametrize(
    ("changes", "found", "taken"),
    [
        ({}, [gpu(0, 0), gpu(1, 600)], []),
        ({}, [gpu(0, 40_100, NOTEBOOK), gpu(1, 0)], ["GPU 0: 40100 of 183359 MiB by python3 (pid 7, 40000 MiB)"]),
        # Our own server, which is to be replaced, with somebody small beside it.
        ({}, [gpu(0, 170_000, (1, "VLLM::Worker_TP0", 165_000), (7, "dcgm", 400))], []),
        ({}, [gpu(0, 170_000, (1, "VLLM::Worker_TP0", 125_000), NOTEBOOK)], ["GPU 0: 40000 of 183359 MiB by python3"]),
        # What the server does not use.
        ({"gpu_set": "1,GPU-2"}, [gpu(0, 170_000, NOTEBOOK), gpu(1, 0), gpu(2, 0), gpu(3, 170_000, NOTEBOOK)], []),
        ({"gpu_set": "GPU-2,1"}, [gpu(0, 0), gpu(1, 0), gpu(2, 40_000, NOTEBOOK)], ["GPU 2: 40000"]),
        # Its container counts its GPUs anew: GPU 2 of the host is the first one there.
        (
            {"gpu_set": "2,3", "env": {"CUDA_VISIBLE_DEVICES": "0"}},
            [gpu(0, 40_000, NOTEBOOK), gpu(2, 40_000, NOTEBOOK), gpu(3, 40_000, NOTEBOOK)],
            ["GPU 2: 40000"],
        ),
        ({}, [gpu(0, 0), gpu(1, 0), gpu(2, 40_000, NOTEBOOK)], []),
        ({"env": {"CUDA_VISIBLE_DEVICES": "2,GPU-3"}}, [gpu(0, 40_000, NOTEBOOK), gpu(2, 0), gpu(3, 0)], []),
        ({"env": {"CUDA_VISIBLE_DEVICES": "GPU-3"}}, [gpu(3, 40_000, NOTEBOOK)], ["GPU 3: 40000"]),
        ({"server": {"args": {"gpu-memory-utilization": "0.7"}}}, [gpu(0, 40_000, NOTEBOOK)], []),
        ({"server": {"args": {}}}, [gpu(0, 18_400, (7, "x", 18_400))], ["GPU 0: 18400"]),
        # The driver has not said how much, or of a process that nobody sees.
        ({}, [gpu(0, None, (7, "x", None)), gpu(1, 30_000)], ["GPU 1: 30000 of 183359 MiB by no visible process"]),
    ],
)
def test_full_gpus(changes: dict[str, Any], found: list[dict[str, Any]], taken: list[str]) -> None:
    lines = gpus.full_gpus(found, {1}, {**SPEC, **changes})
    assert len(lines) == len(taken)
    assert all(line.startswith(words) for line, words in zip(lines, taken, strict=True)), lines


def test_memory_that_nobody_holds_may_be_left_out() -> None:
    assert gpus.full_gpus([gpu(0, 170_000)], (), SPEC, only_processes=True) == []


@pytest.mark.parametrize(
    ("reports", "waited_s", "problem"),
    [
        ([[gpu(0, 0)]], 0, ""),
        ([[]], 0, ""),  # the driver does not answer: vLLM tells of that
        ([[gpu(0, 170_000)], [gpu(0, 0)]], 0.5, ""),  # of the server that has just ended
        ([[gpu(0, 40_000, NOTEBOOK)], [gpu(0, 0)]], 0.5, ""),
        ([[gpu(0, 40_000, NOTEBOOK)]], gpus.PROCESS_TIMEOUT_S, "by python3 (pid 7, 40000 MiB)"),
        ([[gpu(0, 40_000)]], gpus.GPU_TIMEOUT_S, "by no visible process"),
    ],
)
def test_no_start_on_full_gpus(
    reports: list[list[dict[str, Any]]], waited_s: float, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimulatedClock()
    monkeypatch.setattr(gpus, "time", clock)
    started = clock.monotonic()
    monkeypatch.setattr(gpus, "read_gpus", lambda: reports.pop(0) if reports[1:] else reports[0])
    if problem:
        with pytest.raises(gpus.FullError, match=r"none runs now\. It needs 90%.*GPU 0: 40000") as caught:
            gpus.require_room(SPEC, ProgressFile(None))
        assert problem in str(caught.value)
    else:
        gpus.require_room(SPEC, ProgressFile(None))
    assert waited_s <= clock.monotonic() - started <= waited_s + 1
