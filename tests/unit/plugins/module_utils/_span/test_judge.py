# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with the nodes of one server: what, where, the evidence and what to do, all in one message."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.filter.span_verdict import (
    FilterModule,
    span_collective_verdict,
    span_verdict,
)
from ansible_collections.hgx.inference.plugins.module_utils._span import judge
from ansible_collections.hgx.inference.plugins.module_utils._span.probe import SILENT, STRANGER

SPAN = {"name": "big", "hosts": ["n1", "n2"], "port": 29501}


def report(rank: int) -> dict[str, Any]:
    """Return what a good node reports."""
    address = f"10.0.0.{rank + 1}"
    return {
        "address": address,
        "interfaces": [
            {"name": "lo", "address": "127.0.0.1", "mtu": 65536},
            {"name": "eth0", "address": address, "mtu": 9000},
            {"name": "docker0", "address": "172.17.0.1", "mtu": 1500},
        ],
        "variables": {"VLLM_HOST_IP": address, "GLOO_SOCKET_IFNAME": "eth0", "NCCL_SOCKET_IFNAME": "=eth0"},
        "listening": {"29501": "", "31000": ""},
        "peers": {
            str(1 - rank): {
                "ports": {"29501": "", "31000": ""},
                "transfer": "",
                "offset_s": 0.002,
                "rtt_s": 0.0004,
                "datagram_mtu": 9000,
            }
        },
        "own_server": False,
        "driver": "580.95.05",
        "gpus": ["NVIDIA B200"] * 8,
        "image": "sha256:aa",
        "image_name": "some/image:1",
        "weights": {"org/model": "0123456789ab"},
        "rdma": [{"name": "mlx5_0", "active": True}],
        "gpudirect": "nvidia_peermem",
        "memlock": -1,
    }


def record(release: str = "a" * 12, seed: int = 1) -> dict[str, Any]:
    return {"id": release, "container": {"command": ["vllm", "serve", "--seed", str(seed)], "network": "host"}}


def verdict(*paths: tuple[Any, ...], rdma: bool = False, records: Any = None) -> dict[str, Any]:
    """Return the verdict of good nodes in which each path of keys, the last one before its value, is changed."""
    reports = {f"n{rank + 1}": report(rank) for rank in (0, 1)}
    for *keys, last, value in copy.deepcopy(paths):
        place: Any = reports
        for key in keys:
            place = place[key]
        place[last] = value
    return span_verdict(SPAN, reports, {"n1": record(), "n2": record()} if records is None else records, rdma)


def test_good_nodes_fit_together() -> None:
    found = verdict(rdma=True)
    assert (found["unmet"], found["warnings"]) == ([], [])
    assert found["msg"] == "The nodes of span_big (n1, n2) meet 12 of 12 requirements."
    told = {check["name"]: check["found"] for check in found["checks"]}
    assert list(told) == list(judge.CHECKS)
    assert told["address"] == "n1: 10.0.0.1 on eth0; n2: 10.0.0.2 on eth0"
    assert told["rdma"].startswith("n1: mlx5_0 active; GPUDirect: nvidia_peermem; n2:")
    assert set(FilterModule().filters()) == {"span_verdict", "span_collective_verdict"}


PUBLIC = [{"name": "eth0", "address": "203.0.113.7", "mtu": 1500}, {"name": "eth1", "address": "8.8.8.8", "mtu": 1500}]
PEER = ("n1", "peers", "1")


