# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bare node after the first two playbooks of the site: containers get all GPUs, and one reboot was enough."""

from __future__ import annotations

import json

from testinfra.host import Host


def test_containers_get_all_gpus(host: Host) -> None:
    listed = host.check_output("docker run --rm --gpus all probe nvidia-smi -L")
    assert len(listed.splitlines()) == 8
    assert listed.startswith("GPU 0: NVIDIA B200")


def test_driver_and_fabric_manager_are_of_one_version(host: Host) -> None:
    driver = host.check_output("nvidia-smi --query-gpu=driver_version,fabric.state,fabric.status --format=csv,noheader")
    assert set(driver.splitlines()) == {"580.126.20, Completed, Success"}
    assert host.package("nvidia-fabricmanager-580").version == "580.126.20-1"
    for service in ("nvidia-fabricmanager", "nvidia-persistenced", "docker"):
        assert host.service(service).is_running, service
        assert host.service(service).is_enabled, service


def test_the_roles_have_waited_for_apt(host: Host) -> None:
    assert host.file("/var/tmp/apt-was-waited-for").exists


def test_one_reboot(host: Host) -> None:
    assert json.loads(host.check_output("nvidia-stub events"))["boots"] == 1


def test_upgrades_leave_it_alone(host: Host) -> None:
    held = set(host.check_output("apt-mark showhold").split())
    assert {"nvidia-driver-580-open", "nvidia-fabricmanager-580", "nvlsm", "nvidia-container-toolkit"} <= held


def test_the_repository_is_listed_once(host: Host) -> None:
    assert host.check_output("grep -rl nvidia-stubs /etc/apt/sources.list.d") == (
        "/etc/apt/sources.list.d/nvidia-stubs.sources"
    )


def test_the_engines_settings(host: Host) -> None:
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert settings["runtimes"]["nvidia"]["path"] == "nvidia-container-runtime"
    assert settings["live-restore"] is True
    assert settings["log-opts"]["max-size"] == "100m"
