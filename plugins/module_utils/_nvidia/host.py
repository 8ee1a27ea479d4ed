# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inspect the NVIDIA hardware and software of the host. Read-only."""

from __future__ import annotations

import glob
import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .._core.files import read_text
from .._core.process import Answer, run
from . import smi
from .smi import Problem, SmiError

PROC_VERSION = "/proc/driver/nvidia/version"
PCI_DEVICES = "/sys/bus/pci/devices"

_QUERY = "--query-gpu=uuid,compute_cap,fabric.state,fabric.status"


def gpu_info(timeout_s: float) -> dict[str, Any]:
    """Return the result of the module nvidia_gpu_info. C(timeout_s) limits each program."""
    commands = {
        "report": ["nvidia-smi", "-q", "-x"],
        "query": ["nvidia-smi", _QUERY, "--format=csv,noheader"],
        "nvlink": ["nvidia-smi", "nvlink", "--status"],
        "modinfo": ["modinfo", "-F", "version", "nvidia"],
        "fabric_manager": ["nv-fabricmanager", "--version"],
        "service": ["systemctl", "is-active", "nvidia-fabricmanager"],
    }
    # Without the persistence daemon every call of nvidia-smi wakes all GPUs, which takes seconds: run them in parallel.
    with ThreadPoolExecutor(len(commands)) as pool:
        hardware = pool.submit(pci_hardware)
        running = {name: pool.submit(run, argv, timeout_s) for name, argv in commands.items()}
        answers = {name: future.result() for name, future in running.items()}
    loaded = smi.parse_module_version(read_text(PROC_VERSION))
    installed = answers["modinfo"].output.strip() if answers["modinfo"].rc == 0 else ""
    return {
        **_smi(answers, loaded, installed or None, timeout_s),
        "loaded_module": loaded,
        "installed_module_version": installed or None,
        "hardware": hardware.result(),
        "fabric_manager": _fabric_manager(answers["fabric_manager"], answers["service"]),
    }


def pci_hardware() -> dict[str, Any]:
    """Return C({gpus, nvswitch}) from the PCI bus, which needs no driver.

    C(gpus) are the addresses of NVIDIA's GPUs. C(nvswitch) is V(pci) if the switches are PCI devices (up to HGX H200),
    V(nvlink5) behind ConnectX bridges (HGX B200), else V(none), as in a guest whose switches belong to the host.
    """
    gpus, nvswitch = [], "none"
    for path in sorted(glob.glob(f"{PCI_DEVICES}/*")):
        vendor, device_class = read_text(f"{path}/vendor").strip(), read_text(f"{path}/class").strip()
        if vendor == "0x10de" and device_class.startswith(("0x0302", "0x0300")):
            gpus.append(os.path.basename(path))
        elif vendor == "0x10de" and device_class.startswith("0x0680"):
            nvswitch = "pci"
        elif vendor == "0x15b3" and device_class.startswith("0x0207") and "SW_MNG" in read_text(f"{path}/vpd"):
            nvswitch = "nvlink5"
    return {"gpus": gpus, "nvswitch": nvswitch}


def _smi(
    answers: dict[str, Answer], loaded: dict[str, Any] | None, installed: str | None, timeout_s: float
) -> dict[str, Any]:
    """Return the part of the result that comes from nvidia-smi."""
    report = answers["report"]
    result: dict[str, Any] = {
        "installed": not report.missing,
        "driver_version": None,
        "cuda_version": None,
        "gpus": [],
        "notes": [],
        "problem": None,
    }
    if report.missing:
        return result
    problem: Problem | None = None
    if report.rc is None:
        problem = Problem(
            f"nvidia-smi did not answer within {timeout_s:.0f} s",
            report.output,
            "A GPU hangs: see 'dmesg | grep -e NVRM -e Xid', and reboot.",
        )
    elif report.rc != 0 and "</nvidia_smi_log>" not in report.output:
        version = (loaded or {}).get("version")
        problem = smi.explain_failure(report.rc, report.output, version, installed)
        result["driver_version"] = smi.library_version(report.output)
    else:
        try:
            result.update(smi.parse_report(report.output))
        except SmiError as exc:
            problem = Problem("nvidia-smi cannot be understood", str(exc), "Run 'nvidia-smi -q -x' on the host.")
        else:
            # It fails after its report if it has lost a GPU or found a corrupted infoROM, and names that around it.
            if report.rc != 0:
                result["notes"].append(f"(it ended with code {report.rc})")
            smi.add_query(result["gpus"], answers["query"].output)
            smi.add_nvlink(result["gpus"], answers["nvlink"].output)
            if not result["gpus"]:
                problem = smi.explain_failure(0, "No devices were found", None, installed)
    result["problem"] = problem._asdict() if problem else None
    return result


def _fabric_manager(version: Answer, service: Answer) -> dict[str, Any]:
    found = smi.parse_fabric_manager_version(version.output)
    state = re.sub(r"\s+.*", "", service.output.strip(), flags=re.DOTALL) or "unknown"
    return {"version": found, "state": "absent" if version.missing else state}
