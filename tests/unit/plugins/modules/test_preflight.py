# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module on a host with several defects at once, made of a healthy one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._core.units import GIB
from ansible_collections.hgx.inference.plugins.module_utils._preflight.facts import Host, Needs, Volume
from ansible_collections.hgx.inference.plugins.module_utils._preflight.host import Places
from ansible_collections.hgx.inference.plugins.modules import preflight

HOST = Host(
    os_id="debian",
    os_version="13",
    architecture="x86_64",
    kernel="6.12",
    headers=None,
    secure_boot=None,
    nvidia={"installed": False, "gpus": [], "hardware": {"gpus": [], "nvswitch": "none"}},
    own_pids=frozenset(),
    volumes={"images": Volume("/var/lib/docker", "/", "/dev/sda1", "ext4", 10**12)},
    other_volumes=(),
    weights_missing_bytes=None,
    image_present=None,
    memory_bytes=16 * GIB,
    shm_bytes=GIB,
    port_trouble=None,
    skew_s=None,
    uptime_s=90_000.0,
)
DEFECTS: dict[str, Any] = {
    "os_version": "11",
    "memory_bytes": GIB,
    "shm_bytes": 0,
    "port_trouble": "taken by {{ x }} (pid 9)",
}
NEEDS = {"memory_gib": 3, "shm_gib": 0.2, "ports": [8001], "models": [{"repo": "a/b"}], "hub": "http://hub.example"}


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: Host, **options: Any
) -> tuple[dict[str, Any], tuple[Needs, Places]]:
    asked: list[tuple[Needs, Places]] = []

    def look(needs: Needs, places: Places) -> Host:
        asked.append((needs, places))
        return host

    monkeypatch.setattr(preflight, "look", look)
    with patch_module_args({**NEEDS, **options}), pytest.raises(SystemExit):
        preflight.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result, asked[0] if asked else (Needs(), Places())


def test_a_good_host(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    result, (needs, places) = run(monkeypatch, capsys, HOST)
    assert result["changed"] is False
    assert result["msg"] == "8 of 8 requirements are met."
    assert (needs.memory_gib, needs.ports, needs.gpu_count) == (3, (8001,), 0)
    assert places.models == (("a/b", "main"),)
    assert places.hub == "http://hub.example"


def test_all_defects_are_told_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    result, _asked = run(monkeypatch, capsys, replace(HOST, **DEFECTS))
    assert result["changed"] is False
    assert result["unmet"] == ["platform", "memory", "shared_memory", "port"]
    assert result["msg"].startswith("4 of 8 requirements are not met; nothing was changed.\n  platform\n    need  ")
    assert "    found taken by {{ x }} (pid 9)\n    fix   Stop what has it" in result["msg"]
    assert [check["name"] for check in result["checks"] if check["status"] == "fail"] == result["unmet"]


def test_a_check_that_only_warns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    host = replace(HOST, memory_bytes=GIB)
    result, _asked = run(monkeypatch, capsys, host, warn=["memory"])
    assert result["msg"] == "7 of 8 requirements are met."
    assert [check["name"] for check in result["checks"] if check["status"] == "warn"] == ["memory"]
    assert "preflight memory: needs 3 GiB of main memory; found 1.0 GiB. Use a larger machine." in str(
        result["warnings"]
    )


def test_an_unknown_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    result, _asked = run(monkeypatch, capsys, HOST, warn=["memroy"])
    assert result["msg"] == "There is no check named 'memroy'; did you mean 'memory'?"
