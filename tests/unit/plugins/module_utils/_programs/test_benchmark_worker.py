# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The worker's parsers, on recordings. How it runs a client is tested with the module smoke_benchmark."""

from __future__ import annotations

import json
import math
import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._benchmark.measure import compute_metrics
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.plan import Run
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.summary import hints
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.validity import validity_checks
from ansible_collections.hgx.inference.plugins.module_utils._programs import benchmark_worker
from ansible_collections.hgx.inference.plugins.module_utils._programs.benchmark_worker import (
    condense,
    extra_body,
    look_at_stream,
    parse_counters,
    read_counters,
    read_counters_patiently,
    read_stream,
    wait_for_counters,
)

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
# A result of one request.
RAW: dict[str, Any] = {
    "completed": 1,
    "duration": 3.0,
    "start_times": [0.0],
    "ttfts": [1.0],
    "itls": [[0.5, 0.5]],
    "input_lens": [5],
    "output_lens": [3],
    "generated_texts": ["one two three"],
}
WORKLOAD: dict[str, Any] = {
    "dataset": "random",
    "input_len": 64,
    "output_len": 16,
    "max_concurrency": 4,
    "warmup_prompts": 4,
    "sizes": {"quick": 2},
}
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
    assert len(json.dumps(condensed)) < len(json.dumps(raw)) / 4
    assert condensed["contradictions"] == []
    assert condensed["texts"]["empty"] == 32  # they were removed from the recording


def test_a_result_over_time() -> None:
    raw = {
        **RAW,
        "start_times": [100.0, 100.5, 102.0],
        "ttfts": [0.5, 0.5, 0.0],
        "itls": [[0.5, 0.5], [], []],
        "input_lens": [5, 5, 5],
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
    raw = {**RAW, "ttfts": [100.0], "itls": [[1.0] * 700], "output_lens": [701]}
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


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"ttfts": None}, "it lacks ttfts"),
        ({"completed": None, "itls": None}, "it lacks completed, itls"),
        ({"completed": "1"}, "completed is '1', which is no figure"),
        ({"completed": True}, "completed is 'True', which is no figure"),
        ({"duration": 0}, "the duration is 0 s"),
        ({"duration": math.nan}, "duration is 'nan', which is no figure"),
        ({"duration": math.inf}, "duration is 'inf', which is no figure"),
        ({"duration": -3.0}, "duration is '-3.0', which is no figure"),
        ({"ttfts": [-1.0]}, "ttfts is no list of figures"),
        ({"ttfts": [10**400]}, "ttfts is no list of figures"),
        ({"itls": [0.5]}, "itls is no list of lists of figures"),
        ({"itls": [[None]]}, "itls is no list of lists of figures"),
        ({"output_lens": {"0": 3}}, "output_lens is no list of figures"),
        (
            {"ttfts": []},
            "its lists have different lengths: input_lens 1, output_lens 1, start_times 1, ttfts 0, itls 1",
        ),
    ],
)
def test_a_result_of_another_form_is_named(changes: dict[str, Any], problem: str) -> None:
    condensed = condense({**RAW, "date": "20261130", **changes})
    assert condensed["problems"] == [problem]
    assert condensed["date"] == "20261130"


@pytest.mark.parametrize("result", [None, [], "text", 7])
def test_a_result_that_is_no_object(result: Any) -> None:
    assert condense(result) == {"problems": ["it is no JSON object"], "errors": {}}


@pytest.mark.parametrize(
    ("changes", "contradiction"),
    [
        ({"output_throughput": 1.0, "mean_ttft_ms": 1000.0, "median_itl_ms": 500.0}, None),
        ({"output_throughput": None, "total_output_tokens": math.nan}, None),
        ({"output_throughput": 1.3}, "output_throughput is 1.3 by the client and 1 by its own list"),
        ({"total_output_tokens": 4}, "total_output_tokens is 4 by the client and 3 by its own list"),
        ({"total_input_tokens": 4}, "total_input_tokens is 4 by the client and 5 by its own list"),
        ({"request_throughput": 2}, "request_throughput is 2 by the client and 0.333333 by its own list"),
        ({"mean_ttft_ms": 13}, "mean_ttft_ms is 13 by the client and 1000 by its own list"),
        ({"p99_itl_ms": 13}, None),  # of which there are several definitions
        ({"mean_e2el_ms": 2100.0}, None),  # before vLLM 0.20 with the time until the chunk of the usage
    ],
)
def test_sums_are_those_of_the_lists(changes: dict[str, Any], contradiction: str | None) -> None:
    condensed = condense({**RAW, **changes})
    assert condensed["contradictions"] == ([contradiction] if contradiction else [])
    figures = {"output_throughput": 1.0, "total_output_tokens": 3, "mean_ttft_ms": 1000, "p99_itl_ms": 500}
    assert {name: condensed[name] for name in figures} == figures
    assert condensed["mean_e2el_ms"] == 2000


