# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two nodes on two addresses of loopback that try the network between them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._span import probe
from ansible_collections.hgx.inference.plugins.module_utils._span.probe import Limits, Node

ADDRESSES = ["127.0.0.1", "127.0.0.2"]
QUICK = Limits(appear_s=0.3, rest_s=0.1, attempt_s=0.3, datagram_s=0.2)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_PAUSE_S", 0.01)


@pytest.fixture
def ports() -> list[int]:
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return [one.getsockname()[1], two.getsockname()[1]]


@pytest.fixture
def stranger(ports: list[int]) -> Iterator[None]:
    """Another program at the first port of the second node, which answers with something."""
    with socket.socket() as server:
        server.bind((ADDRESSES[1], ports[0]))
        server.listen()

        def answer() -> None:
            while True:
                try:
                    connection, _address = server.accept()
                except OSError:
                    return
                connection.sendall(b"SSH-2.0\n")
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        yield


class Swallowing:
    """A connection that loses what is sent."""

    def sendall(self, _data: bytes) -> None:
        """Lose it."""


Outcome = tuple[dict[str, str], dict[str, probe.Peer]]


def both(ports: Sequence[int], limits: Limits = QUICK) -> list[Outcome]:
    nodes = [Node(rank, ADDRESSES, ports, "n", 1500, limits) for rank in (0, 1)]
    with ThreadPoolExecutor() as pool:
        return list(pool.map(Node.run, nodes))


def test_nodes_reach_each_other_at_every_port(ports: list[int]) -> None:
    found = both(ports, limits=Limits())  # on a busy machine, too
    for rank, (listening, peers) in enumerate(found):
        assert listening == {str(port): "" for port in ports}
        peer = peers[str(1 - rank)]
        assert peer["ports"] == {str(port): "" for port in ports}
        assert (peer["transfer"], peer["datagram_mtu"]) == ("", 1500)
        assert peer["offset_s"] is not None and peer["rtt_s"] is not None
        assert abs(peer["offset_s"]) <= peer["rtt_s"] / 2 + 0.01


def test_a_node_that_is_not_there(ports: list[int]) -> None:
    listening, peers = Node(0, ADDRESSES, ports, "n", 1500, QUICK).run()
    assert listening == {str(port): "" for port in ports}
    assert peers["1"]["ports"] == {str(port): "Connection refused" for port in ports}
    assert (peers["1"]["offset_s"], peers["1"]["datagram_mtu"]) == (None, 0)


def test_another_program_at_a_port(ports: list[int], stranger: None) -> None:
    (_listening, seen_by_head), (listening, _peers) = both(ports)
    assert listening == {str(ports[0]): "Address already in use", str(ports[1]): ""}
    assert seen_by_head["1"]["ports"] == {str(ports[0]): probe.STRANGER, str(ports[1]): ""}


def test_a_node_of_another_play_is_another_program(ports: list[int]) -> None:
    other = Node(1, ADDRESSES, ports, "m", 1500, QUICK)
    _listening, sockets = other._listen()
    _listening, peers = Node(0, ADDRESSES, ports, "n", 1500, QUICK).run()
    assert set(peers["1"]["ports"].values()) == {probe.STRANGER}
    assert not other._contacts[0].is_set()
    for each in sockets:
        each.close()


def test_an_address_of_another_machine_is_not_listened_at(ports: list[int]) -> None:
    listening, peers = Node(0, ["192.0.2.1", ""], ports, "n", 1500, QUICK).run()
    assert listening == {str(port): "Cannot assign requested address" for port in ports}
    assert peers == {}


def test_packets_of_the_mtu_that_do_not_pass(ports: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Node, "_passes", lambda _node, _sender, size: size <= 1500 - 28)
    nodes = [Node(rank, ADDRESSES, ports, "n", 9000, QUICK) for rank in (0, 1)]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(Node.run, nodes))
    assert [peer["datagram_mtu"] for _listening, peers in found for peer in peers.values()] == [1500, 1500]


def test_a_transfer_that_stalls(ports: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the path swallows large packets: nothing of it arrives, and the small ones before it did."""
    transfer = Node._transfer
    lost: Any = Swallowing()
    monkeypatch.setattr(Node, "_transfer", lambda node, _call, stream, size: transfer(node, lost, stream, size))
    for _listening, peers in both(ports):
        (peer,) = peers.values()
        assert peer["transfer"]
        assert set(peer["ports"].values()) == {""}


def test_something_that_never_answers(ports: list[int]) -> None:
    with socket.socket() as server:
        server.bind((ADDRESSES[1], ports[1]))
        server.listen()
        _listening, peers = Node(0, ADDRESSES, ports, "n", 1500, Limits(0.05, 0.05, 0.05)).run()
    assert peers["1"]["ports"] == {str(ports[0]): "Connection refused", str(ports[1]): probe.SILENT}


def test_the_mtu_is_that_of_the_interface_of_the_address() -> None:
    interfaces = [{"address": "10.0.0.1", "mtu": 9000}, {"address": "10.1.0.1", "mtu": 1500}]
    assert (probe.mtu_of(interfaces, "10.1.0.1"), probe.mtu_of(interfaces, "10.2.0.1")) == (1500, 0)
