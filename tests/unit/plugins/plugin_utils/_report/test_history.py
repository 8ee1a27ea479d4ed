# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which runs are compared, and what counts as a regression."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.plugin_utils._report import history
from ansible_collections.hgx.inference.plugins.plugin_utils._report.history import Entry


def entry(host: str, day: int, steady: float, verdict: str = "pass", **about: Any) -> Entry:
    result = {
        "verdict": verdict,
        "size": "smoke",
        "metrics": {"steady_output_throughput": steady, "mean_tpot_ms": 30000 / steady},
        "workload": {"input_len": 8192, "output_len": 2048, "sizes": {"smoke": 128}, "time_limit_s": day},
        "metadata": {"recipe": "kimi", "profile": "published", "title": "Kimi"},
        "client": {"num_prompts": 128},
        "steady_interval": 10.0,
        **about,
    }
    document = {"host": host, "made_at": f"2026-11-{day:02}T10:00:00Z", "result": result}
    return Entry(host, str(day), document, f"{host}/{day}/report.html")


@pytest.mark.parametrize(
    "other",
    [
        {"size": "full"},
        {"client": {"num_prompts": 64}},
        {"metadata": {"recipe": "kimi", "profile": "agentic"}},
        {"metadata": {"recipe": "qwen", "profile": "published"}},
        {"workload": {"input_len": 1024, "output_len": 2048}},
    ],
)
def test_unlike_runs_are_never_compared(other: dict[str, Any]) -> None:
    groups = history.groups([entry("a", 1, 1400), entry("a", 2, 700, **other)])
    assert len(groups) == 2
    assert [group.findings for group in groups] == [[], []]


def test_limits_of_time_do_not_separate_runs() -> None:
    (group,) = history.groups([entry("a", 1, 1400), entry("b", 2, 1400)])
    assert [row.host for row in group.rows] == ["b", "a"]


def test_the_newest_run_of_each_host_is_held_against_the_best() -> None:
    (group,) = history.groups([entry("a", 1, 1500), entry("a", 2, 1100), entry("a", 3, 1490), entry("b", 2, 1300)])
    assert group.findings == [
        "b, newest run: Output throughput, steady state 1,300 against 1,500 tok/s (−13.3 %); Mean TPOT 23.08 against"
        " 20 ms (+15.4 %)."
    ]
    marked = {(row.host, row.latest): [cell.regression for cell in row.cells] for row in group.rows}
    assert marked == {("a", True): [False, False], ("a", False): [False, False], ("b", True): [True, True]}
    assert [row.cells[0].note for row in group.rows if row.host == "a"] == ["−0.7 %", "−26.7 %", "best"]


def test_what_a_run_cannot_know_is_no_regression() -> None:
    (group,) = history.groups([entry("a", 1, 1500), entry("a", 2, 1350, steady_interval=200.0)])
    assert group.findings == []


def test_an_invalid_run_is_shown_and_not_compared() -> None:
    (group,) = history.groups([entry("a", 1, 1400), entry("a", 2, 9000, verdict="invalid")])
    assert [row.cells[0].note for row in group.rows] == ["not compared", ""]
    assert group.trends == []


def test_a_run_without_figures_has_a_row() -> None:
    (group,) = history.groups([entry("a", 1, 1400), entry("a", 2, 1, verdict="invalid", metrics={})])
    assert [row.cells[0].figure for row in group.rows] == ["–", "1,400"]


def test_the_group_with_the_newest_run_comes_first() -> None:
    groups = history.groups([entry("a", 3, 1400), entry("a", 9, 1400, size="full"), entry("a", 4, 1)])
    assert [group.load[:9] for group in groups] == ["size full", "size smok"]


@pytest.mark.parametrize("chosen", ["32", {"name": "32"}])
def test_the_recipes_point_of_a_sweep_is_marked(chosen: Any) -> None:
    points = [
        {"name": name, "concurrency": int(name), "engine_args": {"a": 1}, "metrics": {"mean_tpot_ms": 9.0, **more}}
        for name, more in (("16", {"output_throughput": 900.0}), ("32", {"steady_output_throughput": 1400.0}))
    ]
    invalid = {"name": "64", "verdict": "invalid", "metrics": points[1]["metrics"]}
    sweep = {
        "format": 1,
        "points": [*points, invalid, {"name": "x", "metrics": None, "verdict": "fail", "reason": "no <memory>"}],
        "recipe_point": chosen,
    }
    _metrics, rows = history.sweep_rows(sweep)
    assert [(row.name, row.chosen, row.engine_args, row.status) for row in rows] == [
        ("16", False, "a=1", ""),
        ("32", True, "a=1", ""),
        ("64", False, "", "invalid"),
        ("x", False, "", "fail"),
    ]
    assert (rows[-1].reason, set(rows[-1].cells)) == ("no <memory>", {"–"})
    ((title, drawing),) = history.fronts(sweep)
    assert title == "Throughput against Mean TPOT"
    assert "32 (recipe)" in drawing
    wide, narrow = drawing.split("</svg><svg")
    for one, class_ in ((wide, "chart wide"), (narrow, "chart narrow")):
        assert f'class="{class_}"' in one
        assert one.count('class="ring"') == 1
        assert one.count('class="point"') == 2
    assert 'class="steady"' in drawing
    other = {**points[0], "engine_args": {"a": 2}}
    ((_title, drawing),) = history.fronts({"points": [points[1], other]})
    assert 'class="steady"' not in drawing, "no line leads from one server to another"


def test_a_sweep_without_figures_draws_nothing() -> None:
    assert history.fronts({"points": [{"name": "1"}]}) == []
    assert history.is_sweep({"points": []})
    assert not history.is_sweep({"verdict": "pass"})
