# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host's driver needs next, for every state in which a host may be."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._nvidia.plan import Plan, Wanted, make_plan

KERNEL = "6.8.0-60-generic"
HEADERS = f"linux-headers-{KERNEL}"
DRIVER = "nvidia-driver-580-open"
UTILS = "nvidia-utils-580"
MANAGER = "nvidia-fabricmanager-580"
OLD, GOOD, NEW = "570.124.06", "580.95.05", "580.126.20"
BUS_IDS = ["0000:18:00.0", "0000:2a:00.0"]
AVAILABLE = {
    DRIVER: [f"{NEW}-0ubuntu1", f"{GOOD}-0ubuntu1"],
    MANAGER: [f"{NEW}-1", "580.105.08-1", f"{GOOD}-1"],
    "nvlsm": ["2025.06.11-1"],
    HEADERS: ["6.8.0-60.63"],
}
SILENT = {
    "cause": "the kernel module is installed but not loaded",
    "evidence": "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
    "fix": "Load it.",
}


def host(
    version: str | None = GOOD, loaded: str | None = "", on_disk: str | None = "", **changes: Any
) -> dict[str, Any]:
    """Return what nvidia_gpu_info says of a host with a driver of C(version); what is not given is as that implies."""
    loaded, on_disk = (version if value == "" else value for value in (loaded, on_disk))
    works = version is not None and loaded == version
    return {
        "installed": version is not None,
        "driver_version": version if loaded else None,
        "loaded_module": {"version": loaded, "open": True} if loaded else None,
        "installed_module_version": on_disk,
        "problem": None if works or version is None else SILENT,
        "hardware": {"gpus": BUS_IDS, "nvswitch": changes.pop("nvswitch", "none")},
        "fabric_manager": {"version": changes.pop("manager", None), "state": "absent"},
        "gpus": [{"bus_id": bus_id} for bus_id in BUS_IDS] if works else [],
        **changes,
    }


def packages(*names: str, version: str = GOOD, held: bool = False, **changes: Any) -> dict[str, Any]:
    """Return what apt_packages_info says where these packages are installed."""
    installed = {name: {"version": f"{version}-1", "upstream": version, "held": held} for name in names}
    return {"installed": installed, "available": AVAILABLE, "unfinished": [], "interrupted": False, **changes}


def wanted(mode: str = "install", **changes: Any) -> Wanted:
    return Wanted(mode, "580", "580", "", [DRIVER], KERNEL)._replace(**changes)


def adopt(info: dict[str, Any]) -> Plan:
    return make_plan(info, wanted("adopt"))


MODULE = f"its kernel module for the running kernel {KERNEL}"
ADOPT = "It was left as it is (nvidia_driver_mode: adopt)."


@pytest.mark.parametrize("info", [host(), host(NEW), host(nvswitch="nvlink5", manager=OLD), host(on_disk=None)])
def test_a_good_driver_is_adopted(info: dict[str, Any]) -> None:
    version = info["driver_version"]
    assert adopt(info) == Plan("ready", f"NVIDIA driver {version}, open kernel modules, 2 GPUs.", version=version)


@pytest.mark.parametrize(
    ("info", "reason", "fix"),
    [
        (
            host(None),
            f"No NVIDIA driver is installed. {ADOPT}",
            "Install a driver, or set nvidia_driver_mode: install to let",
        ),
        (
            host(OLD),
            f"The NVIDIA driver is {OLD}; at least 580 is needed. {ADOPT}",
            "with a lower nvidia_driver_min, or set nvidia_driver_mode: install and nvidia_driver_reboot_ok: true",
        ),
        (
            # as NVML writes it, without the last part
            host(NEW, loaded=OLD, driver_version="580.126"),
            f"The NVIDIA driver {NEW} is installed, but the module {OLD} is loaded. {ADOPT}",
            "Reboot the host, or",
        ),
        (
            host(NEW, loaded=None),
            f"The NVIDIA driver {NEW} is installed, but its kernel module is not loaded. {ADOPT}",
            "Load the module (modprobe nvidia), or",
        ),
        (
            host(NEW, loaded=None, on_disk=None),
            f"The NVIDIA driver is installed, but {MODULE} is missing. {ADOPT}",
            "Build the module (dkms autoinstall), or",
        ),
        (
            host(NEW, loaded=OLD, on_disk=OLD),
            f"The NVIDIA driver {NEW} is installed, but {MODULE} is {OLD}. {ADOPT}",
            "Build the module",
        ),
        (
            host(problem={"cause": "nvidia-smi did not answer within 60 s", "evidence": "", "fix": "Reboot."}),
            f"NVIDIA driver {GOOD}: nvidia-smi did not answer within 60 s ().",
            "Reboot.",
        ),
        (
            host(gpus=[{"bus_id": BUS_IDS[0]}]),
            f"The driver lists 1 of 2 GPUs; it lacks {BUS_IDS[1]}.",
            "If a GPU has fallen off the bus",
        ),
        (
            host(hardware={"gpus": [], "nvswitch": "none"}),
            "There is no NVIDIA GPU on the PCI bus.",
            "Leave the role out",
        ),
    ],
)
def test_anything_else_is_refused_in_the_mode_adopt(info: dict[str, Any], reason: str, fix: str) -> None:
    plan = adopt(info)
    assert (plan.action, plan.reason) == ("refuse", reason)
    assert fix in plan.fix


