# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was installed and configured on each host, what its containers get, and what was left in peace."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host

PACKAGES = (
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "libnvidia-container-tools",
    "libnvidia-container1",
)
FACT = "/etc/ansible/facts.d/nvidia_container_toolkit.fact"
DAEMON = "/etc/docker/daemon.json"
LISTS = "/etc/apt/sources.list.d"


@pytest.fixture
def name(host: Host) -> str:
    return str(host.backend.get_hostname()).removeprefix("hgx-toolkit-")


def only(name: str, *hosts: str) -> None:
    if name not in hosts:
        pytest.skip("another host's case")


def read_json(host: Host, path: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(host.file(path).content_string)
    return content


def states(host: Host) -> list[set[str]]:
    """Return what `state` said before and says now, apart from the server that was started since, and from the fact."""
    lines = [host.file("/var/tmp/planned").content_string.splitlines(), host.check_output("state").splitlines()]
    server = host.run("docker ps --no-trunc --quiet --filter name=server").stdout.strip() or "no server"
    return [{line for line in part if FACT not in line and server not in line} for part in lines]


def reloads(host: Host) -> int:
    return int(json.loads(host.check_output("nvidia-stub events"))["reloads"])


def test_packages_are_pinned_and_held(host: Host, name: str) -> None:
    only(name, "fresh", "halfway", "serving")
    for package in PACKAGES:
        assert host.check_output(f"dpkg-query --show --showformat='${{db:Status-Abbrev}} ${{Version}}' {package}") == (
            "hi  1.20.0-1"
        )
    assert host.check_output("dpkg --audit") == ""


def test_a_new_list_and_its_key_can_be_read_by_all(host: Host, name: str) -> None:
    only(name, "fresh")
    text = host.file(f"{LISTS}/nvidia-container-toolkit.sources").content_string
    keyring = "/etc/apt/keyrings/nvidia-container-toolkit.asc"
    assert f"Signed-By: {keyring}" in text
    assert host.file(keyring).mode == 0o644
    assert host.file(f"{LISTS}/nvidia-container-toolkit.sources").mode == 0o644


def test_a_list_that_was_there_is_used_and_none_is_added(host: Host, name: str) -> None:
    only(name, "halfway")
    assert "nvidia-container-toolkit.sources" not in host.file(LISTS).listdir()
    assert host.file(f"{LISTS}/own.list").exists


def test_the_engine_knows_the_runtime_and_foreign_settings_stay(host: Host, name: str) -> None:
    only(name, "fresh")
    nvidia = {"path": "nvidia-container-runtime", "args": []}
    assert read_json(host, DAEMON) == {
        "features": {"buildkit": True},
        "log-opts": {"max-size": "1m"},
        "runtimes": {"nvidia": nvidia},
    }
    assert "nvidia" in json.loads(host.check_output("docker info --format '{{json .Runtimes}}'"))


@pytest.mark.parametrize(
    ("case", "request_kind"),
    [("fresh", "runtime"), ("halfway", "runtime"), ("good", "runtime"), ("serving", "runtime"), ("cdi", "cdi")],
)
def test_the_fact_says_what_works(host: Host, name: str, case: str, request_kind: str) -> None:
    only(name, case)
    fact = read_json(host, FACT)
    assert fact["gpu_request"] == request_kind
    assert fact["proof"]["gpus"] == 8
    assert host.file(FACT).mode == 0o644
    assert host.check_output("docker exec server nvidia-smi -L").count("NVIDIA B200") == 8


def test_cdi_is_on_and_has_a_specification(host: Host, name: str) -> None:
    only(name, "cdi")
    assert read_json(host, DAEMON) == {"features": {"cdi": True}}
    assert host.file("/var/run/cdi/nvidia.yaml").exists
    assert not host.file("/etc/cdi/nvidia.yaml").exists, "the toolkit's own service keeps it"
    assert reloads(host) == 0


def test_what_works_was_left_in_peace(host: Host, name: str) -> None:
    only(name, "good")
    before, now = states(host)
    assert before == now
    assert not host.file(DAEMON).exists
