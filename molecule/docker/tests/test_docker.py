# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is in each host's daemon.json, what its engine makes of it, and what was left in peace."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host

FILE = "/etc/docker/daemon.json"
DEFAULTS = {"log-opts": {"max-size": "100m", "max-file": "5"}, "live-restore": True}


@pytest.fixture
def name(host: Host) -> str:
    return str(host.backend.get_hostname())


def only(name: str, *hosts: str) -> None:
    if name.removeprefix("hgx-docker-") not in hosts:
        pytest.skip("another host's case")


def settings(host: Host) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(host.file(FILE).content_string)
    return config


def info(host: Host) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(host.check_output("docker info --format '{{json .}}'"))
    return answer


def pid(host: Host) -> str:
    return host.check_output("systemctl show docker --property=MainPID --value")


def before(host: Host) -> list[str]:
    return host.file("/var/tmp/planned").content_string.splitlines()


def test_the_engine_runs_and_systemd_was_not_reloaded(host: Host, name: str) -> None:
    assert host.service("docker").is_running
    assert host.service("docker").is_enabled
    # Only the packages of a new engine do that.
    if name != "hgx-docker-fresh":
        assert json.loads(host.check_output("nvidia-stub events")) == {"boots": 0, "reloads": 0}


def test_a_fresh_host(host: Host, name: str) -> None:
    only(name, "fresh")
    assert settings(host) == {**DEFAULTS, "data-root": "/var/lib/docker/data"}
    assert host.file(FILE).mode == 0o644
    assert info(host)["DockerRootDir"] == "/var/lib/docker/data"
    assert info(host)["LiveRestoreEnabled"] is True
    assert host.package("docker.io").is_installed
    assert host.run("python3 -c 'import requests'").rc != 0, "the modules need the standard library alone"


def test_a_good_host_was_left_in_peace(host: Host, name: str) -> None:
    only(name, "good")
    assert host.check_output("state").splitlines() == before(host)
    assert host.file(FILE).content_string == '{"live-restore" : true,"log-opts":{"max-file":"5", "max-size":"100m"}}'


def test_foreign_settings_stay(host: Host, name: str) -> None:
    only(name, "foreign")
    assert list(settings(host).items()) == [
        ("registry-mirrors", ["https://mirror.example"]),
        ("log-opts", {"tag": "x", "max-size": "100m", "max-file": "5"}),
        ("ip-forward", True),
        ("live-restore", True),
    ]
    assert host.file(FILE).mode == 0o640
    (backup,) = [file for file in host.file("/etc/docker").listdir() if file != "daemon.json"]
    assert "max-size" not in host.file(f"/etc/docker/{backup}").content_string
    assert info(host)["RegistryConfig"]["Mirrors"] == ["https://mirror.example/"]
    assert f"MainPID={pid(host)}" not in before(host), "log options take a restart"


def test_an_invalid_file_is_untouched(host: Host, name: str) -> None:
    only(name, "invalid")
    assert host.file(FILE).content_string == '{\n  "debug": true\n  "mtu": 1400\n}\n'
    assert host.check_output("state").splitlines() == before(host)


def test_a_reload_and_an_allowed_restart_under_a_container(host: Host, name: str) -> None:
    only(name, "busy")
    assert settings(host) == {"live-restore": True, "max-concurrent-downloads": 8, "log-opts": {"max-size": "10m"}}
    assert f"MainPID={host.file('/var/tmp/reloaded').content_string}" in before(host), "the reload kept the engine"
    assert f"MainPID={pid(host)}" not in before(host)
    # live-restore was there in time: the container is the same one, and has not been started again.
    (worker,) = json.loads(host.check_output("docker inspect worker"))
    assert worker["State"]["Running"]
    assert any(line.startswith(worker["Id"]) for line in before(host))
    assert worker["RestartCount"] == 0
    assert worker["State"]["StartedAt"] < host.check_output("docker info --format '{{.SystemTime}}'")
