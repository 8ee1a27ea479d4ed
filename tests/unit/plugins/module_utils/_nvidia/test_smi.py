# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reading of what nvidia-smi prints: recorded for H100, constructed from that for B200."""

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._nvidia import smi
from ansible_collections.hgx.inference.tests.unit.support.gpu_reports import (
    all_links_inactive,
    constructed_b200,
    recorded,
)

UNKNOWN = dict.fromkeys(["summary", *smi.FABRIC_HEALTH])
LOST = "Unable to determine the device handle for GPU7: 0000:DB:00.0: Unknown Error\nNo devices were found\n"


def test_one_idle_h100() -> None:
    report = smi.parse_report(recorded("h100-idle.xml"))
    assert (report["driver_version"], report["cuda_version"]) == ("580.159.04", "13.0")
    (gpu,) = report["gpus"]
    assert gpu == {
        "index": 0,
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": "GPU-00000000-0000-0000-0000-000000000000",
        "bus_id": "0000:00:06.0",
        "compute_cap": None,
        "memory_total_mib": 81559,
        "memory_used_mib": 0,
        "persistence": True,
        "faults": [],
        "mig": {"current": "Disabled", "pending": "Disabled"},
        "ecc": {
            "enabled": True,
            "volatile_uncorrected": 0,
            "volatile_corrected": 0,
            "aggregate_uncorrected": 0,
            "remapped_rows_pending": False,
            "remapped_rows_failed": False,
            "sram_threshold_exceeded": False,
            "repairs_pending": [],
            "unrepairable": False,
        },
        "compute_mode": "Default",
        "confidential": False,
        "vgpu": {"guest": False, "license": None},
        "pcie_width": {"current": 16, "max": 16},
        "pcie_generation": 5,
        "performance_state": "P0",
        "recovery_action": None,
        "clocks": {"sm_mhz": 345, "sm_max_mhz": 1980, "memory_mhz": 2619, "event_reasons": ["gpu_idle"]},
        "power": {"draw_w": 76.2, "limit_w": 700.0, "default_limit_w": 700.0},
        "temperature_c": 42,
        "fabric": {"state": None, "status": None, "health": UNKNOWN},
        "nvlink": None,
        "processes": [],
    }


def test_a_busy_h100_names_its_process() -> None:
    (gpu,) = smi.parse_report(recorded("h100-busy.xml"))["gpus"]
    assert gpu["processes"] == [{"pid": 782, "name": "VLLM::EngineCore", "memory_mib": 73958}]
    assert gpu["memory_used_mib"] == 73967


def test_two_h100_on_a_fabric() -> None:
    gpus = smi.parse_report(recorded("h100-x2-idle.xml"))["gpus"]
    smi.add_query(gpus, recorded("h100-x2-query.csv"))
    smi.add_nvlink(gpus, recorded("h100-x2-nvlink.txt"))
    assert [gpu["fabric"] for gpu in gpus] == [{"state": "Completed", "status": "Success", "health": UNKNOWN}] * 2
    assert [gpu["nvlink"] for gpu in gpus] == [{"active": 18, "inactive": 0}] * 2
    assert [gpu["compute_cap"] for gpu in gpus] == ["9.0", "9.0"]


@pytest.mark.parametrize(
    ("elements", "found"),
    [
        ({}, {"fabric": {"state": "Completed", "status": "Success", "health": UNKNOWN}}),
        (
            {"fabric__state": "In Progress", "fabric__status": "N/A"},
            {"fabric": {"state": "In Progress", "status": None, "health": UNKNOWN}},
        ),
        (
            {"fabric__health__summary": "Unhealthy", "fabric__health__route_unhealthy": "True"},
            {
                "fabric": {
                    "state": "Completed",
                    "status": "Success",
                    "health": {**UNKNOWN, "summary": "Unhealthy", "route_unhealthy": "True"},
                }
            },
        ),
        ({"pci__pci_gpu_link_info__link_widths__current_link_width": "8x"}, {"pcie_width": {"current": 8, "max": 16}}),
        (
            {"temperature__gpu_temp": "ERR!", "persistence_mode": "[Unknown Error]"},
            {"temperature_c": None, "faults": ["persistence_mode: [Unknown Error]", "gpu_temp: ERR!"]},
        ),
        ({"mig_mode__current_mig": "Enabled"}, {"mig": {"current": "Enabled", "pending": "Disabled"}}),
        ({"gpu_recovery_action": "Reboot"}, {"recovery_action": "Reboot"}),
        ({"persistence_mode": "Disabled"}, {"persistence": False}),
        ({"fb_memory_usage__total": "[N/A]"}, {"memory_total_mib": None}),
        ({"product_name": "{{ 1 / 0 }}"}, {"name": "{{ 1 / 0 }}"}),
    ],
)
def test_constructed_b200(elements: dict[str, str], found: dict[str, object]) -> None:
    gpus = smi.parse_report(constructed_b200(elements))["gpus"]
    assert len(gpus) == 8
    assert gpus[0]["name"] == "NVIDIA B200"
    assert gpus[0]["bus_id"] == "0000:10:00.0"
    assert {key: gpus[-1][key] for key in found} == found


