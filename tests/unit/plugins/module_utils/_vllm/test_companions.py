# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ranks of a server while it starts. Links and clock are the test's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs.link import SILENT_S, Heard
from ansible_collections.hgx.inference.plugins.module_utils._vllm.companions import ABSENT_S, Companions, RankFailed

HOSTS = ["node-a", "node-b", "node-c"]


class Network:
    """Carries what a rank says to those that are connected with it: the followers with the head."""

    def __init__(self) -> None:
        self.now = 100.0
        self.said: dict[int, dict[str, Any]] = {}
        self.at: dict[int, float] = {}
        self.meanwhile: list[Callable[[], object]] = []


class Line:
    """The end of a rank."""

    def __init__(self, network: Network, rank: int) -> None:
        self._network = network
        self._rank = rank
        self.problem = ""

    def say(self, message: Mapping[str, Any]) -> None:
        self._network.said[self._rank] = dict(message)
        self._network.at[self._rank] = self._network.now

    def heard(self) -> dict[int, Heard]:
        return {
            rank: Heard(message, self._network.at[rank])
            for rank, message in self._network.said.items()
            if rank != self._rank and 0 in (rank, self._rank)
        }

    def wait(self, limit_s: float) -> None:
        self._network.now += limit_s
        if self._network.meanwhile:
            self._network.meanwhile.pop(0)()

    def close(self) -> None:
        pass


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def ranks(network: Network) -> list[Companions]:
    return [
        Companions({"rank": rank, "hosts": HOSTS, "run": "a run"}, Line(network, rank), lambda: network.now)
        for rank in range(3)
    ]


def test_the_followers_wait_for_the_answer_of_the_head(network: Network, ranks: list[Companions]) -> None:
    for rank in ranks:
        rank.tell("loading weights")
    assert [rank.is_head for rank in ranks] == [True, False, False]
    assert not ranks[1].head_answers()
    seen: list[bool] = []
    network.meanwhile = [lambda: seen.append(ranks[1].head_answers()), ranks[1].end, ranks[2].end]
    ranks[0].end()
    assert (seen, network.meanwhile) == ([True], []), "the head ends last"


def test_the_first_failure_is_told_everywhere(network: Network, ranks: list[Companions]) -> None:
    for rank in ranks:
        rank.tell("loading weights")
    told: list[str] = []

    def head() -> None:
        with pytest.raises(RankFailed) as caught:
            ranks[0].tell("loading weights")
        told.append(str(caught.value))

    network.meanwhile = [head]
    own = ranks[1].fail("out of memory\nFix: less")
    with pytest.raises(RankFailed) as caught:
        ranks[2].tell("loading weights")
    assert {own, *told, str(caught.value)} == {"Rank 1 on node-b: out of memory\nFix: less"}


def test_a_head_that_lost_a_follower_blames_it(network: Network, ranks: list[Companions]) -> None:
    for rank in ranks:
        rank.tell("loading weights")
    network.meanwhile = [lambda: network.said[1].update(failed="killed (exit code 137)", ago_s=0.2)]
    assert ranks[0].fail("RuntimeError: Connection closed by peer [10.0.0.2]:4711") == (
        "Rank 1 on node-b: killed (exit code 137)"
    )


def test_a_head_that_fails_alone_is_the_cause(ranks: list[Companions]) -> None:
    for rank in ranks:
        rank.tell("loading weights")
    assert ranks[0].fail("unrecognized arguments") == "Rank 0 on node-a: unrecognized arguments"


def test_a_rank_that_falls_silent_is_named(network: Network, ranks: list[Companions]) -> None:
    for rank in ranks:
        rank.tell("loading weights")
    network.now += SILENT_S + 5
    network.at[1] = network.now
    with pytest.raises(RankFailed, match=r"Rank 2 on node-c: nothing was heard of it for 35 s"):
        ranks[0].tell("loading weights")


def test_a_rank_that_never_comes_is_named(network: Network, ranks: list[Companions]) -> None:
    ranks[0].tell("loading weights")
    ranks[1].tell("loading weights")
    network.now += ABSENT_S + 1
    network.at[1] = network.now
    with pytest.raises(RankFailed, match=r"Rank 2 on node-c: .* must reach each other, both ways"):
        ranks[0].tell("loading weights")


def test_the_words_of_another_play_are_not_heard(network: Network, ranks: list[Companions]) -> None:
    ranks[0].tell("loading weights")
    network.said[1] = {"run": "an old run", "failed": "replaced"}
    network.at[1] = network.now
    ranks[0].tell("loading weights")


def test_no_secret_is_told(network: Network, ranks: list[Companions]) -> None:
    for rank in ranks:
        rank.tell("loading weights")
    ranks[1].fail("it said HF_TOKEN=hf_abcdefghijklmnopqrstuvwxyz0123456789")
    assert "hf_abc" not in str(network.said)
