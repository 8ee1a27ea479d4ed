# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
import statistics
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._benchmark.early import Ended, Interval, parts_of
from ansible_collections.hgx.inference.tests.proof import early_end
from ansible_collections.hgx.inference.tests.support.simulated_waves import Engine

WORKLOAD: dict[str, Any] = {
    "max_concurrency": 4,
    "warmup_prompts": 4,
    "sizes": {"quick": 24, "smoke": 24, "short": 15},
    "ends_early": ["quick", "short"],
}


@pytest.mark.parametrize(
    ("size", "limits", "parts"),
    [
        ("quick", [100.0], [(8, 4), (16, 0)]),
        ("quick", [], [(24, 4)]),
        ("smoke", [100.0], [(24, 4)]),
        ("short", [100.0], [(15, 4)]),
    ],
)
def test_the_parts_of_a_run(size: str, limits: list[float], parts: list[tuple[int, int]]) -> None:
    found = parts_of(WORKLOAD, size, limits)
    assert [(part["sizes"][size], part["warmup_prompts"]) for part in found] == parts


@pytest.mark.parametrize(
    ("limits", "clear"), [([96.9], True), ([97.1], False), ([101.0], False), ([101.1], True), ([96.0, 98.0], False)]
)
def test_an_interval_is_clear_of_the_limits(limits: list[float], clear: bool) -> None:
    assert Interval.of(100.0, 0.0) == (97.0, 100.0)
    assert Interval.of(101.0, 0.0)._replace(low=97.0).clears(limits) is clear


@pytest.mark.parametrize(
    ("is_early", "limits", "words"),
    [
        (True, [96.0], "after 8 of at most 24 requests: METRIC is 97 to 100 tok/s (95 %), above the limit 96"),
        (True, [90.0, 120.0], "above the limit 90 and below the limit 120"),
        (False, [98.0], "after all requests: METRIC is 97 to 100 tok/s (95 %), on both sides of the limit 98"),
    ],
)
def test_the_rule_in_words(is_early: bool, limits: list[float], words: str) -> None:
    sentence = Ended(is_early, 8, 24, Interval(97.0, 100.0), limits).as_dict()["sentence"]
    assert sentence.startswith("ended after ")
    assert sentence.replace("steady_output_throughput", "METRIC").endswith(words)


class TestSimulation:
    """A smaller version of tests/proof/early_end.py."""

    def test_the_engine_is_as_misleading_as_the_published_one(self) -> None:
        engine, luck = Engine(), random.Random(3)
        true = statistics.fmean(engine.latencies(5000, luck))
        estimates = [true / statistics.fmean(engine.latencies(64, luck)) for _ in range(60)]
        assert statistics.fmean(estimates) == pytest.approx(1.022, abs=0.01)
        assert statistics.stdev(estimates) == pytest.approx(0.027, abs=0.006)

    @pytest.mark.parametrize(
        ("speed", "passes", "most_requests"),
        [(0.85, False, 190), (early_end.AT_LIMIT, None, 192), (0.95, True, 185), (1.0, True, 110), (1.05, True, 75)],
    )
    def test_errors_are_rare_and_a_good_node_takes_two_waves(
        self, speed: float, passes: bool | None, most_requests: int
    ) -> None:
        found = early_end.shares(Engine(), speed, runs=100)
        assert found.wrong <= 0.02
        assert passes is None or (found.passed > 0.5) is passes
        assert 64 <= found.requests <= most_requests
