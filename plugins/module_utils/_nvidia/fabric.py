# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judge whether the GPUs have joined the NVLink fabric.

Until then CUDA fails with error 802, even if all services report success.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from .smi import FABRIC_HEALTH

_HEALTHY = ("Completed", "Success")

# What the Fabric Manager or its start script logs: (words, cause, fix).
_LOGGED = (
    (
        r"don't match with driver version",
        "The Fabric Manager and the loaded kernel module have different versions.",
        "Install exactly the module's version, or reboot if the loaded module is the older one",
    ),
    (
        r'"?ib_umad"? has not been loaded',
        "The kernel module ib_umad is not loaded, which is needed to reach the NVLink 5 switches.",
        "Install linux-modules-extra-$(uname -r), which has it, load it (modprobe ib_umad) and add it to"
        " /etc/modules-load.d for the next boot",
    ),
    (
        r"NVIDIA NVLink Subnet Manager|nvlsm\b.*(not exist|not found|No such file)",
        "The subnet manager nvlsm, which NVLink 5 needs, is missing.",
        "Install the package nvlsm",
    ),
    (
        r"config file item: \S+ has an invalid value",
        "The Fabric Manager refuses its settings, as those of another version or with a folder that is not there.",
        "Take the fabricmanager.cfg of its package, and create the folders that it names",
    ),
    (
        r"NV_WARN_NOTHING_TO_DO",
        "The Fabric Manager found no NVSwitch.",
        "On NVLink 5 machines install linux-modules-extra-$(uname -r) and nvlsm, and load mlx5_ib and ib_umad; else see"
        " 'dmesg | grep -e nvswitch -e NVRM'",
    ),
)


# GPUs stay In Progress if the Fabric Manager was restarted without their reset, or waits for a partition.
_STUCK = (
    "If it has configured the GPUs and they stay so, reset them ('nvidia-smi -r') or reboot, and set FABRIC_MODE=0 in"
    " /usr/share/nvidia/nvswitch/fabricmanager.cfg: in other modes they wait for a partition"
)


class Verdict(NamedTuple):
    """The state of the fabric: V(complete), V(waiting), or V(stuck) if waiting will not help."""

    state: str
    reason: str
    fix: str = ""


def judge_fabric(info: Mapping[str, Any], log: str = "", mode: str = "adopt", required: bool = False) -> Verdict:
    """Return the state of a host's fabric from the result of the module nvidia_gpu_info.

    C(log) has the last lines of the Fabric Manager, which may name the cause; C(mode) is the mode of the role
    nvidia_driver. C(required) is set for a machine that must have a fabric, even if the VM host owns its switches.
    """
    if info["problem"] or not info["gpus"]:
        problem = info["problem"] or {"cause": "no GPU is listed", "evidence": "", "fix": ""}
        return Verdict("stuck", f"nvidia-smi does not answer: {problem['cause']}.", problem["fix"])
    needed = info["hardware"]["nvswitch"] != "none"
    fabrics = [(gpu["fabric"]["state"] or "N/A", gpu["fabric"]["status"] or "N/A") for gpu in info["gpus"]]
    accepted = [_HEALTHY] if needed or required else [_HEALTHY, ("N/A", "N/A")]
    incomplete = [fabric for fabric in fabrics if fabric not in accepted]
    unhealthy = {gpu["index"]: trouble for gpu in info["gpus"] for trouble in [_unhealthy(gpu)] if trouble}
    if not incomplete and unhealthy:
        return Verdict(
            "stuck",
            "The NVLink fabric is complete but not healthy: "
            + "; ".join(f"GPU {index}: {trouble}" for index, trouble in unhealthy.items())
            + ".",
            "Reset the GPUs or reboot the host. If it stays, report it to the provider and use another node.",
        )
    if not incomplete:
        return Verdict("complete", f"Fabric: {', '.join(sorted(set(map(_shown, fabrics))))} on {len(fabrics)} GPUs.")
    what = (
        f"{len(incomplete)} of {len(fabrics)} GPUs have not joined the NVLink fabric "
        f"({', '.join(sorted(set(map(_shown, incomplete))))})."
    )
    if any(state == "Completed" for state, _status in incomplete):
        return Verdict("stuck", what, "Joining has failed: reboot the host, then report it to the provider.")
    cause, fix = _cause(info, needed, log)
    if cause and mode == "adopt" and needed:
        fix += ", or set nvidia_driver_mode: install to let the role do it"
    return Verdict("stuck" if cause else "waiting", f"{what} {cause}".strip(), fix + "." if fix else "")


def _shown(fabric: tuple[str, str]) -> str:
    state, status = fabric
    return state if status == "N/A" else f"{state}/{status}"


def _unhealthy(gpu: Mapping[str, Any]) -> str:
    """Return what of the fabric's health is bad. A part that the driver does not tell says nothing."""
    health = gpu["fabric"]["health"]
    bad = [
        f"{name.replace('_', ' ')} {health[name]}"
        for name, healthy in FABRIC_HEALTH.items()
        if health[name] is not None and health[name].lower() != healthy
    ]
    if health["summary"] is not None and health["summary"].lower() != "healthy":
        bad.insert(0, health["summary"])
    return ", ".join(bad)


def _cause(info: Mapping[str, Any], needed: bool, log: str) -> tuple[str, str]:
    """Return why the fabric does not come up and what to do. The cause is empty while it may still come up."""
    manager, driver = info["fabric_manager"], info["driver_version"]
    if not needed:
        return "", "The switches belong to the host of this virtual machine: restart it once, then ask the provider"
    if manager["state"] == "absent":
        return "This machine has NVSwitches, but no Fabric Manager.", f"Install the Fabric Manager {driver}"
    if manager["version"] and manager["version"] != driver:
        return (
            f"The Fabric Manager is {manager['version']}, the driver {driver}; they must be equal.",
            f"Install the Fabric Manager {driver}",
        )
    logged = next(((cause, fix) for words, cause, fix in _LOGGED if re.search(words, log, re.IGNORECASE)), None)
    if logged and manager["state"] != "active":
        return logged
    if manager["state"] == "failed":
        return "The Fabric Manager has failed.", "See 'journalctl -u nvidia-fabricmanager'"
    if manager["state"] == "inactive":
        return "", "The Fabric Manager is inactive: run 'systemctl enable --now nvidia-fabricmanager'"
    fix = f"The Fabric Manager is {manager['state']}: see 'journalctl -u nvidia-fabricmanager'"
    return "", f"{fix}. {_STUCK}" if manager["state"] == "active" else fix
