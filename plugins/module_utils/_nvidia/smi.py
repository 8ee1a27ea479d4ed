# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse the output of nvidia-smi and the driver. Runs no program and reads no file.

The XML elements are those of driver 580 (C(nvsmi_device_v13.dtd)). An element that another driver lacks becomes None.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any, NamedTuple

# What nvidia-smi prints for a property that a GPU lacks. Other versions put brackets around each of these.
_ABSENT = {"", "n/a", "not supported", "none"}
# What it prints for a property that a GPU in a bad state does not answer.
_FAULTS = {"err!", "error", "gpu is lost", "gpu requires reset", "reset required", "unknown error"}
# The parts of a fabric's health, and the value of a healthy one.
FABRIC_HEALTH = {
    "bandwidth": "full",
    "route_recovery_in_progress": "false",
    "route_unhealthy": "false",
    "access_timeout_recovery": "false",
    "incorrect_configuration": "",
}

# Reasons outside the workload for which a GPU runs slower than it could.
SLOWDOWNS = {
    "hw_slowdown": "the hardware slows the clocks down",
    "hw_thermal_slowdown": "the GPU is too hot",
    "hw_power_brake_slowdown": "the server's power supply asks to reduce the load",
    "sw_thermal_slowdown": "the driver slows the clocks down because of the temperature",
}


class Problem(NamedTuple):
    """Why something does not work: the cause, the output that shows it, and what to do."""

    cause: str
    evidence: str
    fix: str


class SmiError(Exception):
    """nvidia-smi did not print the requested XML."""


def parse_report(text: str) -> dict[str, Any]:
    """Return C({driver_version, cuda_version, gpus, notes}) of C(nvidia-smi -q -x).

    Each GPU is a dict as the module nvidia_gpu_info documents it: memory in MiB, clocks in MHz, power in watts.
    C(notes) are the lines around the XML, such as a warning of a corrupted infoROM.

    Raises SmiError if the text is not such a report.
    """
    before, start, rest = text.partition("<nvidia_smi_log>")
    body, end, after = rest.rpartition("</nvidia_smi_log>")
    xml = start + body + end if end else text
    around = [line.strip() for line in (before + after).splitlines() if end]
    try:
        root = ET.fromstring(xml)
    except ET.ParseError as exc:
        raise SmiError(f"nvidia-smi -q -x did not print XML ({exc}): {xml.strip()[:200]!r}") from exc
    if root.tag != "nvidia_smi_log":
        raise SmiError(f"nvidia-smi -q -x printed <{root.tag}> where <nvidia_smi_log> was expected.")
    return {
        "driver_version": _text(root, "driver_version"),
        "cuda_version": _text(root, "cuda_version"),
        "gpus": [_gpu(index, gpu) for index, gpu in enumerate(root.findall("gpu"))],
        # What the dynamic loader says of a library to preload is not of the GPUs.
        "notes": [line for line in around if line and not line.startswith(("<", "ERROR: ld.so:"))],
    }


def _gpu(index: int, gpu: ET.Element) -> dict[str, Any]:
    return {
        "index": index,
        "name": _text(gpu, "product_name"),
        "uuid": _text(gpu, "uuid"),
        "bus_id": short_bus_id(_text(gpu, "pci/pci_bus_id") or gpu.get("id") or ""),
        "compute_cap": None,
        "memory_total_mib": _integer(gpu, "fb_memory_usage/total"),
        "memory_used_mib": _integer(gpu, "fb_memory_usage/used"),
        "persistence": _text(gpu, "persistence_mode") == "Enabled",
        "faults": _faults(gpu),
        "mig": {"current": _text(gpu, "mig_mode/current_mig"), "pending": _text(gpu, "mig_mode/pending_mig")},
        "ecc": {
            "enabled": _switched_on(gpu, "ecc_mode/current_ecc"),
            "volatile_uncorrected": _errors(gpu, "volatile", "uncorrectable"),
            "volatile_corrected": _errors(gpu, "volatile", "correctable"),
            "aggregate_uncorrected": _errors(gpu, "aggregate", "uncorrectable"),
            "remapped_rows_pending": _text(gpu, "remapped_rows/remapped_row_pending") == "Yes",
            "remapped_rows_failed": _text(gpu, "remapped_rows/remapped_row_failure") == "Yes",
            "sram_threshold_exceeded": _text(gpu, "ecc_errors/aggregate/sram_threshold_exceeded") == "Yes",
            "repairs_pending": [
                name for name in ("channel_repair", "tpc_repair") if _text(gpu, f"ecc_errors/{name}_pending") == "Yes"
            ],
            "unrepairable": _text(gpu, "ecc_errors/unrepairable_memory") == "Yes",
        },
        "compute_mode": _text(gpu, "compute_mode"),
        "confidential": bool(_integer(gpu, "cc_protected_memory_usage/total")),
        "vgpu": {
            "guest": _text(gpu, "gpu_virtualization_mode/virtualization_mode") == "VGPU",
            "license": _text(gpu, "vgpu_software_licensed_product/license_status"),
        },
        "pcie_width": {
            "current": _lanes(gpu, "current_link_width"),
            "max": _lanes(gpu, "max_link_width"),
        },
        "pcie_generation": _integer(gpu, "pci/pci_gpu_link_info/pcie_gen/current_link_gen"),
        "performance_state": _text(gpu, "performance_state"),
        "recovery_action": _text(gpu, "gpu_recovery_action"),
        "clocks": {
            "sm_mhz": _integer(gpu, "clocks/sm_clock"),
            "sm_max_mhz": _integer(gpu, "max_clocks/sm_clock"),
            "memory_mhz": _integer(gpu, "clocks/mem_clock"),
            "event_reasons": _event_reasons(gpu),
        },
        "power": {
            "draw_w": _number(gpu, "gpu_power_readings/instant_power_draw"),
            "limit_w": _number(gpu, "gpu_power_readings/current_power_limit"),
            "default_limit_w": _number(gpu, "gpu_power_readings/default_power_limit"),
        },
        "temperature_c": _integer(gpu, "temperature/gpu_temp"),
        "fabric": {
            "state": _text(gpu, "fabric/state"),
            # The outcome of joining, which may be an error's name, such as Unknown Error, of a GPU that answers.
            "status": _unless_absent((gpu.findtext("fabric/status") or "").strip()),
            "health": _fabric_health(gpu),
        },
        "nvlink": None,
        "processes": [
            {
                "pid": int(_text(process, "pid") or 0),
                "name": _text(process, "process_name") or "",
                "memory_mib": _integer(process, "used_memory"),
            }
            for process in gpu.iterfind("processes/process_info")
        ],
    }