@pytest.mark.parametrize(
    ("info", "apt", "chosen", "reason"),
    [
        (
            host(None),
            packages(),
            [f"{DRIVER}={NEW}-0ubuntu1", f"{HEADERS}=6.8.0-60.63"],
            "No NVIDIA driver is installed.",
        ),
        (host(None), packages(HEADERS), [f"{DRIVER}={NEW}-0ubuntu1"], "No NVIDIA driver is installed."),
        (
            host(None, nvswitch="nvlink5"),
            packages(HEADERS),
            [f"{DRIVER}={NEW}-0ubuntu1", f"{MANAGER}={NEW}-1", "nvlsm=2025.06.11-1"],
            "No NVIDIA driver is installed. The Fabric Manager is missing; this NVSwitch machine needs exactly "
            "the driver's version. The subnet manager nvlsm is missing; NVLink 5 needs it.",
        ),
        (host(None, nvswitch="pci"), packages(HEADERS), [f"{DRIVER}={NEW}-0ubuntu1", f"{MANAGER}={NEW}-1"], ""),
        (
            host(OLD),
            packages("nvidia-utils-570", HEADERS, version=OLD),
            [f"{DRIVER}={NEW}-0ubuntu1"],
            f"is {OLD}; at least",
        ),
        # A driver that is good enough stays as it is, and the Fabric Manager follows it.
        (
            host(nvswitch="pci", manager=NEW),
            packages(DRIVER, MANAGER),
            [f"{MANAGER}={GOOD}-1"],
            f"The Fabric Manager is {NEW}; this NVSwitch machine needs exactly the driver's version.",
        ),
        (host(nvswitch="nvlink5", manager=GOOD), packages(DRIVER, MANAGER), ["nvlsm=2025.06.11-1"], "nvlsm is missing"),
        # The module of the closed packages drives no Blackwell GPU.
        (
            host(problem=SILENT, loaded_module={"version": GOOD, "open": False}, gpus=[]),
            packages(UTILS, HEADERS),
            [f"{DRIVER}={NEW}-0ubuntu1"],
            f"NVIDIA driver {GOOD}: the kernel module is installed but not loaded",
        ),
        # The kernel was upgraded, and nothing could build the module for it.
        (
            host(GOOD, loaded=None, on_disk=None),
            packages(DRIVER),
            [f"{HEADERS}=6.8.0-60.63"],
            "is missing. The kernel headers to build it are missing.",
        ),
        (
            host(None),
            packages(HEADERS, unfinished=["nvidia-dkms-580-open", "vim"]),
            [f"{DRIVER}={NEW}-0ubuntu1"],
            "No NVIDIA driver is installed. An earlier installation was interrupted: nvidia-dkms-580-open.",
        ),
        (host(), packages(DRIVER, unfinished=["nvlsm"]), [], "An earlier installation was interrupted: nvlsm."),
    ],
)
def test_what_is_installed(info: dict[str, Any], apt: dict[str, Any], chosen: list[str], reason: str) -> None:
    plan = make_plan(info, wanted(), apt)
    assert (plan.action, list(plan.packages), plan.problem) == ("install", chosen, "")
    assert reason in plan.reason