def test_statistics_are_those_of_the_client() -> None:
    """Against a recording, whose figures are rounded."""
    raw = recorded("raw-instant.json")
    names = [f"{word}_{of}_ms" for word in ("mean", "median", "p99") for of in ("ttft", "itl", "tpot", "e2el")]
    condensed = condense(raw)
    told = {name: raw[name] for name in names if name in raw}
    assert len(told) > 8
    assert {name: condensed[name] for name in told} == pytest.approx(told, rel=1e-3)


@pytest.mark.parametrize(
    ("ttft", "gaps", "has_text", "expected"),
    [
        (0.4, [0.02] * 9, True, None),
        (0.4, [0.0001, *[0.02] * 9], False, None),  # vLLM itself sends the role with the first token
        (0.013, [0.4, *[0.02] * 9], False, (0.413, True)),
        (0.3, [0.1, *[0.02] * 9], False, (0.4, True)),
        (0.013, [0.4, *[0.02] * 9], None, (0.413, False)),
        (0.013, [0.4, *[0.02] * 9], True, (0.413, False)),
        (0.3, [0.1, *[0.02] * 9], True, None),  # the prompts of others
        (0.01, [0.08] * 9, True, None),  # stream-interval
    ],
)
def test_the_first_token_is_that_of_the_first_chunk_with_text(
    ttft: float, gaps: list[float], has_text: bool | None, expected: tuple[float, bool] | None
) -> None:
    result = {**RAW, "ttfts": [ttft], "itls": [gaps], "output_lens": [20], "duration": 9.0}
    late = condense(result, has_text)["late_text"]
    assert (late and (late["second_chunk_s"], late["corrected"])) == expected
    corrected = bool(expected and expected[1])
    condensed = condense(result, has_text)
    assert condensed["mean_ttft_ms"] == pytest.approx(1000 * (ttft + gaps[0] if corrected else ttft))
    assert condensed["chunks"] == [len(gaps) - corrected]
    assert condensed["e2els"] == [pytest.approx(ttft + sum(gaps))]


CHUNK = 'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\n'
ROLE = 'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n\n'
THOUGHT = 'data: {"choices": [{"delta": {"reasoning": "Hm"}}]}\n\n'
USAGE = 'data: {"choices": [], "usage": {"prompt_tokens": 76, "completion_tokens": 2}}\n\ndata: [DONE]\n\n'
LOOK = {"prompt_tokens": 76, "completion_tokens": 2, "comments": False, "thoughts": False, "text": "Hi"}


@pytest.mark.parametrize(
    ("answer", "look"),
    [
        (CHUNK + USAGE, {**LOOK, "first_chunk_has_text": True}),
        (ROLE + CHUNK + USAGE, {**LOOK, "first_chunk_has_text": False}),
        (ROLE + THOUGHT + CHUNK + USAGE, {**LOOK, "first_chunk_has_text": False, "thoughts": True, "text": "HmHi"}),
        (": ping\n\n" + CHUNK + USAGE, {**LOOK, "first_chunk_has_text": True, "comments": True}),
        (
            'event: x\ndata: {"choices": [{"text": "Hi"}], "usage": {"prompt_tokens": true}}\n\n',
            {**LOOK, "first_chunk_has_text": True, "prompt_tokens": None, "completion_tokens": None},
        ),
        (
            '{"choices": [{"message": {"content": "Hi"}}], "usage": {"prompt_tokens": 76, "completion_tokens": 2}}',
            {**LOOK, "first_chunk_has_text": None},
        ),
        ("", {}),
        ("data: {broken\n\ndata: []\n\n", {}),
        ("<html>", {}),
        ('{"error": {"message": "no"}}', {}),
    ],
)
def test_the_answer_to_a_request_of_its_own(answer: str, look: dict[str, Any]) -> None:
    assert read_stream(answer) == look


