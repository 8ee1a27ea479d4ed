# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the fabric is complete, will be, or never will.

The states of B200 are constructed from NVIDIA's documents, the lines of the log are from reports of users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._nvidia.fabric import judge_fabric
from ansible_collections.hgx.inference.plugins.module_utils._nvidia.smi import FABRIC_HEALTH

DRIVER = "580.95.05"
UNKNOWN = dict.fromkeys(["summary", *FABRIC_HEALTH])
# As the field reports show it.
HEALTHY = {
    **UNKNOWN,
    "summary": "Healthy",
    "bandwidth": "Full",
    **dict.fromkeys(("route_recovery_in_progress", "route_unhealthy", "access_timeout_recovery"), "False"),
}
COMPLETE, WAITING, ABSENT = ("Completed", "Success"), ("In Progress", None), (None, None)


def host(
    *fabrics: tuple[str | None, str | None],
    nvswitch: str = "nvlink5",
    manager: str | None = DRIVER,
    service: str = "active",
    health: Mapping[str, str | None] = UNKNOWN,
    **changes: Any,
) -> dict[str, Any]:
    return {
        "driver_version": DRIVER,
        "problem": None,
        "hardware": {"gpus": [], "nvswitch": nvswitch},
        "fabric_manager": {"version": manager, "state": service},
        "gpus": [
            {"index": index, "fabric": {"state": state, "status": status, "health": health}}
            for index, (state, status) in enumerate(fabrics)
        ],
        **changes,
    }


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (host(*[COMPLETE] * 8), "Fabric: Completed/Success on 8 GPUs."),
        # Services do not count: a guest may have none of its own, or a lame one.
        (host(COMPLETE, nvswitch="none", manager=None, service="absent"), "Fabric: Completed/Success on 1 GPUs."),
        (host(COMPLETE, manager="570.124.06", service="failed"), "Fabric: Completed/Success on 1 GPUs."),
        (host(ABSENT, nvswitch="none"), "Fabric: N/A on 1 GPUs."),
        (host(COMPLETE, health=HEALTHY), "Fabric: Completed/Success on 1 GPUs."),
    ],
)
def test_complete(info: dict[str, Any], reason: str) -> None:
    verdict = judge_fabric(info)
    assert (verdict.state, verdict.reason, verdict.fix) == ("complete", reason, "")


@pytest.mark.parametrize(
    ("health", "words"),
    [
        ({"summary": "Unhealthy", "route_unhealthy": "True"}, "Unhealthy, route unhealthy True"),
        ({"summary": "Limited Capacity", "bandwidth": "Degraded"}, "Limited Capacity, bandwidth Degraded"),
        ({"summary": None, "bandwidth": "Degraded"}, "bandwidth Degraded"),
        ({"summary": None, "route_recovery_in_progress": "True"}, "route recovery in progress True"),
        ({"incorrect_configuration": "Incompatible GPU Firmware"}, "incorrect configuration Incompatible GPU Firmware"),
    ],
)
def test_complete_but_unhealthy(health: dict[str, str | None], words: str) -> None:
    verdict = judge_fabric(host(COMPLETE, health={**HEALTHY, **health}))
    assert verdict.state == "stuck"
    assert verdict.reason == f"The NVLink fabric is complete but not healthy: GPU 0: {words}."
    assert "Reset the GPUs or reboot the host." in verdict.fix


