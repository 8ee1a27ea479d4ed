# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The worker's parsers, on recordings. How it runs a client is tested with the module smoke_benchmark."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs.benchmark_worker import (
    condense,
    parse_counters,
    read_counters_patiently,
)

RECORDED = Path(__file__).parents[3] / "fixtures" / "bench"


def recorded(name: str) -> Any:
    return json.loads((RECORDED / name).read_text())


def test_a_result_is_condensed_to_figures_per_request() -> None:
    raw = recorded("raw-instant.json")
    condensed = condense(raw)
    assert not {"itls", "generated_texts"} & set(condensed)
    assert condensed["chunks"] == [65] * 32
    assert condensed["e2els"][0] == pytest.approx(raw["ttfts"][0] + sum(raw["itls"][0]))
    assert condensed["ttfts"] == raw["ttfts"]
    assert condensed["errors"] == {}
    assert len(json.dumps(condensed)) < len(json.dumps(raw)) / 5


def test_a_result_over_time() -> None:
    raw = {
        "start_times": [100.0, 100.5, 102.0],
        "ttfts": [0.5, 0.5, 0.0],
        "itls": [[0.5, 0.5], [], []],
        "output_lens": [10, 1, 0],
    }
    condensed = condense({**raw, "generated_texts": []})
    assert condensed["tpots"] == [round(1 / 9, 6), 0.0, 0.0]
    assert condensed["series"]["interval_s"] == 0.02
    tokens, running = condensed["series"]["output_tokens"], condensed["series"]["running"]
    assert len(tokens) == len(running) == 76
    assert {index: value for index, value in enumerate(tokens) if value} == {50: 6.0, 75: 5.0}
    assert (running[0], running[30], running[60], running[75]) == (1, 2, 1, 0)


def test_a_run_without_an_answer_has_no_course() -> None:
    assert condense(recorded("raw-refused.json"))["series"] is None


def test_a_long_run_has_no_more_intervals() -> None:
    raw = {"start_times": [0.0], "ttfts": [100.0], "itls": [[1.0] * 700], "output_lens": [701]}
    course = condense(raw)["series"]
    assert course["interval_s"] == 10.0
    assert len(course["output_tokens"]) == 81
    assert sum(course["output_tokens"]) == pytest.approx(701, abs=1)


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
        "prompt_tokens": 16560,
        "output_tokens": 25,
        "drafts": 9,
        "draft_tokens": 27,
        "accepted_tokens": 0,
        "accepted_at_0": 0,
        "accepted_at_1": 0,
        "accepted_at_2": 0,
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
        ("vllm:generation_tokens_total 12 1764300000000\n", {"output_tokens": 12}),
        ("vllm:generation_tokens_total NaN\nvllm:prompt_tokens_total +Inf\nvllm:prompt_tokens_total 1e999\n", {}),
        ("vllm:generation_tokens_total 0x1\nvllm:generation_tokens_total \nvllm:generation_tokens_total", {}),
        ("vllm:generation_tokens_total 1.2.3\n", {}),
    ],
)
def test_counters_are_summed_over_engines(text: str, counters: dict[str, float]) -> None:
    assert parse_counters(text) == counters


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """Serve one raw answer for each connection, then none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                connection, _address = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)
            listener.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(timeout=5)


COUNTERS = b"vllm:num_requests_running 1\nvllm:num_requests_waiting 0\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(COUNTERS), COUNTERS)


def test_a_look_that_breaks_off_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with answering(WHOLE[:-20], b"", WHOLE) as url:
        assert read_counters_patiently(url, limit_s=10) == {"running": 1.0, "waiting": 0.0}


def test_a_server_that_tells_nothing_is_given_up() -> None:
    with answering(WHOLE[:-20]) as url:
        assert read_counters_patiently(url, limit_s=0) is None
