# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rolling release: which server is out of the gateway when, and what a failure leaves alone.

The plays are the real ones, with a stand-in for the role that deploys a server, and for HAProxy.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hgx.inference.tests.support import ansible_command
from ansible_collections.hgx.inference.tests.support.admin_socket import AdminSocket

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
INSTANCES = [{"name": "a", "port": 8001, "gpus": "0"}, {"name": "b", "port": 8002, "gpus": "1"}]
# As start.yml does it: out, and then the work. Unchanged servers are left alone.
DEPLOY = [
    {
        "name": "Take the server out",
        "ansible.builtin.include_role": {"name": "hgx.inference.vllm", "tasks_from": "gateway"},
        "vars": {"vllm_gateway_state": "maint"},
        "when": "vllm_server.backend not in unchanged",
    },
    {
        "name": "Deploy",
        "ansible.builtin.fail": {"msg": "{{ vllm_container_name }} of {{ vllm_server.backend }} is bad"},
        "when": "vllm_server.backend in bad",
    },
]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[AdminSocket]:
    servers = dict.fromkeys(("node1", "node2-a", "node2-b", "node3"), "UP")
    with AdminSocket(tmp_path / "admin.sock", servers) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield server
        server.shutdown()


def roll(folder: Path, *options: str, **variables: Any) -> tuple[int, str]:
    tasks = folder / "roles" / "deploy" / "tasks"
    tasks.mkdir(parents=True, exist_ok=True)
    (tasks / "main.yml").write_text(yaml.safe_dump(DEPLOY))
    local = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "recipe_file": str(ROOT / "recipes" / "tiny_kimi_cpu.yml"),
        "vllm_state_dir": str(folder / "state"),
        "bad": [],
        "unchanged": [],
    }
    inventory = {
        "all": {"vars": local},
        "inference": {"hosts": {"node1": {}, "node2": {"vllm_instances": INSTANCES}, "node3": {}}},
        "gateway": {"hosts": {"front": {}}},
    }
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
    stand_in = {
        "vllm_server_role": "deploy",
        "vllm_server_tasks": "main.yml",
        "__gateway_socket": str(folder / "admin.sock"),
        **variables,
    }
    done = ansible_command.run(
        [
            "ansible-playbook",
            "playbooks/deploy.yml",
            "-i",
            str(folder / "hosts.yml"),
            "-e",
            json.dumps(stand_in),
            *options,
        ],
        env={**os.environ, "ANSIBLE_ROLES_PATH": str(folder / "roles"), "ANSIBLE_GATHERING": "explicit"},
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_one_server_after_another_is_out(tmp_path: Path, gateway: AdminSocket) -> None:
    rc, output = roll(tmp_path, unchanged=["node2-b"])
    assert rc == 0, output
    servers = ("node1", "node2-a", "node3")
    assert gateway.orders == [f"{server} {state}" for server in servers for state in ("maint", "ready")]
    assert set(gateway.servers.values()) == {"UP"}


def test_a_batch_of_hosts_ends_before_the_roll_does(tmp_path: Path, gateway: AdminSocket) -> None:
    rc, output = roll(tmp_path, bad=["node1"], serve_batch=2)
    assert rc != 0
    assert gateway.servers == {"node1": "MAINT", "node2-a": "UP", "node2-b": "UP", "node3": "UP"}
    assert "node3 maint" not in gateway.orders
    assert "node1 failed, so node3 was not touched" in output


def test_the_hosts_of_a_batch_are_deployed_together(tmp_path: Path, gateway: AdminSocket) -> None:
    rc, output = roll(tmp_path, unchanged=["node2-b"], serve_batch=3)
    assert rc == 0, output
    assert {order.partition(" ")[2] for order in gateway.orders[:3]} == {"maint"}, gateway.orders
    assert set(gateway.servers.values()) == {"UP"}


def test_a_plan_takes_nothing_out(tmp_path: Path, gateway: AdminSocket) -> None:
    rc, output = roll(tmp_path, "--check")
    assert rc == 0, output
    assert gateway.orders == []
