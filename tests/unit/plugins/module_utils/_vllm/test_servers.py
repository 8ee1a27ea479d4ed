# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which servers a host has, and what keeps them from sharing it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm.servers import (
    InstancesError,
    Server,
    chosen,
    servers,
)

BASE: Server = {
    "name": "",
    "backend": "",
    "container_name": "vllm",
    "state_dir": "/var/lib/hgx-inference/vllm",
    "results_dir": "/var/lib/hgx-inference/results",
    "port": 8001,
    "gpus": "all",
    "engine_args": {"max-num-seqs": 8},
    "gateway": False,
}
A: dict[str, Any] = {"name": "a", "port": 8001, "gpus": "0,1,2,3"}
B: dict[str, Any] = {"name": "b", "port": 8002, "gpus": "4,5,6,7"}


def test_without_instances_nothing_has_another_name() -> None:
    assert servers("node1", BASE, []) == [{**BASE, "backend": "node1"}]


def test_each_instance_has_its_own() -> None:
    first, second = servers("node1", BASE, [A, {**B, "engine_args": {"max-num-seqs": 4}}])
    assert first == {
        "name": "a",
        "backend": "node1-a",
        "container_name": "vllm-a",
        "state_dir": "/var/lib/hgx-inference/vllm-a",
        "results_dir": "/var/lib/hgx-inference/results/a",
        "port": 8001,
        "gpus": "0,1,2,3",
        "engine_args": {"max-num-seqs": 8},
        "gateway": False,
    }
    assert (second["port"], second["gpus"], second["engine_args"]) == (8002, "4,5,6,7", {"max-num-seqs": 4})
    assert {*map(str, first.values())} & {*map(str, second.values())} == {"False"}


@pytest.mark.parametrize(
    ("instances", "words"),
    [
        ([{**A, "name": "Node A"}], "vllm_instances[0].name: 'Node A' is not a name of small letters"),
        ([A, {**B, "name": "a"}], "several have the name a."),
        ([A, {**B, "port": "8001"}], "several have the port 8001."),
        ([{**A, "port": 70000}], "vllm_instances[0].port: 70000 is not a port number."),
        ([{"name": "a"}], "vllm_instances[0].port: None is not a port number."),
        ([A, {**B, "gpus": "3,4"}], "several have GPU 3."),
        ([A, {"name": "b", "port": 8002}], "one has all GPUs, so there are none for the others."),
        ([{**A, "gpus": "0-3"}], "vllm_instances[0].gpus: '0-3' is neither '', 'all' nor a list of GPUs"),
    ],
)
def test_what_cannot_share_a_host(instances: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(InstancesError) as raised:
        servers("node1", BASE, instances)
    assert words in str(raised.value)


def test_instances_without_a_gpu_share_a_host() -> None:
    found = servers("node1", {**BASE, "gpus": ""}, [{"name": "a", "port": 1}, {"name": "b", "port": 2, "gpus": None}])
    assert [server["gpus"] for server in found] == ["", ""]


def test_one_of_them_is_chosen_by_its_name() -> None:
    found = servers("node1", BASE, [A, B])
    assert chosen(found, "") == found
    assert [server["name"] for server in chosen(found, "b")] == ["b"]
    with pytest.raises(InstancesError, match="no instance 'c'; it has a, b"):
        chosen(found, "c")
    with pytest.raises(InstancesError, match="it has none"):
        chosen(servers("node1", BASE, []), "b")
