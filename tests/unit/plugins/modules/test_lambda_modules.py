# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules for Lambda with their real main(), against the loopback API."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._lambda import client
from ansible_collections.hgx.inference.plugins.modules import (
    lambda_firewall_ruleset,
    lambda_instance,
    lambda_instance_info,
)
from ansible_collections.hgx.inference.tests.support import lambda_api_server
from ansible_collections.hgx.inference.tests.support.lambda_api_server import (
    KEY,
    Fault,
    Greeter,
    LambdaApi,
    LambdaServer,
)
from ansible_collections.hgx.inference.tests.support.simulated_clock import SimulatedClock

Run = Callable[..., dict[str, Any]]
NODE = {"name": "kimi", "instance_type": "gpu_8x_b200_sxm6"}
SECRET_DATA = "#cloud-config s3cret-user-data"


@pytest.fixture
def server() -> Iterator[LambdaServer]:
    with LambdaServer(LambdaApi()) as server:
        yield server


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimulatedClock:
    clock = SimulatedClock()
    monkeypatch.setattr(client, "Clock", lambda: clock)
    return clock


@pytest.fixture(autouse=True)
def no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the machine's certificates for each request takes longer than all the rest; http needs none."""
    monkeypatch.setattr(ssl.SSLContext, "set_default_verify_paths", lambda self: None)


@pytest.fixture
def port() -> Iterator[int]:
    with Greeter() as greeter:
        yield greeter.port