def test_errors_and_slowdowns() -> None:
    elements = {
        "ecc_errors__volatile__dram_uncorrectable": "2",
        "ecc_errors__volatile__sram_uncorrectable_parity": "1",
        "ecc_errors__volatile__dram_correctable": "7",
        "remapped_rows__remapped_row_pending": "Yes",
        "clocks_event_reasons__clocks_event_reason_hw_thermal_slowdown": "Active",
    }
    gpu = smi.parse_report(constructed_b200(elements))["gpus"][-1]
    assert gpu["ecc"]["volatile_uncorrected"] == 3
    assert gpu["ecc"]["volatile_corrected"] == 7
    assert gpu["ecc"]["remapped_rows_pending"] is True
    assert "hw_thermal_slowdown" in gpu["clocks"]["event_reasons"]
    assert set(smi.SLOWDOWNS) & set(gpu["clocks"]["event_reasons"]) == {"hw_thermal_slowdown"}


def test_what_a_reset_repairs_or_not() -> None:
    elements = {"ecc_errors__tpc_repair_pending": "Yes", "ecc_errors__unrepairable_memory": "Yes"}
    ecc = smi.parse_report(constructed_b200(elements))["gpus"][-1]["ecc"]
    assert (ecc["repairs_pending"], ecc["unrepairable"]) == (["tpc_repair"], True)


def test_a_virtual_gpu() -> None:
    license_status = (
        "<vgpu_software_licensed_product><license_status>Unlicensed (Unrestricted)</license_status>"
        "</vgpu_software_licensed_product>"
    )
    text = recorded("h100-idle.xml").replace(">Pass-Through<", ">VGPU<").replace("</gpu>", f"{license_status}</gpu>")
    (gpu,) = smi.parse_report(text)["gpus"]
    assert gpu["vgpu"] == {"guest": True, "license": "Unlicensed (Unrestricted)"}


@pytest.mark.parametrize(("printed", "enabled"), [("Enabled", True), ("Disabled", False), ("N/A", None)])
def test_ecc(printed: str, enabled: bool | None) -> None:
    gpu = smi.parse_report(constructed_b200({"ecc_mode__current_ecc": printed}))["gpus"][-1]
    assert gpu["ecc"]["enabled"] is enabled


@pytest.mark.parametrize(("printed", "confidential"), [("0 MiB", False), ("N/A", False), ("183359 MiB", True)])
def test_confidential_computing(printed: str, confidential: bool) -> None:
    gpu = smi.parse_report(constructed_b200({"cc_protected_memory_usage__total": printed}))["gpus"][-1]
    assert gpu["confidential"] is confidential


def test_the_fabric_of_an_old_report_comes_from_the_query() -> None:
    gpus = smi.parse_report(recorded("h100-idle.xml"))["gpus"]
    smi.add_query(gpus, f"{gpus[0]['uuid']}, 9.0, In Progress, [N/A]\nnonsense\n")
    assert gpus[0]["fabric"] == {"state": "In Progress", "status": None, "health": UNKNOWN}


def test_inactive_links_and_unknown_gpus() -> None:
    gpus = smi.parse_report(recorded("h100-x2-idle.xml"))["gpus"]
    text = recorded("h100-x2-nvlink.txt").replace("Link 17: 26.562 GB/s", "Link 17: <inactive>", 1)
    smi.add_nvlink(gpus, text + "GPU 9: X (UUID: GPU-unknown)\n\t Link 0: 1 GB/s\n")
    assert gpus[0]["nvlink"] == {"active": 17, "inactive": 1}


