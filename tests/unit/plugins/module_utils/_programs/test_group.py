# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decisions of the head. The clock is the test's; nobody sends anything."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs import group
from ansible_collections.hgx.inference.plugins.module_utils._programs.group import Failure, Head, Order, Report
from ansible_collections.hgx.inference.plugins.module_utils._programs.link import SILENT_S, Heard

HOSTS = ["node-a", "node-b"]
KILLED = "the server ended by itself (exit code 137, killed)"


class Group:
    """A head with one follower."""

    def __init__(self, generation: int = 0) -> None:
        self.now = 100.0
        self.refusal = ""
        self.asked: list[str] = []
        self.token: bool | None = None
        self.own = Report("node-a", generation)
        self.other = Report("node-b", generation)
        self.heard_at: float | None = self.now
        self.head = Head(HOSTS, lambda: self.now, self.refused, lambda: self.token, generation)

    def refused(self, why: str) -> str:
        self.asked.append(why)
        return self.refusal

    def heard(self) -> dict[int, Heard]:
        return {} if self.heard_at is None else {1: Heard({**self.other._asdict(), "rank": 1}, self.heard_at)}

    def step(self) -> Order:
        return self.head.step(self.own, self.heard())

    def obey(self, order: Order) -> Order:
        """Let both do what was decided, and return what is decided then."""
        self.heard_at = self.now
        new: dict[str, Any] = {"generation": order.generation, "run": order.run, "cause": "", "since_s": 0.0}
        new["state"] = group.RUNNING if order.run else group.DOWN
        self.own, self.other = self.own._replace(**new), self.other._replace(**new)
        return self.step()


def test_who_runs_is_left_alone() -> None:
    ranks = Group()
    assert ranks.step() == Order(0, True)
    ranks.now += 10
    assert ranks.step() == Order(0, True)


def test_a_killed_follower_stops_all_and_then_starts_all() -> None:
    ranks = Group()
    ranks.other = ranks.other._replace(state=group.ENDED, cause=KILLED)
    stop = ranks.step()
    assert stop == Order(1, False, f"rank 1 on node-b: {KILLED}")
    assert (ranks.head.counted, ranks.asked) == (True, [stop.why])
    assert ranks.step() == stop, "the others are not down yet"
    run = ranks.obey(stop)
    assert run == stop._replace(run=True)
    assert ranks.obey(run) == run


def test_no_rank_starts_before_the_last_one_is_down() -> None:
    ranks = Group()
    ranks.other = ranks.other._replace(state=group.ENDED, cause=KILLED)
    stop = ranks.step()
    ranks.own = ranks.own._replace(generation=1, run=False, state=group.DOWN)
    assert ranks.step() == stop
    ranks.now += SILENT_S + 1
    ranks.other = ranks.other._replace(generation=1, run=False, state=group.DOWN)
    assert ranks.step() == stop, "it was down when it was last heard"
    ranks.heard_at = ranks.now
    assert ranks.step() == stop._replace(run=True)


def test_the_head_that_follows_a_dead_follower_is_not_blamed() -> None:
    ranks = Group()
    ranks.own = ranks.own._replace(state=group.ENDED, cause="the server ended by itself (exit code 0)", since_s=0.1)
    assert ranks.step().run, "what the follower says may come later"
    ranks.now += 1
    ranks.other = ranks.other._replace(state=group.ENDED, cause=KILLED, since_s=0.5)
    assert ranks.step().why == f"rank 1 on node-b: {KILLED}"


def test_a_head_that_ends_alone_is_blamed_itself() -> None:
    ranks = Group()
    ranks.own = ranks.own._replace(state=group.ENDED, cause="the server ended by itself (exit code 0)")
    assert ranks.step().run
    ranks.now += group.GRACE_S
    assert ranks.step() == Order(1, False, "rank 0 on node-a: the server ended by itself (exit code 0)")


