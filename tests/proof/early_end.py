#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show how often a run that may end early is judged wrongly, and how many requests it takes.

Simulates nodes of several speeds under the published load and judges each --runs times by the recipe's size `quick`,
with the code of the collection. Exits with 1 if more than 1 % of the runs
- of a node exactly at the limit are decided early, either way,
- of a node 5 % on either side of the limit get the wrong verdict.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

sys.path.insert(0, str(Path(__file__).parents[2] / "collections"))

from ansible_collections.hgx.inference.plugins.module_utils._benchmark import early
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.measure import pooled, steady_interval
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.plan import limits_for, request_count
from ansible_collections.hgx.inference.tests.support.simulated_waves import Engine

ROOT = Path(__file__).parents[2]
RECIPE: dict[str, Any] = yaml.safe_load((ROOT / "recipes" / "kimi_k2_6_hgx_b200.yml").read_text())
WORKLOAD: dict[str, Any] = RECIPE["benchmark"]
PUBLISHED = next(one["value"] for one in RECIPE["thresholds"] if one["metric"] == early.METRIC)  # tokens/s
SIZE = "quick"
LIMITS = early.limits_of(limits_for(RECIPE["thresholds"], RECIPE["published"], WORKLOAD, SIZE))
AT_LIMIT = LIMITS[0] / PUBLISHED
SPEEDS = (0.85, AT_LIMIT, 0.95, 1.0, 1.05)
MOST_WRONG = 0.01
# Other engines than the one that fits the published figures.
ENGINES = {
    "as published": Engine(),
    "acceptance varies by 45 %": Engine(spread=0.45),
    "fixed acceptance": Engine(spread=0.02),
    "prompts are read three times as fast": Engine(prefill_s=0.11),
    "the time of a step does not depend on the number of requests": Engine(batch_share=0.0),
    "it depends on it twice as much": Engine(batch_share=0.8),
}


class Outcome(NamedTuple):
    """The verdict of a simulated run."""

    passed: bool
    early: bool
    requests: int


def judge(engine: Engine, luck: random.Random, workload: Mapping[str, Any] = WORKLOAD, size: str = SIZE) -> Outcome:
    """Return the verdict of one run."""
    latencies: list[float] = []
    metrics: list[dict[str, float]] = []
    decided = False
    for part in early.parts_of(workload, size, LIMITS):
        found = engine.latencies(request_count(part, size), luck)
        steady = part["max_concurrency"] * part["output_len"] / statistics.fmean(found)
        latencies += found
        metrics.append({"completed": len(found), early.METRIC: steady})
        half_width = steady_interval(latencies, pooled(metrics)) or 0.0
        decided = early.Interval.of(pooled(metrics)[early.METRIC], half_width).clears(LIMITS)
        if decided:
            break
    steady = pooled(metrics)[early.METRIC]
    is_early = decided and len(latencies) < request_count(workload, size)
    return Outcome(steady >= max(LIMITS), is_early, len(latencies))


class Share(NamedTuple):
    """What became of the runs of a node; shares from 0 to 1."""

    speed: float
    passed: float
    early_pass: float
    early_fail: float
    requests: float
    seconds: float

    @property
    def wrong(self) -> float:
        """Return the share of wrong decisions: of all verdicts, and at the limit of the early ones."""
        if self.speed == AT_LIMIT:
            return self.early_pass + self.early_fail
        return self.passed if self.speed < AT_LIMIT else 1 - self.passed


def shares(engine: Engine, speed: float, runs: int, seed: int = 0) -> Share:
    """Return what becomes of the runs of a node that is so many times as fast as published."""
    node = engine.with_throughput(PUBLISHED * speed, WORKLOAD["output_len"])
    luck = random.Random(f"{seed} {speed}")
    outcomes = [judge(node, luck) for _ in range(runs)]
    requests = statistics.fmean(outcome.requests for outcome in outcomes)
    return Share(
        speed=speed,
        passed=_share([outcome.passed for outcome in outcomes]),
        early_pass=_share([outcome.early and outcome.passed for outcome in outcomes]),
        early_fail=_share([outcome.early and not outcome.passed for outcome in outcomes]),
        requests=requests,
        seconds=(requests + WORKLOAD["warmup_prompts"]) * WORKLOAD["output_len"] / (PUBLISHED * speed),
    )


def _share(which: Sequence[bool]) -> float:
    return sum(which) / len(which)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--others", action="store_true", help="simulate other engines, too; they are only shown")
    options = parser.parse_args()
    print(f"size {SIZE}: at most {request_count(WORKLOAD, SIZE)} requests; the limit is {AT_LIMIT:.2f} of published")
    worst = 0.0
    for name, engine in ENGINES.items() if options.others else [("as published", ENGINES["as published"])]:
        print(f"\n{name}\n  speed    pass   fail   early pass  early fail  wrong  mean requests  seconds of load")
        for speed in SPEEDS:
            one = shares(engine, speed, options.runs)
            worst = max(worst, one.wrong if name == "as published" else 0.0)
            print(
                f"  {speed:5.2f}  {one.passed:6.1%} {1 - one.passed:6.1%}   {one.early_pass:10.1%}"
                f"  {one.early_fail:10.1%} {one.wrong:6.1%}  {one.requests:13.0f}  {one.seconds:15.0f}"
            )
    return int(worst > MOST_WRONG)


if __name__ == "__main__":
    sys.exit(main())
