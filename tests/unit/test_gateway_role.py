# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role gateway refuses before it changes anything, and what it makes of an inventory."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hgx.inference.tests.support import ansible_command

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KEY = "alice-key-0123456789"
GOOD: dict[str, Any] = {
    "gateway_tls": "none",
    "gateway_users": {"alice": {"key": KEY}},
    "gateway_backends": [{"name": "node1", "address": "10.0.0.1", "port": 8001}],
    "gateway_backend_key": "worker-key-0123456789",
    "gateway_served_model_name": "kimi-k2.6",
}
NODE = GOOD["gateway_backends"][0]
# Each is a host with these settings, and the words of its refusal.
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "good": ({}, ""),
    "keyless": ({"gateway_backend_key": ""}, ""),
    "nobody": ({"gateway_users": {}}, "gateway_users is empty"),
    "weak": (
        {"gateway_users": {"bob": {"key": "short"}}},
        "The key of bob in gateway_users is missing, has fewer than",
    ),
    "spaces": ({"gateway_users": {"bob": {"key": "a key with many words"}}}, "The key of bob in gateway_users"),
    "without": ({"gateway_users": {"bob": {"concurrent": 1}}}, "The key of bob in gateway_users is missing"),
    "shared": ({"gateway_users": {"a": {"key": KEY}, "b": {"key": KEY}}}, "Two people in gateway_users have the same"),
    "names": ({"gateway_users": {"a b": {"key": KEY}}}, "unlike a b"),
    "worker": ({"gateway_backend_key": KEY}, "A key in gateway_users is that of the servers"),
    "quotes": ({"gateway_backend_key": "it's%[secret]"}, "gateway_backend_key has other characters"),
    "twice": ({"gateway_backends": [NODE, NODE]}, "have one name: node1, node1"),
    "alone": ({"gateway_backends": []}, "The gateway has no server"),
    "model": ({"gateway_served_model_name": ""}, "gateway_served_model_name is needed"),
    "certificate": ({"gateway_tls": "certificate"}, "set gateway_certificate and gateway_certificate_key"),
    "file": ({"gateway_tls": "file"}, "set gateway_certificate_file"),
}


def run(
    tmp_path: Path, hosts: dict[str, dict[str, Any]], tasks: list[dict[str, Any]], where: str = "all", **groups: Any
) -> str:
    """Run tasks on hosts of this machine and return the output."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    inventory = {"all": {"hosts": hosts, "vars": local, "children": groups}}
    (tmp_path / "hosts.json").write_text(json.dumps(inventory), encoding="utf-8")
    plays = [{"hosts": where, "gather_facts": False, "tasks": tasks}]
    (tmp_path / "play.json").write_text(json.dumps(plays), encoding="utf-8")
    command = ["ansible-playbook", "-i", str(tmp_path / "hosts.json"), str(tmp_path / "play.json")]
    done = ansible_command.run(command)
    return done.stdout + done.stderr


def test_unusable_settings_are_refused_with_what_to_do(tmp_path: Path) -> None:
    role = {"name": "hgx.inference.gateway", "tasks_from": "validate"}
    hosts = {name: {**GOOD, **settings} for name, (settings, _) in CASES.items()}
    output = run(tmp_path, hosts, [{"ansible.builtin.include_role": role}])
    recap = dict(re.findall(r"^(\w+)\s+: ok=.* failed=(\d)", output, re.MULTILINE))
    assert recap == {name: "1" if words else "0" for name, (_, words) in CASES.items()}
    plain = " ".join(output.split())
    for name, (_, words) in CASES.items():
        assert words in plain, name
    assert KEY not in output


def test_the_servers_come_from_the_inventory(tmp_path: Path) -> None:
    hosts: dict[str, dict[str, Any]] = {
        "node1": {"vllm_bind_address": "10.0.0.1", "vllm_instances": [{"name": "a", "port": 8001}]},
        "node2": {"vllm_bind_address": "10.0.0.2", "vllm_api_key": "the-fleets-key", "vllm_served_model_name": "kimi"},
    }
    hosts["node1"].update(hosts["node2"], vllm_bind_address="10.0.0.1")
    show = {
        "ansible.builtin.include_role": {
            "name": "hgx.inference.gateway",
            "tasks_from": "backend",
            "public": True,
        },
        "vars": {"gateway_hosts": [], "gateway_backend": "node1", "gateway_backend_state": "maint"},
    }
    values = "{{ [gateway_backends, gateway_backend_key, gateway_served_model_name] }}"
    output = run(tmp_path, {"gw": {}}, [show, {"ansible.builtin.debug": {"msg": values}}], inference={"hosts": hosts})
    assert "{'name': 'node1-a', 'address': '10.0.0.1', 'port': 8001}" in output
    assert "{'name': 'node2', 'address': '10.0.0.2', 'port': 8001}" in output
    assert re.search(r"the-fleets-key\s+kimi", output)


@pytest.mark.parametrize("price", [None, 3])
def test_the_use_at_all_gateways_has_one_price_if_that_of_each_server_is_known(
    tmp_path: Path, price: int | None
) -> None:
    sums = ("requests", "limited", "failed", "bytes", "counted", "uncounted", "tokens_in", "tokens_out")
    user = {"name": "alice", "seconds": 3.0, **dict.fromkeys(sums, 1)}
    count = {"ansible.builtin.set_fact": {"__gateway_usage": {"since": 1790000000, "unknown_keys": 0, "users": [user]}}}
    # The tasks of the role, but for the count, which needs a journal.
    tasks = yaml.safe_load((ROOT / "roles" / "gateway" / "tasks" / "usage.yml").read_text(encoding="utf-8"))[1:]
    settings = {"gateway_servers": ["node1", "node2"], "gateway_report_dir": str(tmp_path / "results")}
    servers = {
        "node1": {"lambda_price_usd_per_hour": "2"},
        "node2": {"lambda_price_usd_per_hour": price} if price else {},
    }
    hosts = {"one": settings, "other": settings}
    output = run(tmp_path, hosts, [count, *tasks], nobody={"hosts": servers}, where="one:other")
    assert "alice: 2 requests, 6 s of answers" in " ".join(output.split())
    page = (tmp_path / "results" / "usage.html").read_text(encoding="utf-8")
    assert ("The price is 5.00 USD per hour" in page) == bool(price)
    assert (">unknown<" in page) == (not price)
