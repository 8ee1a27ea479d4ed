# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._hf import peer as _hf_peer
from ansible_collections.hgx.inference.plugins.module_utils._hf.peer import (
    FAILED,
    FETCHING,
    READY,
    Offer,
    Peer,
    promises,
)

COMMIT, OTHER = "a" * 40, "b" * 40


@pytest.mark.parametrize(
    ("offer", "promised"),
    [
        ({"commits": [COMMIT], "state": FETCHING, "bytes": 1}, True),
        ({"commits": [COMMIT], "state": READY, "bytes": 1}, False),
        ({"commits": [COMMIT], "state": FAILED, "bytes": 1}, False),
        ({"commits": [OTHER], "state": READY, "bytes": 1}, True),  # of an earlier run
        (None, True),
        ("nonsense", True),
    ],
)
def test_promises(offer: object, promised: bool) -> None:
    assert promises(offer, COMMIT) is promised


def test_offer_is_written_when_it_is_news(tmp_path: Path) -> None:
    offer = Offer(str(tmp_path), [OTHER, COMMIT])
    path = tmp_path / "hgx-inference" / "offer.json"
    offer.tell(FETCHING, 5)
    assert json.loads(path.read_text()) == {"commits": [COMMIT, OTHER], "state": FETCHING, "bytes": 5}
    inode = path.stat().st_ino
    offer.tell(FETCHING, 5)
    assert path.stat().st_ino == inode
    offer.tell(READY, 5)
    assert json.loads(path.read_text())["state"] == READY


class Scripted(Peer):
    """A peer whose answers and clock are given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, offers: list[Any], patience_s: float = 60) -> None:
        self.now = 0.0
        self.offers = offers
        monkeypatch.setattr(_hf_peer.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(_hf_peer.time, "sleep", self.sleep)
        super().__init__("http://peer", patience_s)
        self.now = 1.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def _get(self, path: str) -> object:
        if path != "hgx-inference/offer.json":
            return None
        return self.offers.pop(0) if len(self.offers) > 1 else self.offers[0]


def waits(peer: Peer) -> int:
    """Return how often it is waited for a peer before that is given up."""
    count = 0
    while peer.wait_for(COMMIT):
        count += 1
    return count


def of(state: str, count: int) -> dict[str, Any]:
    return {"commits": [COMMIT], "state": state, "bytes": count}


def test_a_peer_that_is_ready_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits(Scripted(monkeypatch, [of(READY, 0)])) == 0


def test_a_peer_is_waited_for_as_long_as_it_gets_on(monkeypatch: pytest.MonkeyPatch) -> None:
    offers = [of(FETCHING, count) for count in range(100)]
    assert waits(Scripted(monkeypatch, [*offers, of(READY, 0)])) == 100


def test_a_peer_that_has_stopped_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits(Scripted(monkeypatch, [of(FETCHING, 1)])) == 60


def test_a_peer_that_never_says_anything_is_given_up_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits(Scripted(monkeypatch, [None])) == 29
