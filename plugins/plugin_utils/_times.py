# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the minutes of a run of ansible-playbook went, and what they cost.

The callback notes plays and tasks in C(RUN) in the main process. Core forks that process for each task, so an action
on the controller finds there what has been noted until then. Without the callback it is empty.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..module_utils._core.units import human_duration

# Tasks that take less, or less of the whole run, are not told.
TOLD_S, TOLD_SHARE = 10.0, 0.05


class Phase(NamedTuple):
    """The plays of one name: how long they took in all, and the names and seconds of their longest tasks."""

    name: str
    seconds: float
    longest: list[tuple[str, float]]

    def told(self) -> str:
        """Return the longest tasks in words."""
        return ", ".join(f"{name} {human_duration(seconds)}" if seconds else name for name, seconds in self.longest)


class Times:
    """The plays of a run and their tasks. Moments are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._plays: list[tuple[str, float]] = []
        self._tasks: list[tuple[int, str, float]] = []  # number of the play, name, start
        self._beside: list[tuple[int, str]] = []  # number of the play, name
        self._prices: dict[str, float | None] = {}

    def play(self, name: str, now: float) -> None:
        """Note the start of a play."""
        self._plays.append((name, now))

    def task(self, name: str, now: float) -> None:
        """Note the start of a task, by its name without that of the role."""
        self._tasks.append((len(self._plays) - 1, name.rpartition(" | ")[2], now))

    def beside(self, name: str) -> None:
        """Note that a task has started a job, such as the pull of the image, which runs beside the tasks after it."""
        self._beside.append((len(self._plays) - 1, name.rpartition(" | ")[2]))

    def price(self, host: str, usd_per_hour: float | None) -> None:
        """Note the price of a host, None if it is unknown."""
        self._prices[host] = usd_per_hour

    def phases(self, now: float) -> list[Phase]:
        """Return the phases of the run until C(now), in order."""
        if not self._plays:
            return []
        whole = now - self._plays[0][1]
        seconds: dict[str, float] = {}
        for (name, start), end in zip(self._plays, [*(start for _name, start in self._plays[1:]), now], strict=True):
            seconds[name] = seconds.get(name, 0.0) + end - start
        return [Phase(name, took, self._longest(name, whole, now)) for name, took in seconds.items()]

    def _longest(self, play: str, whole: float, now: float) -> list[tuple[str, float]]:
        named = [number for number, (name, _start) in enumerate(self._plays) if name == play]
        ends = [*(start for _number, _name, start in self._tasks[1:]), now]
        found: dict[str, float] = {}
        for (number, name, start), end in zip(self._tasks, ends, strict=False):  # a play without hosts has no task
            if number in named:
                end = min([end, *(begun for _name, begun in self._plays[number + 1 : number + 2])])
                found[name] = found.get(name, 0.0) + end - start
        told = [(name, took) for name, took in found.items() if took >= max(TOLD_S, TOLD_SHARE * whole)]
        beside = dict.fromkeys(name for number, name in self._beside if number in named)
        return sorted(told, key=lambda task: -task[1]) + [(f"beside these: {name}", 0.0) for name in beside]

    def usd_per_hour(self) -> float | None:
        """Return the price of all hosts together, None if one is unknown."""
        prices = [price for price in self._prices.values() if price is not None]
        return sum(prices) if prices and len(prices) == len(self._prices) else None

    def cost(self) -> str:
        """Return the price in words, with the hosts whose price is unknown; nothing if no host has told any."""
        unknown = [host for host, price in self._prices.items() if price is None]
        if unknown:
            return f"cost unknown: no price per hour of {', '.join(unknown)}"
        price = self.usd_per_hour()
        of_all = f", all {len(self._prices)} nodes together" if len(self._prices) > 1 else ""
        return "" if price is None else f"at {price:.2f} USD an hour{of_all}"

    def table(self, now: float) -> list[str]:
        """Return a line for each phase, and one for all."""
        phases = self.phases(now)
        whole = sum(one.seconds for one in phases)
        rows = [(one.name, one.seconds, one.told()) for one in phases] + [("Total", whole, self.cost())]
        width, price = max(len(name) for name, _seconds, _told in rows), self.usd_per_hour()
        return [
            f"{name:{width}}  {human_duration(seconds):>9}{_usd(price, seconds)}  {told}".rstrip()
            for name, seconds, told in rows
        ]

    def as_dict(self, now: float) -> dict[str, Any] | None:
        """Return all that for a report; None without a play."""
        phases = self.phases(now)
        if not phases:
            return None
        found = [{"name": one.name, "seconds": one.seconds, "longest": one.told()} for one in phases]
        return {"phases": found, "usd_per_hour": self.usd_per_hour(), "cost": self.cost()}


def _usd(per_hour: float | None, seconds: float) -> str:
    """Return what so many seconds cost, in a column; nothing if the price is unknown."""
    return "" if per_hour is None else f"  {per_hour * seconds / 3600:8.2f} USD"


RUN = Times()