class TestFuzz:
    """Whatever is read, the parsers return. Small and seeded; FUZZ_TIMES=100 makes it longer."""

    VALUES: tuple[Any, ...] = (
        None,
        True,
        -1,
        0,
        1e308,
        10**30,
        math.nan,
        math.inf,
        "",
        "8",
        "\ud800",
        [],
        [[]],
        {},
        [{}],
    )

    def changed(self, value: Any, luck: random.Random) -> Any:
        """Return a copy of C(value) with something else in one place."""
        if luck.random() < 0.2 or not isinstance(value, (dict, list)) or not value:
            return luck.choice(self.VALUES)
        if isinstance(value, list):
            index = luck.randrange(len(value))
            return [*value[:index], self.changed(value[index], luck), *value[index + 1 :]]
        key = luck.choice(sorted(value))
        if luck.random() < 0.2:
            return {name: entry for name, entry in value.items() if name != key}
        return {**value, key: self.changed(value[key], luck)}

    def cut(self, text: str, luck: random.Random) -> str:
        """Return C(text) with a piece taken out, repeated or replaced."""
        start, end = sorted(luck.randrange(len(text) + 1) for _ in range(2))
        piece = luck.choice(["", text[start:end] * 3, "\0", "\n\n", "NaN", "}", '"', "\u2028", "data: ", "9" * 400])
        return text[:start] + piece + text[end:]

    @pytest.mark.parametrize("seed", range(10 * TIMES))
    def test_the_clients_result(self, seed: int) -> None:
        luck = random.Random(seed)
        for _ in range(30):
            self.try_result(luck)

    def try_result(self, luck: random.Random) -> None:
        result = recorded("raw-instant.json")
        result = {name: entry[:4] if isinstance(entry, list) else entry for name, entry in result.items()}
        for _ in range(luck.randint(1, 3)):
            result = self.changed(result, luck)
        condensed = condense(json.loads(json.dumps(result)), luck.choice([None, True, False]))
        run = Run(condensed, {"before": {}, "after": luck.choice([None, {}])})
        checks = validity_checks(run, WORKLOAD, "quick", {"output_throughput": 1.0})
        metrics = compute_metrics(run, {**WORKLOAD, "goodput": {"ttft_ms": 1.0}})
        assert all(math.isfinite(figure) for figure in metrics.values())
        assert hints(run, WORKLOAD, checks, metrics) is not None
        assert json.loads(json.dumps(condensed))["errors"] is not None

    @pytest.mark.parametrize("seed", range(5 * TIMES))
    def test_metrics(self, seed: int) -> None:
        luck = random.Random(seed)
        for _ in range(20):
            text = self.cut((RECORDED / "metrics-busy.txt").read_text(), luck)
            assert all(math.isfinite(value) for value in parse_counters(text).values())

    @pytest.mark.parametrize("seed", range(5 * TIMES))
    def test_streams(self, seed: int) -> None:
        luck = random.Random(seed)
        for _ in range(40):
            self.try_stream(luck)

    def try_stream(self, luck: random.Random) -> None:
        text = self.cut(ROLE + ": ping\n\n" + THOUGHT + CHUNK + USAGE, luck)
        event = json.dumps(
            self.changed({"choices": [{"delta": {"content": "Hi"}}], "usage": {"prompt_tokens": 1}}, luck)
        )
        assert set(read_stream(text)) <= {*LOOK, "first_chunk_has_text"}
        assert set(read_stream(f"data: {event}\n\n")) <= {*LOOK, "first_chunk_has_text"}


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
        "external_cache_hits": 0,
        "prompt_tokens_cached": 0,
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


def http(status: str, body: bytes = b"", header: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status.encode(), header, len(body), body)


JOB: dict[str, Any] = {"endpoint": "/v1/chat/completions", "served_model_name": "m", "argv": []}


