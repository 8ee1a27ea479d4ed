# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a benchmark runs, measures and concludes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils import _benchmark as benchmark
from ansible_collections.hgx.inference.plugins.module_utils._benchmark import BenchmarkError, Check, Run
from ansible_collections.hgx.inference.plugins.module_utils._benchmark_worker import condense
from ansible_collections.hgx.inference.plugins.module_utils._metrics import METRICS

RECORDED = Path(__file__).parents[2] / "fixtures" / "bench"

WORKLOAD: dict[str, Any] = {
    "backend": "openai-chat",
    "endpoint": "/v1/chat/completions",
    "dataset": "random",
    "input_len": 1024,
    "output_len": 256,
    "max_concurrency": 32,
    "warmup_prompts": 32,
    "seed": 0,
    "sizes": {"quick": 2, "smoke": 64},
    "trust_remote_code": True,
    "args": {},
}
PUBLISHED = {"output_throughput": 1408.0, "mean_ttft_ms": 2264.48}

IDLE = {"running": 0.0, "waiting": 0.0}
BEFORE = {
    **IDLE,
    "output_tokens": 100.0,
    "drafts": 10.0,
    "draft_tokens": 30.0,
    "accepted_tokens": 20.0,
    "preemptions": 1.0,
    "prefix_cache_queries": 0.0,
    "prefix_cache_hits": 0.0,
}
MEASURING = {**BEFORE, "output_tokens": 100.0 + 32 * 256, "drafts": 1010.0, "draft_tokens": 3030.0}
AFTER = {
    **MEASURING,
    "output_tokens": 100.0 + 96 * 256,
    "drafts": 5010.0,
    "draft_tokens": 15030.0,
    "accepted_tokens": 4420.0,
}


def recorded(name: str, **changes: Any) -> Run:
    client = json.loads((RECORDED / name).read_text())
    if name.startswith("raw-"):
        client = condense(client)
    counters = {"before": BEFORE, "measuring": MEASURING, "after": AFTER}
    return Run({**client, **changes}, counters)


def statuses(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.status for check in checks}


class TestClientArgv:
    def test_the_published_load(self) -> None:
        workload = {**WORKLOAD, "input_len": 8192, "output_len": 2048, "sizes": {"full": 512}}
        argv = benchmark.client_argv(workload, "full", "http://127.0.0.1:8001/", "moonshotai/Kimi-K2.6", "kimi-k2.6")
        published = [
            "vllm bench serve",
            "backend openai-chat",
            "model moonshotai/Kimi-K2.6",
            "served-model-name kimi-k2.6",
            "dataset-name random",
            "random-input-len 8192",
            "random-output-len 2048",
            "num-prompts 512",
            "max-concurrency 32",
            "endpoint /v1/chat/completions",
        ]
        options = " ".join(argv).split(" --")
        assert set(published) <= set(options)
        # What the published command lacks: the address, the tokenizer's code, a warm-up, all latencies, a result.
        assert [option for option in options if option not in published] == [
            "base-url http://127.0.0.1:8001",
            "trust-remote-code",
            "num-warmups 32",
            "seed 0",
            "percentile-metrics ttft,tpot,itl,e2el",
            "metric-percentiles 50,90,95,99",
            "save-result",
            "save-detailed",
            "disable-tqdm",
        ]

    def test_further_options_and_templates_pass_unchanged(self) -> None:
        workload = {**WORKLOAD, "args": {"temperature": 0, "extra-body": {"x": "{{ y }}"}}, "trust_remote_code": False}
        argv = benchmark.client_argv(workload, "quick", "http://h", "m", "{{ name }}")
        assert argv[-4:] == ["--temperature", "0", "--extra-body", '{"x":"{{ y }}"}']
        assert argv[argv.index("--served-model-name") + 1] == "{{ name }}"
        assert "--trust-remote-code" not in argv

    @pytest.mark.parametrize(
        ("changes", "size", "problem"),
        [
            ({}, "fulll", "size: the workload has no size 'fulll'; it has quick, smoke."),
            ({"args": {"--temperature": 0}}, "quick", "workload.args: '--temperature' is not the name of an option"),
        ],
    )
    def test_what_cannot_be_run(self, changes: dict[str, Any], size: str, problem: str) -> None:
        with pytest.raises(BenchmarkError, match=problem):
            benchmark.client_argv({**WORKLOAD, **changes}, size, "http://h", "m", "n")


