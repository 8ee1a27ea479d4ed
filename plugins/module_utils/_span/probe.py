# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Try the network between the nodes of a server: each node listens for the others and calls them at the same time.

Both sides prove with a nonce of the play that they belong to it, so another program at a port is not taken for a node.
No raw socket is needed: a path that swallows large packets shows by a transfer that stalls, and by datagrams that must
not be fragmented.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypedDict

# Linux's own numbers, which Python names from 3.14 on: set DF, and ignore what the kernel knows of the path.
_IP_MTU_DISCOVER = 10
_IP_PMTUDISC_PROBE = 3
_HEADERS = 28  # of IPv4 and UDP
_MOST = 65507
_LESSER_MTUS = (8900, 4000, 1500, 1400, 1280)
_TRANSFER_BYTES = 1 << 20
_PAUSE_S = 0.2
# Why a port that can be reached is not a node of ours.
STRANGER = "another program answers there"
SILENT = "something accepts connections there and does not answer"


class Peer(TypedDict):
    """What a node found out about another one.

    C(ports) has for each port why it cannot be reached, or an empty text. C(offset_s) is by how much the clock of the
    other is ahead, within half of C(rtt_s). C(transfer) says why a transfer in both directions failed. C(datagram_mtu)
    is the size of the largest packet that passed, 0 if no datagram was answered.
    """

    ports: dict[str, str]
    transfer: str
    offset_s: float | None
    rtt_s: float | None
    datagram_mtu: int


class Limits(NamedTuple):
    """Times in seconds: for a node to appear, for the other ports once it has, and for each attempt."""

    appear_s: float = 60.0
    rest_s: float = 10.0
    attempt_s: float = 5.0
    datagram_s: float = 1.0


LIMITS = Limits()