@pytest.mark.parametrize(
    ("info", "reason", "fix"),
    [
        (
            host(COMPLETE, WAITING),
            "1 of 2 GPUs have not joined the NVLink fabric (In Progress).",
            "The Fabric Manager is active: see 'journalctl -u nvidia-fabricmanager'.",
        ),
        (host(WAITING, service="activating"), "1 of 1 GPUs", "The Fabric Manager is activating"),
        (host(WAITING, service="inactive"), "1 of 1 GPUs", "The Fabric Manager is inactive: run 'systemctl enable"),
        (host(ABSENT), "1 of 1 GPUs have not joined the NVLink fabric (N/A).", "The Fabric Manager is active"),
        (
            host(WAITING, nvswitch="none", manager=None, service="absent"),
            "1 of 1 GPUs",
            "The switches belong to the host of this virtual machine",
        ),
    ],
)
def test_waiting(info: dict[str, Any], reason: str, fix: str) -> None:
    verdict = judge_fabric(info)
    assert verdict.state == "waiting"
    assert verdict.reason.startswith(reason)
    assert verdict.fix.startswith(fix)


NO_UMAD = 'Kernel module "ib_umad" has not been loaded, fabric manager cannot be started'
NO_NVLSM = (
    '"/opt/nvidia/nvlsm/sbin/nvlsm" does not exist. Please install "Nvidia NVLink Subnet Manager" (nvlsm) package'
)
BAD_CONFIG = "fabric manager config file item: FABRIC_NODE_CONFIG_FILE has an invalid value"
NO_SWITCH = "NVSwitch driver failed with error:WARNING Nothing to do [NV_WARN_NOTHING_TO_DO]"
OTHER = (
    "fabric manager NVIDIA GPU driver interface version 580.95.05 don't match with driver version 570.124.06. "
    "Please update with matching NVIDIA driver package."
)


@pytest.mark.parametrize(
    ("info", "log", "reason", "fix"),
    [
        (
            host(WAITING, manager=None, service="absent"),
            "",
            "but no Fabric Manager.",
            f"Install the Fabric Manager {DRIVER}",
        ),
        (
            host(WAITING, manager="580.126.20", service="failed"),
            "",
            "The Fabric Manager is 580.126.20, the driver 580.95.05; they must be equal.",
            f"Install the Fabric Manager {DRIVER}",
        ),
        (host(WAITING, service="failed"), "", "The Fabric Manager has failed.", "See 'journalctl"),
        (host(WAITING, service="failed"), NO_UMAD, "ib_umad is not loaded", "Install linux-modules-extra"),
        (
            host(WAITING, service="failed"),
            NO_NVLSM,
            "NVLink 5 needs, is missing",
            "Install the package nvlsm",
        ),
        (host(WAITING, service="failed"), BAD_CONFIG, "refuses its settings", "fabricmanager.cfg of its package"),
        (host(WAITING, service="failed"), NO_SWITCH, "found no NVSwitch", "load mlx5_ib and ib_umad"),
        (host(WAITING, service="failed"), f"{NO_SWITCH}\n{OTHER}", "have different versions", "reboot if"),
        (
            host(("Completed", "Insufficient Resources")),
            "",
            "(Completed/Insufficient Resources).",
            "Joining has failed",
        ),
        (
            host(problem={"cause": "the driver hangs", "evidence": "", "fix": "Reboot."}),
            "",
            "nvidia-smi does not answer: the driver hangs.",
            "Reboot.",
        ),
        (host(), "", "no GPU is listed", ""),
    ],
)
def test_stuck(info: dict[str, Any], log: str, reason: str, fix: str) -> None:
    verdict = judge_fabric(info, log)
    assert verdict.state == "stuck"
    assert reason in verdict.reason
    assert fix in verdict.fix


def test_gpus_that_an_active_manager_leaves_waiting() -> None:
    fix = judge_fabric(host(WAITING)).fix
    assert "nvidia-smi -r" in fix
    assert "FABRIC_MODE=0" in fix
    assert "FABRIC_MODE" not in judge_fabric(host(WAITING, service="activating")).fix


def test_the_mode_install_is_offered_where_it_would_help() -> None:
    info = host(WAITING, manager="580.126.20", service="failed")
    assert "nvidia_driver_mode: install" in judge_fabric(info).fix
    assert "nvidia_driver_mode" not in judge_fabric(info, mode="install").fix
