# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers behind a gateway: which names, addresses and ports follow from which inventory."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hgx.inference.plugins.filter.gateway_backends import FilterModule
from ansible_collections.hgx.inference.plugins.module_utils._gateway.backends import BackendError, backends

TWO = [{"name": "a", "port": 8001, "gpus": "0,1,2,3"}, {"name": "b", "port": 8002, "gpus": "4,5,6,7"}]


@pytest.mark.parametrize(
    ("variables", "gateway", "expected"),
    [
        ({"node1": {}}, "node1", [("node1", "127.0.0.1", 8001)]),
        ({"node1": {"vllm_port": "9000"}}, "node1", [("node1", "127.0.0.1", 9000)]),
        ({"node1": {"recipe": {"engine": {"port": 8123}}}}, "node1", [("node1", "127.0.0.1", 8123)]),
        ({"node1": {"vllm_bind_address": "10.0.0.1"}}, "node1", [("node1", "10.0.0.1", 8001)]),
        ({"node1": {"vllm_bind_address": "0.0.0.0"}}, "node1", [("node1", "127.0.0.1", 8001)]),
        ({"node1": {"vllm_bind_address": "10.0.0.1", "ansible_host": "8.8.8.8"}}, "gw", [("node1", "10.0.0.1", 8001)]),
        ({"node1": {"vllm_bind_address": "0.0.0.0", "ansible_host": "10.0.0.7"}}, "gw", [("node1", "10.0.0.7", 8001)]),
        ({"node1": {"vllm_bind_address": "0.0.0.0"}}, "gw", [("node1", "node1", 8001)]),
        (
            {"node1": {"vllm_instances": TWO}},
            "node1",
            [("node1-a", "127.0.0.1", 8001), ("node1-b", "127.0.0.1", 8002)],
        ),
        (
            {"node1": {"vllm_instances": TWO}, "node2": {"vllm_instances": [], "vllm_bind_address": "10.0.0.2"}},
            "node1",
            [("node1-a", "127.0.0.1", 8001), ("node1-b", "127.0.0.1", 8002), ("node2", "10.0.0.2", 8001)],
        ),
    ],
)
def test_the_servers_of_an_inventory(
    variables: dict[str, Any], gateway: str, expected: list[tuple[str, str, int]]
) -> None:
    found = backends(list(variables), variables, gateway)
    assert [(each["name"], each["address"], each["port"]) for each in found] == expected


def test_a_server_that_the_gateway_cannot_reach_is_named() -> None:
    variables = {"node1": {"vllm_bind_address": "10.0.0.1"}, "node2": {}, "node3": {"vllm_bind_address": "127.0.0.1"}}
    with pytest.raises(BackendError, match=r"servers of node2, node3 listen on loopback only.*Set vllm_bind_address"):
        backends(list(variables), variables, "gw")
    with pytest.raises(AnsibleFilterError, match="gw cannot reach them"):
        FilterModule().filters()["gateway_backends"](list(variables), variables, "gw")
