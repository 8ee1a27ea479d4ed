# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the preflight says of hosts with one defect each, on a B200 node that is constructed from recorded reports."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hgx.inference.plugins.module_utils._core.finding import render
from ansible_collections.hgx.inference.plugins.module_utils._docker.registry import Answer
from ansible_collections.hgx.inference.plugins.module_utils._model.fit import Demand
from ansible_collections.hgx.inference.plugins.module_utils._nvidia import smi
from ansible_collections.hgx.inference.plugins.module_utils._preflight.facts import Alternative, Host, Needs, Volume
from ansible_collections.hgx.inference.plugins.module_utils._preflight.judge import CHECKS, GB, GIB, judge
from ansible_collections.hgx.inference.tests.unit.support.gpu_reports import (
    all_links_inactive,
    constructed_b200,
    constructed_lost_b200,
    recorded,
)


def config(recipe: str) -> dict[str, Any]:
    path = Path(__file__).parents[5] / "recipes" / f"{recipe}.yml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))["architecture"]["config"])


IMAGE = "vllm/vllm-openai:cu130-nightly"
SHAPE = config("kimi_k2_6_hgx_b200")
DEMAND = Demand(SHAPE, {"tensor-parallel-size": 8, "kv-cache-dtype": "fp8"}, 32, 10240)
NEEDS = Needs(
    image=IMAGE,
    demand=DEMAND,
    alternatives=(Alternative("v0.19.1-cu130", "580"), Alternative("v0.23.0-cu129", "570", "a newer vLLM")),
    gpu_count=8,
    gpu_name="B200",
    gpu_memory_gib=170,
    driver_min="580",
    fabric=True,
    memory_gib=200,
    shm_gib=16,
    weights_gb=610,
    image_gb=60,
    disk_reserve_gb=10,
    hf_home="/home/ubuntu/.cache/huggingface",
    ports=(8001,),
)
INSTALL = replace(NEEDS, install_driver=True)
COMPATIBLE = replace(NEEDS, cuda_compatibility=True)


def nvidia(elements: dict[str, str] | None = None, count: int = 8, **changes: Any) -> dict[str, Any]:
    """Return the facts of a node of B200 GPUs whose last GPU has C(elements)."""
    report = smi.parse_report(constructed_b200(elements or {}, count))
    for gpu in report["gpus"]:
        gpu["nvlink"] = {"active": 18, "inactive": 0}
    return {
        **report,
        "installed": True,
        "driver_version": "580.159.04",
        "problem": None,
        "loaded_module": {"version": "580.159.04", "open": True},
        "installed_module_version": "580.159.04",
        "hardware": {"gpus": [f"0000:{16 + index:x}:00.0" for index in range(count)], "nvswitch": "nvlink5"},
        "fabric_manager": {"version": "580.159.04", "state": "active"},
        **changes,
    }


def volume(
    folder: str, mount: str = "/", free_gb: float = 20_000, kind: str = "ext4", device: str = "/dev/vda1"
) -> Volume:
    return Volume(folder, mount, device, kind, int(free_gb * GB))


HEALTHY = Host(
    os_id="ubuntu",
    os_version="24.04",
    architecture="x86_64",
    kernel="6.8.0-60-generic",
    headers=True,
    secure_boot=False,
    nvidia=nvidia(),
    own_pids=frozenset(),
    volumes={"weights": volume(NEEDS.hf_home), "images": volume("/var/lib/docker")},
    other_volumes=(),
    weights_missing_bytes=None,
    image_present=False,
    memory_bytes=2900 * GIB,
    shm_bytes=1400 * GIB,
    port_trouble=None,
    skew_s=0.4,
    uptime_s=90_000.0,
    downloads={IMAGE: Answer("present", "sha256:0")},
    python_packages={"transformers==4.57.6": Answer("present", "")},
    kernel_log="[    0.000000] Linux version 6.8.0-60-generic\n",
    reached=("https://huggingface.co", "https://registry-1.docker.io/v2/"),
)
GUEST = {"gpus": ["a"] * 8, "nvswitch": "none"}  # whose switches belong to the host of the virtual machine
NONE = {"version": None, "state": "absent"}
PROBLEM = {
    "cause": "the kernel module is neither loaded nor built",
    "evidence": "NVIDIA-SMI has failed",
    "fix": "Do this.",
}


