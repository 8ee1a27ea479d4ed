# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judge whether the nodes of a server fit together, from what each of them reports. Pure.

Each check is one function of CHECKS. It tells the findings of all nodes together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .._core.finding import Finding, render
from .._core.units import GB
from .probe import SILENT, STRANGER
from .topology import PREFIX, is_private, is_virtual

CLOCK_LIMIT_S = 1.0
# Variables of the engine's libraries that name an interface, and how they are read.
GLOO, NCCL, HOST_IP = "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "VLLM_HOST_IP"
VARIABLES = (HOST_IP, GLOO, NCCL)
_GUIDE = "docs/guides/across_nodes.md has rules for nftables and ufw."


class Node(NamedTuple):
    """A host, what its probe reports (the result of the module span_probe), and its release if that is known.

    C(lines) describe the release without what only this node has. C(trouble) says why there is no report.
    """

    host: str
    report: Mapping[str, Any]
    release: str = ""
    lines: Sequence[str] = ()
    trouble: str = ""


class Span(NamedTuple):
    """What is judged. C(deploys) is whether a server is about to be started: image and weights must be there then."""

    name: str
    nodes: Sequence[Node]
    port: int
    deploys: bool = False
    rdma: bool = False

    def reporting(self) -> list[Node]:
        """Return the nodes that have reported."""
        return [node for node in self.nodes if node.report]


def judge(span: Span) -> dict[str, Finding | None]:
    """Return the finding of every check by name, or None if the check does not apply."""
    return {name: check(span) for name, check in CHECKS.items()}


def verdict(span: Span) -> dict[str, Any]:
    """Return C({msg, unmet, warnings, checks}): the message, the names of unmet checks, and each check in words."""
    return _told(span, {name: finding for name, finding in judge(span).items() if finding})


def collective_verdict(span: Span, least_bytes_per_s: float) -> dict[str, Any]:
    """Return C(verdict) of an all-reduce across the nodes, whose reports are results of the module span_collective."""
    return _told(span, {"all_reduce": _all_reduce(span, least_bytes_per_s)})


def _all_reduce(span: Span, least_bytes_per_s: float) -> Finding:
    rate = next((node.report["bus_bytes_per_s"] for node in span.reporting() if node.report["bus_bytes_per_s"]), None)
    absent = {span.nodes[rank].host for node in span.reporting() for rank in node.report["missing"]}
    absent |= {node.host for node in span.nodes if not node.report}
    errors = [f"{node.host}: {node.report['error']}" for node in span.reporting() if node.report["error"]]
    errors += [f"{node.host}: {node.trouble}" for node in span.nodes if not node.report and node.trouble]
    found = f"{rate / GB:.3g} GB/s of bus bandwidth" if rate else "no figure"
    if absent:
        found = f"{', '.join(sorted(absent))} did not come"
    need = f" of at least {least_bytes_per_s / GB:g} GB/s" if least_bytes_per_s else ""
    return Finding(
        bool(rate) and not absent and not errors and (rate or 0) >= least_bytes_per_s,
        f"an all-reduce{need} across all nodes, by the PyTorch of the image",
        "; ".join([found, *errors]),
        "See the error first. A slow one goes through the wrong interface or without RDMA: NCCL_DEBUG=INFO in"
        " vllm_env_extra tells. vllm_span_all_reduce_gb_s is the limit; vllm_span_collective: false omits the test.",
    )


def _told(span: Span, findings: Mapping[str, Finding]) -> dict[str, Any]:
    unmet = {name: finding for name, finding in findings.items() if not finding.ok and finding.certain}
    doubtful = {name: finding for name, finding in findings.items() if not finding.ok and not finding.certain}
    hosts = ", ".join(node.host for node in span.nodes)
    who, count = f"The nodes of {PREFIX}{span.name} ({hosts})", len(findings)
    msg = f"{who} meet {count - len(doubtful)} of {count} requirements."
    if unmet:
        msg = (
            f"{who} do not fit together: {len(unmet)} of {count} requirements are not met. Nothing was stopped or"
            f" started.\n{render(unmet)}"
        )
    return {
        "msg": msg,
        "unmet": list(unmet),
        "warnings": [f"{name}: needs {each.need}; found {each.found}. {each.fix}" for name, each in doubtful.items()],
        "checks": [
            {"name": name, "ok": finding.ok, "need": finding.need, "found": finding.found}
            for name, finding in findings.items()
        ],
    }


