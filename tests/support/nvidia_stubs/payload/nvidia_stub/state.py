# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine is and how it stands: its hardware, a JSON file, and what the stub programs made of it."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MACHINE = Path("/etc/nvidia-stub/machine.json")
RUN = Path("/run/nvidia-stub")
PROC_VERSION = Path("/proc/driver/nvidia/version")
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
NVLSM = Path("/opt/nvidia/nvlsm/sbin/nvlsm")
FABRIC_MANAGER = Path("/run/nvidia-fabricmanager/version")
PERSISTENCED = Path("/run/nvidia-persistenced/socket")
VERSIONS = Path("/usr/lib/nvidia-stub/versions")
# What a container sees instead of all that: the machine as it stood when the container was created.
SNAPSHOT = Path("/usr/lib/nvidia-stub/container.json")

BUSES = (0x1B, 0x43, 0x52, 0x61, 0x9D, 0xC3, 0xD1, 0xDF)  # of an HGX B200


@dataclass(frozen=True)
class Process:
    """A process that holds memory of a GPU."""

    gpu: int = 0
    pid: int = 4242
    name: str = "python3"
    memory_mib: int = 1024


@dataclass(frozen=True)
class Machine:
    """The hardware, and how it misbehaves. The keys of machine.json."""

    gpus: int = 0
    name: str = "NVIDIA B200"
    memory_mib: int = 183359
    compute_cap: str = "10.0"
    nvswitch: str = "none"  # "pci": switches with a driver of their own; "nvlink5": behind ConnectX bridges
    fabric: str = "auto"  # or the state to show: "In Progress", "Completed", "N/A"
    fabric_seconds: float = 0  # how long the Fabric Manager takes
    mig: str = "Disabled"
    processes: tuple[Process, ...] = ()
    nouveau: bool = False  # holds the GPUs until a boot with an installed driver
    dkms: str = "ok"  # "fails": the kernel module does not compile
    container_gpus: int | None = None  # fewer GPUs in containers than on the host
    container_nvml: str = ""  # "Unknown Error": what NVML answers in containers

    @classmethod
    def load(cls, path: Path | None = None) -> Machine:
        try:
            data = json.loads((path or MACHINE).read_text())
        except FileNotFoundError:
            return cls()
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Machine:
        unknown = set(data) - {item.name for item in dataclasses.fields(cls)}
        if unknown:
            raise ValueError(f"{MACHINE} has unknown keys: {', '.join(sorted(unknown))}")
        processes = tuple(Process(**process) for process in data.get("processes", ()))
        return cls(**{**data, "processes": processes})


@dataclass(frozen=True)
class State:
    """The machine as its programs see it now."""

    machine: Machine
    module: str | None = None  # the loaded kernel module
    fabric_manager: str | None = None  # the running one
    fabric_manager_age: float = 0
    persistence: bool = False
    gpus: tuple[int, ...] = field(default=())  # those that can be seen from here
    nvml: str = ""  # what else is wrong

    def fabric(self) -> tuple[str, str]:
        """The state and the status of the fabric, the same on every GPU."""
        if self.machine.fabric != "auto":
            state = self.machine.fabric
        elif self.machine.nvswitch == "none" or (
            self.fabric_manager == self.module and self.fabric_manager_age >= self.machine.fabric_seconds
        ):
            state = "Completed"
        else:
            state = "In Progress"
        return state, "Success" if state == "Completed" else "N/A"


def current() -> State:
    """The state of this machine or, in a container, of its snapshot."""
    if SNAPSHOT.exists():
        data = json.loads(SNAPSHOT.read_text())
        machine = Machine.from_dict(data.pop("machine"))
        return State(machine, **{**data, "gpus": tuple(data["gpus"])})
    machine = Machine.load()
    return State(
        machine,
        module=loaded_module(),
        fabric_manager=read(FABRIC_MANAGER),
        fabric_manager_age=time.time() - FABRIC_MANAGER.stat().st_mtime if FABRIC_MANAGER.exists() else 0,
        persistence=PERSISTENCED.exists(),
        gpus=tuple(range(machine.gpus)),
    )


def loaded_module() -> str | None:
    """The version of the loaded kernel module."""
    found = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)\s", read(PROC_VERSION) or "")
    return found.group(1) if found else None


def userland() -> str | None:
    """The version of the installed driver libraries."""
    for path in sorted(LIBRARIES.glob("libnvidia-ml.so.*.*")):
        return path.name.removeprefix("libnvidia-ml.so.")
    return None


def module_file(release: str) -> Path:
    """The kernel module that DKMS built for a kernel."""
    return Path(f"/lib/modules/{release}/updates/dkms/nvidia.ko")


def installed_module(release: str) -> str | None:
    """The version of the kernel module that a boot of this kernel would load."""
    return read(module_file(release))


def read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None


def bus_id(gpu: int) -> str:
    """The PCI address of a GPU as the kernel writes it."""
    return f"0000:{BUSES[gpu] if gpu < len(BUSES) else 0xE0 + gpu:02x}:00.0"


def uuid(gpu: int) -> str:
    return f"GPU-{gpu:08x}-5b20-4000-8000-{gpu:012x}"