def test_the_length_of_the_template_without_a_usage() -> None:
    with answering(http("200 OK", CHUNK.encode()), http("200 OK", b'{"count": 13}')) as url:
        assert look_at_stream({**JOB, "base_url": url}, "", "1", 1)["prompt_tokens"] == 13
    with answering(http("200 OK", CHUNK.encode()), http("404 Not Found")) as url:
        assert look_at_stream({**JOB, "base_url": url}, "", "1", 1)["prompt_tokens"] is None
    with answering(http("500 Oops")) as url:
        assert look_at_stream({**JOB, "base_url": url}, "", "1", 1) == {}


@pytest.mark.parametrize(
    ("argv", "body"),
    [
        (["vllm", "--extra-body", '{"chat_template_kwargs": {"thinking": false}}'], {"thinking": False}),
        (["vllm", '--extra_body={"chat_template_kwargs": {}}', "--seed", "1"], {}),
        (["vllm", "--extra-body"], None),
        (["vllm", "--extra-body", "[]"], None),
        (["vllm", "--extra-body", "{"], None),
        (["vllm"], None),
    ],
)
def test_what_the_client_adds_to_each_request(argv: list[str], body: dict[str, Any] | None) -> None:
    assert extra_body(argv).get("chat_template_kwargs") == body


@pytest.mark.parametrize(
    ("answers", "key", "message"),
    [
        ([http("404 Not Found")], "", "/metrics answers 404 Not Found"),
        ([http("302 Found", header=b"Location: http://127.0.0.1:1/\r\n")], "", "/metrics answers 302 Found"),
        ([http("401 No")], "", "/metrics answers 401 No, and there is no API key here"),
        ([http("403 No"), http("403 No")], "k", "/metrics answers 403 No, also with the API key"),
        ([http("200 OK", b"<html>")], "", "/metrics shows no counters of a vLLM server"),
    ],
)
def test_counters_that_cannot_be_read(answers: list[bytes], key: str, message: str) -> None:
    """A redirect is not followed: the key would go with it."""
    with answering(*answers) as url, pytest.raises(OSError, match=f"{url}{message}"):
        read_counters(url, key)


COUNTERS = b"vllm:num_requests_running 1\nvllm:num_requests_waiting 0\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(COUNTERS), COUNTERS)


@pytest.mark.parametrize("body", [COUNTERS, COUNTERS + b"vllm:generation_tokens_total 7\n"])
def test_counters_are_awaited(body: bytes) -> None:
    """Those of a cache are late; those that the server does not have are not waited for."""
    late = COUNTERS + b"vllm:generation_tokens_total 3\n"
    answers = [http("200 OK", late), http("200 OK", late), http("200 OK", body)]
    with answering(*answers) as url:
        job = {"base_url": url, "late_counters_s": 10}
        found = wait_for_counters(job, "", {"output_tokens": 7, "requests": 9})
    assert found == parse_counters(body.decode())


def test_a_look_that_breaks_off_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with answering(WHOLE[:-20], b"", WHOLE) as url:
        assert read_counters_patiently(url, "", limit_s=10) == {"running": 1.0, "waiting": 0.0}


def test_a_server_that_tells_nothing_is_given_up() -> None:
    with answering(WHOLE[:-20]) as url:
        assert read_counters_patiently(url, "", limit_s=0) is None


def test_the_tokens_of_one_more_answer_are_counted_with_its_thoughts(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Any] = []

    def count(_job: dict[str, Any], answers: list[tuple[str, int]]) -> dict[str, int]:
        counted.extend(answers)
        return {"counted": 2, "claimed": 2}

    monkeypatch.setattr(benchmark_worker, "count_tokens", count)
    for found in ({}, {**LOOK, "completion_tokens": None}, {**LOOK, "thoughts": True, "text": "HmHi"}):
        monkeypatch.setattr(benchmark_worker, "look_at_stream", lambda *_args, found=found: found)
        sample = benchmark_worker._sample({}, "")
        assert (sample is None) == (found == {})
        assert (sample or {}).get("tokens") == ({"counted": 2, "claimed": 2} if found.get("thoughts") else None)
    assert counted == [("HmHi", 2)]


def test_texts_of_only_some_answers_contradict_the_figures() -> None:
    client = condense({**RAW, "generated_texts": ["one", "two"]})
    assert client["contradictions"] == ["it has the texts of 2 answers and the figures of 1"]
    assert condense({**RAW, "generated_texts": []})["texts"] is None