def _nodes(span: Span) -> Finding:
    silent = [f"{node.host}: {node.trouble or 'no report'}" for node in span.nodes if not node.report]
    return Finding(
        not silent,
        "a report of every node",
        "; ".join(silent) or f"{len(span.nodes)} nodes",
        "Name all hosts of the group (--limit leaves out others), and see why their probe failed.",
    )


def _address(span: Span) -> Finding:
    """Check that each node has a private address of its own. The engine's traffic is neither encrypted nor checked."""
    wrong = [words for node in span.reporting() for words in _address_problems(node.report, node.host)]
    taken: dict[str, list[str]] = {}
    for node in span.reporting():
        taken.setdefault(node.report["address"], []).append(node.host)
    for address, hosts in taken.items():
        if address and len(hosts) > 1:
            wrong.append(f"{' and '.join(hosts)} have the same address {address}")
    return Finding(
        not wrong,
        "for each node a private address of its own, on an interface that leads to the other nodes",
        "; ".join(wrong) or _each(span, lambda report: f"{report['address']} on {_carrier(report)}"),
        "Set vllm_span_network to the private network, or vllm_span_address of each host to its address there. Traffic"
        " between the nodes is neither encrypted nor authenticated, so a public address is not used.",
    )


def _address_problems(report: Mapping[str, Any], host: str) -> Iterable[str]:
    address = report["address"]
    others = [f"{each['name']} {each['address']}" for each in report["interfaces"] if each["name"] != "lo"]
    has = f"it has {', '.join(others) or 'none'}"
    if not address:
        yield f"{host} has no private address in a network that all nodes share; {has}"
    elif not is_private(address):
        yield f"{host}: {address} is no private address; {has}"
    elif not _carrier(report):
        yield f"{host} has no interface with {address}; {has}"
    elif is_virtual(_carrier(report)):
        yield f"{host}: {address} is on {_carrier(report)}, behind which no other node is; {has}"


def _interface(span: Span) -> Finding | None:
    wrong = [words for node in span.reporting() for words in _interface_problems(node.report, node.host)]
    return Finding(
        not wrong,
        f"{GLOO}, {NCCL} and {HOST_IP} that lead to the address of the node",
        "; ".join(wrong) or _each(span, _carrier),
        "Take the variable out of vllm_env and vllm_env_extra, since it follows from the address; or set"
        " vllm_span_address to an address of that interface.",
    )


def _interface_problems(report: Mapping[str, Any], host: str) -> Iterable[str]:
    carrier, address = _sound(report), report["address"]
    if not carrier:
        return
    for name, value in report["variables"].items():
        fits = value == address if name == HOST_IP else names_interface(name, value, carrier)
        if not fits:
            yield f"{host}: {name} is {value!r}, and {address} is on {carrier}"


def names_interface(variable: str, value: str, interface: str) -> bool:
    """Return whether a variable lets its library use an interface. NCCL takes prefixes; C(=) is exact, C(^) negates."""
    if variable == GLOO:
        return interface in value.split(",")
    mark = value[:1] if value[:1] in "^=" else ""
    names = value[len(mark) :].removeprefix("=").split(",")
    exact = value.startswith(("=", "^="))
    matches = any(interface == name if exact else interface.startswith(name) for name in names)
    return matches != (mark == "^")


def _ports(span: Span) -> Finding | None:
    pairs = list(_pairs(span))
    if not pairs:
        return None
    wrong = [
        f"{caller.host} cannot reach {called.host} at port {port} ({reason})"
        for caller, called, peer in pairs
        for port, reason in peer["ports"].items()
        if reason not in ("", STRANGER, SILENT)
    ]
    head = span.nodes[0]
    held = head.report.get("listening", {}).get(str(span.port), "")
    if held and _sound(head.report) and not head.report["own_server"]:
        wrong.append(f"port {span.port} of {head.host} is not free ({held})")
    addresses = ", ".join(node.report["address"] for node in span.reporting())
    return Finding(
        not wrong,
        f"every TCP port open between the nodes in both directions; port {span.port} and a random one were tried",
        "; ".join(wrong) or f"open between {addresses}",
        f"Let {addresses} reach each other at every TCP port: the engine connects its ranks through port {span.port} of"
        f" the head and through ports of its own choice. {_GUIDE}",
    )