@pytest.mark.parametrize(
    ("name", "paths", "words"),
    [
        ("address", [("n2", "address", "8.8.8.8"), ("n2", "interfaces", PUBLIC)], "n2: 8.8.8.8 is no private address"),
        ("address", [("n2", "address", "")], "n2 has no private address in a network that all nodes"),
        ("address", [("n2", "address", "127.0.0.1")], "n2: 127.0.0.1 is no private address"),
        ("address", [("n2", "address", "10.9.9.9")], "n2 has no interface with 10.9.9.9; it has eth0 10.0.0.2"),
        ("address", [("n2", "address", "172.17.0.1")], "n2: 172.17.0.1 is on docker0, behind which no other node is"),
        ("interface", [("n2", "variables", "GLOO_SOCKET_IFNAME", "eth9")], "n2: GLOO_SOCKET_IFNAME is 'eth9', and 10"),
        ("interface", [("n2", "variables", "NCCL_SOCKET_IFNAME", "^eth")], "n2: NCCL_SOCKET_IFNAME is '^eth'"),
        ("interface", [("n1", "variables", "VLLM_HOST_IP", "10.0.0.9")], "n1: VLLM_HOST_IP is '10.0.0.9'"),
        ("ports", [(*PEER, "ports", "29501", "no answer")], "n1 cannot reach n2 at port 29501 (no answer)"),
        ("ports", [("n2", "peers", "0", "ports", "31000", "Connection refused")], "n2 cannot reach n1 at port 31000"),
        ("ports", [("n1", "listening", "29501", "Address already in use")], "port 29501 of n1 is not free"),
        ("mtu", [("n2", "interfaces", 1, "mtu", 1500)], "n1: eth0 9000; n2: eth0 1500"),
        ("mtu", [(*PEER, "transfer", "no answer")], "n1 connects to n2, but 1 MiB both ways fails (no answer)"),
        ("clock", [(*PEER, "offset_s", -5.0)], "n2 is -5.00 s from n1"),
        ("driver", [("n2", "driver", "570.1")], "8 x NVIDIA B200; n2: driver 570.1, 8 x NVIDIA B200"),
        ("driver", [("n2", "gpus", ["NVIDIA B200"] * 7)], "n2: driver 580.95.05, 7 x NVIDIA B200"),
        ("image", [("n2", "image", "sha256:bb")], "n1: sha256:aa; n2: sha256:bb"),
        ("image", [("n2", "image", "")], "n2: none"),
        ("weights", [("n2", "weights", {"org/model": ""})], "org/model: n1 has 0123456789ab, n2 has none"),
    ],
)  # fmt: skip
def test_each_requirement(name: str, paths: list[tuple[Any, ...]], words: str) -> None:
    found = verdict(*paths)
    assert found["unmet"] == [name]
    assert words in found["msg"]
    assert "fix" in found["msg"]


def test_all_findings_of_all_nodes_are_in_one_message() -> None:
    found = verdict(
        ("n2", "variables", "GLOO_SOCKET_IFNAME", "eth9"),
        (*PEER, "ports", "29501", "no answer"),
        ("n2", "image", "sha256:bb"),
        (*PEER, "offset_s", 3.0),
        ("n2", "interfaces", 1, "mtu", 1500),
    )
    assert found["unmet"] == ["interface", "ports", "mtu", "clock", "image"]
    assert "5 of 11 requirements are not met. Nothing was stopped or started." in found["msg"]
    for words in ("eth9", "29501", "sha256:bb", "+3.00 s", "eth0 1500", "nftables"):
        assert words in found["msg"]


def test_a_release_that_differs_names_the_difference() -> None:
    found = verdict(records={"n1": record(), "n2": record("b" * 12, seed=2)})
    assert found["unmet"] == ["release"]
    assert f"n1 has {'a' * 12} with --seed 1, and n2 has {'b' * 12} with --seed 2" in found["msg"]
    assert "group_vars/span_big.yml" in found["msg"]
    other_image = verdict(("n2", "image", "sha256:bb"), records={"n1": record(), "n2": record("b" * 12)})
    assert other_image["unmet"] == ["image"]