def test_a_fingerprint_follows_start_and_load() -> None:
    one = benchmark.fingerprint(["id", "10:00"], ["a", "b"])
    assert one == benchmark.fingerprint(["id", "10:00"], ["a", "b"])
    others = [(["id2", "10:00"], ["a", "b"]), (["id", "10:01"], ["a", "b"]), (["id", "10:00"], ["a b"])]
    assert one not in {benchmark.fingerprint(*other) for other in others}


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["serve", "--port", "1"], ["serve", "--port", "1"]),
        (["--api-key", "abc", "--x"], ["--api-key", "***", "--x"]),
        (["--api-key=abc", "--hf-token=t"], ["--api-key=***", "--hf-token=***"]),
        (["--hf-token", "--x"], ["--hf-token", "--x"]),
    ],
)
def test_secrets_are_taken_out_of_an_argv(argv: list[str], shown: list[str]) -> None:
    assert benchmark.without_secrets(argv) == shown


@pytest.mark.parametrize(
    ("published", "seconds"),
    [
        ({}, None),
        ({"output_throughput": 96 * 256 / 10}, benchmark.CLIENT_START_S + 10),
        ({"output_throughput": 1, "steady_output_throughput": 96 * 256}, benchmark.CLIENT_START_S + 1),
    ],
)
def test_how_long_a_run_takes(published: dict[str, float], seconds: float | None) -> None:
    assert benchmark.expected_seconds(WORKLOAD, "smoke", published) == seconds