class Node:
    """A node that tries the network to the others. C(addresses) are those of all ranks."""

    def __init__(
        self, rank: int, addresses: Sequence[str], ports: Sequence[int], nonce: str, mtu: int, limits: Limits = LIMITS
    ) -> None:
        self._rank, self._addresses, self._ports = rank, addresses, ports
        self._nonce, self._mtu, self._limits = nonce.encode(), mtu, limits
        self._others = [other for other, address in enumerate(addresses) if other != rank and address]
        self._contacts = {other: threading.Event() for other in self._others}
        self._done = {other: threading.Event() for other in self._others}
        self._closing = threading.Event()

    def run(self) -> tuple[dict[str, str], dict[str, Peer]]:
        """Return for each of the own ports why it cannot be listened at, and what was found out about each rank."""
        listening, sockets = self._listen()
        found: dict[str, Peer] = {}
        callers = [threading.Thread(target=self._call, args=(other, found), daemon=True) for other in self._others]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        # The others may still be calling. Whoever cannot reach us cannot say that it has ended.
        deadline = time.monotonic() + self._limits.rest_s + self._limits.attempt_s
        for other, event in self._done.items():
            if self._contacts[other].is_set():
                event.wait(max(0.0, deadline - time.monotonic()))
        self._closing.set()
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes its thread
            each.close()
        return listening, found

    def _listen(self) -> tuple[dict[str, str], list[socket.socket]]:
        listening, sockets = {}, []
        for port in self._ports:
            try:
                server = _bound(socket.SOCK_STREAM, self._addresses[self._rank], port)
                server.listen()
            except OSError as exc:
                listening[str(port)] = exc.strerror or str(exc)
                continue
            listening[str(port)] = ""
            sockets.append(server)
            threading.Thread(target=self._accept, args=(server,), daemon=True).start()
        with suppress(OSError):
            answering = _bound(socket.SOCK_DGRAM, self._addresses[self._rank], self._ports[-1])
            sockets.append(answering)
            threading.Thread(target=self._answer_datagrams, args=(answering,), daemon=True).start()
        return listening, sockets

    def _accept(self, server: socket.socket) -> None:
        while not self._closing.is_set():
            try:
                connection, _address = server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError, KeyError):
            connection.settimeout(self._limits.attempt_s)
            stream = connection.makefile("rb")
            hello = json.loads(stream.readline(4096))
            other = int(hello["rank"])
            if not hmac.compare_digest(str(hello["proof"]), self._proof("hello", other, self._rank)):
                return
            self._contacts[other].set()
            answer = {"proof": self._proof("here", self._rank, other), "time": time.time()}
            connection.sendall(json.dumps(answer).encode() + b"\n")
            if hello.get("done"):
                self._done[other].set()
            size = min(int(hello.get("bytes", 0)), _TRANSFER_BYTES)
            _receive(stream, size)
            connection.sendall(bytes(size))
            stream.read(1)  # until the other has read it

    def _answer_datagrams(self, answering: socket.socket) -> None:
        while not self._closing.is_set():
            try:
                datagram, address = answering.recvfrom(_MOST)
            except OSError:
                return
            if datagram.startswith(self._datagram()):
                with suppress(OSError):
                    answering.sendto(self._datagram() + str(len(datagram)).encode(), address)

    def _call(self, other: int, found: dict[str, Peer]) -> None:
        address, started = self._addresses[other], time.monotonic()
        peer: Peer = {"ports": {}, "transfer": "", "offset_s": None, "rtt_s": None, "datagram_mtu": 0}
        found[str(other)] = peer
        # The last port is taken by nobody, so it tells first whether the other node is there at all.
        for port in reversed(self._ports):
            size = _TRANSFER_BYTES if port == self._ports[-1] else 0
            peer["ports"][str(port)] = self._reach(other, port, size, peer, started)
        if not peer["ports"][str(self._ports[-1])]:
            peer["datagram_mtu"] = self._largest_datagram(address)
        for port in self._ports:
            if not peer["ports"][str(port)]:
                with suppress(OSError):
                    self._greet(other, address, port, 0, done=True)
                    break

    def _reach(self, other: int, port: int, size: int, peer: Peer, started: float) -> str:
        """Return why a port of another node cannot be reached, or nothing once it has answered."""
        contact: float | None = None
        while True:
            try:
                trouble = self._greet(other, self._addresses[other], port, size, peer=peer)
            except OSError as exc:
                trouble = _words(exc)
            else:
                if not trouble:
                    self._contacts[other].set()
                if trouble != SILENT:
                    return trouble
            now = time.monotonic()
            if contact is None and self._contacts[other].is_set():
                contact = now
            if now >= (started + self._limits.appear_s if contact is None else contact + self._limits.rest_s):
                return trouble
            time.sleep(_PAUSE_S)

    def _greet(
        self, other: int, address: str, port: int, size: int, peer: Peer | None = None, done: bool = False
    ) -> str:
        """Connect, exchange proofs and C(size) bytes both ways; return what is wrong with the answer.

        Raises OSError if there is no connection, or it breaks.
        """
        with socket.create_connection(
            (address, port), self._limits.attempt_s, (self._addresses[self._rank], 0)
        ) as call:
            stream = call.makefile("rb")
            hello = {"rank": self._rank, "proof": self._proof("hello", self._rank, other), "bytes": size, "done": done}
            sent_at, started = time.time(), time.monotonic()
            try:
                call.sendall(json.dumps(hello).encode() + b"\n")
                answer = json.loads(stream.readline(4096))
                if not hmac.compare_digest(str(answer["proof"]), self._proof("here", other, self._rank)):
                    return STRANGER
            except socket.timeout:
                return SILENT
            except (ValueError, KeyError, TypeError):
                return STRANGER
            if peer is not None and size:
                rtt = time.monotonic() - started
                peer["rtt_s"], peer["offset_s"] = rtt, float(answer["time"]) - (sent_at + rtt / 2)
                peer["transfer"] = self._transfer(call, stream, size)
            return ""

    def _transfer(self, call: socket.socket, stream: Any, size: int) -> str:
        try:
            call.sendall(bytes(size))
            _receive(stream, size)
        except OSError as exc:
            return _words(exc)
        return ""

    def _largest_datagram(self, address: str) -> int:
        """Return the size of the largest packet that passes unfragmented, at most the MTU; 0 if none is answered."""
        with _bound(socket.SOCK_DGRAM, self._addresses[self._rank], 0) as sender:
            sender.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
            sender.settimeout(self._limits.datagram_s)
            sender.connect((address, self._ports[-1]))
            if not self._passes(sender, len(self._datagram())):
                return 0
            for mtu in [self._mtu, *(mtu for mtu in _LESSER_MTUS if mtu < self._mtu)]:
                if self._passes(sender, min(mtu - _HEADERS, _MOST)):
                    return mtu
        return len(self._datagram()) + _HEADERS

    def _passes(self, sender: socket.socket, size: int) -> bool:
        for _attempt in range(3):
            with suppress(OSError):
                sender.send(self._datagram().ljust(size, b"\0"))
                if sender.recv(_MOST) == self._datagram() + str(size).encode():
                    return True
        return False

    def _proof(self, word: str, sender: int, receiver: int) -> str:
        return hmac.new(self._nonce, f"{word} {sender} {receiver}".encode(), hashlib.sha256).hexdigest()

    def _datagram(self) -> bytes:
        return hmac.new(self._nonce, b"datagram", hashlib.sha256).hexdigest().encode()


def mtu_of(interfaces: Sequence[Mapping[str, Any]], address: str) -> int:
    """Return the MTU of the interface that has an address, 0 if none has it."""
    return next((int(each["mtu"]) for each in interfaces if each["address"] == address), 0)


def _bound(kind: int, address: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, kind)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((address, port))
    except OSError:
        found.close()
        raise
    return found


def _receive(stream: Any, size: int) -> None:
    while size:
        piece = stream.read(min(size, 65536))
        if not piece:
            raise ConnectionResetError("the connection was closed")
        size -= len(piece)


def _words(exc: OSError) -> str:
    if isinstance(exc, socket.timeout):
        return "no answer"
    return exc.strerror or str(exc)
