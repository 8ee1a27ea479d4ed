# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the drawings are made of."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.plugin_utils._report import charts
from ansible_collections.hgx.inference.tests.support import report_sample as sample

RECORDED = Path(__file__).parents[3] / "fixtures" / "bench"


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", ["rich", "small"])
def test_the_estimate_loses_no_token(name: str) -> None:
    client = recorded(name)
    series = charts.series_of(client)
    assert series is not None
    assert series.estimated
    *most, last = series.rates
    duration = max(request.start + request.latency for request in charts.requests_of(client))
    rest = duration - len(most) * series.interval_s
    total = sum(most) * series.interval_s + last * max(rest, series.interval_s / 4)
    assert total == pytest.approx(client["total_output_tokens"])
    assert max(series.running) == pytest.approx(32, abs=0.5)


def test_a_recorded_series_is_taken_as_it_is() -> None:
    client = {**recorded("rich"), "series": {"interval_s": 2, "output_tokens": [10, 20], "running": [4, 3]}}
    assert charts.series_of(client) == (2.0, [5.0, 10.0], [4.0, 3.0], False)


def test_failed_requests_draw_nothing() -> None:
    assert charts.series_of(recorded("killed")) is None
    assert charts.distributions(recorded("killed"), {}) == []
    assert charts.series_of({}) is None


def test_percentiles_are_those_of_the_client() -> None:
    client = recorded("rich")
    requests = charts.requests_of(client)
    ttfts = [1000 * request.ttft for request in requests]
    tpots = [1000 * request.tpot for request in requests if request.tpot]
    assert charts.percentile(ttfts, 99) == pytest.approx(client["p99_ttft_ms"], rel=1e-4)
    assert charts.percentile(tpots, 50) == pytest.approx(client["median_tpot_ms"], rel=1e-3)


def test_a_figure_far_away_does_not_squeeze_the_curve() -> None:
    marks = [charts.Mark("mean", 2, "mean"), charts.Mark("published P99", 3200, "published p99")]
    drawn = charts.distribution("x", "TTFT", [1.0, 2.0, 3.0], marks, "ms")
    assert "published P99 3,200 ms, off the scale" in drawn
    assert re.search(r'class="tick">3</text>', drawn)


def test_values_too_close_to_be_drawn_apart_all_count() -> None:
    values = [*(22 + 0.0001 * index for index in range(127)), 60]
    drawn = charts.distribution("x", "TPOT", values, [charts.Mark("mean", 22.3, "mean")], "ms")
    path = re.search(r'd="(M[^"]+)" class="measured"', drawn)
    assert path
    _start, *heights = (float(height) for height in re.findall(r"(?:V|M[\d.]+ )([\d.]+)", path.group(1)))
    assert [round(100 * (190 - height) / 150, 1) for height in heights] == [99.2, 100, 100]


@pytest.mark.parametrize(("real", "shapes"), [(True, 8), (False, 4)])
def test_acceptance_by_position(real: bool, shapes: int) -> None:
    rows = [("random tokens", 2.1, [0.6, 0.3, 0.1]), ("real text", 3.0, [0.8, 0.7, 0.5])]
    drawn = charts.acceptance(rows if real else rows[:1])
    assert drawn is not None
    assert drawn.count("<rect") == shapes
    assert charts.acceptance([("random tokens", 2.1, [])]) is None


def test_short_phases_are_drawn_without_their_number() -> None:
    phases = [charts.Phase("a", 1, ""), charts.Phase("b", 1000, ""), charts.Phase("c", None, "")]
    drawn = charts.startup(phases)
    assert drawn is not None
    assert ">2</text>" in drawn
    assert ">1</text>" not in drawn
    assert charts.startup([charts.Phase("c", None, "")]) is None


def test_a_single_run_and_a_zero_can_be_drawn() -> None:
    assert charts.trend("t", "Speed", "tok/s", [charts.Point(0, 0.0, "a")], None)
    assert charts.front([charts.Point(0, 0.0, "a")], "TPOT, ms", "f")


@pytest.mark.parametrize(
    ("label", "screen", "numbered"),
    [
        ("concurrency 4", charts.WIDE, False),
        ("concurrency 4", charts.NARROW, False),
        ("1 drafted, concurrency 16", charts.WIDE, False),
        ("1 drafted, concurrency 16", charts.NARROW, True),
    ],
)
def test_names_that_have_no_room_stand_below_the_front(label: str, screen: float, numbered: bool) -> None:
    points = [charts.Point(at, 100.0 * at, label, special="recipe" if at == 9 else "") for at in (1, 4, 9)]
    drawn = charts.front(points, "TPOT, ms", "f", screen)
    height = float(re.findall(r'viewBox="0 0 \d+ (\d+)"', drawn)[0])
    assert (f">3: {label} (recipe)</text>" in drawn, height) == (numbered, 344 + 3 * 18 * numbered)
    for x, end, text in re.findall(r'<text x="([\d.]+)" y="[\d.]+"( text-anchor="end")? class="label">([^<]+)', drawn):
        start = float(x) - (7 * len(text) if end else 0)
        assert 0 <= start <= min(screen, 500) - 7 * len(text)


def test_the_curve_of_512_requests_is_small() -> None:
    client = sample.document()["result"]["client"]
    assert max(len(drawing) for _title, drawing in charts.distributions(client, {})) < 8000
