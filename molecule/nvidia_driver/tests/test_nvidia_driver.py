# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role left behind in every case: versions that fit, and nothing touched where it had no leave to."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest
from testinfra.host import Host

OLD, GOOD, NEW = "570.124.06", "580.95.05", "580.126.20"


class Outcome(NamedTuple):
    """How a case must end."""

    driver: str
    manager: str = ""
    boots: int = 0
    touched: bool = True


OUTCOMES = {
    "fresh": Outcome(NEW, manager=NEW),
    "plain": Outcome(GOOD, boots=1),
    "good": Outcome(GOOD, manager=GOOD, touched=False),
    "old": Outcome(NEW, manager=NEW, boots=1),
    "manager": Outcome(GOOD, manager=GOOD),
    "interrupted": Outcome(OLD),
}


@pytest.fixture
def case(host: Host) -> str:
    return host.check_output("hostname").removeprefix("hgx-driver-")


@pytest.fixture
def outcome(case: str) -> Outcome:
    return OUTCOMES[case]


def packages(host: Host) -> dict[str, str]:
    """Return the installed packages of the stack with their upstream version."""
    lines = host.check_output("dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n'").splitlines()
    words = [line.split() for line in lines if "nvidia" in line or "nvlsm" in line]
    return {
        name: version.partition("-")[0]
        for status, name, version in words
        if status != "config-files" and name != "nvidia-stub-machine"
    }


def test_versions_agree(host: Host, outcome: Outcome) -> None:
    versions = {name: version for name, version in packages(host).items() if name != "nvlsm"}
    assert set(versions.values()) == {outcome.driver}, "driver and Fabric Manager are of one version"
    assert any("fabricmanager" in name for name in versions) == bool(outcome.manager)
    assert f" {outcome.driver} " in host.file("/proc/driver/nvidia/version").content_string
    assert host.check_output("modinfo -F version nvidia") == outcome.driver
    assert host.check_output("dpkg --audit") == ""


def test_every_gpu_is_on_the_fabric(host: Host) -> None:
    rows = host.check_output("nvidia-smi --query-gpu=fabric.state,persistence_mode --format=csv,noheader").splitlines()
    assert set(rows) == {"Completed, Enabled"}


def test_services(host: Host, outcome: Outcome) -> None:
    assert host.service("nvidia-persistenced").is_running
    assert host.service("nvidia-persistenced").is_enabled
    manager = host.service("nvidia-fabricmanager")
    assert manager.exists == bool(outcome.manager)
    if outcome.manager:
        assert manager.is_running
        assert manager.is_enabled


def test_packages_are_held_and_pinned(host: Host, outcome: Outcome) -> None:
    held = set(host.check_output("apt-mark showhold").splitlines())
    pin = host.file("/etc/apt/preferences.d/hgx-inference-nvidia-driver")
    if outcome.touched:
        assert held == set(packages(host))
        assert f"Pin: version {outcome.driver}*" in pin.content_string
        assert pin.mode == 0o644
    else:
        assert held == set()
        assert not pin.exists


def test_an_upgrade_leaves_the_driver_alone(host: Host, outcome: Outcome) -> None:
    if outcome.touched:
        assert "nvidia" not in host.check_output("apt-get --simulate dist-upgrade | grep ^Inst || true")


def test_reboots_and_reloads(host: Host, outcome: Outcome) -> None:
    events = json.loads(host.check_output("nvidia-stub events"))
    assert events["boots"] == outcome.boots
    if not outcome.touched:
        assert events["reloads"] == 0


def test_the_list_of_the_repository(host: Host, case: str, outcome: Outcome) -> None:
    own = host.file("/etc/apt/sources.list.d/nvidia-stubs.sources")
    if outcome.touched and case != "plain":
        assert own.mode == 0o644
        assert host.file("/etc/apt/keyrings/nvidia-stubs.asc").mode == 0o644
    else:  # not touched, or the list of others is used
        assert not own.exists
    assert host.run("apt-get update --error-on=any").rc == 0


def test_nvlink5(host: Host, case: str) -> None:
    ours = host.file("/etc/modules-load.d/hgx-inference-ib_umad.conf")
    needed = case in ("fresh", "manager")
    assert ours.exists == needed
    assert ("nvlsm" in packages(host)) == (needed or case == "good")
    if needed:
        assert ours.content_string == "ib_umad\n"
        assert host.file("/sys/module/ib_umad").exists


def test_the_persistence_daemon_is_told_to_persist(host: Host, case: str, outcome: Outcome) -> None:
    settings = host.file("/etc/systemd/system/nvidia-persistenced.service.d/hgx-inference.conf")
    assert settings.exists == outcome.touched
    if case in ("fresh", "interrupted"):  # elsewhere from the next boot on: the role does not reload systemd
        shown = host.check_output("systemctl show nvidia-persistenced --property=ExecStartPost")
        assert "--persistence-mode=1" in shown
