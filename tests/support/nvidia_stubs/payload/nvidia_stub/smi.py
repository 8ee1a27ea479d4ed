# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(nvidia-smi): the recorded report of a real one, with this machine's values in it."""

from __future__ import annotations

import copy
import time
import xml.etree.ElementTree as ET
from pathlib import Path

from .state import State, bus_id, current, userland, uuid

RECORDED = Path(__file__).parent / "recorded.xml"
CUDA = {"570": "12.8", "580": "13.0"}  # by driver branch
ARCHITECTURES = {"9.0": "Hopper", "10.0": "Blackwell"}  # by compute capability
LINKS = 18
CANNOT_COMMUNICATE = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.\n"
)


def main(_program: str, args: list[str]) -> int:
    state, version = current(), userland() or "?"
    problem = refusal(state, version)
    if problem:
        rc, text = problem
        print(text)
        return rc
    options = dict(arg.partition("=")[::2] for arg in args)
    if "-x" in args:
        print(render(RECORDED.read_text(), state, version))
    elif "-L" in args or "--list-gpus" in args:
        print(
            "\n".join(f"GPU {shown}: {state.machine.name} (UUID: {uuid(gpu)})" for shown, gpu in enumerate(state.gpus))
        )
    elif "nvlink" in args:
        print("\n".join(links(state)))
    elif "--query-gpu" in options:
        rows = [gpu_values(state, version, gpu, shown) for shown, gpu in enumerate(state.gpus)]
        return csv(options, "--query-gpu", rows)
    elif "--query-compute-apps" in options:
        return csv(options, "--query-compute-apps", process_values(state))
    elif "--version" in args:
        print(
            f"NVIDIA-SMI version  : {version}\nNVML version        : {short(version)}\nDRIVER version      : {version}"
        )
        print(f"CUDA Version        : {cuda(version)}")
    else:
        print(f"| NVIDIA-SMI {version:<22} Driver Version: {version:<14} CUDA Version: {cuda(version):<8} |")
        for shown, _gpu in enumerate(state.gpus):
            print(f"| {shown:>3}  {state.machine.name}")
    return 0


def refusal(state: State, version: str) -> tuple[int, str] | None:
    """The exit code and the words of a real nvidia-smi that cannot answer."""
    if state.module is None:
        return 9, CANNOT_COMMUNICATE
    if state.module != version:
        mismatch = "Failed to initialize NVML: Driver/library version mismatch"
        return 18, f"{mismatch}\nNVML library version: {short(version)}"
    if state.nvml:
        return 255, f"Failed to initialize NVML: {state.nvml}"
    if not state.gpus:
        return 6, "No devices were found"
    return None


def render(recorded: str, state: State, version: str) -> str:
    """The report C(-q -x): as many GPUs as there are, each the recorded one but for what makes the difference here."""
    head, _tag, _rest = recorded.partition("<nvidia_smi_log>")
    root = ET.fromstring(recorded)
    template = root.find("gpu")
    assert template is not None
    for recorded_gpu in root.findall("gpu"):
        root.remove(recorded_gpu)
    put(root, "timestamp", time.strftime("%a %b %d %H:%M:%S %Y"))
    put(root, "driver_version", version)
    put(root, "cuda_version", cuda(version))
    put(root, "attached_gpus", str(len(state.gpus)))
    for number, gpu in enumerate(state.gpus):
        root.append(gpu_element(copy.deepcopy(template), state, version, gpu, number))
    ET.indent(root, "\t")
    return head + ET.tostring(root, encoding="unicode", short_empty_elements=False)


