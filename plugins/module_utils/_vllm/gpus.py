# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a server's GPUs have room for it, and who takes it. A start on full GPUs fails only after minutes."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

from .._core.process import run
from .._core.progress import ProgressFile
from .._docker.cli import DockerError, own_pids, run_docker
from .._nvidia.smi import SmiError, parse_report

POLL_INTERVAL_S = 0.5
# The driver frees the memory of a process a while after its end, and lists the process meanwhile.
GPU_TIMEOUT_S = 120.0
PROCESS_TIMEOUT_S = 15.0
_SLACK_MIB = 512
# vLLM's own, the lowest of the versions that are known. It refuses to start where less than this share is free.
_UTILIZATION = 0.9
_SIZES = ("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size")


class FullError(DockerError):
    """Others hold the memory that a server needs."""


def read_report() -> dict[str, Any]:
    """Return C({driver_version, gpus, ...}) of this host, see C(parse_report); empty if the driver does not answer."""
    with suppress(SmiError):
        return parse_report(run(["nvidia-smi", "-q", "-x"], 60).output)
    return {"driver_version": None, "gpus": []}


def read_gpus() -> list[dict[str, Any]]:
    """Return the GPUs of this host as the module nvidia_gpu_info documents them; none if the driver does not answer."""
    gpus: list[dict[str, Any]] = read_report()["gpus"]
    return gpus


def memory_limits(gpus: Collection[Mapping[str, Any]], pids: Collection[int]) -> dict[str, int]:
    """Return GPU -> to how many MiB its used memory must fall once these processes are gone; without others' GPUs."""
    limits = {}
    for gpu in gpus:
        ours = sum(process["memory_mib"] or 0 for process in gpu["processes"] if process["pid"] in pids)
        if ours:
            limits[gpu["uuid"]] = max(0, (gpu["memory_used_mib"] or 0) - ours) + _SLACK_MIB
    return limits


def held_memory(container: str) -> dict[str, int]:
    """Return C(memory_limits) for the processes of a running container. Raises DockerError."""
    listed = run_docker(["top", container, "-eo", "pid"]).stdout.split()
    return memory_limits(read_gpus(), {int(word) for word in listed if word.isdigit()})


def wait_until_freed(limits: Mapping[str, int], progress: ProgressFile) -> None:
    """Wait for the memory of a server that has ended, so that the next one does not find it used."""
    deadline = time.monotonic() + GPU_TIMEOUT_S
    while limits and time.monotonic() < deadline:
        used = {gpu["uuid"]: gpu["memory_used_mib"] or 0 for gpu in read_gpus()}
        busy = [uuid for uuid, limit in limits.items() if used.get(uuid, 0) > limit]
        if not busy:
            return
        progress.report(f"waiting for the memory of {len(busy)} GPUs")
        time.sleep(POLL_INTERVAL_S)


def require_room(spec: Mapping[str, Any], progress: ProgressFile) -> None:
    """Wait until the GPUs of a server that is to start have room for it. Raises FullError if they do not get it."""
    started = time.monotonic()
    while spec["gpus"]:
        gpus = read_gpus()
        taken = full_gpus(gpus, (), spec)
        if not taken:
            return
        is_named = bool(full_gpus(gpus, (), spec, only_processes=True))
        if time.monotonic() - started > (PROCESS_TIMEOUT_S if is_named else GPU_TIMEOUT_S):
            raise FullError(f"The server was not started, and none runs now. {full_words(taken, spec)}")
        progress.report(f"waiting for the memory of {len(taken)} GPUs: {taken[0]}")
        time.sleep(POLL_INTERVAL_S)


def full_gpus(
    gpus: Collection[Mapping[str, Any]],
    own: Collection[int],
    spec: Mapping[str, Any],
    only_processes: bool = False,
) -> list[str]:
    """Return a line for each GPU of the server that has no room for it, with who holds the memory.

    C(own) are processes of the server that it replaces, which do not count. C(only_processes) leaves out memory that no
    visible process holds. C(spec) is the container's specification.
    """
    lines = []
    for gpu in _used_by(gpus, spec):
        total, others = gpu["memory_total_mib"] or 0, [each for each in gpu["processes"] if each["pid"] not in own]
        taken = sum(process["memory_mib"] or 0 for process in others)
        if not only_processes and len(others) == len(gpu["processes"]):
            taken = max(taken, gpu["memory_used_mib"] or 0)
        if taken > total * (1 - utilization(spec)):
            who = ", ".join(map(_process_words, others)) or "no visible process"
            lines.append(f"GPU {gpu['index']}: {taken} of {total} MiB by {who}")
    return lines


def full_words(taken: Collection[str], spec: Mapping[str, Any]) -> str:
    """Return what is wrong with full GPUs, and what to do."""
    return (
        f"It needs {utilization(spec):.0%} of each GPU's memory (gpu-memory-utilization), but others hold too much:"
        f" {'; '.join(taken)}. 'ps -fp PID' and 'docker ps' tell whose they are: end them, or lower"
        " gpu-memory-utilization. Memory that no process holds comes back by a reset ('nvidia-smi --gpu-reset') or a"
        " reboot."
    )


def holders(container_id: str) -> list[str]:
    """Return a line for each process on the GPUs that is not of this container."""
    gpus = read_gpus()
    own = own_pids(container_id, {process["pid"] for gpu in gpus for process in gpu["processes"]})
    return [
        f"GPU {gpu['index']}: {_process_words(process)}"
        for gpu in gpus
        for process in gpu["processes"]
        if process["pid"] not in own
    ]


def utilization(spec: Mapping[str, Any]) -> float:
    """Return the share of a GPU's memory that must be free at the start."""
    with suppress(LookupError, TypeError, ValueError):
        return float(spec["server"]["args"]["gpu-memory-utilization"])
    return _UTILIZATION


def _used_by(gpus: Collection[Mapping[str, Any]], spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the GPUs that the server uses: the named ones, or as many as it has processes."""
    if spec.get("gpu_set"):
        names = spec["gpu_set"].split(",")
        # Its container counts them anew.
        gpus = [{**gpu, "inside": names.index(name)} for gpu in gpus for name in _names(gpu) if name in names]
    visible = str(spec["env"].get("CUDA_VISIBLE_DEVICES", ""))
    if visible:
        names = [name.strip() for name in visible.split(",")]
        yield from (gpu for gpu in gpus if {str(gpu.get("inside", gpu["index"])), gpu["uuid"]} & {*names})
        return
    count = 1
    for name in _SIZES:
        size = str(spec["server"].get("args", {}).get(name, 1))
        count *= int(size) if size.isdigit() else 1
    yield from list(gpus)[:count]


def _names(gpu: Mapping[str, Any]) -> tuple[str, str]:
    return str(gpu["index"]), gpu["uuid"]


def _process_words(process: Mapping[str, Any]) -> str:
    return f"{process['name']} (pid {process['pid']}, {process['memory_mib'] or 0} MiB)"