def test_an_exact_version() -> None:
    plan = make_plan(host(NEW), wanted(version=GOOD), packages(DRIVER, HEADERS, version=NEW))
    assert plan.reason == f"The NVIDIA driver is {NEW}, not {GOOD}."
    assert (plan.packages, plan.version) == ((f"{DRIVER}={GOOD}-0ubuntu1",), GOOD)


def test_a_plan_without_package_lists_names_all_that_is_missing() -> None:
    plan = make_plan(host(None, nvswitch="nvlink5"), wanted(), packages(available={}))
    assert plan.packages == (DRIVER, HEADERS, MANAGER, "nvlsm")
    for name in (DRIVER, HEADERS, "nvlsm"):
        assert f"No repository of this host has {name}." in plan.problem


def test_no_fabric_manager_for_an_unknown_driver() -> None:
    plan = make_plan(host(GOOD, loaded=None, on_disk=None, nvswitch="pci"), wanted(), packages())
    assert "unknown" in plan.problem
    plan = make_plan(host(GOOD, loaded=None, on_disk=None, nvswitch="pci"), wanted(), packages(UTILS))
    assert (plan.packages, plan.problem) == ((f"{HEADERS}=6.8.0-60.63", f"{MANAGER}={GOOD}-1"), "")


def test_a_driver_of_the_run_file_is_not_installed_over() -> None:
    plan = make_plan(host(OLD), wanted(), packages(HEADERS))
    assert "nvidia-uninstall" in plan.problem


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": "590.48.01"}, "nvidia_driver_version 590.48.01 is not in nvidia_driver_branch 580."),
        ({"version": GOOD, "minimum": NEW}, f"nvidia_driver_version {GOOD} is lower than nvidia_driver_min {NEW}."),
    ],
)
def test_contradictions(changes: dict[str, Any], reason: str) -> None:
    plan = make_plan(host(), wanted(**changes), packages(DRIVER))
    assert (plan.action, plan.reason) == ("refuse", reason)


SIGNATURE = "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service"
NO_DEVICE = "modprobe: ERROR: could not insert 'nvidia': No such device"


@pytest.mark.parametrize(
    ("info", "load_error", "nouveau", "action", "words"),
    [
        (host(), "", False, "ready", "open kernel modules, 2 GPUs"),
        (host(loaded=None), "", False, "load", "its kernel module is not loaded"),
        (host(loaded=None), NO_DEVICE, True, "reboot", "The module nouveau holds the GPUs."),
        (host(loaded=None), NO_DEVICE, False, "refuse", NO_DEVICE),
        (host(loaded=None), SIGNATURE, False, "refuse", "Secure Boot refuses it"),
        (host(loaded=OLD, driver_version="580.95"), "", False, "reboot", f"but the module {OLD} is loaded"),
        (host(loaded=None, on_disk=None), "", False, "refuse", f"for the running kernel {KERNEL} is missing"),
        (host(problem=SILENT), "", False, "refuse", "the kernel module is installed but not loaded (NVIDIA-SMI"),
        (host(problem=SILENT, loaded_module={"version": GOOD, "open": False}), "", False, "reboot", GOOD),
    ],
)
def test_the_steps_after_the_installation(
    info: dict[str, Any], load_error: str, nouveau: bool, action: str, words: str
) -> None:
    plan = make_plan(info, wanted(), packages(DRIVER, UTILS, HEADERS), load_error, nouveau)
    assert plan.action == action
    assert words in plan.reason
    assert plan.hold == (DRIVER, UTILS)


@pytest.mark.parametrize(("nvswitch", "hold"), [("none", (DRIVER, UTILS)), ("nvlink5", (DRIVER, UTILS, "nvlsm"))])
def test_held_are_the_packages_of_the_driver(nvswitch: str, hold: tuple[str, ...]) -> None:
    apt = packages(DRIVER, UTILS)
    for name, version in (("nvlsm", "2025.06.11"), ("nvidia-container-toolkit", "1.20.0"), ("nvidia-utils-570", OLD)):
        apt["installed"].update(packages(name, version=version)["installed"])
    apt["installed"].update(packages("libnvidia-compute-580", held=True)["installed"])
    assert make_plan(host(nvswitch=nvswitch, manager=GOOD), wanted(), apt).hold == hold
