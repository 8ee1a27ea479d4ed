# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a benchmark runs, measures and concludes."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._benchmark import plan as benchmark
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.plan import BenchmarkError, Check
from ansible_collections.hgx.inference.tests.unit.support.benchmark_runs import PUBLISHED, WORKLOAD


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

    def test_every_run_has_its_seed(self) -> None:
        def seed(workload: dict[str, Any], chosen: int | None = None) -> str:
            argv = benchmark.client_argv(workload, "quick", "http://h", "m", "n", chosen)
            return argv[argv.index("--seed") + 1]

        assert seed(WORKLOAD) == "0"
        assert seed({**WORKLOAD, "seed": None}) == "varied"
        assert seed({**WORKLOAD, "seed": None}, 7) == "7"

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
            ({"args": {"request-rate": 4}}, "quick", "workload.args: --request-rate would change the load"),
            ({"args": {"num_prompts": 4}}, "quick", "workload.args: --num-prompts would change the load"),
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
    ("published", "seconds"),
    [
        ({}, None),
        ({"output_throughput": 96 * 256 / 10}, benchmark.CLIENT_START_S + 10),
        ({"output_throughput": 1, "steady_output_throughput": 96 * 256}, benchmark.CLIENT_START_S + 1),
    ],
)
def test_how_long_a_run_takes(published: dict[str, float], seconds: float | None) -> None:
    assert benchmark.expected_seconds(WORKLOAD, "smoke", published) == seconds


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
        limits = benchmark.limits_for(wanted, PUBLISHED, WORKLOAD, "smoke")
        metrics = {} if measured is None else {"output_throughput": measured}
        (check,) = benchmark.threshold_checks(limits, metrics, PUBLISHED)
        assert check.status == status
        assert check.message.endswith(f"the limit is {limit}")
        assert ("not measured" in check.message) == (measured is None)

    def test_goodput_with_limits(self) -> None:
        workload = {**WORKLOAD, "goodput": {"ttft_ms": 500.0, "tpot_ms": None}}
        assert len(benchmark.limits_for([threshold("goodput_rate", value=99)], {}, workload, "smoke")) == 1

    @pytest.mark.parametrize("severity", ["fail", "warn", "invalid"])
    def test_a_figure_that_is_missing_is_never_a_pass(self, severity: str) -> None:
        wanted = [threshold("acceptance_length", severity=severity, value=1.5)]
        limits = benchmark.limits_for(wanted, {}, WORKLOAD, "smoke")
        assert benchmark.threshold_checks(limits, {}, {})[0].status == severity

    @pytest.mark.parametrize(("size", "count"), [("quick", 2), ("smoke", 1)])
    def test_only_those_for_the_size(self, size: str, count: int) -> None:
        wanted = [threshold(value=1), threshold(value=1, sizes=["quick"])]
        assert len(benchmark.limits_for(wanted, {}, WORKLOAD, size)) == count

    def test_all_problems_at_once(self) -> None:
        wanted = [
            threshold("output_troughput", value=1),
            threshold("mean_tpot_ms"),
            threshold(tolerance="10 percent"),
            threshold(tolerance=-1),
            threshold(sizes=["fulll"]),
            threshold("goodput_rate", value=99),
        ]
        with pytest.raises(BenchmarkError) as caught:
            no_numbers: dict[str, Any] = {"mean_tpot_ms": None, "mean_itl_ms": "15", "p99_itl_ms": float("nan")}
            published = {**PUBLISHED, "ttft": 1, **no_numbers}
            benchmark.limits_for(wanted, published, WORKLOAD, "smoke")
        assert caught.value.problems == [
            "thresholds[0]: there is no metric 'output_troughput'; did you mean 'output_throughput'?",
            "thresholds[1]: no value, and no figure of mean_tpot_ms is published that could stand for it.",
            "thresholds[2]: the tolerance '10 percent' is neither a share such as 10% nor a number of 0 or more.",
            "thresholds[3]: the tolerance -1 is neither a share such as 10% nor a number of 0 or more.",
            "thresholds[4]: the workload has no size 'fulll'; it has quick, smoke.",
            "thresholds[5]: goodput_rate needs limits in the workload's goodput: ttft_ms, tpot_ms, e2el_ms.",
            "published: there is no metric 'ttft'.",
            "published: mean_tpot_ms is None, which is no number.",
            "published: mean_itl_ms is '15', which is no number.",
            "published: p99_itl_ms is nan, which is no number.",
        ]

    def test_what_just_missed_is_seen_to_have(self) -> None:
        (limit,) = benchmark.limits_for([threshold(value=1439, tolerance="10%")], {}, WORKLOAD, "smoke")
        figures = [benchmark.judged_texts(limit, measured) for measured in (1295.0996, 1295.1, 1000.0)]
        assert figures == [
            ("1295.0996 tok/s", ">= 1295.1 tok/s (1439 - 10%)"),
            ("1295.1 tok/s", ">= 1295.1 tok/s (1439 - 10%)"),
            ("1000 tok/s", ">= 1295.1 tok/s (1439 - 10%)"),
        ]

    def test_a_check_as_data(self) -> None:
        wanted = [threshold(tolerance="10%", source="the page")]
        limits = benchmark.limits_for(wanted, PUBLISHED, WORKLOAD, "smoke")
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
        (["pass", "warn"], ["pass"], "warn"),
        (["warn"], ["fail"], "fail"),
        (["pass"], ["invalid", "fail"], "invalid"),
    ],
)
def test_the_verdict(validity: list[str], thresholds: list[str], verdict: str) -> None:
    assert (
        benchmark.verdict(
            [Check("condition", status, "") for status in validity], [Check("m", status, "") for status in thresholds]
        )
        == verdict
    )
