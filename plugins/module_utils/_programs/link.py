# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the ranks of a server across hosts tell each other: the newest message of each, every two seconds.

The followers connect to the head. Each line is signed with a key that only the ranks have, over a random word of both
ends, so that nobody else in the network can say anything, or say it again. Nothing that is said is a secret.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

BEAT_S = 2.0
# A busy machine may be late. Who is connected and says nothing for so long is gone.
SILENT_S = 30.0
_GREETING_BYTES = 33
_MOST_BYTES = 65536
_MOST_STRANGERS = 16
RANK = "rank"


class Forged(Exception):
    """A line that is not of a rank of this server."""


class Heard(NamedTuple):
    """The newest message of a rank, and when it came by the clock of the link."""

    message: Mapping[str, Any]
    at: float


class Channel:
    """Signs and checks the lines of one connection. Both ends have chosen a random word for it."""

    def __init__(self, key: bytes, mine: bytes, theirs: bytes) -> None:
        self._key = key
        self._out, self._in = mine + theirs, theirs + mine
        self._sent = self._received = 0

    def pack(self, message: Mapping[str, Any]) -> bytes:
        """Return a message as a line."""
        self._sent += 1
        body = json.dumps(message).encode()
        return b"%s %d %s\n" % (self._sign(self._out, self._sent, body), self._sent, body)

    def unpack(self, line: bytes) -> dict[str, Any]:
        """Return the message of a line. Raises Forged."""
        signature, _space, rest = line.rstrip(b"\n").partition(b" ")
        number, _space, body = rest.partition(b" ")
        expected = self._received + 1
        if number != b"%d" % expected or not hmac.compare_digest(signature, self._sign(self._in, expected, body)):
            raise Forged
        self._received = expected
        try:
            message = json.loads(body)
        except ValueError as exc:
            raise Forged from exc
        if not isinstance(message, dict):
            raise Forged
        return message

    def _sign(self, words: bytes, number: int, body: bytes) -> bytes:
        return hmac.new(self._key, b"%s%d %s" % (words, number, body), hashlib.sha256).hexdigest().encode()


class Link:
    """The end of one rank. C(address) is that of the head."""

    def __init__(self, rank: int, address: tuple[str, int], key: bytes) -> None:
        self._rank = rank
        self._address = address
        self._key = key
        self._mine: dict[str, Any] = {}
        self._heard: dict[int, Heard] = {}
        self._changed = threading.Condition()
        self._news = threading.Event()
        self._strangers = threading.Semaphore(_MOST_STRANGERS)
        self._closed = False
        self._listener: socket.socket | None = None
        self.problem = ""  # why it cannot be used

    def open(self) -> None:
        """Listen at the head, connect at a follower; both go on until C(close)."""
        if not self._key:
            self.problem = "the key of the ranks is missing, so they cannot talk to each other: run the play again"
            return
        threading.Thread(target=self._listen if self._rank == 0 else self._connect, daemon=True).start()

    def close(self) -> None:
        """End all connections. What was said last is sent before, in a short time or not at all."""
        self._closed = True
        with self._changed:
            self._changed.notify_all()
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def say(self, message: Mapping[str, Any]) -> None:
        """Make this the message of this rank; one that has changed is sent at once."""
        with self._changed:
            if self._mine != message:
                self._mine = dict(message)
                self._changed.notify_all()

    def heard(self) -> dict[int, Heard]:
        """Return the newest message of each other rank that has said anything."""
        with self._changed:
            return dict(self._heard)

    def wait(self, limit_s: float) -> None:
        """Wait for anything new, for at most C(limit_s)."""
        self._news.wait(limit_s)
        self._news.clear()

    def _listen(self) -> None:
        while not self._closed:
            try:
                self._listener = socket.create_server(self._address, backlog=_MOST_STRANGERS)
                self.problem = ""
                while True:
                    stream, _address = self._listener.accept()
                    if self._strangers.acquire(blocking=False):
                        threading.Thread(target=self._serve, args=[stream], daemon=True).start()
                    else:
                        stream.close()
            except OSError as exc:
                self.problem = f"{self._address[0]}:{self._address[1]}: {exc.strerror or exc}"
            self._pause()

    def _connect(self) -> None:
        while not self._closed:
            with suppress(OSError):
                self._talk(socket.create_connection(self._address, timeout=SILENT_S))
            self._pause()

    def _serve(self, stream: socket.socket) -> None:
        try:
            self._talk(stream)
        finally:
            self._strangers.release()

    def _pause(self) -> None:
        with self._changed:
            if not self._closed:
                self._changed.wait(BEAT_S)

    def _talk(self, stream: socket.socket) -> None:
        """Hold one connection until it ends."""
        with stream:
            stream.settimeout(SILENT_S)
            mine = secrets.token_hex(16).encode()
            with suppress(OSError, Forged), stream.makefile("rb") as lines:
                stream.sendall(mine + b"\n")
                theirs = lines.readline(_GREETING_BYTES).strip()
                channel = Channel(self._key, mine, theirs)
                sender = threading.Thread(target=self._send, args=[stream, channel], daemon=True)
                sender.start()
                self._receive(lines, channel)
            # The sender notices when it sends next.
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)

    def _receive(self, lines: Any, channel: Channel) -> None:
        while line := lines.readline(_MOST_BYTES):
            message = channel.unpack(line)
            with self._changed:
                self._heard[int(message.get(RANK, -1))] = Heard(message, time.monotonic())
            self._news.set()

    def _send(self, stream: socket.socket, channel: Channel) -> None:
        with suppress(OSError):
            while True:
                with self._changed:
                    closed, sent = self._closed, dict(self._mine)
                stream.sendall(channel.pack({**sent, RANK: self._rank}))
                if closed:
                    stream.shutdown(socket.SHUT_RDWR)
                    return
                with self._changed:
                    if self._mine == sent and not self._closed:
                        self._changed.wait(BEAT_S)