def add_query(gpus: list[dict[str, Any]], csv: str) -> None:
    """Add to the GPUs the output of C(--query-gpu=uuid,compute_cap,fabric.state,fabric.status --format=csv,noheader).

    The fabric is taken from it if the XML of an older driver has none.
    """
    by_uuid = {gpu["uuid"]: gpu for gpu in gpus}
    for line in csv.splitlines():
        uuid, *values = [value.strip() for value in line.split(",")]
        gpu = by_uuid.get(uuid)
        if gpu is None or len(values) != 3:
            continue
        compute_cap, state, status = _known(values[0]), _known(values[1]), _unless_absent(values[2])
        gpu["compute_cap"] = compute_cap
        fabric = gpu["fabric"]
        fabric["state"], fabric["status"] = fabric["state"] or state, fabric["status"] or status


def add_nvlink(gpus: list[dict[str, Any]], text: str) -> None:
    """Add to the GPUs how many NVLinks are up and down, from C(nvidia-smi nvlink --status)."""
    gpu: dict[str, Any] | None = None
    by_uuid = {gpu["uuid"]: gpu for gpu in gpus}
    for line in text.splitlines():
        header = re.match(r"GPU \d+: .*\(UUID: (\S+)\)", line)
        if header:
            gpu = by_uuid.get(header.group(1))
            continue
        link = re.match(r"\s+Link \d+: (.+)", line)
        if gpu is None or not (link or "all links are inactive" in line.lower()):
            continue
        if gpu["nvlink"] is None:
            gpu["nvlink"] = {"active": 0, "inactive": 0}
        if link:
            gpu["nvlink"]["active" if link.group(1)[0].isdigit() else "inactive"] += 1


def parse_module_version(text: str) -> dict[str, Any] | None:
    """Return C({version, open}) of the loaded kernel module from C(/proc/driver/nvidia/version), or None."""
    for line in text.splitlines():
        found = re.match(r"NVRM version:.*?(Open )?Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s", line + " ")
        if found:
            return {"version": found.group(2), "open": found.group(1) is not None}
    return None


def parse_fabric_manager_version(text: str) -> str | None:
    """Return the version from C(nv-fabricmanager --version), or None."""
    found = re.search(r"version is\s*:?\s*(\d+\.\d+(?:\.\d+)?)", text, re.IGNORECASE)
    return found.group(1) if found else None


def library_version(text: str) -> str | None:
    """Return the userland's version, which nvidia-smi names if the kernel module has another one, or None."""
    found = re.search(r"(?:NVML library|Library) version: (\d+\.\d+(?:\.\d+)?)", text)
    return found.group(1) if found else None