class TestMetrics:
    def test_a_recorded_run(self) -> None:
        metrics = benchmark.compute_metrics(recorded("rich.json"))
        assert set(metrics) == set(METRICS)
        wanted = {
            "output_throughput": 3453.447664,
            "steady_output_throughput": 32 * 256 / 2.361588,  # the client's own mean latency is 2361.6 ms
            "total_token_throughput": 17415.62865,
            "request_throughput": 13.49003,
            "mean_ttft_ms": 195.247526,
            "median_tpot_ms": 8.496014,
            "p95_itl_ms": 11.929298,
            "p99_e2el_ms": 2445.945344,
            "tokens_per_chunk": 64 * 255 / 16374,
            "mean_input_len": 1035,
            "mean_output_len": 256,
            "duration_s": 4.744244,
            "completed": 64,
            "failed": 0,
            "preemptions": 0,
            "acceptance_length": 2.1,  # 4400 of 12000 drafted tokens in 4000 steps, warm-up excluded
            "acceptance_rate": 100 * 4400 / 12000,
            "prefix_cache_hit_rate": 0,
        }
        assert {name: metrics[name] for name in wanted} == pytest.approx(wanted, rel=1e-4)

    def test_the_steady_state_agrees_with_the_published_run(self) -> None:
        """512 requests at the published mean latencies: 32 x 2048 / 45.538 s."""
        latency = (2264.48 + 2047 * 21.14) / 1000
        client = {
            "completed": 512,
            "max_concurrency": 32,
            "start_times": [float(index) for index in range(512)],
            "ttfts": [2.26448] * 512,
            "latencies": [latency] * 512,
            "input_lens": [8201] * 512,
            "output_lens": [2048] * 512,
            "chunks": [973] * 512,
        }
        metrics = benchmark.compute_metrics(Run(client, {}))
        assert metrics["steady_output_throughput"] == pytest.approx(1439, abs=0.5)
        assert metrics["tokens_per_chunk"] == pytest.approx(2.104, abs=0.001)

    def test_the_first_wave_is_left_out_of_the_warm_latency(self) -> None:
        run = recorded("rich.json")
        by_start = sorted(zip(run.client["start_times"], run.client["ttfts"], strict=True))
        later = [ttft for _start, ttft in by_start[32:]]
        assert benchmark.compute_metrics(run)["warm_mean_ttft_ms"] == pytest.approx(1000 * sum(later) / 32)

    def test_a_run_of_one_wave_has_no_warm_latency(self) -> None:
        assert "warm_mean_ttft_ms" not in benchmark.compute_metrics(recorded("raw-instant.json"))

    def test_fewer_requests_than_slots(self) -> None:
        """The concurrency is what was possible, not what was allowed."""
        wide = benchmark.compute_metrics(recorded("raw-instant.json", max_concurrency=1000))
        assert wide["steady_output_throughput"] == pytest.approx(2054, abs=1)

    def test_the_warm_up_counts_where_its_end_is_unknown(self) -> None:
        run = recorded("rich.json")
        metrics = benchmark.compute_metrics(Run(run.client, {**run.counters, "measuring": None}))
        assert metrics["acceptance_length"] == pytest.approx(1 + 4400 / 5000)

    @pytest.mark.parametrize("name", ["killed.json", "raw-refused.json", "raw-wrongname.json"])
    def test_a_failed_run_has_no_latency_instead_of_a_splendid_one(self, name: str) -> None:
        assert set(benchmark.compute_metrics(recorded(name))) == {"completed", "failed", "duration_s"}

    def test_a_server_without_drafts_and_an_older_client(self) -> None:
        run = recorded("rich.json")
        client = {key: value for key, value in run.client.items() if not key.startswith("p95")}
        metrics = benchmark.compute_metrics(Run(client, {"before": IDLE, "measuring": None, "after": IDLE}))
        missing = {"acceptance_length", "acceptance_rate", "preemptions", "prefix_cache_hit_rate"}
        assert set(METRICS) - set(metrics) == missing | {name for name in METRICS if name.startswith("p95")}

    def test_the_interval_of_the_steady_state(self) -> None:
        run = recorded("rich.json")
        metrics = benchmark.compute_metrics(run)
        # The latencies vary by 3.17 %.
        expected = metrics["steady_output_throughput"] * 1.96 * 0.031715 / 8
        assert benchmark.steady_interval(run, metrics) == pytest.approx(expected, rel=1e-3)
        assert benchmark.steady_interval(recorded("killed.json"), {}) is None


