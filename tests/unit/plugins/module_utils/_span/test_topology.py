# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes of one server, by the groups of the inventory and the facts of the hosts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hgx.inference.plugins.filter.vllm_span import FilterModule, vllm_span
from ansible_collections.hgx.inference.plugins.module_utils._span import topology


def nic(address: str, prefix: int = 24, **more: Any) -> dict[str, Any]:
    return {"active": True, "type": "ether", "mtu": 1500, "ipv4": {"address": address, "prefix": str(prefix)}, **more}


def host(ansible_host: str = "", address: str = "", **nics: dict[str, Any]) -> dict[str, Any]:
    """Return the variables of a host with these interfaces, beside loopback and Docker's bridge."""
    own = {"lo": nic("127.0.0.1", 8, type="loopback"), "docker0": nic("172.17.0.1", 16, type="bridge"), **nics}
    given = {"ansible_host": ansible_host, "vllm_span_address": address}
    return {**given, "ansible_facts": {"interfaces": list(own), **own} if nics else {}}


HOSTS = {"n1": host(eth0=nic("10.0.0.1")), "n2": host(eth0=nic("10.0.0.2"))}
GROUPS = {"inference": ["n1", "n2"], "span_big": ["n1", "n2"], "all": ["n1", "n2", "n3"]}


def span(name: str = "n1", groups: Any = GROUPS, hosts: Any = HOSTS, nodes: Any = 2, **options: Any) -> dict[str, Any]:
    return vllm_span(name, groups, hosts, nodes, **options)


def test_the_ranks_are_the_order_of_the_group() -> None:
    head = {
        "name": "big",
        "hosts": ["n1", "n2"],
        "addresses": ["10.0.0.1", "10.0.0.2"],
        "rank": 0,
        "nodes": 2,
        "head_address": "10.0.0.1",
        "address": "10.0.0.1",
        "interface": "eth0",
        "port": 29501,
    }
    assert span() == head
    assert span("n2") == {**head, "rank": 1, "address": "10.0.0.2"}
    assert FilterModule().filters()["vllm_span"] is vllm_span


def test_a_host_alone_has_none() -> None:
    assert span("n3", nodes=1, hosts={}) == {}
    assert span("n3", nodes="1", hosts={}) == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"name": "n3"},
            r"^n3 is in no group span_NAME, and the server of the recipe runs across 2 nodes \(engine.nodes",
        ),
        ({"nodes": 3}, r"^span_big has 2 hosts \(n1, n2\), and the server of the recipe runs across 3 nodes"),
        ({"nodes": 1}, r"^span_big has 2 hosts \(n1, n2\), and the server of the recipe runs on one node"),
        (
            {"groups": {"span_big": ["n1", "n2"], "span_two": ["n1"]}},
            "^n1 is in span_big and span_two: .*\nspan_two has 1",
        ),
        ({"groups": {**GROUPS, "inference": ["n1"]}}, "^n2 of span_big is not in the group inference"),
        ({"hosts": {**HOSTS, "n2": {"vllm_instances": [{"name": "a"}]}}}, "^n2 of span_big has vllm_instances"),
        ({"network": "10.0.0"}, "10.0.0"),
    ],
)
def test_groups_that_do_not_fit_are_refused_with_all_reasons(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        span(**changes)


def fast(address: str) -> dict[str, Any]:
    return nic(address, 16, speed=400_000, mtu=9000)


BOTH = [host(eth0=nic(f"10.0.0.{n}"), ib0=fast(f"10.9.0.{n}")) for n in (1, 2)]
SECOND = [{"address": "10.0.0.1", "netmask": "255.255.255.0"}]


@pytest.mark.parametrize(
    ("first", "second", "options", "expected"),
    [
        # The fastest network that both have, and the one that is asked for.
        (*BOTH, {}, "10.9.0.1"),
        (*BOTH, {"network": "10.0.0.0/24"}, "10.0.0.1"),
        # One that only one of them has does not count.
        (BOTH[0], HOSTS["n2"], {}, "10.0.0.1"),
        # Routed private networks: the only private address of each.
        (host(eth0=nic("10.0.1.1")), host(eth0=nic("10.0.2.1")), {}, "10.0.1.1"),
        (host(eth0=nic("10.0.1.1"), eth1=nic("10.1.1.1")), host(eth0=nic("10.0.2.1")), {}, ""),
        # Never a public address, and none of Docker's own bridge, which all hosts have.
        (host(eth0=nic("8.8.8.8")), host(eth0=nic("8.8.8.9")), {}, ""),
        (host(eth0=nic("8.8.8.8", ipv4_secondaries=SECOND)), HOSTS["n2"], {}, "10.0.0.1"),
        (host(eth0=nic("10.0.0.1", active=False)), HOSTS["n2"], {}, ""),
        # What is set counts, whatever it is: the preflight judges it.
        (host(address="10.5.0.1", eth0=nic("10.0.0.1")), HOSTS["n2"], {}, "10.5.0.1"),
        # Without facts, as in a plan.
        (host(ansible_host="10.0.0.1"), host(ansible_host="10.0.0.2"), {}, "10.0.0.1"),
        (host(ansible_host="8.8.8.8"), host(), {}, ""),
    ],
)
def test_the_address_of_the_head(first: Any, second: Any, options: dict[str, Any], expected: str) -> None:
    hosts = {"n1": first, "n2": second}
    assert span(hosts=hosts, **options)["head_address"] == expected
    assert span("n2", hosts=hosts, **options)["head_address"] == expected


def test_the_interface_is_that_of_the_address() -> None:
    first = host(address="10.1.0.1", eth0=nic("10.0.0.1"))
    first["ansible_facts"] |= {"interfaces": ["eth0", "bond-0"], "bond_0": nic("10.1.0.1")}
    set_one = {"n1": first, "n2": HOSTS["n2"]}
    assert span(hosts=set_one)["interface"] == "bond-0"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.1", True),
        ("192.168.1.1", True),
        ("100.64.0.1", True),  # shared space of a provider, which no router of the Internet carries
        ("127.0.0.1", False),
        ("169.254.1.1", False),
        ("0.0.0.0", False),
        ("8.8.8.8", False),
        ("203.0.113.7", False),
        ("fd00::1", False),
        ("node1", False),
    ],
)
def test_addresses_for_the_traffic_of_the_engine(address: str, expected: bool) -> None:
    assert topology.is_private(address) is expected
