# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a run may end before it has sent all requests of its size. Pure.

A size in the workload's C(ends_early) is measured in two parts, each a whole run of the client: two waves of requests,
and all others if the first part does not decide. tests/proof/early_end.py shows how often a decision is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .plan import Limit, number, request_count

METRIC = "steady_output_throughput"
WAVES = 2
# In a short run the estimate is too high by about this share, because the last requests share the server with fewer
# others: by simulation 2.6 % in two waves, 1.5 % in four.
DRAIN_GAIN = 0.03


class Interval(NamedTuple):
    """What the steady throughput is with 95 % confidence, in tokens/s. C(low) leaves out the gain of a short run."""

    low: float
    high: float

    @classmethod
    def of(cls, estimate: float, half_width: float) -> Interval:
        """Return the interval of an estimate."""
        return cls(estimate * (1 - DRAIN_GAIN) - half_width, estimate + half_width)

    def clears(self, limits: Iterable[float]) -> bool:
        """Return whether each limit lies outside."""
        return not any(self.low <= limit <= self.high for limit in limits)


class Ended(NamedTuple):
    """Which rule ended a run: C(requests) of at most C(requests_max) decided it, or all were sent."""

    early: bool
    requests: int
    requests_max: int
    interval: Interval
    limits: list[float]  # tokens/s

    def as_dict(self) -> dict[str, Any]:
        """Return plain keys, for a result."""
        return {**self._asdict(), "interval": list(self.interval), "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """Return the rule in words."""
        which = f"after {self.requests} of at most {self.requests_max} requests" if self.early else "after all requests"
        sides = [f"{_side(limit, self.interval)} the limit {number(limit, 0)}" for limit in self.limits]
        span = f"{number(self.interval.low, 0)} to {number(self.interval.high, 0)} tok/s (95 %)"
        return f"ended {which}: {METRIC} is {span}, {' and '.join(sides)}"


def _side(limit: float, interval: Interval) -> str:
    if interval.clears([limit]):
        return "above" if interval.low > limit else "below"
    return "on both sides of"


def limits_of(limits: Iterable[Limit]) -> list[float]:
    """Return the limits that decide when a run may end, in tokens/s."""
    return sorted({limit.limit for limit in limits if (limit.metric, limit.op) == (METRIC, ">=")})


def parts_of(workload: Mapping[str, Any], size: str, limits: Sequence[float]) -> list[dict[str, Any]]:
    """Return the workload of each part of a run, in which the size is that of the part.

    Only the first one has a warm-up. Without a limit, and with fewer than twice two waves, there is a single part.
    """
    count, first = request_count(workload, size), WAVES * int(workload["max_concurrency"])
    if size not in (workload.get("ends_early") or ()) or count < 2 * first or not limits:
        return [dict(workload)]
    sizes = [{**workload["sizes"], size: requests} for requests in (first, count - first)]
    return [{**workload, "sizes": sizes[0]}, {**workload, "sizes": sizes[1], "warmup_prompts": 0}]