LINKS_UNKNOWN = nvidia(gpus=[{**gpu, "nvlink": None} for gpu in nvidia()["gpus"]])
LINKS_DOWN = copy.deepcopy(LINKS_UNKNOWN)
smi.add_nvlink(LINKS_DOWN["gpus"], all_links_inactive(*(gpu["uuid"] for gpu in LINKS_DOWN["gpus"])))
JOINING = nvidia({"fabric__state": "In Progress", "fabric__status": "N/A"})
JOINING["gpus"][7]["nvlink"] = {"active": 0, "inactive": 18}
R570 = nvidia(driver_version="570.133.20", loaded_module={"version": "570.133.20", "open": True})
R550 = nvidia(driver_version="550.54.15", loaded_module={"version": "550.54.15", "open": True})
OLD_MODULE = nvidia(driver_version="580.105.08", loaded_module={"version": "580.105.08", "open": True})
UNLICENSED = nvidia()
UNLICENSED["gpus"][7]["vgpu"] = {"guest": True, "license": "Unlicensed (Unrestricted)"}
BUS = [f"0000:{16 + index:x}:00.0" for index in range(8)]
RESET_REQUIRED = "NVRM: nvAssertOkFailedNoLog: Assertion failed: Reset required [NV_ERR_RESET_REQUIRED] (0x00000062)"
XID = "[ 9012.3] NVRM: Xid (PCI:0000:17:00): {}\n"


def busy(pid: int) -> dict[str, Any]:
    """Return the facts of a node on which one process uses a GPU."""
    facts = nvidia()
    facts["gpus"][3]["processes"] = [{"pid": pid, "name": "VLLM::EngineCore", "memory_mib": 73958}]
    return facts


def test_a_healthy_node_meets_all_needs() -> None:
    findings = judge(NEEDS, HEALTHY)
    assert {name for name, finding in findings.items() if finding and not finding.ok} == set()
    # Only what other drivers need does not apply.
    unused = {name for name, finding in findings.items() if finding is None}
    assert unused == {"secure_boot", "kernel_headers", "uptime"}