class TestValidity:
    def test_a_recorded_run_is_valid(self) -> None:
        checks = benchmark.validity_checks(recorded("rich.json"), WORKLOAD, "smoke")
        assert statuses(checks) == {
            "all_requests_completed": "pass",
            "output_length": "pass",
            "input_length": "pass",
            "no_other_traffic": "pass",
            "prompts_not_cached": "pass",
        }

    @pytest.mark.parametrize(
        ("name", "size", "message"),
        [
            ("killed.json", "smoke", r"0 of 64 requests completed, 64 failed \(32 x .*"),
            ("raw-refused.json", "quick", r"0 of 2 requests completed, 2 failed \(2 x .*Cannot connect to host.*"),
            ("raw-wrongname.json", "quick", r"0 of 2 requests completed, 2 failed \(2 x Not Found\)"),
            ("raw-instant.json", "smoke", "32 of 64 requests completed, 0 failed"),
        ],
    )
    def test_recorded_failures(self, name: str, size: str, message: str) -> None:
        first = benchmark.validity_checks(recorded(name), WORKLOAD, size)[0]
        assert first.status == "invalid"
        assert re.fullmatch(message, first.message)

    @pytest.mark.parametrize(
        ("changes", "failed_check"),
        [
            ({"completed": 63, "failed": 1}, "all_requests_completed"),
            ({"output_lens": [256] * 63 + [255]}, "output_length"),
            ({"input_lens": [1023] * 64}, "input_length"),
            ({"input_lens": [1024 + 65] * 64}, "input_length"),
        ],
    )
    def test_what_makes_a_run_invalid(self, changes: dict[str, Any], failed_check: str) -> None:
        checks = benchmark.validity_checks(recorded("rich.json", **changes), WORKLOAD, "smoke")
        assert [check.name for check in checks if check.status == "invalid"] == [failed_check]

    @pytest.mark.parametrize("length", [1024, 1024 + 64])
    def test_a_chat_template_is_allowed_for(self, length: int) -> None:
        checks = benchmark.validity_checks(recorded("rich.json", input_lens=[length] * 64), WORKLOAD, "smoke")
        assert statuses(checks)["input_length"] == "pass"

    @pytest.mark.parametrize(
        ("tokens", "status"),
        [(0, "pass"), (245, "pass"), (-245, "pass"), (246, "invalid"), (-246, "invalid"), (-24576, "invalid")],
    )
    def test_other_traffic_up_to_a_hundredth(self, tokens: int, status: str) -> None:
        run = recorded("rich.json")
        after = {**AFTER, "output_tokens": AFTER["output_tokens"] + tokens}
        checks = benchmark.validity_checks(Run(run.client, {**run.counters, "after": after}), WORKLOAD, "smoke")
        assert statuses(checks)["no_other_traffic"] == status

    def test_a_server_that_answers_no_more_is_invalid(self) -> None:
        run = recorded("rich.json")
        checks = benchmark.validity_checks(Run(run.client, {**run.counters, "after": None}), WORKLOAD, "smoke")
        assert statuses(checks)["no_other_traffic"] == "invalid"

    @pytest.mark.parametrize(("hits", "status"), [(500, "pass"), (501, "invalid")])
    def test_a_load_that_was_run_before(self, hits: int, status: str) -> None:
        run = recorded("rich.json")
        after = {**AFTER, "prefix_cache_queries": 1000.0, "prefix_cache_hits": float(hits)}
        checks = benchmark.validity_checks(Run(run.client, {**run.counters, "after": after}), WORKLOAD, "smoke")
        assert statuses(checks)["prompts_not_cached"] == status

    @pytest.mark.parametrize("changes", [{"dataset": "sharegpt"}, {"args": {"random-range-ratio": 0.2}}])
    def test_lengths_that_vary_are_not_checked(self, changes: dict[str, Any]) -> None:
        run = recorded("rich.json", output_lens=list(range(1, 65)))
        assert list(statuses(benchmark.validity_checks(run, {**WORKLOAD, **changes}, "smoke"))) == [
            "all_requests_completed"
        ]


def threshold(metric: str = "output_throughput", op: str = ">=", severity: str = "fail", **more: Any) -> dict[str, Any]:
    return {"metric": metric, "op": op, "severity": severity, **more}


