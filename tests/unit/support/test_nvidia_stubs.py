# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stub machine against what real programs printed, and its repository against apt."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._nvidia.smi import (
    add_nvlink,
    add_query,
    explain_failure,
    parse_report,
)
from ansible_collections.hgx.inference.tests.support.nvidia_stubs import build_repository
from ansible_collections.hgx.inference.tests.support.nvidia_stubs.payload.nvidia_stub import kernel, smi, state, toolkit
from ansible_collections.hgx.inference.tests.support.nvidia_stubs.payload.nvidia_stub.state import (
    Machine,
    Process,
    State,
)

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "nvidia-smi"
VERSION = "580.95.05"
HEALTHY = State(Machine(gpus=8), module=VERSION, persistence=True, gpus=tuple(range(8)))


def report(shown: State) -> str:
    return smi.render(build_repository.RECORDED.read_text(), shown, VERSION)


def elements(xml: str) -> set[str]:
    """The path of every element in a report."""

    def walk(element: ET.Element, path: str) -> set[str]:
        return {path}.union(*(walk(child, f"{path}/{child.tag}") for child in element))

    return walk(ET.fromstring(xml), "")


@pytest.mark.parametrize("recording", ["h100-idle.xml", "h100-x2-idle.xml"])
def test_an_idle_report_has_the_elements_of_a_recorded_one(recording: str) -> None:
    assert elements(report(HEALTHY)) == elements((RECORDINGS / recording).read_text())


def test_a_busy_report_has_the_elements_of_a_recorded_one() -> None:
    busy = dataclasses.replace(HEALTHY, machine=Machine(gpus=8, processes=(Process(gpu=1),)))
    assert elements(report(busy)) == elements((RECORDINGS / "h100-busy.xml").read_text())


def test_a_report_keeps_the_recorded_layout() -> None:
    recorded = (RECORDINGS / "h100-x2-busy.xml").read_text()
    lines = report(dataclasses.replace(HEALTHY, machine=Machine(gpus=8, processes=(Process(),)))).splitlines()
    assert lines[:3] == recorded.splitlines()[:3]
    layout = {line.partition(">")[0].partition(" ")[0] for line in recorded.splitlines()}
    assert {line.partition(">")[0].partition(" ")[0] for line in lines} <= layout


def test_the_collection_reads_what_the_stub_prints() -> None:
    machine = Machine(gpus=8, nvswitch="nvlink5", processes=(Process(gpu=7, pid=99, name="old", memory_mib=5),))
    shown = dataclasses.replace(HEALTHY, machine=machine, fabric_manager=VERSION)

    found = parse_report(report(shown))
    gpus = found["gpus"]
    rows = [smi.gpu_values(shown, VERSION, gpu, gpu) for gpu in shown.gpus]
    fields = ("uuid", "compute_cap", "fabric.state", "fabric.status")
    add_query(gpus, "\n".join(", ".join(row[name] for name in fields) for row in rows))
    add_nvlink(gpus, "\n".join(smi.links(shown)))

    assert (found["driver_version"], found["cuda_version"], len(gpus)) == (VERSION, "13.0", 8)
    assert {gpu["name"] for gpu in gpus} == {"NVIDIA B200"}
    assert [gpu["bus_id"] for gpu in gpus] == [state.bus_id(gpu) for gpu in range(8)]
    assert len({gpu["uuid"] for gpu in gpus}) == 8
    assert gpus[7]["processes"] == [{"pid": 99, "name": "old", "memory_mib": 5}]
    assert gpus[7]["memory_used_mib"] == 5
    assert (gpus[0]["fabric"]["state"], gpus[0]["fabric"]["status"]) == ("Completed", "Success")
    assert gpus[0]["compute_cap"] == "10.0"
    assert gpus[0]["nvlink"] == {"active": 18, "inactive": 0}
    assert gpus[0]["persistence"]


