# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a start still moves, and where its processes wait if it does not.

The time of the processor tells nothing: processes that wait for each other in NCCL spin. What counts as a move is a
line of the log that was not there before, a byte read, memory taken or given back, and a new process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from .._core.files import read_text
from .._core.process import run
from .._core.units import human_duration
from .._docker.cli import DockerError, run_docker
from .._nvidia.smi import SmiError, parse_report
from .._programs import nccl
from .._programs.stacks import dump_all, stopped, words_of

# How often is looked; nvidia-smi takes a second.
INTERVAL_S = 30.0
_MOVED_BYTES = 2**20
_RAS_TIMEOUT_S = 40.0
_NUMBERS = re.compile(r"\d+")


class Sample(NamedTuple):
    """What can move, at one moment. C(stopped) are the processes that a signal has stopped."""

    lines: frozenset[str]
    pids: frozenset[int]
    read_bytes: int
    memory_bytes: int
    gpu_mib: int
    stopped: frozenset[int] = frozenset()


def take_sample(container: str, lines: Iterable[str], has_gpus: bool) -> Sample:
    """Return a sample of a container whose log has these lines."""
    pids = frozenset(_pids(container))
    return Sample(
        lines=frozenset(_NUMBERS.sub("#", line.partition(" ")[2]) for line in lines),
        pids=pids,
        read_bytes=sum(_number(f"/proc/{pid}/io", r"^read_bytes: (\d+)") for pid in pids),
        memory_bytes=sum(_number(f"/proc/{pid}/status", r"^VmRSS:\s+(\d+)") * 1024 for pid in pids),
        gpu_mib=_gpu_mib() if has_gpus else 0,
        stopped=stopped(pids),
    )


def has_moved(before: Sample, now: Sample) -> bool:
    """Return whether anything has moved. Lines that only repeat with other numbers do not count."""
    return (
        bool(now.lines - before.lines)
        or bool(now.pids - before.pids)
        or now.read_bytes - before.read_bytes > _MOVED_BYTES
        or abs(now.memory_bytes - before.memory_bytes) > _MOVED_BYTES
        or abs(now.gpu_mib - before.gpu_mib) > 1
    )


class Movement:
    """Follows the samples of a start. C(clock) is any steady clock in seconds."""

    def __init__(self, limit_s: float, sample: Callable[[], Sample], clock: Callable[[], float]) -> None:
        self._limit_s = limit_s
        self._sample = sample
        self._clock = clock
        self._last = sample()
        self._moved_at = self._looked_at = clock()

    def still_s(self) -> float:
        """Return for how long nothing has moved; looks again if it is time."""
        now = self._clock()
        if now - self._looked_at >= min(INTERVAL_S, self._limit_s / 3):
            self._looked_at = now
            sample = self._sample()
            if has_moved(self._last, sample):
                self._moved_at = now
            self._last = sample
        return now - self._moved_at

    @property
    def last(self) -> Sample:
        return self._last


def explain(container: str, doing: str, still_s: float, sample: Sample, py_spy: str, log: Iterable[str] = ()) -> str:
    """Return in words that a start does not move, where its processes wait, and what to try.

    C(log) are the lines of the server.
    """
    message = [
        f"The server in {container} does not move: while {doing}, for {human_duration(still_s)} no new line came into"
        " its log, no byte was read, and the memory of its processes and GPUs did not change."
    ]
    if sample.stopped:
        listed = ", ".join(map(str, sorted(sample.stopped)))
        message.append(f"  A signal has stopped the processes {listed}: 'kill -CONT PID' on the host lets them go on.")
    dumps = dump_all(py_spy, sample.pids)
    for line in words_of(dumps):
        message.append(f"  {line}")
    if not dumps:
        message.append(
            "  Where its processes wait is unknown: install py-spy on the host and run 'py-spy dump --pid PID'."
        )
    message += [f"  {line}" for line in _nccl(container, sample, log)]
    message.append(
        f"Fix: {_fix(' '.join(frame for frames in dumps.values() for frame in frames), bool(sample.stopped))}"
    )
    message.append(f"The whole log: docker logs {container}")
    return "\n".join(message)


def _nccl(container: str, sample: Sample, log: Iterable[str]) -> list[str]:
    """Return what NCCL says of ranks that wait for each other, as far as it tells."""
    if not sample.gpu_mib:
        return []
    words = nccl.init_words(log)
    with suppress(DockerError):
        answer = run_docker(["exec", container, "python3", "-c", nccl.RAS_PROGRAM], _RAS_TIMEOUT_S)
        words += nccl.ras_words(answer.stdout)
    lines = ["NCCL says:", *(f"  {line}" for line in words)] if words else []
    files = nccl.recordings(sample.pids)
    return [*lines, *([f"torch's flight recorder has written {', '.join(files)} in the container."] if files else [])]


def _fix(frames: str, is_stopped: bool) -> str:
    if is_stopped:
        return "let the stopped processes go on, or start the server again: docker restart, or run the play again."
    if re.search(
        r"nccl|all_reduce|allreduce|symm_mem|barrier|init_process_group|broadcast|collective", frames, re.IGNORECASE
    ):
        return (
            "the processes wait for each other. See that all GPUs are visible ('nvidia-smi -L'), the fabric is healthy"
            " (playbooks/preflight.yml) and no Xid is in 'dmesg'; then try NCCL_NVLS_ENABLE=0 or"
            " VLLM_ALLREDUCE_USE_SYMM_MEM=0 in vllm_env_extra. NCCL_DEBUG=INFO there makes its log tell more. GPUs"
            " without NVLink (no NV in 'nvidia-smi topo -m') can hang on PCIe's ACS or the IOMMU: switch"
            " both off in the BIOS, or set NCCL_P2P_DISABLE=1 and disable-custom-all-reduce: true."
        )
    return (
        "see the frames for what is waited for. A restart helps if it was a passing fault of a disk or a device; if it"
        " comes again at the same place, take out the option that leads there."
    )


def _pids(container: str) -> list[int]:
    with suppress(DockerError):
        return [int(word) for word in run_docker(["top", container, "-eo", "pid"]).stdout.split() if word.isdigit()]
    return []


def _number(path: str, pattern: str) -> int:
    match = re.search(pattern, read_text(path), re.MULTILINE)
    return int(match.group(1)) if match else 0


def _gpu_mib() -> int:
    with suppress(SmiError):
        report = parse_report(run(["nvidia-smi", "-q", "-x"], 60).output)
        return sum(gpu["memory_used_mib"] or 0 for gpu in report["gpus"])
    return 0
