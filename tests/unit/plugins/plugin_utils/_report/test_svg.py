# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scales, ticks and elements."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.hgx.inference.plugins.plugin_utils._report import svg


@pytest.mark.parametrize(
    ("low", "high", "wanted", "expected"),
    [
        (0, 100, 5, [0, 20, 40, 60, 80, 100]),
        (0, 2000, 5, [0, 500, 1000, 1500, 2000]),
        (0.27, 0.33, 4, [0.28, 0.3, 0.32]),
        (980, 1520, 5, [1000, 1200, 1400]),
        (7, 7, 5, [7]),
    ],
)
def test_ticks_are_round_and_within(low: float, high: float, wanted: int, expected: list[float]) -> None:
    assert svg.ticks(low, high, wanted) == pytest.approx(expected)


@pytest.mark.parametrize(("value", "end"), [(0, 1), (1494, 1500), (1501, 2000), (0.83, 1.0), (5, 5)])
def test_the_end_of_a_scale_is_round_and_no_less(value: float, end: float) -> None:
    assert svg.nice_ceiling(value) == pytest.approx(end)


@pytest.mark.parametrize(
    ("value", "written"), [(12.0, "12"), (12.34, "12.3"), (-0.04, "0"), (0.06, "0.1"), (-3.25, "-3.2")]
)
def test_coordinates_are_short(value: float, written: str) -> None:
    assert svg.coordinate(value) == written


def test_scale_of_equal_ends_divides_by_nothing() -> None:
    assert svg.Scale(5, 5, 0, 100)(5) == 0


def test_labels_are_kept_apart_and_inside() -> None:
    placed = svg.spread([50, 52, 49, 99], 16, 0, 100)
    ordered = sorted(placed)
    assert all(after - before >= 16 for before, after in itertools.pairwise(ordered))
    assert max(placed) <= 100
    assert svg.spread([10, 80], 16, 0, 100) == [10, 80]


def test_text_and_attributes_are_escaped() -> None:
    drawn = svg.text(1, 2, "<script>", class_='"x')
    assert drawn == '<text x="1" y="2" class="&#34;x">&lt;script&gt;</text>'


def test_a_chart_has_title_and_description() -> None:
    drawn = svg.chart("c", "Speed & more", "in words", 10, 20, svg.line(0, 0, 1, 1, "axis"))
    assert '<title id="c-title">Speed &amp; more</title><desc id="c-desc">in words</desc>' in drawn
    assert 'role="img" aria-labelledby="c-title c-desc"' in drawn
