# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Figures that follow from published ones."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._benchmark.derive import (
    derived_figures,
    with_derived_values,
)

LOAD = {"max_concurrency": 32, "output_len": 2048}
KIMI = {"output_throughput": 1408, "mean_ttft_ms": 2264.48, "mean_tpot_ms": 21.14, "mean_itl_ms": 44.50}
CODE = {"output_throughput": 1157.35, "mean_ttft_ms": 3312.87, "mean_itl_ms": 26.03}


def test_from_published_latencies() -> None:
    found = derived_figures(KIMI, LOAD)
    assert found["steady_output_throughput"] == pytest.approx(1439, abs=0.5)
    assert found["acceptance_length"] == pytest.approx(2.105, abs=0.001)
    assert found["mean_e2el_ms"] == pytest.approx(45538, abs=1)
    assert "mean_tpot_ms" not in found


def test_from_throughput_and_ttft() -> None:
    found = derived_figures(CODE, LOAD)
    assert found["mean_tpot_ms"] == pytest.approx(26.04, abs=0.01)
    assert found["acceptance_length"] == pytest.approx(1.00, abs=0.005)
    assert found["steady_output_throughput"] == pytest.approx(1157.35)


@pytest.mark.parametrize("published", [{}, {"mean_itl_ms": 5}, {"mean_ttft_ms": 5}, {"total_token_throughput": 1}])
def test_what_does_not_follow_is_left_out(published: dict[str, float]) -> None:
    assert derived_figures(published, LOAD) == {}


def test_a_ttft_longer_than_the_latency_gives_no_tpot() -> None:
    assert "mean_tpot_ms" not in derived_figures({"output_throughput": 1e6, "mean_ttft_ms": 5000}, LOAD)


def test_only_thresholds_that_ask_for_it_get_a_derived_value() -> None:
    def limit(metric: str, source: str, value: float | None = None) -> dict[str, Any]:
        return {"metric": metric, "value": value, "source": source}

    tpot, own, other, unknown = with_derived_values(
        [
            limit("mean_tpot_ms", "derived"),
            limit("mean_tpot_ms", "derived", 9),
            limit("mean_tpot_ms", "published"),
            limit("p99_tpot_ms", "derived"),
        ],
        CODE,
        LOAD,
    )
    assert tpot["value"] == pytest.approx(26.04, abs=0.01)
    assert tpot["source"] == (
        "derived from the published output_throughput 1157.35, mean_ttft_ms 3312.87, mean_itl_ms 26.03, for 32 requests"
        " of 2048 tokens at a time"
    )
    assert (own["value"], other["value"], unknown["value"]) == (9, None, None)