class TestThresholds:
    @pytest.mark.parametrize(
        ("op", "value", "tolerance", "measured", "status", "limit"),
        [
            (">=", 1000, None, 1000, "pass", ">= 1000 tok/s"),
            (">=", 1000, None, 999.99, "fail", ">= 1000 tok/s"),
            (">=", 1000, "10%", 900, "pass", ">= 900 tok/s (1000 - 10%)"),
            (">=", 1000, "10%", 899.9, "fail", ">= 900 tok/s (1000 - 10%)"),
            (">=", 1000, 50, 950, "pass", ">= 950 tok/s (1000 - 50)"),
            ("<=", 1000, "10%", 1100, "pass", "<= 1100 tok/s (1000 + 10%)"),
            ("<=", 1000, "2.5 %", 1025.1, "fail", "<= 1025 tok/s (1000 + 2.5 %)"),
            ("==", 0, None, 0, "pass", "== 0 tok/s"),
            ("==", 100, "5", 95, "pass", "== 100 tok/s +/- 5"),
            ("==", 100, "5", 105.1, "fail", "== 100 tok/s +/- 5"),
            (">=", None, "5%", 1337.6, "pass", ">= 1337.6 tok/s (1408 - 5%)"),
            (">=", None, "5%", 1337.5, "fail", ">= 1337.6 tok/s (1408 - 5%)"),
            (">=", 1000, None, None, "fail", ">= 1000 tok/s"),
        ],
    )
    def test_tolerance_is_lenient(
        self, op: str, value: float | None, tolerance: Any, measured: float | None, status: str, limit: str
    ) -> None:
        wanted = [threshold(op=op, value=value, tolerance=tolerance)]
        limits = benchmark.limits_for(wanted, PUBLISHED, WORKLOAD["sizes"], "smoke")
        metrics = {} if measured is None else {"output_throughput": measured}
        (check,) = benchmark.threshold_checks(limits, metrics, PUBLISHED)
        assert check.status == status
        assert check.message.endswith(f"the limit is {limit}")
        assert ("not measured" in check.message) == (measured is None)

    @pytest.mark.parametrize("severity", ["fail", "warn"])
    def test_a_figure_that_is_missing_is_never_a_pass(self, severity: str) -> None:
        wanted = [threshold("acceptance_length", severity=severity, value=1.5)]
        limits = benchmark.limits_for(wanted, {}, WORKLOAD["sizes"], "smoke")
        assert benchmark.threshold_checks(limits, {}, {})[0].status == severity

    @pytest.mark.parametrize(("size", "count"), [("quick", 2), ("smoke", 1)])
    def test_only_those_for_the_size(self, size: str, count: int) -> None:
        wanted = [threshold(value=1), threshold(value=1, sizes=["quick"])]
        assert len(benchmark.limits_for(wanted, {}, WORKLOAD["sizes"], size)) == count

    def test_all_problems_at_once(self) -> None:
        wanted = [
            threshold("output_troughput", value=1),
            threshold("mean_tpot_ms"),
            threshold(tolerance="10 percent"),
            threshold(tolerance=-1),
            threshold(sizes=["fulll"]),
        ]
        with pytest.raises(BenchmarkError) as caught:
            benchmark.limits_for(wanted, {**PUBLISHED, "ttft": 1}, WORKLOAD["sizes"], "smoke")
        assert caught.value.problems == [
            "thresholds[0]: there is no metric 'output_troughput'; did you mean 'output_throughput'?",
            "thresholds[1]: no value, and no figure of mean_tpot_ms is published that could stand for it.",
            "thresholds[2]: the tolerance '10 percent' is neither a share such as 10% nor a number of 0 or more.",
            "thresholds[3]: the tolerance -1 is neither a share such as 10% nor a number of 0 or more.",
            "thresholds[4]: the workload has no size 'fulll'; it has quick, smoke.",
            "published: there is no metric 'ttft'.",
        ]

    def test_a_check_as_data(self) -> None:
        wanted = [threshold(tolerance="10%", source="the page")]
        limits = benchmark.limits_for(wanted, PUBLISHED, WORKLOAD["sizes"], "smoke")
        (check,) = benchmark.threshold_checks(limits, {"output_throughput": 1548.8}, PUBLISHED)
        assert check.as_dict() == {
            "name": "output_throughput",
            "status": "pass",
            "message": "output_throughput is 1548.8 tok/s; the limit is >= 1267.2 tok/s (1408 - 10%)",
            "op": ">=",
            "value": 1408.0,
            "tolerance": "10%",
            "limit": pytest.approx(1267.2),
            "severity": "fail",
            "source": "the page",
            "unit": "tok/s",
            "measured": 1548.8,
            "published": 1408.0,
            "delta_percent": pytest.approx(10.0),
        }


@pytest.mark.parametrize(
    ("validity", "thresholds", "verdict"),
    [
        (["pass"], ["pass", "pass"], "pass"),
        (["pass"], ["pass", "warn"], "warn"),
        (["pass"], ["warn", "fail", "pass"], "fail"),
        (["pass", "invalid"], ["pass"], "invalid"),
        (["pass", "invalid"], ["fail"], "invalid"),
        (["pass"], [], "warn"),
    ],
)
def test_the_verdict(validity: list[str], thresholds: list[str], verdict: str) -> None:
    assert (
        benchmark.verdict(
            [Check("condition", status, "") for status in validity], [Check("m", status, "") for status in thresholds]
        )
        == verdict
    )