def gpu_element(element: ET.Element, state: State, version: str, gpu: int, number: int) -> ET.Element:
    machine = state.machine
    processes = [process for process in machine.processes if process.gpu == gpu]
    used = sum(process.memory_mib for process in processes)
    fabric_state, fabric_status = state.fabric()
    address = f"0000{bus_id(gpu)}".upper()
    element.set("id", address)
    values = {
        "product_name": machine.name,
        "product_architecture": ARCHITECTURES.get(machine.compute_cap, "N/A"),
        "persistence_mode": "Enabled" if state.persistence else "Disabled",
        "mig_mode/current_mig": machine.mig,
        "mig_mode/pending_mig": machine.mig,
        "uuid": uuid(gpu),
        "minor_number": str(number),
        "gsp_firmware_version": version,
        "pci/pci_bus": address[9:11],
        "pci/pci_device": "00",
        "pci/pci_bus_id": address,
        "fb_memory_usage/total": f"{machine.memory_mib} MiB",
        "fb_memory_usage/used": f"{used} MiB",
        "fb_memory_usage/free": f"{machine.memory_mib - used} MiB",
        "fabric/state": fabric_state,
        "fabric/status": fabric_status,
    }
    for path, value in values.items():
        put(element, path, value)
    parent = element.find("processes")
    assert parent is not None
    parent.text = "\n\t\t"
    for process in processes:
        info = ET.SubElement(parent, "process_info")
        fields = {
            "gpu_instance_id": "N/A",
            "compute_instance_id": "N/A",
            "pid": str(process.pid),
            "type": "C",
            "process_name": process.name,
            "used_memory": f"{process.memory_mib} MiB",
        }
        for tag, value in fields.items():
            ET.SubElement(info, tag).text = value
    return element


def put(element: ET.Element, path: str, value: str) -> None:
    found = element.find(path)
    assert found is not None, f"the recorded report has no {path}"
    found.text = value


def gpu_values(state: State, version: str, gpu: int, number: int) -> dict[str, str]:
    """What C(--query-gpu) knows of one GPU."""
    machine = state.machine
    used = sum(process.memory_mib for process in machine.processes if process.gpu == gpu)
    fabric_state, fabric_status = state.fabric()
    return {
        "index": str(number),
        "name": machine.name,
        "gpu_name": machine.name,
        "uuid": uuid(gpu),
        "gpu_uuid": uuid(gpu),
        "pci.bus_id": f"0000{bus_id(gpu)}".upper(),
        "driver_version": version,
        "compute_cap": machine.compute_cap,
        "memory.total": f"{machine.memory_mib} MiB",
        "memory.used": f"{used} MiB",
        "memory.free": f"{machine.memory_mib - used} MiB",
        "persistence_mode": "Enabled" if state.persistence else "Disabled",
        "mig.mode.current": machine.mig,
        "mig.mode.pending": machine.mig,
        "ecc.mode.current": "Enabled",
        "fabric.state": fabric_state,
        "fabric.status": fabric_status,
    }


def process_values(state: State) -> list[dict[str, str]]:
    """What C(--query-compute-apps) knows."""
    return [
        {
            "gpu_uuid": uuid(process.gpu),
            "pid": str(process.pid),
            "process_name": process.name,
            "used_gpu_memory": f"{process.memory_mib} MiB",
            "used_memory": f"{process.memory_mib} MiB",
        }
        for process in state.machine.processes
    ]


def csv(options: dict[str, str], query: str, rows: list[dict[str, str]]) -> int:
    fields, formats = options[query].split(","), options.get("--format", "").split(",")
    known = set(rows[0]) if rows else set(fields)
    for name in fields:
        if name not in known:
            print(f'Field "{name}" is not a valid field to query.\n')
            return 2
    if "noheader" not in formats:
        print(", ".join(fields))
    for row in rows:
        values = [row[name] for name in fields]
        print(", ".join(value.removesuffix(" MiB") if "nounits" in formats else value for value in values))
    return 0


def links(state: State) -> list[str]:
    """C(nvlink --status)."""
    speed = "53.125 GB/s" if state.fabric()[0] == "Completed" else "<inactive>"
    lines = []
    for number, gpu in enumerate(state.gpus):
        lines.append(f"GPU {number}: {state.machine.name} (UUID: {uuid(gpu)})")
        lines += [f"\t Link {link}: {speed}" for link in range(LINKS)]
    return lines


def cuda(version: str) -> str:
    return CUDA.get(version.partition(".")[0], "13.0")


def short(version: str) -> str:
    """As NVML prints its version: without the last part."""
    return ".".join(version.split(".")[:2])