def explain_failure(rc: int, output: str, loaded: str | None, installed: str | None) -> Problem:
    """Return why nvidia-smi ended with C(rc). C(output) is everything it printed.

    C(loaded) is the version of the kernel module in use, C(installed) that of the one on disk for the running kernel.
    """
    evidence = _first_line(output) or f"nvidia-smi ended with code {rc}"
    if "library version mismatch" in output.lower():
        library = library_version(output)
        return Problem(
            f"the loaded kernel module is {loaded or 'another version'}, the driver's libraries are "
            f"{library or 'of another version'}: the packages were upgraded under a running driver",
            evidence,
            "Reboot, so that the installed module is loaded. Hold the packages against unattended upgrades.",
        )
    if re.search(r"couldn't communicate with the nvidia driver|driver not loaded", output, re.IGNORECASE):
        if installed is None:
            return Problem(
                "the kernel module is neither loaded nor built for the running kernel",
                evidence,
                "Install the driver (nvidia_driver_mode: install), or check 'dkms status' if it is installed.",
            )
        return Problem(
            f"the kernel module {installed} is installed but not loaded",
            evidence,
            "Load it ('modprobe nvidia') and see 'dmesg | grep -i -e nvrm -e nouveau' if that fails. "
            "Secure Boot refuses an unsigned module.",
        )
    lost = re.search(r"unable to determine the device handle for (.+?): [a-z][^:\n]*$", output, re.I | re.MULTILINE)
    if lost or "gpu is lost" in output.lower():
        return Problem(
            f"the driver has lost {lost.group(1) if lost else 'a GPU'}",
            evidence,
            "See 'dmesg | grep Xid'. Reboot once. If a GPU stays lost, give the node back.",
        )
    if "insufficient permissions" in output.lower():
        return Problem(
            "this user, or this container, may not open the GPUs' device files",
            evidence,
            "Run as root. 'ls -l /dev/nvidia*' should say crw-rw-rw- of each; a container must be given the GPUs.",
        )
    if "no devices were found" in output.lower():
        return Problem(
            "the driver is loaded, but found no GPU that it can use",
            evidence,
            "See 'dmesg | grep NVRM'. Blackwell GPUs need the open kernel modules. A GPU off the bus needs a reboot.",
        )
    return Problem("nvidia-smi failed", evidence, "See 'dmesg | grep -e NVRM -e Xid'; a reboot resets the GPUs.")


def short_bus_id(bus_id: str) -> str:
    """Return a PCI address as the kernel writes it: C(0000:18:00.0) for C(00000000:18:00.0)."""
    domain, _colon, rest = bus_id.partition(":")
    return f"{domain[-4:]}:{rest}".lower() if rest else bus_id.lower()


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else ""


def _text(element: ET.Element, path: str) -> str | None:
    return _known((element.findtext(path) or "").strip())


def _known(value: str) -> str | None:
    return None if _bare(value) in _ABSENT | _FAULTS else value


def _unless_absent(value: str) -> str | None:
    return None if _bare(value) in _ABSENT else value


def _bare(value: str) -> str:
    return value.strip().strip("[]").lower()


def _faults(gpu: ET.Element) -> list[str]:
    """Return the properties that the GPU does not answer, each with what is printed instead, as in C(temp: ERR!)."""
    joined = gpu.find("fabric/status")
    leaves = (leaf for leaf in gpu.iter() if not len(leaf) and leaf is not joined)
    return [f"{leaf.tag}: {(leaf.text or '').strip()}" for leaf in leaves if _bare(leaf.text or "") in _FAULTS]


def _fabric_health(gpu: ET.Element) -> dict[str, str | None]:
    """Return C(summary) and the parts of FABRIC_HEALTH as printed; None for what the driver does not tell."""
    return {name: _text(gpu, f"fabric/health/{name}") for name in ("summary", *FABRIC_HEALTH)}


def _switched_on(gpu: ET.Element, path: str) -> bool | None:
    value = _text(gpu, path)
    return None if value is None else value == "Enabled"


def _number(element: ET.Element, path: str) -> float | None:
    """Return the number before the unit, as in C(76.20 W)."""
    try:
        return float((_text(element, path) or "").split()[0])
    except (IndexError, ValueError):
        return None


def _integer(element: ET.Element, path: str) -> int | None:
    number = _number(element, path)
    return None if number is None else int(number)


def _lanes(gpu: ET.Element, name: str) -> int | None:
    """Return the lanes of the PCIe link, printed as C(16x)."""
    width = _text(gpu, f"pci/pci_gpu_link_info/link_widths/{name}") or ""
    return int(width[:-1]) if re.fullmatch(r"\d+x", width) else None


def _errors(gpu: ET.Element, scope: str, kind: str) -> int | None:
    """Return the sum of the ECC counters of a kind; their split differs between drivers."""
    counters = gpu.find(f"ecc_errors/{scope}")
    if counters is None:
        return None
    found = [
        int(counter.text.strip())
        for counter in counters
        if f"_{kind}" in counter.tag and counter.text and counter.text.strip().isdigit()
    ]
    return sum(found) if found else None


def _event_reasons(gpu: ET.Element) -> list[str]:
    prefix = "clocks_event_reason_"
    reasons = gpu.find("clocks_event_reasons")
    return [
        reason.tag[len(prefix) :]
        for reason in (reasons if reasons is not None else ())
        if (reason.text or "").strip() == "Active"
    ]
