# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loopback API itself: what it documents it does, also as a program."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.tests.support import lambda_api_server
from ansible_collections.hgx.inference.tests.support.lambda_api_server import KEY, LambdaApi, LambdaServer, Refusal

GOOD = {"region_name": "us-east-1", "instance_type_name": "gpu_1x_a10", "ssh_key_names": ["laptop"]}


def ask(url: str, body: dict[str, Any] | None = None, key: str = KEY) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as exc:
        return exc.code, json.load(exc)


def test_an_instance_boots_runs_and_ends() -> None:
    api = LambdaApi()
    (id_,) = api.answer("POST", "/instance-operations/launch", GOOD)["instance_ids"]
    assert api.instances[id_]["status"] == "booting"
    assert api.answer("GET", f"/instances/{id_}", None)["status"] == "active"
    api.answer("POST", "/instance-operations/terminate", {"instance_ids": [id_]})
    assert api.instances[id_]["status"] == "terminating"
    assert api.answer("GET", "/instances", None) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"region_name": "moon"}, "region_name"),
        ({"instance_type_name": "x"}, "instance_type_name"),
        ({"ssh_key_names": ["laptop", "laptop"]}, "ssh_key_names"),
        ({"ssh_key_names": []}, "ssh_key_names"),
        ({"quantity": 2}, "quantity"),
        ({"name": "x" * 65}, "name"),
        ({"image": {"family": "x"}}, "image"),
        ({"tags": [{"key": "Upper", "value": ""}]}, "tags"),
        ({"firewall_rulesets": [{"id": "x"}]}, "firewall_rulesets"),
    ],
)
def test_a_launch_that_is_not_as_documented_is_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Refusal) as caught:
        LambdaApi().answer("POST", "/instance-operations/launch", {**GOOD, **change})
    assert list(caught.value.body["field_errors"]) == [field]


def test_keys_paces_and_quotas() -> None:
    api = LambdaApi()
    api.quota = 0
    with LambdaServer(api, pace_s=60) as server:
        assert ask(f"{server.url}/instances", key="wrong")[0] == 401
        assert ask(f"{server.url}/instances")[0] == 200
        assert ask(f"{server.url}/instances")[0] == 429
        server.pace_s = 0
        status, answer = ask(f"{server.url}/instance-operations/launch", GOOD)
        assert (status, answer["error"]["code"]) == (400, "global/quota-exceeded")


def test_as_a_program() -> None:
    command = [sys.executable, str(Path(lambda_api_server.__file__)), "--instances", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        root = url.removesuffix("/api/v1")
        ask(f"{root}/_faults", {"kind": "status", "status": 503})
        assert ask(f"{url}/instances")[0] == 503
        assert len(ask(f"{url}/instances")[1]["data"]) == 2
        assert len(ask(f"{root}/_state")[1]["requests"]) == 2
        ask(f"{root}/_stop", {})
        assert process.wait(10) == 0
