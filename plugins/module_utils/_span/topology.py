# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes that one server runs across, by the groups of the inventory. Pure.

A span is a group C(span_NAME). Its hosts in order are the ranks, and the first one is the head, which has the API.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

PREFIX = "span_"
PORT = 29501
# Interfaces of a host's own virtual networks. No other node is behind one.
_VIRTUAL = re.compile(r"lo\d*|docker\d*|docker_gwbridge|br-[0-9a-f]+|(veth|virbr|vnet|cni|flannel|cali|dummy).*")
# RFC 1918, and RFC 6598 for networks of providers. Python's is_private also has loopback and others.
_PRIVATE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))


class Span(TypedDict):
    """The nodes of a server, from the point of view of one.

    C(rank) is the place of this host in C(hosts), and C(addresses) are theirs on the network between the nodes.
    C(head_address) and C(address) are those of the head and of this host, and C(interface) carries the latter. Each is
    empty where it is not known.
    """

    name: str
    hosts: list[str]
    addresses: list[str]
    rank: int
    nodes: int
    head_address: str
    address: str
    interface: str
    port: int


class Place(NamedTuple):
    """An IPv4 address of a host, its interface and its network, as in C(10.0.0.0/24)."""

    address: str
    interface: str
    network: str
    mtu: int = 0
    speed: int = 0


class TopologyError(Exception):
    """Groups that do not fit the recipe; the message has one line for each reason."""


def is_private(address: str) -> bool:
    """Return whether an address is of a private network, in which alone the engine's traffic may travel."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in _PRIVATE)


def is_virtual(interface: str) -> bool:
    """Return whether an interface is loopback or of a network of containers, behind which no other node is."""
    return _VIRTUAL.fullmatch(interface) is not None


def places(facts: Mapping[str, Any]) -> list[Place]:
    """Return the IPv4 addresses of a host by its facts, without those of loopback and of container networks."""
    found = []
    for name in facts.get("interfaces") or []:
        details = facts.get(re.sub(r"[^0-9A-Za-z_]", "_", str(name))) or {}
        if is_virtual(str(name)) or details.get("type") == "loopback" or details.get("active") is False:
            continue
        first = [details["ipv4"]] if details.get("ipv4") else []
        for each in [*first, *(details.get("ipv4_secondaries") or [])]:
            if each.get("address"):
                found.append(_place(str(name), details, each))
    return sorted(found, key=lambda place: (-place.speed, place.interface, place.address))


def span_of(
    host: str,
    groups: Mapping[str, Sequence[str]],
    variables: Mapping[str, Mapping[str, Any]],
    nodes: int,
    network: str = "",
    port: int = PORT,
) -> Span | None:
    """Return the span of C(host), or None if its server runs on the host alone.

    C(variables) are those of all hosts, C(nodes) is how many the recipe wants, and C(network) limits the choice of the
    addresses, as in C(10.0.0.0/24). Raises TopologyError with all reasons.
    """
    names = [name for name in sorted(groups) if name.startswith(PREFIX) and host in groups[name]]
    if not names and nodes == 1:
        return None
    problems = list(_problems(host, names, groups, variables, nodes))
    if problems:
        raise TopologyError("\n".join(problems))
    hosts = [str(each) for each in groups[names[0]]]
    found = choose({each: variables[each] for each in hosts}, network)
    ranks = [found.get(each, Place("", "", "")) for each in hosts]
    own = ranks[hosts.index(host)]
    return {
        "name": names[0][len(PREFIX) :],
        "hosts": hosts,
        "addresses": [place.address for place in ranks],
        "rank": hosts.index(host),
        "nodes": nodes,
        "head_address": ranks[0].address,
        "address": own.address,
        "interface": own.interface,
        "port": port,
    }


def choose(variables: Mapping[str, Mapping[str, Any]], network: str = "") -> dict[str, Place]:
    """Return for each host its place in the network between the nodes, as far as that follows from its variables.

    C(vllm_span_address) of a host wins. Otherwise it is the fastest network that all hosts share; without one, the only
    private address of a host. Where its facts are unknown, it is the address at which Ansible reaches it, if private.
    """
    known = {host: places(_facts(given)) for host, given in variables.items()}
    usable = {host: [place for place in each if _usable(place, network)] for host, each in known.items()}
    shared = _shared_network(usable)
    found = {}
    for host, given in variables.items():
        address = str(given.get("vllm_span_address") or "")
        inside = [place for place in usable[host] if not shared or place.network == shared]
        reached = str(given.get("ansible_host") or "")
        if address:
            at = [place for place in known[host] if place.address == address]
            found[host] = at[0] if at else Place(address, "", "")
        elif inside and (shared or len(inside) == 1):
            found[host] = inside[0]
        elif not known[host] and is_private(reached):
            found[host] = Place(reached, "", "")
    return found


def _shared_network(usable: Mapping[str, Sequence[Place]]) -> str:
    """Return the network that all hosts share, the fastest by its slowest interface; nothing without one."""
    speeds: dict[str, list[int]] = {}
    for each in usable.values():
        own: dict[str, int] = {}
        for place in each:
            own[place.network] = max(own.get(place.network, 0), place.speed)
        for name, speed in own.items():
            speeds.setdefault(name, []).append(speed)
    everywhere = {name: min(each) for name, each in speeds.items() if len(each) == len(usable)}
    return min(everywhere, key=lambda name: (-everywhere[name], name), default="")


def _usable(place: Place, network: str) -> bool:
    inside = not network or ipaddress.ip_address(place.address) in ipaddress.ip_network(network, strict=False)
    return inside and is_private(place.address)


def _place(name: str, details: Mapping[str, Any], each: Mapping[str, Any]) -> Place:
    size = each.get("prefix") or each.get("netmask") or "32"
    network = ipaddress.ip_interface(f"{each['address']}/{size}").network
    return Place(str(each["address"]), name, str(network), int(details.get("mtu") or 0), int(details.get("speed") or 0))


def _facts(given: Mapping[str, Any]) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = given.get("ansible_facts") or {}
    return facts


def _problems(
    host: str,
    names: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    variables: Mapping[str, Mapping[str, Any]],
    nodes: int,
) -> Iterable[str]:
    """Yield what is wrong with the groups of a host."""
    wants = f"the server of the recipe runs across {nodes} nodes (engine.nodes, vllm_engine_nodes)"
    if not names:
        yield (
            f"{host} is in no group {PREFIX}NAME, and {wants}. Put the {nodes} hosts into one in the order of their"
            " ranks; the first is the head, which has the API."
        )
    if len(names) > 1:
        yield f"{host} is in {' and '.join(names)}: one host belongs to one span. Take it out of the others."
    for name in names:
        hosts = list(groups[name])
        listed = f"{name} has {len(hosts)} host{'s' if len(hosts) > 1 else ''} ({', '.join(hosts)})"
        if nodes == 1:
            yield (
                f"{listed}, and the server of the recipe runs on one node (engine.nodes, vllm_engine_nodes). Choose a"
                " recipe for several nodes, or remove the group."
            )
        elif len(hosts) != nodes:
            yield f"{listed}, and {wants}. Make them as many."
        unserved = [each for each in hosts if each not in groups.get("inference", hosts)]
        if unserved:
            yield f"{', '.join(unserved)} of {name} is not in the group inference, so no play would start its part."
        divided = [each for each in hosts if variables[each].get("vllm_instances")]
        if divided:
            yield (
                f"{', '.join(divided)} of {name} has vllm_instances: a server across nodes has its hosts for itself."
                " Remove them."
            )
