# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide what the ranks of one server across hosts do. They run and end together: the head decides, all carry it out.

A new head cannot use a follower of an old one, and a follower whose head died runs on for good. So each restart stops
every rank first, and starts them all when the last one is down. Nothing here looks at anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .link import SILENT_S, Heard

# What a rank says of its container.
RUNNING = "running"
ENDED = "ended"  # by itself
DOWN = "down"  # not started since its host or its engine was, or stopped by an order
STOPPED = "stopped"  # by a person
UNREACHABLE = "unreachable"
# The others of a group end within moments of the first one; the head is asked again before it is blamed.
GRACE_S = 4.0
# What a rank says that has lost another one: it is no cause.
_OF_A_PEER = re.compile(
    r"[Cc]onnection (?:closed|reset) by peer|Broken pipe|recvValue failed|DistNetworkError|DistStoreError"
    r"|ncclRemoteError|remote process (?:exited|has)|TCPStore|Connection refused|No route to host"
    r"|exit code 0\b|wait timeout"
)


class Report(NamedTuple):
    """What a rank says of itself. C(generation) and C(run) are the order that it has carried out last.

    C(since_s) is for how long its container has been as it is: clocks of hosts differ, so nobody tells a time of day.
    """

    host: str
    generation: int = 0
    run: bool = True
    state: str = RUNNING
    cause: str = ""
    since_s: float = 0.0


class Order(NamedTuple):
    """What all ranks are to do. C(over) is that nothing follows: the supervisors end, with C(gave_up) as a failure."""

    generation: int = 0
    run: bool = True
    why: str = ""
    over: bool = False
    gave_up: bool = False


class Failure(NamedTuple):
    """A rank that failed: what is said of it, and how many seconds ago."""

    rank: int
    host: str
    cause: str
    ago_s: float


def blamed(failures: list[Failure]) -> Failure:
    """Return the failure that the others follow from: the first one that is not about a lost peer."""
    own = [failure for failure in failures if not _OF_A_PEER.search(failure.cause)]
    return max(own or failures, key=lambda failure: failure.ago_s)


def words(failure: Failure) -> str:
    """Return rank, host and cause."""
    return f"rank {failure.rank} on {failure.host}: {failure.cause}"


class Head:
    """Decides at the head. C(hosts) are those of the ranks, in order; C(clock) is that of the link.

    C(refused) returns why there may be no further restart for a reason, or nothing. C(answers) returns whether the
    server answers a token: None while that is not known.
    """

    def __init__(
        self,
        hosts: list[str],
        clock: Callable[[], float],
        refused: Callable[[str], str],
        answers: Callable[[], bool | None],
        generation: int = 0,
    ) -> None:
        self._hosts = hosts
        self._clock = clock
        self._refused = refused
        self._answers = answers
        self.order = Order(generation)
        self._began_at = clock()
        self._suspected_at: float | None = None
        self.counted = False  # whether the newest restart counts: that after a boot does not

    def step(self, own: Report, heard: Mapping[int, Heard]) -> Order:
        """Return what is to be done, given what every rank says."""
        reports = self._reports(own, heard)
        newest = max(report.generation for report, _seen in reports.values())
        if newest > self.order.generation:  # this head has started later than the others
            self.order = self.order._replace(generation=newest)
        if not self.order.over:
            self.order = self._serving(reports) if self.order.run else self._stopping(reports)
        return self.order

    def ranks(self, own: Report, heard: Mapping[int, Heard]) -> list[dict[str, Any]]:
        """Return how each rank is, for people."""
        found = []
        for rank, (report, silent_s) in sorted(self._reports(own, heard).items()):
            state = report.state if silent_s <= SILENT_S else UNREACHABLE
            cause = report.cause if state != UNREACHABLE else f"nothing heard for {silent_s:.0f} s"
            found.append({"rank": rank, "host": report.host, "state": state, "cause": cause})
        return found

    def _reports(self, own: Report, heard: Mapping[int, Heard]) -> dict[int, tuple[Report, float]]:
        """Return the newest report of each rank, and for how many seconds nothing was heard."""
        now = self._clock()
        reports = {0: (own._replace(host=self._hosts[0]), 0.0)}
        for rank, host in list(enumerate(self._hosts))[1:]:
            if rank in heard:
                told = {name: heard[rank].message[name] for name in Report._fields if name in heard[rank].message}
                reports[rank] = (Report(**{**told, "host": host}), now - heard[rank].at)
            else:
                reports[rank] = (Report(host, -1, False, UNREACHABLE), now - self._began_at)
        return reports

    def _serving(self, reports: Mapping[int, tuple[Report, float]]) -> Order:
        now = (self.order.generation, True)
        failures = [
            Failure(rank, report.host, report.cause or report.state, report.since_s + silent_s)
            for rank, (report, silent_s) in reports.items()
            if (report.generation, report.run) == now and report.state in (ENDED, DOWN, STOPPED)
        ]
        silent = [
            Failure(rank, report.host, f"{UNREACHABLE}, nothing heard for {silent_s:.0f} s", silent_s)
            for rank, (report, silent_s) in reports.items()
            if silent_s > SILENT_S
        ]
        if failures:
            if self._suspected_at is None:
                self._suspected_at = self._clock()
            # The head ends moments after a follower has, and what the follower says may come later.
            if all(failure.rank == 0 for failure in failures) and self._clock() - self._suspected_at < GRACE_S:
                return self.order
            return self._ended(reports, blamed([*failures, *silent]))
        self._suspected_at = None
        if silent and self._answers() is False:
            first = blamed(silent)
            return self._restarted(first._replace(cause=f"{first.cause}, and the server answers no token"), True)
        return self.order

    def _ended(self, reports: Mapping[int, tuple[Report, float]], first: Failure) -> Order:
        self._suspected_at = None
        stopped = [rank for rank, (report, _s) in reports.items() if report.state == STOPPED]
        if stopped:
            report = reports[stopped[0]][0]
            why = f"somebody stopped rank {stopped[0]} on {report.host}, so the whole server stays down"
            return Order(self.order.generation + 1, False, why, over=True)
        return self._restarted(first, reports[first.rank][0].state != DOWN)

    def _restarted(self, first: Failure, counted: bool) -> Order:
        refused = self._refused(words(first)) if counted else ""
        self.counted = counted and not refused
        generation = self.order.generation + 1
        return Order(generation, False, refused or words(first), over=bool(refused), gave_up=bool(refused))

    def _stopping(self, reports: Mapping[int, tuple[Report, float]]) -> Order:
        """Let all start once the last one is down."""
        now = (self.order.generation, False)
        done = [
            (report.generation, report.run) == now and silent_s <= SILENT_S for report, silent_s in reports.values()
        ]
        return self.order._replace(run=True) if all(done) else self.order