@pytest.mark.parametrize(
    ("change", "rc", "words"),
    [
        ({"module": None}, 9, "couldn't communicate with the NVIDIA driver"),
        ({"module": "570.124.06"}, 18, "Driver/library version mismatch\nNVML library version: 580.95"),
        ({"nvml": "Unknown Error"}, 255, "Failed to initialize NVML: Unknown Error"),
        ({"gpus": ()}, 6, "No devices were found"),
    ],
)
def test_refusals(change: dict[str, Any], rc: int, words: str) -> None:
    refusal = smi.refusal(dataclasses.replace(HEALTHY, **change), VERSION)
    assert refusal is not None
    assert refusal[0] == rc
    assert words in refusal[1]
    assert explain_failure(*refusal, loaded=None, installed=None).cause


def test_a_healthy_machine_is_not_refused() -> None:
    assert smi.refusal(HEALTHY, VERSION) is None


@pytest.mark.parametrize(
    ("machine", "fabric_manager", "age", "expected"),
    [
        (Machine(), None, 0.0, ("Completed", "Success")),
        (Machine(nvswitch="pci"), None, 0.0, ("In Progress", "N/A")),
        (Machine(nvswitch="pci"), "580.105.08", 9.0, ("In Progress", "N/A")),
        (Machine(nvswitch="nvlink5"), VERSION, 0.0, ("Completed", "Success")),
        (Machine(nvswitch="nvlink5", fabric_seconds=5), VERSION, 4.0, ("In Progress", "N/A")),
        (Machine(nvswitch="nvlink5", fabric_seconds=5), VERSION, 5.0, ("Completed", "Success")),
        (Machine(nvswitch="nvlink5", fabric="In Progress"), VERSION, 9.0, ("In Progress", "N/A")),
        (Machine(fabric="N/A"), None, 0.0, ("N/A", "N/A")),
    ],
)
def test_fabric(machine: Machine, fabric_manager: str | None, age: float, expected: tuple[str, str]) -> None:
    shown = State(machine, module=VERSION, fabric_manager=fabric_manager, fabric_manager_age=age)
    assert shown.fabric() == expected


def test_a_misspelt_key_of_the_machine_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown keys: gpu$"):
        Machine.from_dict({"gpu": 8})


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with two GPUs, and with a driver that is installed and not loaded."""
    folders = {name: tmp_path / name for name in ("pci", "module", "proc")}
    for folder in folders.values():
        folder.mkdir()
    (tmp_path / "modules").write_text("")
    (tmp_path / "machine.json").write_text('{"gpus": 2, "nvswitch": "nvlink5"}')
    replacements = [
        *[(kernel, "PCI", folders["pci"]), (kernel, "SYS_MODULE", folders["module"])],
        *[(kernel, "MODULES", tmp_path / "modules"), (state, "MACHINE", tmp_path / "machine.json")],
        *[(state, "PROC_VERSION", folders["proc"] / "nvidia" / "version"), (state, "FABRIC_MANAGER", tmp_path / "fm")],
    ]
    for module, name, path in replacements:
        monkeypatch.setattr(module, name, path)
    monkeypatch.setattr(kernel, "installed_module", lambda _release: VERSION)
    return tmp_path


def test_the_bus_shows_gpus_and_the_bridges_to_the_switches(host: Path) -> None:
    kernel.place_devices()
    devices = sorted(path for path in kernel.PCI.iterdir())
    gpus = [path.name for path in devices if (path / "class").read_text() == "0x030200\n"]
    bridges = [path for path in devices if (path / "vpd").exists() and b"SW_MNG" in (path / "vpd").read_bytes()]
    assert gpus == [state.bus_id(0), state.bus_id(1)]
    assert len(bridges) == 4


def test_a_module_is_loaded_and_unloaded(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    driver = kernel.PCI / state.bus_id(1) / "driver"
    assert kernel.modprobe(["nvidia-uvm"]) == 0
    assert kernel.loaded() == ["nvidia", "nvidia_uvm"]
    assert state.loaded_module() == VERSION
    assert driver.readlink().name == "nvidia"

    state.FABRIC_MANAGER.write_text("")
    assert kernel.modprobe(["-r", "nvidia"]) == 1
    assert capsys.readouterr().err == "modprobe: FATAL: Module nvidia is in use.\n"
    state.FABRIC_MANAGER.unlink()
    assert kernel.modprobe(["-r", "nvidia"]) == 0
    assert state.loaded_module() is None
    assert not driver.is_symlink()


@pytest.mark.parametrize(
    ("defect", "words"),
    [("nouveau", "No such device"), ("gpus", "No such device"), ("driver", "not found in directory")],
)
def test_a_module_that_cannot_be_loaded(
    host: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], defect: str, words: str
) -> None:
    if defect == "nouveau":
        kernel.load("nouveau")
    if defect == "gpus":
        state.MACHINE.write_text("{}")
    if defect == "driver":
        monkeypatch.setattr(kernel, "installed_module", lambda _release: None)
    assert kernel.modprobe(["nvidia"]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("all", [0, 1, 2]), ("2,0", [2, 0]), (state.uuid(1), [1]), ("3", None), ("0,x", None)],
)
def test_gpus_that_a_container_asks_for(wanted: str, expected: list[int] | None) -> None:
    assert toolkit.visible(wanted, 3) == expected


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundle of a container on a healthy host with four GPUs."""
    machine, proc, libraries = tmp_path / "machine.json", tmp_path / "version", tmp_path / "libraries"
    machine.write_text('{"gpus": 4}')
    proc.write_text((RECORDINGS / "proc-version-open.txt").read_text())
    libraries.mkdir()
    (libraries / "libnvidia-ml.so.580.159.04").write_text("")
    smi_program = tmp_path / "nvidia-smi"
    smi_program.write_text("")
    replacements = [
        *[(state, "MACHINE", machine), (state, "PROC_VERSION", proc), (state, "LIBRARIES", libraries)],
        *[(state, "SNAPSHOT", tmp_path / "none.json"), (toolkit, "SMI", smi_program)],
        *[
            (toolkit, "PROGRAMS", build_repository.PAYLOAD / "nvidia_stub"),
            (toolkit, "CONFIG", tmp_path / "config.toml"),
        ],
    ]
    for module, name, path in replacements:
        monkeypatch.setattr(module, name, path)
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    return bundle