def _mtu(span: Span) -> Finding | None:
    reports = [node.report for node in span.reporting() if _sound(node.report)]
    if not reports:
        return None
    wrong, doubtful = [], []
    if len({_mtu_of(report) for report in reports}) > 1:
        wrong.append(_each(span, lambda report: f"{_carrier(report)} {_mtu_of(report)}"))
    for caller, called, peer in _pairs(span):
        size, largest = _mtu_of(caller.report), peer["datagram_mtu"]
        if peer["transfer"]:
            wrong.append(f"{caller.host} connects to {called.host}, but 1 MiB both ways fails ({peer['transfer']})")
        if 0 < largest < size:
            doubtful.append(
                f"{caller.host} to {called.host}: packets of {size} bytes do not pass, of {largest} they do"
            )
    return Finding(
        not wrong and not doubtful,
        "the same MTU on the interfaces, and packets of that size that pass unfragmented",
        "; ".join([*wrong, *doubtful]) or f"{_mtu_of(reports[0])} on all",
        "Set one MTU on the interfaces of all nodes ('ip link set IF mtu SIZE') that every switch between them passes.",
        certain=bool(wrong),
    )


def _clock(span: Span) -> Finding | None:
    told = [
        (abs(peer["offset_s"]) - peer["rtt_s"] / 2, f"{called.host} is {peer['offset_s']:+.2f} s from {caller.host}")
        for caller, called, peer in _pairs(span)
        if peer["offset_s"] is not None
    ]
    if not told:
        return None
    off = [words for least, words in told if least > CLOCK_LIMIT_S]
    return Finding(
        not off,
        f"clocks within {CLOCK_LIMIT_S:g} s of each other",
        "; ".join(off) or max(told)[1],
        "Switch on time synchronisation on all nodes ('timedatectl set-ntp true').",
    )


def _driver(span: Span) -> Finding | None:
    if not any(node.report["gpus"] for node in span.reporting()):
        return None
    same = len({(node.report["driver"], tuple(node.report["gpus"])) for node in span.reporting()}) == 1
    return Finding(
        same,
        "the same driver and the same GPUs on all nodes",
        _each(span, lambda report: f"driver {report['driver'] or 'unknown'}, {_gpus(report)}"),
        "Install the same driver on all nodes (nvidia_driver_mode: install), and use nodes of one kind.",
    )


def _gpus(report: Mapping[str, Any]) -> str:
    gpus = report["gpus"]
    return ", ".join(f"{gpus.count(name)} x {name}" for name in sorted(set(gpus))) or "no GPU"


def _image(span: Span) -> Finding | None:
    images = {node.host: node.report["image"] for node in span.reporting()}
    if not span.deploys and not all(images.values()):
        return None
    name = span.reporting()[0].report["image_name"]
    return Finding(
        len(set(images.values())) == 1 and all(images.values()),
        f"one image {name} on all nodes",
        "; ".join(f"{host}: {image or 'none'}" for host, image in images.items()),
        f"Set vllm_image_digest for the whole group; or remove the image that is wrong there ('docker image rm {name}')"
        " and run the play again. An image that no registry has must be copied: 'docker save', 'docker load'.",
    )


def _weights(span: Span) -> Finding | None:
    weights = {node.host: node.report["weights"] for node in span.reporting()}
    repos = sorted({repo for each in weights.values() for repo in each})
    if not span.deploys or not repos:
        return None
    wrong = []
    for repo in repos:
        found = {host: each.get(repo, "") for host, each in weights.items()}
        if len(set(found.values())) > 1:
            wrong.append(f"{repo}: " + ", ".join(f"{host} has {digest or 'none'}" for host, digest in found.items()))
    return Finding(
        not wrong,
        "the same weights on all nodes",
        "; ".join(wrong) or f"{', '.join(repos)}: the same files",
        "Give the models a commit as their revision (hf_cache_models) and run playbooks/cache.yml for all hosts.",
    )


