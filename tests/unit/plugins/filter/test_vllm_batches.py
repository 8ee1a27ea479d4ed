# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The batches of a play."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hgx.inference.plugins.filter.gateway_backends import gateway_backends
from ansible_collections.hgx.inference.plugins.filter.monitoring import monitoring_targets
from ansible_collections.hgx.inference.plugins.filter.vllm_batches import FilterModule

GROUPS = {"inference": ["a", "b", "c", "d", "e"], "span_k3": ["c", "b"], "span_k2": ["d", "e"], "gateway": ["a", "b"]}
vllm_batches = FilterModule().filters()["vllm_batches"]


@pytest.mark.parametrize(
    ("hosts", "sizes"),
    [
        (["a", "b", "c", "d", "e"], [1, 2, 2]),
        (["a", "d"], [1, 1]),
        (["b", "c"], [2]),
        ([], [1]),
    ],
)
def test_a_server_across_hosts_is_one_batch(hosts: list[str], sizes: list[int]) -> None:
    assert vllm_batches(hosts, GROUPS) == sizes


def test_without_spans_one_host_follows_another() -> None:
    assert vllm_batches(["a", "b"], {"inference": ["a", "b"]}) == [1, 1]


def test_followers_are_no_servers_of_their_own() -> None:
    variables: dict[str, Any] = {
        host: {
            "vllm_bind_address": f"10.0.0.{number}",
            "monitoring_node_address": f"10.0.0.{number}",
            "vllm_port": 8001,
            "groups": GROUPS,
        }
        for number, host in enumerate("abcdeg")
    }
    assert FilterModule().filters()["vllm_followers"](GROUPS) == ["b", "e"]
    behind = gateway_backends(["a", "b", "c", "d", "e"], variables, "g")
    assert [server["name"] for server in behind] == ["a", "c", "d"]
    watched = monitoring_targets(["c", "b"], hosts=variables, own="g")
    assert [(target["job"], target["node"]) for target in watched] == [("vllm", "c"), ("node", "c"), ("node", "b")]


def test_hosts_of_a_server_that_do_not_follow_each_other() -> None:
    with pytest.raises(AnsibleFilterError, match="The hosts of span_k3 do not follow each other"):
        vllm_batches(["b", "a", "c"], GROUPS)
