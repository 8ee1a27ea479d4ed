# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module reports, on a host with and without an engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.modules import span_probe

ARGS = {
    "rank": 0,
    "addresses": ["", ""],
    "ports": [29501, 29502],
    "nonce": "a-nonce-of-this-play",
    "image": "some/image:1",
    "hf_home": "/nonexistent",
    "variables": {"GLOO_SOCKET_IFNAME": "eth0", "VLLM_USE_V1": "1"},
    "commits": {"org/model": "c1"},
}


def run(capsys: pytest.CaptureFixture[str], **args: Any) -> dict[str, Any]:
    with patch_module_args({**ARGS, **args}), pytest.raises(SystemExit):
        span_probe.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


@pytest.fixture(autouse=True)
def _no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_probe, "read_report", lambda: {"driver_version": None, "gpus": []})


def test_without_an_address_the_network_is_not_tried(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys)
    assert (result["address"], result["listening"], result["peers"]) == ("", {}, {})
    assert (result["own_server"], result["image"], result["driver"], result["gpus"]) == (False, "", "", [])
    assert result["variables"] == {"GLOO_SOCKET_IFNAME": "eth0"}
    assert result["weights"] == {"org/model": ""}
    assert {"name": "lo", "address": "127.0.0.1"}.items() <= result["interfaces"][0].items()
    assert "a-nonce-of-this-play" not in json.dumps(result)


def test_with_an_engine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    container: dict[str, Any] = {"State": {"Running": True}, "Config": {"Labels": {span_probe.LABEL: "a" * 12}}}
    image = {"Id": "sha256:1", "RepoDigests": ["some/image@sha256:2"], "Config": {}}
    monkeypatch.setattr(span_probe, "inspect_container", lambda _name: container)
    monkeypatch.setattr(span_probe, "inspect_image", lambda _name: image)
    result = run(capsys)
    assert (result["own_server"], result["image"]) == (True, "sha256:2")
    container["State"]["Running"] = False
    assert run(capsys)["own_server"] is False


def test_a_rank_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is no rank 2 among 2 addresses" in run(capsys, rank=2)["msg"]
