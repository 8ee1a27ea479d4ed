# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Figures and commands in words."""

from __future__ import annotations

import shlex

import pytest

from ansible_collections.hgx.inference.plugins.plugin_utils._report import words


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "–"),
        (1408.2, "1,408"),
        (32176.03, "32,176"),
        (373.2, "373.2"),
        (44.5, "44.50"),
        (2.1, "2.10"),
        (4.0, "4"),
        (-0.5, "−0.50"),
    ],
)
def test_figures(value: float | None, written: str) -> None:
    assert words.figure(value) == written


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("mean_tpot_ms", "Mean TPOT"),
        ("p99_e2el_ms", "P99 end-to-end latency"),
        ("steady_output_throughput", "Output throughput, steady state"),
        ("no_other_traffic", "No other traffic"),
        ("mean_output_len", "Mean output"),
    ],
)
def test_titles_of_metrics(name: str, title: str) -> None:
    assert words.metric_title(name) == title


@pytest.mark.parametrize(
    ("metric", "delta", "percent", "word"),
    [
        ("output_throughput", 2.64, "+2.6 %", "better"),
        ("output_throughput", -2.64, "−2.6 %", "worse"),
        ("mean_tpot_ms", -0.6, "−0.6 %", "better"),
        ("mean_tpot_ms", 0.02, "±0.0 %", ""),
        ("mean_input_len", 3.0, "+3.0 %", ""),
        ("output_throughput", 4458.0, "+4,458 %", "better"),
        ("output_throughput", None, "–", ""),
    ],
)
def test_differences(metric: str, delta: float | None, percent: str, word: str) -> None:
    assert words.signed_percent(delta) == percent
    assert words.judged(metric, delta) == word


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(None, "–"), (0.818, "0.82 s"), (42.04, "42.0 s"), (745.4, "12 min 25 s"), (3720.0, "1 h 2 min")],
)
def test_durations(seconds: float | None, written: str) -> None:
    assert words.duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == written


def test_moments() -> None:
    assert words.moment("2026-11-25T16:02:11.663366106Z") == "25 November 2026, 16:02 UTC"
    assert words.moment("2026-11-05T16:02:11Z", short=True).replace("\N{NO-BREAK SPACE}", " ") == "5 Nov 2026, 16:02"
    assert words.moment("yesterday") == "yesterday"


def test_a_command_can_be_pasted() -> None:
    argv = ["python3", "-m", "vllm", "--speculative-config", '{"a": 1}', "--enforce-eager", "--max-num-seqs", "-1"]
    written = words.command(argv)
    assert written.split("\n")[0] == "python3 -m vllm \\"
    assert len(written.split("\n")) == 4
    assert shlex.split(written.replace("\\\n", "")) == argv