DEFECTS: list[tuple[str, Needs, dict[str, Any], str, str]] = [
    ("platform", NEEDS, {"os_version": "22.04"}, "ubuntu 22.04", "GPU Base 24.04"),
    ("platform", NEEDS, {"os_id": "rhel", "os_version": "9"}, "rhel 9", "GPU Base 24.04"),
    ("architecture", NEEDS, {"architecture": "aarch64"}, "aarch64", "x86-64"),
    ("kernel_headers", INSTALL, {"headers": False}, "nor offered by apt", "apt-get update"),
    ("secure_boot", INSTALL, {"secure_boot": True}, "Secure Boot is on", "mokutil"),
    (
        "gpu_hardware",
        NEEDS,
        {"nvidia": nvidia(hardware={"gpus": ["a"] * 7, "nvswitch": "nvlink5"})},
        "7",
        "reboot once",
    ),
    ("gpu_hardware", NEEDS, {"nvidia": nvidia(hardware={"gpus": [], "nvswitch": "none"})}, "0", "Rent a machine"),
    ("driver", NEEDS, {"nvidia": nvidia(installed=False, driver_version=None, gpus=[])}, "no driver", "mode: install"),
    (
        "driver",
        NEEDS,
        {"nvidia": nvidia(driver_version="570.124.06", loaded_module={"version": "570.124.06", "open": True})},
        "570.124.06",
        "nvidia_driver_reboot_ok: true",
    ),
    ("driver", NEEDS, {"nvidia": R570}, "570.133.20", "vllm_image_tag: v0.23.0-cu129 needs driver 570 only"),
    ("driver", NEEDS, {"nvidia": R570}, "570.133.20", "vllm_cuda_compatibility: true"),
    ("driver", COMPATIBLE, {"nvidia": R550}, "550.54.15", "installs a newer driver and reboots (about 10 minutes)."),
    ("driver", COMPATIBLE, {}, "580.159.04", "Take vllm_cuda_compatibility out"),
    ("driver", NEEDS, {"nvidia": nvidia(problem=PROBLEM, gpus=[])}, "NVIDIA-SMI has failed", "Do this."),
    (
        "driver_module",
        NEEDS,
        {"nvidia": nvidia(loaded_module={"version": "580.95.05", "open": False})},
        "580.95.05 (proprietary) is loaded",
        "Reboot",
    ),
    (
        "driver_hold",
        NEEDS,
        {"upgraded_driver": ("libnvidia-compute-580", "nvidia-dkms-580-open")},
        "2 may be upgraded, such as libnvidia-compute-580, nvidia-dkms-580-open",
        "apt-mark hold",
    ),
    (
        "gpu_count",
        NEEDS,
        {"nvidia": nvidia(count=7, hardware={"gpus": ["a"] * 8, "nvswitch": "nvlink5"})},
        "7",
        "Xid",
    ),
    (
        "gpu_count",
        NEEDS,
        {
            "nvidia": nvidia(count=7, hardware={"gpus": BUS, "nvswitch": "nvlink5"}),
            "kernel_log": "[  9.1] NVRM: GPU 0000:17:00.0: RmInitAdapter failed! (0x62:0x65:1792)\n",
        },
        "7, without 0000:17:00.0; the kernel says: NVRM: GPU 0000:17:00.0: RmInitAdapter failed!",
        "give the machine back",
    ),
    ("gpu_model", NEEDS, {"nvidia": nvidia({"product_name": "NVIDIA H100"})}, "NVIDIA H100", "published figures"),
    (
        "gpu_memory",
        replace(NEEDS, demand=None),
        {"nvidia": nvidia({"fb_memory_usage__total": "81559 MiB"})},
        "79.6 GiB",
        "KV cache",
    ),
    (
        "gpu_fit",
        replace(NEEDS, demand=DEMAND._replace(args={**DEMAND.args, "max-model-len": 10**7})),
        {},
        "context: one request of 10,000,000 tokens takes 327.2 of",
        "Lower max-model-len",
    ),
    (
        "gpu_fit",
        replace(NEEDS, demand=DEMAND._replace(config={})),
        {"model_config": {**SHAPE, "text_config": {**SHAPE["text_config"], "num_hidden_layers": 610}}},
        "GPU memory: ",
        "choose a recipe for this GPU",
    ),
    ("mig", NEEDS, {"nvidia": nvidia({"mig_mode__pending_mig": "Enabled"})}, "GPU 7", "nvidia-smi -mig 0"),
    (
        "gpu_health",
        NEEDS,
        {"nvidia": nvidia({"ecc_errors__volatile__dram_uncorrectable": "2"})},
        "GPU 7: 2 uncorrectable memory errors",
        "give the machine back",
    ),
    ("gpu_health", NEEDS, {"nvidia": nvidia({"gpu_recovery_action": "Reboot"})}, "asks for 'Reboot'", "Reboot"),
    ("gpu_health", NEEDS, {"nvidia": nvidia({"remapped_rows__remapped_row_failure": "Yes"})}, "not be remapped", ""),
    (
        "gpu_health",
        NEEDS,
        {"nvidia": nvidia({"remapped_rows__remapped_row_pending": "Yes"})},
        "pending to be remapped",
        "Reboot",
    ),
    ("gpu_health", NEEDS, {"nvidia": nvidia({"temperature__gpu_temp": "ERR!"})}, "GPU 7: it does not answer", "Reboot"),
    (
        "gpu_health",
        NEEDS,
        {"nvidia": nvidia({"fb_memory_usage__used": "[GPU requires reset]"})},
        "(used: [GPU requires reset])",
        "Reboot",
    ),
    (
        "gpu_health",
        NEEDS,
        {"nvidia": nvidia({"ecc_errors__channel_repair_pending": "Yes", "ecc_errors__tpc_repair_pending": "Yes"})},
        "GPU 7: pending until a reset: channel repair, tpc repair",
        "Reboot",
    ),
    (
        "gpu_health",
        NEEDS,
        {"nvidia": nvidia({"ecc_errors__unrepairable_memory": "Yes"})},
        "unrepairable memory, for which NVIDIA replaces it",
        "give the machine back",
    ),
    ("gpu_modes", NEEDS, {"nvidia": nvidia({"compute_mode": "Prohibited"})}, "GPU 7: compute mode Prohibited", "-c 0"),
    ("gpu_modes", NEEDS, {"nvidia": nvidia({"compute_mode": "Exclusive_Process"})}, "a second process", "-c 0"),
    ("gpu_modes", NEEDS, {"nvidia": nvidia({"ecc_mode__current_ecc": "Disabled"})}, "ECC is off", "nvidia-smi -e 1"),
    (
        "gpu_modes",
        NEEDS,
        {"nvidia": nvidia({"cc_protected_memory_usage__total": "183359 MiB"})},
        "CUDA fails with error 802",
        "conf-compute -srs 1",
    ),
    ("gpu_modes", NEEDS, {"nvidia": UNLICENSED}, "GPU 7: a virtual GPU (vGPU) without a license", "nvidia-gridd"),
    (
        "gpu_health",
        NEEDS,
        {"nvidia": nvidia({"ecc_errors__aggregate__sram_threshold_exceeded": "Yes"})},
        "NVIDIA replaces it",
        "give the machine back",
    ),
    ("gpu_health", NEEDS, {"nvidia": nvidia(notes=["WARNING: infoROM is corrupted"])}, "infoROM is corrupted", ""),
    (
        "fabric",
        NEEDS,
        {"nvidia": nvidia({"fabric__health__summary": "Unhealthy", "fabric__health__route_unhealthy": "True"})},
        "GPU 7: Unhealthy, route unhealthy True",
        "use another node",
    ),
    (
        "fabric",
        NEEDS,
        {"nvidia": nvidia({"fabric__status": "Unknown Error"})},
        "1 of 8 GPUs have not joined the NVLink fabric (Completed/Unknown Error).",
        "Joining has failed",
    ),
    (
        "nvlink",
        NEEDS,
        {"nvidia": LINKS_DOWN},
        "GPU 7: 0 active, 0 inactive; 18 on each of the others",
        "use another node",
    ),
    ("nvlink", NEEDS, {"nvidia": LINKS_UNKNOWN}, "unknown", "prints"),
    (
        "gpu_errors",
        NEEDS,
        {"kernel_log": XID.format("149, NETIR_LINK_EVT Fatal") * 2},
        "2 times (NVLink error)",
        "give",
    ),
    ("gpu_errors", NEEDS, {"kernel_log": XID.format("79, pid=1, GPU has fallen off the bus.")}, "off the bus", "give"),
    ("gpu_errors", NEEDS, {"kernel_log": XID.format("145, RLW_REMAP Nonfatal XC0")}, "Nonfatal", "Xid catalog"),
    ("gpu_errors", NEEDS, {"kernel_log": XID.format("399, something new")}, "Xid 399", "Xid catalog"),
    (
        "gpu_errors",
        NEEDS,
        {"kernel_log": "nvidia-nvswitch3: SXid (PCI:0000:c3:00.0): 24007, Fatal, Link 30 sourcetrack timeout error\n"},
        "SXid 24007 of 0000:c3:00.0 (fatal error of an NVSwitch)",
        "preflight_warn",
    ),
    (
        "gpu_errors",
        NEEDS,
        {"kernel_log": f"{RESET_REQUIRED} returned from status @ kernel_channel.c:2874\n"},
        f"a GPU waits for a reset: {RESET_REQUIRED}",
        "Reset the GPUs or reboot.",
    ),
    ("gpu_errors", NEEDS, {"kernel_log": None}, "cannot be read", "dmesg"),
    (
        "pcie",
        NEEDS,
        {"nvidia": nvidia({"pci__pci_gpu_link_info__link_widths__current_link_width": "8x"})},
        "GPU 7: 8 of 16 lanes",
        "Reboot once",
    ),
    (
        "pcie",
        NEEDS,
        {"nvidia": nvidia({"pci__pci_gpu_link_info__pcie_gen__current_link_gen": "3"})},
        "GPU 7: generation 3, and 5 on others",
        "Reboot once",
    ),
    ("uptime", NEEDS, {"nvidia": OLD_MODULE, "uptime_s": 61 * 86400.0}, "61 days", "newer driver"),
    (
        "gpu_clocks",
        NEEDS,
        {"nvidia": nvidia({"clocks_event_reasons__clocks_event_reason_hw_power_brake_slowdown": "Active"})},
        "GPU 7: the server's power supply",
        "report the machine",
    ),
    (
        "gpu_clocks",
        NEEDS,
        {"nvidia": nvidia({"gpu_power_readings__current_power_limit": "500.00 W"})},
        "limited to 500 of 700 W",
        "nvidia-smi -pl",
    ),
    ("persistence", NEEDS, {"nvidia": nvidia({"persistence_mode": "Disabled"})}, "off on GPU 7", "nvidia-smi -pm 1"),
    (
        "fabric",
        NEEDS,
        {"nvidia": nvidia({"fabric__state": "In Progress", "fabric__status": "N/A"})},
        "1 of 8 GPUs have not joined the NVLink fabric (In Progress).",
        "The Fabric Manager is active: see 'journalctl -u nvidia-fabricmanager'.",
    ),
    (
        "fabric",
        NEEDS,
        {"nvidia": nvidia(fabric_manager={"version": "580.159.04", "state": "inactive"})},
        "The Fabric Manager is inactive: nothing deals with",
        "systemctl enable --now nvidia-fabricmanager",
    ),
    (
        "fabric",
        NEEDS,
        {
            "nvidia": nvidia({"fabric__state": "N/A", "fabric__status": "N/A"}, hardware=GUEST, fabric_manager=NONE),
            "uptime_s": 90.0,  # it is not about to join
        },
        "1 of 8 GPUs have not joined the NVLink fabric (N/A).",
        "belong to the host of this virtual machine",
    ),
    ("gpu_processes", NEEDS, {"nvidia": busy(4711)}, "GPU 3: VLLM::EngineCore (pid 4711, 73958 MiB)", "docker ps"),
    (
        "gpu_processes",
        NEEDS,
        {"nvidia": nvidia({"fb_memory_usage__used": "9000 MiB"})},
        "GPU 7: 9000 MiB in use by no visible process",
        "distorts the benchmark",
    ),
    ("memory", NEEDS, {"memory_bytes": 64 * GIB}, "64.0 GiB", "larger machine"),
    ("page_cache", NEEDS, {"memory_bytes": 700 * GIB}, "500.0 GiB", "reads the weights from the disk"),
    ("shared_memory", NEEDS, {"shm_bytes": GIB // 16}, "0.1 GiB", "size=32G"),
    (
        "disk",
        NEEDS,
        {"volumes": {"weights": volume("/w", free_gb=650), "images": volume("/i", "/mounted", free_gb=650)}},
        "650 GB free on /dev/vda1",
        "hf_cache_home or docker_data_root",
    ),
    (
        "disk",
        NEEDS,
        {
            "volumes": {"weights": volume("/w", "/data", device="/dev/vdb"), "images": volume("/i", free_gb=20)},
            "other_volumes": (
                volume("/boot", "/boot", 1, device="/dev/vdd"),
                volume("/mnt/nvme", "/mnt/nvme", 9000, device="/dev/vdc"),
                volume("/data", "/data", device="/dev/vdb"),
            ),
        },
        "20 GB free on /dev/vda1",
        "/mnt/nvme (/dev/vdc) has 9000 GB free",
    ),
    (
        "docker_root",
        NEEDS,
        {"volumes": {"weights": volume("/w"), "images": volume("/nfs/docker", "/nfs", kind="nfs4")}},
        "/nfs/docker is on /dev/vda1 (nfs4, mounted at /nfs)",
        "docker_data_root",
    ),
    ("port", NEEDS, {"port_trouble": "taken by nginx (pid 99)"}, "taken by nginx (pid 99)", "vllm_port"),
    ("clock", NEEDS, {"skew_s": -300.0}, "300 s behind", "set-ntp"),
    ("clock", NEEDS, {"skew_s": 31.0}, "31 s ahead", "set-ntp"),
    ("apt_sources", NEEDS, {"source_conflicts": ("https://x /: a, b",)}, "https://x /: a, b", "Signed-By"),
    (
        "packages",
        NEEDS,
        {"dpkg_problems": ("linux-headers is half-configured",)},
        "half-configured",
        "dpkg --configure",
    ),
    (
        "downloads",
        NEEDS,
        {"downloads": {IMAGE: Answer("absent", "status 404"), "a/b at main": Answer("present", "commit 1234")}},
        f"{IMAGE}: not there (status 404)",
        "vllm_image_tag: v0.19.1-cu130; vllm_image_tag: v0.23.0-cu129: a newer vLLM.",
    ),
    ("downloads", NEEDS, {"downloads": {IMAGE: Answer("denied", "status 401")}}, "refused", "docker login"),
    ("downloads", NEEDS, {"downloads": {IMAGE: Answer("limited", "status 429")}}, "too many requests", "Wait, log in"),
    (
        "downloads",
        NEEDS,
        {"downloads": {"a/b at x": Answer("absent", "it has no revision x")}},
        "no revision x",
        "hf_ca",
    ),
    ("downloads", NEEDS, {"downloads": {"a/b at x": Answer("denied", "status 401")}}, "refused", "Set HF_TOKEN"),
    ("downloads", NEEDS, {"downloads": {"a/b at x": Answer("limited", "status 429")}}, "too many", "set HF_TOKEN"),
    (
        "python_packages",
        NEEDS,
        {"python_packages": {"a==9": Answer("absent", "its newest are 1, 2"), "b==1": Answer("present", "")}},
        "a==9: not there (its newest are 1, 2)",
        "Correct vllm_image_pip",
    ),
    (
        "python_packages",
        NEEDS,
        {"python_packages": {"a==9": Answer("present", ""), "b==1": Answer("unknown", "there is no pip")}},
        "b==1: unknown (there is no pip)",
        "Nothing is wrong as far as is known",
    ),
    (
        "reachability",
        NEEDS,
        {"unreachable": {"https://hub.example": "Connection refused"}},
        "Connection refused: https://hub.example",
        "hf_cache_endpoint",
    ),
]


@pytest.mark.parametrize(
    ("check", "needs", "changes", "found", "fix"), DEFECTS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_defect_is_found_alone(check: str, needs: Needs, changes: dict[str, Any], found: str, fix: str) -> None:
    findings = judge(needs, replace(HEALTHY, **changes))
    assert [name for name, finding in findings.items() if finding and not finding.ok] == [check]
    finding = findings[check]
    assert finding is not None
    assert found in finding.found
    assert fix in finding.fix
    assert finding.need


@pytest.mark.parametrize(
    ("changes", "certain"),
    [
        ({"requests": 500}, False),  # the server would preempt requests, and serve
        ({"args": {**DEMAND.args, "max-model-len": 2_600_000}}, False),  # by less than the estimate
        ({"args": {**DEMAND.args, "max-model-len": 10**7}}, True),
    ],
)
def test_only_what_certainly_does_not_fit_fails(changes: dict[str, Any], certain: bool) -> None:
    finding = judge(replace(NEEDS, demand=DEMAND._replace(**changes)), HEALTHY)["gpu_fit"]
    assert finding is not None
    assert (finding.ok, finding.certain) == (False, certain)


@pytest.mark.parametrize("words", ["GPU is lost", "Unknown Error", "[GPU requires reset]"])
@pytest.mark.parametrize("count", [8, 1])
def test_a_gpu_that_answers_nothing_is_told_once(words: str, count: int) -> None:
    gpus = smi.parse_report(constructed_lost_b200(words))["gpus"][-count:]
    for gpu in gpus[:-1]:
        gpu["nvlink"] = {"active": 18, "inactive": 0}
    hardware = {"gpus": ["a"] * count, "nvswitch": "nvlink5"}
    facts = nvidia(gpus=gpus, hardware=hardware)
    findings = judge(replace(NEEDS, gpu_count=count), replace(HEALTHY, nvidia=facts))
    failed = {name: finding for name, finding in findings.items() if finding and not finding.ok}
    assert set(failed) == {"gpu_health"}
    assert f"GPU 7: it does not answer (product_name: {words}" in failed["gpu_health"].found


@pytest.mark.parametrize(
    ("facts", "certain"),
    [
        (nvidia({"compute_mode": "Prohibited"}), True),
        (UNLICENSED, True),
        (nvidia({"compute_mode": "Exclusive_Process"}), False),
        (nvidia({"cc_protected_memory_usage__total": "183359 MiB", "ecc_mode__current_ecc": "Disabled"}), False),
    ],
)
def test_only_a_mode_that_certainly_refuses_fails(facts: dict[str, Any], certain: bool) -> None:
    finding = judge(NEEDS, replace(HEALTHY, nvidia=facts))["gpu_modes"]
    assert finding is not None
    assert (finding.ok, finding.certain) == (False, certain)


def test_without_an_architecture_nothing_is_said_of_the_fit() -> None:
    assert judge(replace(NEEDS, demand=DEMAND._replace(config={})), HEALTHY)["gpu_fit"] is None


def test_every_check_can_fail() -> None:
    assert {defect[0] for defect in DEFECTS} == set(CHECKS)


@pytest.mark.parametrize(
    ("needs", "changes"),
    [
        # What the role of the driver will put right.
        (INSTALL, {"nvidia": nvidia(installed=False, driver_version=None, loaded_module=None, gpus=[])}),
        (INSTALL, {"nvidia": nvidia(driver_version="570.124.06", loaded_module={"version": "1.2", "open": True})}),
        (INSTALL, {"nvidia": nvidia({"fabric__state": "In Progress", "fabric__status": "N/A"})}),
        (NEEDS, {"nvidia": nvidia(hardware=GUEST, fabric_manager=NONE)}),
        (NEEDS, {"nvidia": nvidia({"fabric__state": "In Progress", "fabric__status": "N/A"}), "uptime_s": 90.0}),
        (NEEDS, {"nvidia": nvidia({"gpu_power_readings__current_power_limit": "N/A"})}),
        (NEEDS, {"nvidia": nvidia({"ecc_mode__current_ecc": "N/A", "cc_protected_memory_usage__total": "N/A"})}),
        # A link that is slow because its GPU is idle.
        (
            NEEDS,
            {"nvidia": nvidia({"pci__pci_gpu_link_info__pcie_gen__current_link_gen": "1", "performance_state": "P8"})},
        ),
        # Our own server.
        (NEEDS, {"nvidia": busy(4711), "own_pids": frozenset({4711})}),
        # Everything is there already, on a disk with little room left.
        (
            NEEDS,
            {
                "weights_missing_bytes": 0,
                "image_present": True,
                "volumes": {"weights": volume("/w", free_gb=1), "images": volume("/i", free_gb=1)},
            },
        ),
        # Half of the weights is there.
        (
            NEEDS,
            {
                "weights_missing_bytes": 300 * GB,
                "volumes": {"weights": volume("/w", free_gb=400), "images": volume("/i", free_gb=400)},
            },
        ),
        # A module that has been accepted under Secure Boot.
        (NEEDS, {"secure_boot": True}),
        # Links of a fabric that is about to be complete.
        (NEEDS, {"nvidia": JOINING, "uptime_s": 90.0}),
        # A driver that is old for the image, but not for what was chosen.
        (COMPATIBLE, {"nvidia": R570}),
        (replace(NEEDS, image="vllm/vllm-openai:v0.23.0-cu129"), {"nvidia": R570}),
        # Reachability is another check's.
        (NEEDS, {"downloads": {IMAGE: Answer("unknown", "timed out")}}),
        # Errors of programs, and what the driver has dealt with.
        (NEEDS, {"kernel_log": XID.format("13, pid=7, Graphics Exception") + XID.format("63, Row Remapper")}),
        (NEEDS, {"nvidia": OLD_MODULE}),
        # No GPU wanted: none is missed.
        (Needs(memory_gib=3), {"nvidia": nvidia(installed=False, gpus=[], hardware={"gpus": [], "nvswitch": "none"})}),
    ],
)  # fmt: skip
def test_no_defect(needs: Needs, changes: dict[str, Any]) -> None:
    findings = judge(needs, replace(HEALTHY, **changes))
    assert {name: finding for name, finding in findings.items() if finding and not finding.ok} == {}


@pytest.mark.parametrize(("state", "certain"), [("absent", True), ("unknown", False)])
def test_a_package_that_nobody_could_ask_for_only_warns(state: str, certain: bool) -> None:
    finding = judge(NEEDS, replace(HEALTHY, python_packages={"a==9": Answer(state, "")}))["python_packages"]
    assert finding is not None
    assert finding.certain is certain


def test_a_complete_fabric_without_its_manager_only_warns() -> None:
    facts = nvidia(fabric_manager={"version": "580.159.04", "state": "failed"})
    finding = judge(NEEDS, replace(HEALTHY, nvidia=facts))["fabric"]
    assert finding is not None
    assert (finding.ok, finding.certain) == (False, False)


def test_a_gpu_without_a_fabric_is_fine_where_none_is_needed() -> None:
    one = Needs(gpu_count=1, gpu_name="H100", driver_min="580")
    gpus = smi.parse_report(recorded("h100-idle.xml"))["gpus"]
    facts = nvidia(gpus=gpus, hardware={"gpus": ["0000:00:06.0"], "nvswitch": "none"})
    findings = judge(one, replace(HEALTHY, nvidia=facts))
    assert findings["fabric"] is None
    assert all(finding.ok for finding in findings.values() if finding)


def test_a_fabric_that_is_there_is_checked_though_none_is_needed() -> None:
    facts = nvidia({"fabric__state": "In Progress"})
    finding = judge(replace(NEEDS, fabric=False), replace(HEALTHY, nvidia=facts))["fabric"]
    assert finding is not None
    assert not finding.ok


def test_the_text_names_need_found_and_fix() -> None:
    finding = judge(NEEDS, replace(HEALTHY, port_trouble="taken by nginx (pid 99)"))["port"]
    assert finding is not None
    assert render({"port": finding}).splitlines() == [
        "  port",
        "    need  port 8001 of 127.0.0.1 free, or taken by our own server",
        "    found taken by nginx (pid 99)",
        "    fix   Stop what has it, or set another vllm_port or vllm_bind_address.",
    ]