@pytest.fixture
def run(
    server: LambdaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.setenv("LAMBDA_API_KEY", KEY)
    monkeypatch.setenv("LAMBDA_API_URL", server.url)
    monkeypatch.setenv("LAMBDA_API_INTERVAL", "0.001")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def run(module: ModuleType, check: bool = False, **arguments: Any) -> dict[str, Any]:
        with patch_module_args({**arguments, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            module.main()
        output = capsys.readouterr().out
        assert KEY not in output
        assert SECRET_DATA not in output
        result: dict[str, Any] = json.loads(output)
        assert "Traceback" not in str(result.get("msg"))
        return result

    return run


def test_life_of_an_instance(server: LambdaServer, run: Run, port: int, tmp_path: Path) -> None:
    settings = {**NODE, "ssh_port": port, "user_data": SECRET_DATA, "tags": {"team": 7}, "lifetime_hours": 2}
    assert run(lambda_instance, check=True, **settings)["price_usd_per_hour"] == 45.92
    result = run(lambda_instance, **settings)
    assert result["changed"], result
    assert result["instance"]["tags"]["team"] == "7"
    assert result["journal"] == str(tmp_path / "hgx-inference" / "lambda" / "journal.jsonl")
    assert KEY not in Path(result["journal"]).read_text()
    assert not run(lambda_instance, **settings)["changed"]
    info = run(lambda_instance_info, name="kimi")
    assert [one["id"] for one in info["instances"]] == [result["instance"]["id"]]
    assert info["instances"][0]["cost_usd"] == 0
    assert run(lambda_instance, name="kimi", state="restarted", ssh_port=port)["changed"]
    assert run(lambda_instance, name="kimi", state="absent")["changed"]
    assert not run(lambda_instance, name="kimi", state="absent")["changed"]
    assert server.running() == []


def test_lambdas_own_pace_is_kept(
    server: LambdaServer, run: Run, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request in a second, a launch in twelve: whatever the modules do, one after another."""
    monkeypatch.setenv("LAMBDA_API_INTERVAL", "1")
    server.clock, server.pace_s = clock.monotonic, 1.0
    assert run(lambda_instance, **NODE, ssh_port=0)["changed"]
    assert run(lambda_instance_info)["instances"]
    assert run(lambda_instance, name="kimi", state="absent")["changed"]
    assert run(lambda_instance, **NODE, ssh_port=0)["changed"]
    assert server.api.launches == 2
    assert server.refused_for_pace == 0


def test_a_storm_ends_in_a_clear_error(server: LambdaServer, run: Run, clock: SimulatedClock) -> None:
    run(lambda_instance, **NODE, ssh_port=0)
    server.faults = [Fault("status", status=429, times=10**6)]
    started = clock.now
    assert "Other programs use the same key" in run(lambda_instance, name="kimi", state="absent")["msg"]
    assert 30 < clock.now - started < 130


def test_a_node_without_ssh(run: Run) -> None:
    assert run(lambda_instance, **NODE, ssh_port=0)["changed"]


def test_a_node_that_does_not_answer(server: LambdaServer, run: Run) -> None:
    message = run(lambda_instance, **NODE, ssh_port=1, wait_timeout=0, terminate_on_failure=True)["msg"]
    assert "an answer on port 1 of 127.0.0.1" in message
    assert "was terminated, as terminate_on_failure asks" in message
    assert server.running() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "Give name, id or match_tags to identify the instance"),
        ({**NODE, "api_key": ""}, "There is no Lambda API key"),
        ({**NODE, "api_key": "wrong-key"}, "global/invalid-api-key (401)"),
        ({**NODE, "api_url": "http://cloud.lambda.ai"}, "over https only"),
        ({**NODE, "api_url": "http://127.0.0.1:1", "api_timeout": 1}, "no answer (ConnectionRefusedError"),
        ({**NODE, "max_price_per_hour": 40}, "more than max_price_per_hour (40.00)"),
        ({**NODE, "ssh_port": 0, "tags": {"hgx-expires-at": "2026-12-01"}}, "would never expire"),
        ({**NODE, "state_dir": "/proc/nowhere"}, "/proc/nowhere"),
    ],
)
def test_refusals(server: LambdaServer, run: Run, arguments: dict[str, Any], words: str) -> None:
    result = run(lambda_instance, **arguments)
    assert result["failed"]
    assert words in result["msg"]
    assert server.api.launches == 0


def test_info(server: LambdaServer, run: Run) -> None:
    tags = {"hgx-expires-at": "2026-01-01T00:00:00Z", "hgx-launched-at": "2026-01-01T00:00:00Z", "team": "a"}
    id_ = server.api.add(name="old", tags=[{"key": key, "value": value} for key, value in tags.items()])["id"]
    server.api.add(name="new")
    server.api.add(name="gone", status="terminated")
    every = run(lambda_instance_info)["instances"]
    assert [(one["name"], one["expired"]) for one in every] == [("old", True), ("new", False)]
    assert every[0]["cost_usd"] > 45.92 > every[0]["price_usd_per_hour"] - 1
    assert every[1]["age_hours"] is None
    for choice in ({"expired": True}, {"id": id_}, {"name": "old"}, {"match_tags": {"team": "a"}}):
        assert [one["name"] for one in run(lambda_instance_info, **choice)["instances"]] == ["old"], choice
    offer = run(lambda_instance_info, instance_type="gpu_1x_a10")["offer"]
    assert offer == {
        "name": "gpu_1x_a10",
        "description": "1x A10",
        "price_usd_per_hour": 1.29,
        "regions": ["us-east-1", "us-west-1"],
    }
    server.faults = [Fault("status", status=403)]
    assert "The key has no permission for this" in run(lambda_instance_info)["msg"]


def test_a_redirect_is_explained(server: LambdaServer, run: Run) -> None:
    server.faults = [Fault("status", status=302, headers={"Location": "https://login.example/?ticket=s3cret"}, times=9)]
    for module, arguments in ((lambda_instance, NODE), (lambda_instance_info, {})):
        message = run(module, **arguments)["msg"]
        assert "a redirect to login.example (302), which is not followed" in message
        assert "s3cret" not in message
    assert len(server.requests) == 2


def test_an_unexpected_entry_is_told_by_its_fields(server: LambdaServer, run: Run) -> None:
    server.api.add(status=None)
    for module, arguments in ((lambda_instance, NODE), (lambda_instance_info, {})):
        message = run(module, **arguments)["msg"]
        assert "without id or status (its fields: actions, file_system_mounts" in message
        assert "s3cret" not in message


@pytest.mark.parametrize("price", ["nan", "inf", -1, 0, None, True, "free", "1e999"])
def test_a_price_that_is_none_buys_nothing(
    server: LambdaServer, run: Run, price: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = lambda_api_server.instance_type
    monkeypatch.setattr(lambda_api_server, "instance_type", lambda name: {**kind(name), "price_cents_per_hour": price})
    assert "no price for gpu_8x_b200_sxm6 that is a positive number" in run(lambda_instance, **NODE)["msg"]
    assert server.api.launches == 0


@pytest.mark.parametrize("limit", ["nan", "inf", "-inf", "0", "-1"])
def test_a_price_limit_that_limits_nothing_buys_nothing(server: LambdaServer, run: Run, limit: str) -> None:
    assert "max_price_per_hour" in run(lambda_instance, **NODE, max_price_per_hour=limit)["msg"]
    assert server.api.launches == 0


def test_firewall(server: LambdaServer, run: Run) -> None:
    place = {"name": "api", "region": "us-east-1"}
    rules = [{"ports": "8001", "source_networks": ["203.0.113.0/24", "198.51.100.7/32"]}]
    assert run(lambda_firewall_ruleset, check=True, **place, rules=rules)["changed"]
    result = run(lambda_firewall_ruleset, **place, rules=rules)
    assert result["changed"]
    assert result["diff"]["after"]["rules"] == ["tcp 8001 from 203.0.113.0/24", "tcp 8001 from 198.51.100.7/32"]
    assert list(server.api.rulesets) == [result["id"]]
    assert not run(lambda_firewall_ruleset, **place, rules=rules)["changed"]
    wider = [*rules, {"ports": "22", "source_networks": ["192.0.2.0/24"]}]
    assert "allow_widening" in run(lambda_firewall_ruleset, **place, rules=wider)["msg"]
    world = [{"ports": "8001", "source_networks": ["0.0.0.0/0"]}]
    assert "allow_world" in run(lambda_firewall_ruleset, **place, rules=world)["msg"]
    assert "rules" in run(lambda_firewall_ruleset, **place)["msg"], "only an explicit empty list closes"
    assert run(lambda_firewall_ruleset, **place, rules=[])["diff"]["after"]["rules"] == []
    assert not run(lambda_firewall_ruleset, **place, rules=[])["changed"]
    assert run(lambda_firewall_ruleset, **place, state="absent")["changed"]


def test_an_expiry_of_yaml_is_kept_in_utc(run: Run) -> None:
    result = run(lambda_instance, **NODE, ssh_port=0, tags={"hgx-expires-at": "2099-01-01T00:00:00+00:00"})
    assert result["instance"]["expires_at"] == "2099-01-01T00:00:00Z"


def test_the_owner_is_compared(run: Run) -> None:
    run(lambda_instance, **NODE, ssh_port=0, owner="eve")
    for state in ("present", "restarted", "absent"):
        result = run(lambda_instance, name="kimi", state=state, owner="bob", ssh_port=0)
        assert "belongs to eve, not to bob" in result["msg"], state
    assert run(lambda_instance, name="kimi", state="absent", owner="bob", force=True)["changed"]


def test_a_region_without_a_firewall_is_named_and_warned_of(server: LambdaServer, run: Run) -> None:
    server.api.capacity["gpu_8x_b200_sxm6"] = ["us-south-1"]
    refused = run(lambda_instance, **NODE, ssh_port=0)
    assert "There is capacity in us-south-1 (no firewall, every port is open): name it" in refused["msg"]
    named = {**NODE, "ssh_port": 0, "regions": ["us-south-1"]}
    for check in (True, False):
        result = run(lambda_instance, check=check, **named)
        assert result["changed"]
        assert "every port of an instance there is open" in str(result["warnings"])


def test_firewall_warns_where_lambda_applies_none(run: Run) -> None:
    result = run(lambda_firewall_ruleset, name="api", region="us-south-1", rules=[])
    assert "does not apply firewall rules in us-south-1" in str(result["warnings"])