@pytest.mark.parametrize(
    "paths",
    [
        # A running server of ours holds the port of the head. It is reached, and that is all.
        [
            ("n1", "own_server", True),
            ("n1", "listening", "29501", "Address already in use"),
            ("n2", "peers", "0", "ports", "29501", SILENT),
        ],
        # A port of a follower that another program has is none of the engine's.
        [("n2", "listening", "29501", "Address already in use"), (*PEER, "ports", "29501", STRANGER)],
        # The answer took longer than the clocks seem to differ.
        [(*PEER, "offset_s", 2.0), (*PEER, "rtt_s", 3.0)],
        # Datagrams are not answered: the engine needs none.
        [(*PEER, "datagram_mtu", 0)],
        # NCCL's own ways to name an interface.
        [("n2", "variables", "NCCL_SOCKET_IFNAME", "eth")],
        [("n2", "variables", "NCCL_SOCKET_IFNAME", "^docker,lo")],
        [("n2", "variables", "GLOO_SOCKET_IFNAME", "eth0,eth1")],
        # On CPUs, and without RDMA.
        [(host, key, value) for host in ("n1", "n2") for key, value in (("gpus", []), ("driver", ""), ("rdma", []))],
    ],
)  # fmt: skip
def test_an_honest_node_is_not_refused(paths: list[tuple[Any, ...]]) -> None:
    found = verdict(*paths)
    assert (found["unmet"], found["warnings"]) == ([], [])


def test_a_path_of_smaller_packets_is_a_warning() -> None:
    found = verdict((*PEER, "datagram_mtu", 1500))
    assert found["unmet"] == []
    assert "n1 to n2: packets of 9000 bytes do not pass, of 1500 they do" in found["warnings"][0]


def test_rdma_is_required_only_if_the_recipe_says_so() -> None:
    down = [("n2", "rdma", [{"name": "mlx5_0", "active": False}]), ("n2", "memlock", 65536)]
    assert verdict(*down)["unmet"] == []
    found = verdict(*down, rdma=True)
    assert found["unmet"] == ["rdma"]
    assert "n2: mlx5_0 down" in found["msg"]
    assert "n2: 64 KiB" in found["warnings"][0]


def test_before_a_start_is_near_image_and_weights_may_be_missing() -> None:
    reports = {f"n{rank + 1}": {**report(rank), "image": "", "weights": {}} for rank in (0, 1)}
    assert span_verdict(SPAN, reports)["unmet"] == []
    assert span_verdict(SPAN, {**reports, "n2": {**reports["n2"], "image": "sha256:bb"}})["unmet"] == []


@pytest.mark.parametrize(
    ("reports", "words"), [({}, "n2: no report"), ({"n2": {"msg": "ip is gone"}}, "n2: ip is gone")]
)
def test_a_node_without_a_report(reports: dict[str, Any], words: str) -> None:
    found = span_verdict(SPAN, {"n1": report(0), **reports})
    assert found["unmet"] == ["nodes"]
    assert words in found["msg"]


GOOD: dict[str, Any] = {"bus_bytes_per_s": None, "processes": 0, "missing": [], "error": ""}
HEAD = {**GOOD, "bus_bytes_per_s": 12e9, "processes": 16}


@pytest.mark.parametrize(
    ("reports", "least", "unmet", "words"),
    [
        ([HEAD, GOOD], 0, [], "12 GB/s of bus bandwidth"),
        ([HEAD, GOOD], 10, [], "12 GB/s"),
        ([HEAD, GOOD], 20, ["all_reduce"], "needs? *an all-reduce of at least 20 GB/s"),
        ([{**GOOD, "missing": [1]}, {}], 0, ["all_reduce"], "n2 did not come"),
        ([{**GOOD, "missing": [1]}, {**GOOD, "error": "no route"}], 0, ["all_reduce"], "n2 did not come; n2: no route"),
        ([{**GOOD, "error": "NCCL: x"}, GOOD], 0, ["all_reduce"], "no figure; n1: NCCL: x"),
        ([HEAD, {"msg": "boom"}], 0, ["all_reduce"], "n2 did not come; n2: boom"),
    ],
)
def test_the_all_reduce(reports: list[dict[str, Any]], least: float, unmet: list[str], words: str) -> None:
    found = span_collective_verdict(SPAN, dict(zip(["n1", "n2"], reports, strict=True)), least)
    assert found["unmet"] == unmet
    text = found["msg"] if unmet else found["checks"][0]["found"]
    assert words.replace("needs? *", "need  ") in text