def start(bundle: Path, monkeypatch: pytest.MonkeyPatch, *environment: str) -> int:
    """Run the hook as runc does."""
    spec = {"root": {"path": "rootfs"}, "process": {"env": list(environment)}}
    (bundle / "config.json").write_text(json.dumps(spec))
    (bundle / "state.json").write_text(json.dumps({"bundle": str(bundle)}))
    with (bundle / "state.json").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        return toolkit.main("nvidia-container-runtime-hook", ["prestart"])


def snapshot(bundle: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(toolkit.below(bundle / "rootfs", state.SNAPSHOT).read_text())
    return content


def test_the_hook_shows_the_gpus(container: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert start(container, monkeypatch, "NVIDIA_VISIBLE_DEVICES=1,2") == 0
    assert snapshot(container)["gpus"] == [1, 2]
    assert snapshot(container)["module"] == "580.159.04"


def test_the_hook_leaves_other_containers_alone(container: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert start(container, monkeypatch, "PATH=/bin", "NVIDIA_VISIBLE_DEVICES=void") == 0
    assert not (container / "rootfs").exists()


def test_a_machine_may_show_fewer_gpus(container: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state.MACHINE.write_text('{"gpus": 4, "container_gpus": 3}')
    assert start(container, monkeypatch, "NVIDIA_VISIBLE_DEVICES=all") == 0
    assert snapshot(container)["gpus"] == [0, 1, 2]


def test_without_device_cgroups_nvml_does_not_know(container: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toolkit.CONFIG.write_text("[nvidia-container-cli]\nno-cgroups = true\n")
    assert start(container, monkeypatch, "NVIDIA_VISIBLE_DEVICES=all") == 0
    assert snapshot(container)["nvml"] == "Unknown Error"


@pytest.mark.parametrize(
    ("defect", "words"),
    [
        ("cdi", "invoking the NVIDIA Container Runtime Hook directly"),
        ("unloaded", "nvidia-container-cli: initialization error: nvml error: driver not loaded"),
        ("mismatch", "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch"),
        ("none", "load library failed: libnvidia-ml.so.1"),
        ("device", "nvidia-container-cli: device error: 4: unknown device"),
    ],
)
def test_the_hook_refuses(
    container: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], defect: str, words: str
) -> None:
    if defect == "cdi":
        toolkit.CONFIG.write_text('[nvidia-container-runtime]\nmode = "cdi"\n')
    if defect == "unloaded":
        state.PROC_VERSION.unlink()
    if defect == "mismatch":
        state.PROC_VERSION.write_text(state.PROC_VERSION.read_text().replace("580.159.04", "580.95.05"))
    if defect == "none":
        shutil.rmtree(state.LIBRARIES)
    assert start(container, monkeypatch, f"NVIDIA_VISIBLE_DEVICES={'4' if defect == 'device' else 'all'}") == 1
    assert words in capsys.readouterr().err


def test_a_cdi_specification_names_each_gpu_and_all() -> None:
    spec = toolkit.cdi_spec(2, VERSION)
    devices = {device["name"]: device["containerEdits"]["env"] for device in spec["devices"]}
    assert set(devices) == {"0", "1", state.uuid(0), state.uuid(1), "all"}
    assert len(devices["all"]) == 2
    assert any(mount["hostPath"].endswith(f"libnvidia-ml.so.{VERSION}") for mount in spec["containerEdits"]["mounts"])


# The repository

needs_debian = pytest.mark.skipif(
    not all(map(shutil.which, ("apt-get", "dpkg-deb", "gpg"))), reason="needs apt, dpkg and gpg"
)


def apt(work: Path, repository: Path, key: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run an apt command on a system that knows nothing but the repository."""
    for folder in ("sources", "lists/partial", "archives/partial"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "status").touch()
    (work / "sources" / "stubs.sources").write_text(
        "Types: deb\nSuites: stable\nComponents: main\nArchitectures: amd64\n"
        f"URIs: file:{repository}\nSigned-By: {key}\n"
    )
    options = {
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "",
        "Dir::Cache": work,
        "Dir::Cache::archives": work / "archives",
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": work / "sources",
        "Dir::State": work,
        "Dir::State::Lists": work / "lists",
        "Dir::State::status": work / "status",
    }
    words = [f"--option={name}={value}" for name, value in options.items()]
    return subprocess.run([args[0], *words, *args[1:]], check=False, capture_output=True, text=True)


@pytest.mark.slow
@needs_debian
def test_apt_accepts_the_repository_and_its_key_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "repository"
    monkeypatch.setattr("sys.argv", ["build_repository.py", str(repository), "--kernel=6.8.0-1-generic"])
    assert build_repository.main() == 0
    built = (repository / "dists/stable/InRelease").stat().st_mtime_ns
    assert build_repository.main() == 0
    assert (repository / "dists/stable/InRelease").stat().st_mtime_ns == built, "built twice from the same inputs"

    refused = apt(tmp_path / "refused", repository, repository / "wrong-key.asc", "apt-get", "update")
    assert refused.returncode != 0
    assert "not signed" in refused.stderr

    work = tmp_path / "accepted"
    for key in ("key.asc", "key.gpg"):
        accepted = apt(work, repository, repository / key, "apt-get", "update")
        assert accepted.returncode == 0, accepted.stderr
    (work / "status").write_text(
        "Package: nvidia-stub-machine\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n"
        "Maintainer: x\nDescription: x\n"
    )
    madison = apt(work, repository, repository / "key.asc", "apt-cache", "madison", "nvidia-fabricmanager-580")
    assert [line.split("|")[1].strip() for line in madison.stdout.splitlines()] == [
        *("580.126.20-1", "580.105.08-1", "580.95.05-1")
    ]
    wanted = ["linux-headers-6.8.0-1-generic", "nvidia-driver-580-open", "nvidia-container-toolkit", "nvlsm"]
    plan = apt(work, repository, repository / "key.asc", "apt-get", "install", "--simulate", *wanted)
    assert plan.returncode == 0, plan.stderr + plan.stdout
    assert "Inst nvidia-utils-580 (580.126.20-0ubuntu1" in plan.stdout
    assert "Inst libnvidia-container1 (1.20.0-1" in plan.stdout
