# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a container is started and when an earlier proof will do, with a stand-in of docker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._docker import engine
from ansible_collections.hgx.inference.plugins.module_utils._nvidia import gpu_probe
from ansible_collections.hgx.inference.plugins.modules import nvidia_container_probe

LISTED = "GPU 0: NVIDIA B200 (UUID: GPU-0)\nGPU 1: NVIDIA B200 (UUID: GPU-1)"


class Host:
    """A folder that is the host's root, with a docker that answers as it is told and remembers what it was asked."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.engine = engine.Process(1, ["dockerd"], {}, "", "boot/1/1")
        monkeypatch.setattr(gpu_probe, "_ROOT", f"{root}/")
        monkeypatch.setattr(gpu_probe, "_PATH", str(root))
        monkeypatch.setattr(engine, "process", lambda: self.engine)
        monkeypatch.setenv("PATH", f"{root}:/usr/bin:/bin")
        self.write("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module  580.95.05\nGCC\n")
        self.write("usr/lib/x/libnvidia-ml.so.580.95.05", "")
        self.write("etc/docker/daemon.json", "{}")
        self.program("nvidia-ctk", "echo 'NVIDIA Container Toolkit CLI version 1.20.0'")
        self.docker(runtime=f"echo '{LISTED}'")

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def program(self, name: str, script: str) -> None:
        self.write(name, f"#!/bin/sh\n{script}\n")
        (self.root / name).chmod(0o755)

    def docker(
        self, runtime: str = "exit 125", cdi: str = "exit 125", image: bool = True, pull: str = "exit 1"
    ) -> None:
        """Set what a container of each request does, and whether the image is there or can be pulled."""
        self.program(
            "docker",
            f'echo "$*" >>{self.root}/asked\n'
            f"case \"$*\" in 'image inspect'*) exit {int(not image)} ;; pull*) {pull} ;;"
            f' info*) echo \'{{"ServerVersion": "26.1.5"}}\' ;; *--gpus*) {runtime} ;; *--device*) {cdi} ;; esac',
        )

    def containers(self) -> int:
        asked = self.root / "asked"
        count = sum(line.startswith("run ") for line in asked.read_text().splitlines()) if asked.exists() else 0
        asked.unlink(missing_ok=True)
        return count

    def run(self, capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
        args = {"image": "some/image", "gpus": 2, **options}
        with patch_module_args(args), pytest.raises(SystemExit):
            nvidia_container_probe.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


Capture = pytest.CaptureFixture[str]


def test_a_request_that_works(host: Host, capsys: Capture) -> None:
    result = host.run(capsys)
    assert (result["changed"], result["request"], result["problems"], result["started"]) == (False, "runtime", {}, True)
    words = (host.root / "asked").read_text().splitlines()[-1].split()
    assert words[-6:] == ["--entrypoint", "nvidia-smi", "--gpus", "all", "some/image", "-L"]


def test_requests_are_tried_in_order(host: Host, capsys: Capture) -> None:
    host.docker(runtime="echo 'could not select device driver' >&2; exit 125", cdi=f"echo '{LISTED}'")
    result = host.run(capsys, requests=["runtime", "cdi"])
    assert result["request"] == "cdi"
    assert result["problems"]["runtime"]["remedy"] == "install"
    host.program("nvidia-container-runtime-hook", "")
    assert host.run(capsys)["problems"]["runtime"]["remedy"] == "restart"


def test_nothing_works(host: Host, capsys: Capture) -> None:
    host.write("etc/nvidia-container-runtime/config.toml", "[nvidia-container-cli]\nno-cgroups = true\n")
    host.docker(runtime="echo 'Failed to initialize NVML: Unknown Error'; exit 255")
    result = host.run(capsys)
    assert (result["request"], result["proof"]) == (None, {})
    assert "no-cgroups" in result["problems"]["runtime"]["cause"]


def test_a_proof_holds_as_long_as_nothing_changes(host: Host, capsys: Capture) -> None:
    proof = host.run(capsys)["proof"]
    assert host.containers() == 1
    result = host.run(capsys, last_proof=proof, requests=["cdi", "runtime"])
    assert (result["request"], result["proof"], result["started"]) == ("runtime", proof, False)
    assert host.containers() == 0
    assert host.run(capsys, last_proof=proof, requests=["cdi"])["request"] is None


@pytest.mark.parametrize("what", ["gpus", "engine", "toolkit", "module", "libraries", "daemon.json", "CDI"])
def test_what_ends_a_proof(host: Host, capsys: Capture, what: str) -> None:
    proof = host.run(capsys)["proof"]
    host.containers()
    gpus = 1 if what == "gpus" else 2
    if what == "engine":
        host.engine = host.engine._replace(identity="boot/1/2")
    elif what == "toolkit":
        host.program("nvidia-ctk", "echo 'NVIDIA Container Toolkit CLI version 1.20.1'")
    elif what == "module":
        host.write("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module  580.126.20\n")
    elif what == "libraries":
        host.write("usr/lib/x/libnvidia-ml.so.580.126.20", "")
    elif what == "daemon.json":
        host.write("etc/docker/daemon.json", '{"default-runtime": "nvidia"}')
    elif what == "CDI":
        host.write("var/run/cdi/nvidia.yaml", "kind: nvidia.com/gpu")
    assert host.run(capsys, last_proof=proof, gpus=gpus)["started"] is True
    assert host.containers() == 1


def test_check_mode_starts_no_container(host: Host, capsys: Capture) -> None:
    result = host.run(capsys, _ansible_check_mode=True)
    assert (result["request"], result["problems"], result["started"]) == (None, {}, False)
    assert host.containers() == 0
    proof = host.run(capsys)["proof"]
    assert host.run(capsys, _ansible_check_mode=True, last_proof=proof)["request"] == "runtime"


def test_a_missing_image_is_pulled(host: Host, capsys: Capture) -> None:
    host.docker(runtime=f"echo '{LISTED}'", image=False, pull="exit 0")
    result = host.run(capsys)
    assert (result["request"], result["changed"]) == ("runtime", True)


def test_an_image_that_cannot_be_had(host: Host, capsys: Capture) -> None:
    host.docker(image=False, pull="echo 'dial tcp: no such host' >&2; exit 1")
    problem = host.run(capsys)["problems"]["runtime"]
    assert "some/image for the probe is not on the host and cannot be pulled" in problem["cause"]
    assert problem["evidence"] == "dial tcp: no such host"


def test_a_container_that_hangs_is_removed(host: Host, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(
        image: str, requests: list[str], gpus: int, last_proof: dict[str, Any], _timeout_s: float, look_only: bool
    ) -> gpu_probe.Outcome:
        return gpu_probe.probe(image, requests, gpus, last_proof, 0.4, look_only)

    monkeypatch.setattr(nvidia_container_probe, "probe", impatient)
    host.docker(runtime="exec sleep 30")
    result = host.run(capsys)
    assert "hangs" in result["problems"]["runtime"]["cause"]
    assert (host.root / "asked").read_text().splitlines()[-1].startswith("rm --force hgx-gpu-probe-")


def test_without_docker(host: Host, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.root / "docker").unlink()
    monkeypatch.setenv("PATH", str(host.root))
    assert "docker command is not on this host's PATH" in host.run(capsys)["msg"]


PLAIN = (
    "docker: Error response from daemon: failed to create task for container: unable to start container process: error"
    ' during container init: exec: "nvidia-smi": executable file not found in $PATH'
)


def beside_usr(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the driver be in /opt/driver."""
    host.program("opt/driver/bin/nvidia-smi", "")
    monkeypatch.setenv("PATH", f"{host.root}:{host.root}/opt/driver/bin:/usr/bin:/bin")
    monkeypatch.setattr(gpu_probe, "driver_root", lambda: "/opt/driver")


