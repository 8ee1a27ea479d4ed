# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an API key to a node and back through the real ansible-playbook, against the loopback API."""

from __future__ import annotations

import json
import os
import pwd
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.tests.support import ansible_command
from ansible_collections.hgx.inference.tests.support.lambda_api_server import (
    KEY,
    Greeter,
    LambdaApi,
    LambdaServer,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
Play = Callable[..., tuple[int, str]]


@pytest.fixture
def server() -> Iterator[LambdaServer]:
    with LambdaServer(LambdaApi(boot_s=0.1, terminate_s=0.1)) as server:
        yield server


@pytest.fixture
def play(server: LambdaServer, tmp_path: Path) -> Iterator[Play]:
    with Greeter() as greeter:

        def play(playbook: str, *args: str, **more: str) -> tuple[int, str]:
            environment = {**os.environ, "HOME": str(tmp_path), "LAMBDA_API_URL": server.url}
            environment.update({"LAMBDA_API_KEY": KEY, "LAMBDA_API_INTERVAL": "0.01", "HGX_OWNER": "eve", **more})
            environment.pop("XDG_STATE_HOME", None)
            command = ["ansible-playbook", f"playbooks/{playbook}.yml", "-i", "inventories/lambda"]
            command += ["-e", f"lambda_node_ssh_port={greeter.port}", *args]
            done = ansible_command.run(command, env=environment)
            assert KEY not in done.stdout + done.stderr
            return done.returncode, done.stdout + done.stderr

        yield play


def changed(output: str) -> list[int]:
    return [int(count) for count in re.findall(r"changed=(\d+)", output)]


def exposed(folder: Path) -> list[Path]:
    """Return the files that hold the key."""
    return [path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def refused(played: tuple[int, str], words: str) -> bool:
    rc, output = played
    return rc != 0 and words in " ".join(output.split())


def test_from_a_key_to_a_node_and_back(server: LambdaServer, play: Play, tmp_path: Path) -> None:
    rc, output = play("provision", "--check", "--diff")
    assert rc == 0, output
    assert "Would launch a gpu_8x_b200_sxm6" in output
    assert "367.36 USD until it expires" in output
    recipe = (ROOT / "recipes" / "kimi_k2_6_hgx_b200.yml").read_text(encoding="utf-8")
    other = tmp_path / "other.yml"
    other.write_text(recipe.replace("gpu_8x_b200_sxm6", "gpu_8x_h100_sxm5"), encoding="utf-8")
    rc, output = play("provision", "--check", "-e", f"recipe_file={other}")
    assert "gpu_8x_h100_sxm5" in output, "a recipe names its own kind of node"
    assert server.api.launches == 0
    for run in range(2):
        rc, output = play("provision", "-vvv")
        assert rc == 0, output
        assert changed(output) == [0 if run else 1]
    assert "kimi" in output and "45.92 USD an hour" in output
    assert server.api.launches == 1
    for playbook in ("provision", "release_node"):
        assert refused(play(playbook, HGX_OWNER="bob"), "belongs to eve, not to bob")
    assert len(server.running()) == 1
    rc, output = play("release_node", "-e", "lambda_node_release_expired=true")
    assert rc == 0 and "No node is expired" in output
    rc, output = play("release_node", "-vvv")
    assert rc == 0, output
    assert "Terminated kimi" in output and "It has cost about" in output
    assert server.running() == []
    rc, output = play("release_node")
    assert rc == 0 and changed(output) == [0]
    assert exposed(tmp_path) == []


def test_a_lost_launch_blocks_the_next_until_it_is_forced(server: LambdaServer, play: Play, tmp_path: Path) -> None:
    journal = tmp_path / ".local" / "state" / "hgx-inference" / "lambda" / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    entry = {"time": 1.0, "event": "launching", "identity": "name 'kimi'", "api": server.url, "launch": "0-x"}
    journal.write_text(json.dumps(entry) + "\n", encoding="utf-8")
    for arguments in (["--check"], []):
        assert refused(play("provision", *arguments), "no other is launched")
    assert server.api.launches == 0
    rc, output = play("provision", "-e", "lambda_node_force=true", USER="", HGX_OWNER="")
    assert rc == 0, output
    assert server.api.launches == 1
    # Without a user, the login name owns the node.
    assert {"key": "hgx-owner", "value": pwd.getpwuid(os.getuid()).pw_name} in server.running()[0]["tags"]


def test_the_port_is_opened_to_named_networks(server: LambdaServer, play: Play) -> None:
    networks = '{"lambda_node_api_networks": ["203.0.113.0/24"]}'
    assert refused(play("provision", "-e", networks), "name exactly one in lambda_node_regions")
    region = '{"lambda_node_regions": ["us-west-1"]}'
    for expected in (2, 0):
        rc, output = play("provision", "-e", networks, "-e", region)
        assert rc == 0, output
        assert changed(output) == [expected]
    (ruleset,) = server.api.rulesets.values()
    assert server.running()[0]["firewall_rulesets"] == [{"id": ruleset["id"]}]
    assert ruleset["rules"][0]["source_network"] == "203.0.113.0/24"
    for others, expected in ((["198.51.100.0/24", "192.0.2.0/24"], 1), ([], 1), ([], 0)):
        regions = ["us-west-1"] if others else []
        settings = {"lambda_node_api_networks": others, "lambda_node_regions": regions}
        rc, output = play("provision", "-e", json.dumps(settings))
        assert rc == 0, output
        assert changed(output) == [expected]
        assert [rule["source_network"] for rule in ruleset["rules"]] == others


def test_several_nodes_have_one_name_and_one_limit_of_the_price(server: LambdaServer, play: Play) -> None:
    settings = {"lambda_node_count": 2, "lambda_node_api_networks": ["203.0.113.0/24"], "lambda_node_api_port": 8443}
    several = ["-e", json.dumps({**settings, "lambda_node_regions": ["us-west-1"]})]
    assert refused(play("provision", *several), "more than max_price_per_hour (30.00)")
    assert server.api.launches == 0
    for launches in (2, 0):
        rc, output = play("provision", *several, "-e", "lambda_node_max_price_per_hour=120")
        assert rc == 0, output
        assert changed(output) == [launches]
        assert sorted(one["name"] for one in server.running()) == ["kimi-1", "kimi-2"]
    (ruleset,) = server.api.rulesets.values()
    assert [one["firewall_rulesets"] for one in server.running()] == [[{"id": ruleset["id"]}]] * 2
    assert [rule["port_range"] for rule in ruleset["rules"]] == [[8443, 8443]]
    rc, output = play("release_node", "-e", "lambda_node_count=2")
    assert rc == 0, output
    assert server.running() == []


def test_a_release_leaves_alone_what_it_is_not_meant_for(server: LambdaServer, play: Play) -> None:
    by_hand = server.api.add(name="kimi")["id"]
    for name, year in (("old", 2020), ("new", 2099)):
        tags = {"hgx-managed-by": "hgx.inference", "hgx-owner": "another", "hgx-expires-at": f"{year}-01-01T00:00:00Z"}
        server.api.add(name=name, tags=[{"key": key, "value": value} for key, value in tags.items()])
    assert refused(play("release_node"), "was not launched by this collection")
    rc, output = play("release_node", "-e", "lambda_node_release_expired=true")
    assert rc == 0, output
    assert [one["name"] for one in server.running()] == ["kimi", "new"]
    rc, output = play("release_node", "-e", f"lambda_node_id={by_hand}", "-e", "lambda_node_force=true")
    assert rc == 0, output
    assert [one["name"] for one in server.running()] == ["new"]
