# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is scraped, derived from the inventory."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.plugin_utils._monitoring import targets

RECIPE = {"engine": {"port": 8001}}
HOSTS: dict[str, dict[str, Any]] = {
    "n1": {"recipe": RECIPE, "ansible_host": "203.0.113.7"},
    "n2": {
        "recipe": RECIPE,
        "vllm_bind_address": "0.0.0.0",
        "monitoring_node_address": "10.0.0.2",
        "ansible_host": "10.9.9.9",
        "vllm_instances": [{"name": "a", "port": 8001}, {"name": "b", "port": 8002}],
    },
    "g1": {"gateway_metrics_address": "10.0.0.9", "monitoring_node_address": "fd00::9"},
    "p1": {},
}


def test_a_node_that_watches_itself() -> None:
    found = targets.targets(HOSTS, ["n1"], [], "n1")
    assert [(each["job"], each["server"], each["address"]) for each in found] == [
        ("vllm", "vllm", "127.0.0.1:8001"),
        ("node", "", "127.0.0.1:9100"),
    ]


def test_a_fleet_with_several_servers_on_a_node() -> None:
    found = targets.targets(HOSTS, ["n2"], ["g1"], "p1")
    assert [(each["job"], each["node"], each["server"], each["address"]) for each in found] == [
        ("vllm", "n2", "vllm-a", "10.9.9.9:8001"),
        ("vllm", "n2", "vllm-b", "10.9.9.9:8002"),
        ("node", "n2", "", "10.0.0.2:9100"),
        ("gateway", "g1", "", "10.0.0.9:9405"),
        ("node", "g1", "", "[fd00::9]:9100"),
    ]
    assert found[1]["state_dir"] == "/var/lib/hgx-inference/vllm-b"


def test_what_cannot_be_reached_is_told_at_once() -> None:
    with pytest.raises(targets.TargetError) as refused:
        targets.targets(HOSTS, ["n1"], [], "p1")
    first, second = str(refused.value).splitlines()
    assert first.startswith("vllm of n1 listens on 127.0.0.1, which p1 cannot reach. Set vllm_bind_address of n1")
    assert second.startswith(
        "node of n1 listens on 127.0.0.1, which p1 cannot reach. Set monitoring_node_address of n1"
    )


def test_a_key_is_in_a_file_of_its_own_and_not_in_the_configuration() -> None:
    found = targets.targets(HOSTS, ["n2"], [], "p1")
    config = targets.prometheus_config(found, "/etc/p", "15s", "127.0.0.1:9093", keyed=True)
    files = {job["job_name"]: job.get("authorization") for job in config["scrape_configs"]}
    assert files == {
        "vllm-n2-vllm-a": {"credentials_file": "/etc/p/keys/vllm-n2-vllm-a"},
        "vllm-n2-vllm-b": {"credentials_file": "/etc/p/keys/vllm-n2-vllm-b"},
        "node": None,
    }
    written = targets.target_files(found, keyed=True)
    assert set(written) == set(files)
    assert written["vllm-n2-vllm-a"][0]["labels"] == {"job": "vllm", "node": "n2", "server": "vllm-a"}
    assert set(targets.target_files(found)) == {"vllm", "node"}


def test_a_receiver_is_the_users() -> None:
    config = targets.alertmanager_config({"webhook_configs": [{"url": "http://x/"}]}, "5s")
    assert config["receivers"] == [{"name": "hgx-inference", "webhook_configs": [{"url": "http://x/"}]}]
    assert config["route"]["receiver"] == "hgx-inference"