def _release(span: Span) -> Finding | None:
    known = [node for node in span.nodes if node.release]
    if len(known) < len(span.nodes):
        return None
    first = known[0]
    wrong = []
    for node in known[1:]:
        if node.release != first.release:
            ours = [line for line in first.lines if line not in node.lines]
            theirs = [line for line in node.lines if line not in first.lines]
            if not (ours or theirs) and node.report.get("image") != first.report.get("image"):
                continue  # the check of the image tells it
            wrong.append(
                f"{first.host} has {first.release} with {', '.join(ours) or 'nothing more'}, and {node.host} has"
                f" {node.release} with {', '.join(theirs) or 'nothing more'}"
            )
    return Finding(
        not wrong,
        "one release on all nodes: the same settings, commits and image",
        "; ".join(wrong) or f"release {first.release}",
        f"Set what differs for the whole group, in group_vars/{PREFIX}{span.name}.yml, and not for a host.",
    )


def _rdma(span: Span) -> Finding | None:
    reports = span.reporting()
    if not span.rdma and not any(node.report["rdma"] for node in reports):
        return None
    without = [node.host for node in reports if not any(device["active"] for device in node.report["rdma"])]
    return Finding(
        not without or not span.rdma,
        "RDMA devices with an active port"
        + ("" if span.rdma else ", if NCCL is to use them; the recipe asks for none"),
        _each(span, _rdma_words),
        "Bring the links up ('ibv_devinfo', 'rdma link'), or set hardware.rdma: false: NCCL then uses TCP.",
    )


def _rdma_words(report: Mapping[str, Any]) -> str:
    devices = [f"{each['name']} {'active' if each['active'] else 'down'}" for each in report["rdma"]]
    return f"{', '.join(devices) or 'none'}; GPUDirect: {report['gpudirect'] or 'not found'}"


def _memlock(span: Span) -> Finding | None:
    if not span.rdma:
        return None
    low = {node.host: node.report["memlock"] for node in span.reporting() if node.report["memlock"] not in (None, -1)}
    return Finding(
        not low,
        "containers that may lock memory without a limit, as RDMA needs",
        "; ".join(f"{host}: {limit // 1024} KiB" for host, limit in low.items()) or "no limit",
        "Set LimitMEMLOCK=infinity for the services docker and containerd.",
        certain=False,  # an engine with CAP_SYS_RESOURCE raises it
    )


CHECKS: dict[str, Callable[[Span], Finding | None]] = {
    "nodes": _nodes,
    "address": _address,
    "interface": _interface,
    "ports": _ports,
    "mtu": _mtu,
    "clock": _clock,
    "driver": _driver,
    "image": _image,
    "weights": _weights,
    "release": _release,
    "rdma": _rdma,
    "memlock": _memlock,
}


def _pairs(span: Span) -> Iterable[tuple[Node, Node, Mapping[str, Any]]]:
    """Yield each node with each other one, and what it found out about it."""
    for caller in span.reporting():
        for rank, peer in caller.report["peers"].items():
            called = span.nodes[int(rank)]
            if _sound(caller.report) and called.report and _sound(called.report):
                yield caller, called, peer


def _carrier(report: Mapping[str, Any]) -> str:
    """Return the interface that has the address of the node, or nothing."""
    return next((str(each["name"]) for each in report["interfaces"] if each["address"] == report["address"]), "")


def _sound(report: Mapping[str, Any]) -> str:
    """Return the interface of a node whose address can be used, or nothing."""
    return "" if any(_address_problems(report, "")) else _carrier(report)


def _mtu_of(report: Mapping[str, Any]) -> int:
    return next((int(each["mtu"]) for each in report["interfaces"] if each["address"] == report["address"]), 0)


def _each(span: Span, words: Callable[[Mapping[str, Any]], str]) -> str:
    return "; ".join(f"{node.host}: {words(node.report)}" for node in span.reporting())
