# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module on hosts made of stand-ins: programs that print recorded answers, folders in place of /proc and /sys."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._nvidia import host
from ansible_collections.hgx.inference.plugins.modules import nvidia_gpu_info

RECORDED = Path(__file__).parents[2] / "fixtures" / "nvidia-smi"
SMI = f"""
case "$*" in
  "-q -x") cat {RECORDED}/h100-x2-idle.xml ;;
  --query-gpu=*) cat {RECORDED}/h100-x2-query.csv ;;
  "nvlink --status") cat {RECORDED}/h100-x2-nvlink.txt ;;
esac
"""
Look = Callable[..., dict[str, Any]]


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Look:
    """Return a function that runs the module on a host with the given programs and files."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(host, "PROC_VERSION", str(tmp_path / "version"))
    monkeypatch.setattr(host, "PCI_DEVICES", str(tmp_path / "pci"))

    def run(
        scripts: dict[str, str], loaded: str = "", pci: dict[str, tuple[str, str, str]] | None = None
    ) -> dict[str, Any]:
        for name, script in scripts.items():
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
        (tmp_path / "version").write_text(loaded)
        for address, values in (pci or {}).items():
            device = tmp_path / "pci" / address
            device.mkdir(parents=True)
            for name, value in zip(("vendor", "class", "vpd"), values, strict=True):
                (device / name).write_text(value)
        with patch_module_args({}), pytest.raises(SystemExit) as ended:
            nvidia_gpu_info.main()
        assert ended.value.code == 0
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert result["changed"] is False
        return result

    return run


def test_a_host_without_anything(look: Look) -> None:
    result = look({"modinfo": "exit 1"})
    assert result["installed"] is False
    assert result["gpus"] == []
    assert result["problem"] is None
    assert result["loaded_module"] is None
    assert result["installed_module_version"] is None
    assert result["hardware"] == {"gpus": [], "nvswitch": "none"}
    assert result["fabric_manager"] == {"version": None, "state": "absent"}


def test_a_healthy_host(look: Look) -> None:
    result = look(
        {
            "nvidia-smi": SMI,
            "modinfo": "echo 580.159.04",
            "nv-fabricmanager": "echo 'Fabric Manager version is : 580.159.04'",
            "systemctl": "echo active",
        },
        loaded=(RECORDED / "proc-version-open.txt").read_text(),
        pci={
            "0000:00:06.0": ("0x10de\n", "0x030200\n", ""),
            "0000:00:07.0": ("0x10de\n", "0x030200\n", ""),
            "0000:00:08.0": ("0x10de\n", "0x068000\n", ""),
            "0000:00:03.0": ("0x1af4\n", "0x020000\n", ""),
        },
    )
    assert result["driver_version"] == "580.159.04"
    assert result["loaded_module"] == {"version": "580.159.04", "open": True}
    assert result["installed_module_version"] == "580.159.04"
    assert result["hardware"] == {"gpus": ["0000:00:06.0", "0000:00:07.0"], "nvswitch": "pci"}
    assert result["fabric_manager"] == {"version": "580.159.04", "state": "active"}
    assert [(gpu["compute_cap"], gpu["nvlink"]["active"]) for gpu in result["gpus"]] == [("9.0", 18), ("9.0", 18)]
    assert result["problem"] is None


def test_switches_behind_connectx_bridges(look: Look) -> None:
    bridge = ("0x15b3\n", "0x020700\n", "\x82...V3SMDL=SW_MNG...")
    adapter = ("0x15b3\n", "0x020700\n", "\x82...ConnectX-7...")
    assert look({}, pci={"0000:05:00.0": adapter, "0000:06:00.0": bridge})["hardware"]["nvswitch"] == "nvlink5"


def test_a_driver_that_does_not_work_is_an_answer(look: Look) -> None:
    words = "Failed to initialize NVML: Driver/library version mismatch"
    smi = f"echo '{words}'\necho 'NVML library version: 580.126'\nexit 18"
    loaded = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\n"
    result = look({"nvidia-smi": smi, "modinfo": "echo 580.126.20"}, loaded=loaded)
    assert result["installed"] is True
    assert result["driver_version"] == "580.126"
    assert "kernel module is 580.95.05" in result["problem"]["cause"]
    assert result["problem"]["evidence"] == words


def test_what_nvidia_smi_lists_beside_a_lost_gpu(look: Look) -> None:
    words = "Unable to determine the device handle for GPU1: 0000:34:00.0: Unknown Error"
    result = look({"nvidia-smi": f"echo '{words}'\ncat {RECORDED}/h100-idle.xml\nexit 15"})
    assert result["problem"] is None
    assert [gpu["name"] for gpu in result["gpus"]] == ["NVIDIA H100 80GB HBM3"]
    assert result["notes"] == [words, "(it ended with code 15)"]


def test_a_hanging_nvidia_smi_is_an_answer(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia_gpu_info, "gpu_info", lambda _timeout_s: host.gpu_info(0.4))
    result = look({"nvidia-smi": "exec sleep 30"})
    assert "did not answer within 0" in result["problem"]["cause"]
    assert "Xid" in result["problem"]["fix"]


@pytest.mark.parametrize(
    ("smi", "cause"),
    [
        ("echo nonsense", "cannot be understood"),
        ("echo '<nvidia_smi_log><attached_gpus>0</attached_gpus></nvidia_smi_log>'", "found no GPU"),
    ],
)
def test_an_answer_without_gpus(look: Look, smi: str, cause: str) -> None:
    assert cause in look({"nvidia-smi": smi})["problem"]["cause"]
