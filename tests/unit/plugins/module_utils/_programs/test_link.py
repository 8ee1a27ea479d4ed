# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ranks tell each other over loopback, and that nobody else can."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs import link as program
from ansible_collections.hgx.inference.plugins.module_utils._programs.link import Channel, Forged, Link

KEY = b"of the ranks"


def channels(key: bytes = KEY, other: bytes = KEY) -> tuple[Channel, Channel]:
    return Channel(key, b"a" * 32, b"b" * 32), Channel(other, b"b" * 32, b"a" * 32)


def test_messages_arrive_in_order() -> None:
    one, other = channels()
    assert [other.unpack(one.pack({"n": n})) for n in range(2)] == [{"n": 0}, {"n": 1}]
    assert one.unpack(other.pack({"text": "{{ x }}\n"})) == {"text": "{{ x }}\n"}


def test_the_line_of_a_stranger_is_refused() -> None:
    one, other = channels(b"guessed")
    with pytest.raises(Forged):
        other.unpack(one.pack({"rank": 0}))


def test_a_line_is_not_taken_twice_nor_out_of_order() -> None:
    one, other = channels()
    first, second = one.pack({"n": 1}), one.pack({"n": 2})
    with pytest.raises(Forged):
        other.unpack(second)
    other.unpack(first)
    with pytest.raises(Forged):
        other.unpack(first)


def test_a_line_is_not_taken_back_by_its_sender_nor_in_another_connection() -> None:
    one, _other = channels()
    line = one.pack({"n": 1})
    with pytest.raises(Forged):
        one.unpack(line)
    with pytest.raises(Forged):
        Channel(KEY, b"c" * 32, b"a" * 32).unpack(line)


@pytest.mark.parametrize("line", [b"", b"\n", b"x y z\n", b"1\n", b"\xff 1 {}\n"])
def test_rubbish_is_refused(line: bytes) -> None:
    with pytest.raises(Forged):
        channels()[1].unpack(line)


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    monkeypatch.setattr(program, "BEAT_S", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as free:
        return "127.0.0.1", int(free.getsockname()[1])


@pytest.fixture
def opened() -> Iterator[Callable[..., Link]]:
    links = []

    def open_link(rank: int, address: tuple[str, int], key: bytes = KEY) -> Link:
        links.append(Link(rank, address, key))
        links[-1].open()
        return links[-1]

    yield open_link
    for each in links:
        each.close()


def until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def said(link: Link, rank: int) -> object:
    heard = link.heard()
    return heard[rank].message.get("says") if rank in heard else None


def test_the_ranks_hear_each_other_whoever_comes_first(address: tuple[str, int], opened: Callable[..., Link]) -> None:
    follower = opened(1, address)
    follower.say({"says": "one"})
    head = opened(0, address)
    head.say({"says": "head"})
    until(lambda: said(head, 1) == "one" and said(follower, 0) == "head")
    head.say({"says": "stop"})
    until(lambda: said(follower, 0) == "stop")


def test_the_last_word_is_heard_though_its_rank_ends(address: tuple[str, int], opened: Callable[..., Link]) -> None:
    head, follower = opened(0, address), opened(1, address)
    follower.say({"says": "one"})
    until(lambda: said(head, 1) == "one")
    follower.say({"says": "failed"})
    follower.close()
    until(lambda: said(head, 1) == "failed")


def test_a_follower_comes_back(address: tuple[str, int], opened: Callable[..., Link]) -> None:
    head = opened(0, address)
    opened(1, address).close()
    again = opened(1, address)
    again.say({"says": "back"})
    until(lambda: said(head, 1) == "back")


def test_nobody_without_the_key_is_heard(address: tuple[str, int], opened: Callable[..., Link]) -> None:
    head, stranger = opened(0, address), opened(1, address, b"guessed")
    stranger.say({"says": "stop"})
    friend = opened(2, address)
    friend.say({"says": "two"})
    until(lambda: said(head, 2) == "two")
    assert list(head.heard()) == [2]
    assert stranger.heard() == {}


def test_without_a_key_nothing_is_opened(address: tuple[str, int], opened: Callable[..., Link]) -> None:
    before = threading.active_count()
    head = opened(0, address, b"")
    assert "the key of the ranks is missing" in head.problem
    assert threading.active_count() == before


def test_a_taken_port_is_told(address: tuple[str, int], opened: Callable[..., Link]) -> None:
    with socket.create_server(address):
        head = opened(0, address)
        until(lambda: "in use" in head.problem)
