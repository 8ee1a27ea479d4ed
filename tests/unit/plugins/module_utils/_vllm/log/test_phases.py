# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of a start, from a recorded log and from one that is put together from the texts of the CUDA build."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.timestamp import epoch
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.phases import Start

LOGS = Path(__file__).parents[4] / "fixtures" / "vllm-logs"


def start_of(name: str, began_at: str) -> tuple[Start, list[str]]:
    """Return a start and what was to be read of it, line by line."""
    start = Start(epoch(began_at) or 0.0)
    words = []
    for line in (LOGS / f"{name}.log").read_bytes().decode().split("\n"):
        start.feed(line)
        words.append(start.words())
    return start, list(dict.fromkeys(words))


def test_a_recorded_start() -> None:
    start, words = start_of("healthy-start-timestamps", "2026-11-25T16:31:17.663366106Z")
    result = start.result()
    assert [(phase["name"], phase["seconds"], phase["detail"]) for phase in result["phases"]] == [
        ("process", 5.9, ""),
        ("configuration", 7.0, "KimiK25ForConditionalGeneration"),
        ("engine", 1.2, ""),
        ("weights", 0.8, "2 shards in 0.04 s"),
        ("draft", 0.8, "0.01 s"),
        ("kv_cache", 0.1, "46,592 tokens"),
        ("api_server", 1.6, ""),
        ("first_completion", 0.9, ""),
    ]
    assert result["seconds"] == 18.2
    assert sum(phase["seconds"] for phase in result["phases"]) == pytest.approx(result["seconds"], abs=0.5)
    assert result["kv_cache_tokens"] == 46592
    assert result["weights"] == {"shards": 2, "seconds": 0.04, "gib": 0.02}
    assert words[0] == "starting the process"
    assert words[-2:] == ["waiting for the first completion", "no longer answering /health, though it was ready"]


def test_a_start_with_gpus() -> None:
    start, words = start_of("constructed/none--cuda-start", "2026-04-18T15:44:00Z")
    result = start.result()
    assert [(phase["name"], phase["seconds"], phase["detail"]) for phase in result["phases"]] == [
        ("process", 10.0, ""),
        ("configuration", 31.0, "KimiK25ForConditionalGeneration"),
        ("engine", 21.0, ""),
        ("weights", 791.0, "64 shards in 789.10 s"),
        ("draft", 5.0, "2.41 s"),
        ("compile", 102.0, "torch.compile 70.12 s"),
        ("kv_cache", 3.0, "1,234,567 tokens"),
        ("graphs", 23.0, "1.53 GiB"),
        ("api_server", 12.0, ""),
        ("first_completion", 5.0, ""),
    ]
    assert result["kv_cache_tokens"] == 1234567
    assert "loading weights 32/64 (50 %), 11.55s/it, 06:09 left" in words
    assert "capturing CUDA graphs (51 %)" in words


def test_a_recorded_start_on_a_gpu() -> None:
    start = Start(epoch("2026-11-28T05:48:50Z") or 0.0)
    stamp, words = "2026-11-28T05:49:00Z", []
    for line in (LOGS / "gpu/none--serving.log").read_text().split("\n"):
        own = re.search(r" 11-28 (\d\d:\d\d:\d\d) ", line)
        stamp = f"2026-11-28T{own[1]}Z" if own else stamp
        start.feed(f"{stamp} {line}")
        words.append(start.words())
    result = start.result()
    assert [(phase["name"], phase["seconds"], phase["detail"]) for phase in result["phases"]] == [
        ("process", 30.0, ""),
        ("configuration", 53.0, "KimiK25ForConditionalGeneration"),
        ("engine", 3.0, ""),
        ("weights", 3.0, ""),
        ("draft", 1.0, ""),
        ("compile", 115.0, "torch.compile 19.87 s"),
        ("kv_cache", 1.0, "464,192 tokens"),
        ("graphs", 7.0, "0.69 GiB"),
        ("api_server", 3.0, ""),
        ("first_completion", None, ""),
    ]
    assert "capturing CUDA graphs (49 %)" in words
    assert words[-1] == "waiting for the first completion"


def test_what_is_not_over_has_no_seconds() -> None:
    start = Start(0.0)
    start.feed("1970-01-01T00:00:07.5Z (APIServer pid=1) INFO 01-01 00:00:07 [x.py:1] non-default args: {}")
    assert [phase["seconds"] for phase in start.result()["phases"]] == [7.5, None]
    assert start.result()["seconds"] is None
    assert not start.is_complete
    start.answered(9.0)
    assert start.result()["seconds"] == 9.0


def test_a_server_that_was_ready_waits_for_nothing() -> None:
    start, _words = start_of("healthy-start-timestamps", "2026-11-25T16:31:17.663366106Z")
    assert start.title() == "serving"
    start = Start(0.0)
    start.feed("1970-01-01T00:00:07.5Z INFO:     Application startup complete.")
    assert start.title() == start.words() == "waiting for the first completion"


def test_lines_without_a_time_are_no_phase() -> None:
    start = Start(0.0)
    start.feed("Starting to load model x")
    assert start.words() == "starting the process"