def by_path(path: str) -> str:
    """Return what a container does that has nvidia-smi only there."""
    return f"case \"$*\" in *'--entrypoint {path} '*) echo '{LISTED}' ;; *) echo '{PLAIN}' >&2; exit 127 ;; esac"


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (
            "    - hostPath: /x/nvidia-smi\n      containerPath: /srv/nvidia/bin/nvidia-smi\n",
            "/srv/nvidia/bin/nvidia-smi",
        ),
        ('{"hostPath": "/x/nvidia-smi", "containerPath": "/srv/bin/nvidia-smi"}', "/srv/bin/nvidia-smi"),
        ("kind: nvidia.com/gpu", "/opt/driver/bin/nvidia-smi"),
    ],
    ids=["YAML", "JSON", "as on the host"],
)
def test_a_program_beside_the_path_lists_the_gpus(
    host: Host, capsys: Capture, monkeypatch: pytest.MonkeyPatch, spec: str, path: str
) -> None:
    beside_usr(host, monkeypatch)
    host.write("etc/cdi/nvidia.yaml", spec)
    host.docker(cdi=by_path(path))
    result = host.run(capsys, requests=["cdi"])
    assert (result["request"], result["problems"]) == ("cdi", {})


def test_a_specification_without_the_program(host: Host, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    beside_usr(host, monkeypatch)
    host.docker(cdi=by_path("/nowhere"), runtime=by_path("/nowhere"))
    problems = host.run(capsys, requests=["cdi", "runtime"])["problems"]
    assert problems["cdi"]["cause"].startswith("The CDI specification gives the container no nvidia-smi")
    assert "nvidia-ctk cdi generate --driver-root=/opt/driver --dev-root=/ " in problems["cdi"]["fix"]
    assert problems["cdi"]["remedy"] == "spec"
    assert "void" not in str(problems["cdi"])
    assert "NVIDIA_VISIBLE_DEVICES" in problems["runtime"]["fix"]


def test_libraries_beside_usr_count(host: Host, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    beside_usr(host, monkeypatch)
    host.write("opt/driver/lib64/libnvidia-ml.so.580.95.05", "")
    proof = host.run(capsys)["proof"]
    assert proof["driver"]["libraries"] == ["libnvidia-ml.so.580.95.05"]
    host.write("opt/driver/lib64/libnvidia-ml.so.580.126.20", "")
    assert host.run(capsys, last_proof=proof)["started"] is True


@pytest.mark.parametrize(
    ("program", "root"),
    [("/usr/bin/nvidia-smi", ""), ("/usr/local/nvidia/bin/nvidia-smi", "/usr/local/nvidia"), (None, "")],
)
def test_where_the_driver_is(monkeypatch: pytest.MonkeyPatch, program: str | None, root: str) -> None:
    monkeypatch.setattr(gpu_probe.shutil, "which", lambda *_args, **_options: program)
    assert gpu_probe.driver_root() == root