def test_too_many_restarts_are_the_last() -> None:
    ranks = Group()
    ranks.refusal = "it ended again"
    ranks.other = ranks.other._replace(state=group.ENDED, cause=KILLED)
    order = ranks.step()
    assert order == Order(1, False, "it ended again", over=True, gave_up=True)
    assert not ranks.head.counted
    assert ranks.obey(order) == order


def test_a_person_is_respected() -> None:
    ranks = Group()
    ranks.other = ranks.other._replace(state=group.STOPPED, cause="somebody stopped it")
    order = ranks.step()
    assert (order.run, order.over, order.gave_up) == (False, True, False)
    assert order.why == "somebody stopped rank 1 on node-b, so the whole server stays down"
    assert ranks.asked == []


def test_a_boot_is_no_crash() -> None:
    ranks = Group(generation=4)
    ranks.other = ranks.other._replace(state=group.DOWN, cause="it was not running")
    order = ranks.step()
    assert order == Order(5, False, "rank 1 on node-b: it was not running")
    assert (ranks.head.counted, ranks.asked) == (False, [])


def test_a_head_that_comes_later_takes_up_the_count_of_the_others() -> None:
    ranks = Group()
    ranks.other = ranks.other._replace(generation=7)
    assert ranks.step() == Order(7, True)


def test_what_a_rank_said_before_it_did_as_told_is_no_new_failure() -> None:
    ranks = Group(generation=2)
    ranks.other = ranks.other._replace(generation=1, state=group.ENDED, cause=KILLED)
    assert ranks.step() == Order(2, True)


def test_an_unreachable_rank_is_told_and_the_server_goes_on_if_it_answers() -> None:
    ranks = Group()
    ranks.now += SILENT_S + 5
    ranks.token = None
    assert ranks.step().run
    ranks.token = True
    assert ranks.step().run
    assert ranks.head.ranks(ranks.own, ranks.heard())[1] == {
        "rank": 1,
        "host": "node-b",
        "state": "unreachable",
        "cause": "nothing heard for 35 s",
    }


def test_an_unreachable_rank_without_which_nothing_is_answered() -> None:
    ranks = Group()
    ranks.now += SILENT_S + 5
    ranks.token = False
    assert ranks.step() == Order(
        1, False, "rank 1 on node-b: unreachable, nothing heard for 35 s, and the server answers no token"
    )


def test_a_rank_that_has_never_said_anything() -> None:
    ranks = Group()
    ranks.heard_at = None
    assert ranks.head.ranks(ranks.own, {})[1]["state"] == "unreachable"
    assert ranks.step().run
    ranks.now += SILENT_S + 1
    ranks.token = False
    assert "rank 1 on node-b: unreachable" in ranks.step().why


def test_what_a_later_version_says_is_read_as_far_as_it_is_known() -> None:
    ranks = Group()
    message = {**ranks.other._asdict(), "rank": 1, "temperature": 40}
    assert ranks.head.step(ranks.own, {1: Heard(message, ranks.now)}).run


@pytest.mark.parametrize(
    ("failures", "rank"),
    [
        ([(0, "CUDA out of memory", 1.0), (1, "CUDA out of memory", 3.0)], 1),
        ([(0, "Connection closed by peer [10.0.0.2]:4711", 3.0), (1, "was killed (exit code 137)", 1.0)], 1),
        ([(0, "the server ended by itself (exit code 0)", 9.0), (1, "unreachable, nothing heard for 31 s", 31.0)], 1),
        (
            [
                (0, "CUDA error: an illegal memory access", 2.0),
                (1, "NCCL: ncclRemoteError, remote process exited", 8.0),
            ],
            0,
        ),
        ([(0, "Broken pipe", 2.0), (1, "Connection reset by peer", 3.0)], 1),
    ],
)
def test_who_only_lost_another_one_is_not_the_cause(failures: list[tuple[int, str, float]], rank: int) -> None:
    found = group.blamed([Failure(number, HOSTS[number], cause, ago_s) for number, cause, ago_s in failures])
    assert found.rank == rank
    assert group.words(found).startswith(f"rank {rank} on {HOSTS[rank]}: ")