def test_a_gpu_whose_links_are_all_inactive() -> None:
    gpus = smi.parse_report(constructed_b200({}, 2))["gpus"]
    smi.add_nvlink(gpus, all_links_inactive(gpus[0]["uuid"], gpus[1]["uuid"]))
    assert [gpu["nvlink"] for gpu in gpus] == [{"active": 18, "inactive": 0}, {"active": 0, "inactive": 0}]


def test_warnings_around_the_report() -> None:
    warning = "WARNING: infoROM is corrupted at gpu 0000:00:06.0"
    report = smi.parse_report(f"{recorded('h100-idle.xml')}\n{warning}\n")
    assert report["notes"] == [warning]
    preload = "ERROR: ld.so: object 'libx.so' from LD_PRELOAD cannot be preloaded (cannot open shared object): ignored."
    assert smi.parse_report(f"{preload}\n{recorded('h100-idle.xml')}")["notes"] == []
    assert len(report["gpus"]) == 1


@pytest.mark.parametrize(("text", "words"), [("garbage", "did not print XML"), ("<a/>", "printed <a>")])
def test_what_is_no_report(text: str, words: str) -> None:
    with pytest.raises(smi.SmiError, match=words):
        smi.parse_report(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (recorded("proc-version-open.txt"), {"version": "580.159.04", "open": True}),
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n"
            "GCC version:  gcc version 12.3.0\n",
            {"version": "535.183.01", "open": False},
        ),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder@U22)\n",
            {"version": "580.95.05", "open": True},
        ),
        ("", None),
    ],
)
def test_loaded_module(text: str, expected: dict[str, object] | None) -> None:
    assert smi.parse_module_version(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Fabric Manager version is : 580.95.05\n", "580.95.05"), ("nv-fabricmanager: unknown option", None)],
)
def test_fabric_manager_version(text: str, expected: str | None) -> None:
    assert smi.parse_fabric_manager_version(text) == expected


MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.126\n"
NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.\n\n"
)


HANDLE = "Unable to determine the device handle for "
NVML = "Failed to initialize NVML: "


@pytest.mark.parametrize(
    ("rc", "output", "loaded", "installed", "cause", "fix"),
    [
        (18, MISMATCH, "580.95.05", "580.126.20", "is 580.95.05, the driver's libraries are 580.126", "Reboot"),
        (9, NO_DRIVER, None, None, "neither loaded nor built for the running kernel", "nvidia_driver_mode: install"),
        (9, NO_DRIVER, None, "580.95.05", "580.95.05 is installed but not loaded", "modprobe nvidia"),
        (6, "No devices were found\n", "580.95.05", "580.95.05", "found no GPU that it can use", "open kernel modules"),
        (255, LOST, "580.95.05", "580.95.05", "the driver has lost GPU7: 0000:DB:00.0", "give the node back"),
        (255, HANDLE + "GPU0000:CB:00.0: Unknown Error", "1", "1", "has lost GPU0000:CB:00.0", "give the node back"),
        (255, HANDLE + "GPU1: Unknown Error", "1", "1", "has lost GPU1", "give the node back"),
        (15, HANDLE + "gpu 0000:C1:00.0: GPU is lost.  Reboot the system to recover this GPU", "1", "1",
         "has lost gpu 0000:C1:00.0", "give the node back"),
        (9, NVML + "Driver Not Loaded", None, "580.95.05", "580.95.05 is installed but not loaded", "modprobe nvidia"),
        (4, NVML + "Insufficient Permissions", "1", "1", "may not open the GPUs' device files", "/dev/nvidia*"),
        (255, "", "580.95.05", "580.95.05", "nvidia-smi failed", "Xid"),
    ],
)  # fmt: skip
def test_failures(rc: int, output: str, loaded: str | None, installed: str | None, cause: str, fix: str) -> None:
    problem = smi.explain_failure(rc, output, loaded, installed)
    assert cause in problem.cause
    assert problem.evidence == (output.splitlines()[0] if output else f"nvidia-smi ended with code {rc}")
    assert fix in problem.fix


def test_the_librarys_version() -> None:
    assert smi.library_version(MISMATCH) == "580.126"
    assert smi.library_version(NO_DRIVER) is None
