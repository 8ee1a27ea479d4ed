# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The worker's parsers, on recordings. How it runs a client is tested with the module smoke_benchmark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._benchmark_worker import condense, parse_counters

RECORDED = Path(__file__).parents[2] / "fixtures" / "bench"


def recorded(name: str) -> Any:
    return json.loads((RECORDED / name).read_text())


def test_a_result_is_condensed_to_figures_per_request() -> None:
    raw = recorded("raw-instant.json")
    condensed = condense(raw)
    assert not {"itls", "generated_texts"} & set(condensed)
    assert condensed["chunks"] == [65] * 32
    assert condensed["latencies"][0] == pytest.approx(raw["ttfts"][0] + sum(raw["itls"][0]))
    assert condensed["ttfts"] == raw["ttfts"]
    assert condensed["errors"] == {}
    assert len(json.dumps(condensed)) < len(json.dumps(raw)) / 5


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("raw-wrongname.json", "Not Found"),
        (
            "raw-refused.json",
            "aiohttp.client_exceptions.ClientConnectorError: Cannot connect to host 127.0.0.1:8000 ssl:default"
            " [Connect call failed ('127.0.0.1', 8000)]",
        ),
    ],
)
def test_errors_are_counted_by_their_last_line(name: str, error: str) -> None:
    assert condense(recorded(name))["errors"] == {error: 2}


def test_the_counters_of_a_busy_server() -> None:
    assert parse_counters((RECORDED / "metrics-busy.txt").read_text()) == {
        "running": 25,
        "waiting": 7,
        "requests": 0,
        "output_tokens": 25,
        "drafts": 9,
        "draft_tokens": 27,
        "accepted_tokens": 0,
        "preemptions": 0,
        "prefix_cache_queries": 0,
        "prefix_cache_hits": 0,
    }


@pytest.mark.parametrize(
    ("text", "counters"),
    [
        ("", {}),
        ("# HELP vllm:num_requests_running x\nvllm:num_requests_running_by_reason 3\n", {}),
        ('vllm:num_requests_running{engine="0"} 2.0\nvllm:num_requests_running{engine="1"} 3.0\n', {"running": 5}),
        ('vllm:generation_tokens_total{model_name="a b {c}"} 1.5e+03\n', {"output_tokens": 1500}),
    ],
)
def test_counters_are_summed_over_engines(text: str, counters: dict[str, float]) -> None:
    assert parse_counters(text) == counters
