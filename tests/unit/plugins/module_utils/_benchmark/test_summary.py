# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines that people read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._benchmark import plan as benchmark
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.measure import compute_metrics
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.plan import Check, Engine, Run
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.summary import (
    describe,
    failure,
    hints,
    repeated,
    summary,
)
from ansible_collections.hgx.inference.plugins.module_utils._programs.benchmark_worker import condense

RECORDED = Path(__file__).parents[3] / "fixtures" / "bench"
WORKLOAD: dict[str, Any] = {
    "input_len": 8192,
    "output_len": 2048,
    "max_concurrency": 32,
    "sizes": {"smoke": 128},
}
PUBLISHED = {"output_throughput": 1408.0, "mean_ttft_ms": 2264.48}
THRESHOLDS: list[dict[str, Any]] = [
    {
        "metric": "mean_ttft_ms",
        "op": "<=",
        "value": None,
        "tolerance": None,
        "severity": "warn",
        "source": "{{ page }}",
    },
    {
        "metric": "steady_output_throughput",
        "op": ">=",
        "value": 1439,
        "tolerance": "10%",
        "severity": "fail",
        "source": "derived",
    },
    {"metric": "acceptance_length", "op": ">=", "value": 1.5, "severity": "fail"},
]


def judged(metrics: dict[str, float]) -> list[Check]:
    limits = benchmark.limits_for(THRESHOLDS, PUBLISHED, WORKLOAD, "smoke")
    return benchmark.threshold_checks(limits, metrics, PUBLISHED)


def test_a_failure_names_metric_figure_limit_and_source() -> None:
    metrics = {
        "steady_output_throughput": 1180.43,
        "output_throughput": 1080.0,
        "mean_ttft_ms": 2300.0,
        "duration_s": 201.34,
        "p99_itl_ms": 1.0,
    }
    checks = [Check("all_requests_completed", "pass", "128 of 128"), *judged(metrics)]
    assert summary("fail", WORKLOAD, "smoke", checks, metrics, PUBLISHED, 71.5) == [
        "FAIL: 3 of 3 thresholds missed (size smoke: 128 requests of 8192 + 2048 tokens, 32 at a time, 201.3 s)",
        "  fail  steady_output_throughput  1180.43 tok/s  >= 1295.1 tok/s (1439 - 10%)"
        "                               derived",
        "  fail  acceptance_length         not measured   >= 1.5 tok",
        "  warn  mean_ttft_ms              2300 ms        <= 2264.48 ms               "
        "  +1.6 % of published 2264.48  {{ page }}",
        "        output_throughput         1080 tok/s                                   -23.3 % of published 1408",
        "  steady_output_throughput is known to +/- 71.5 tok/s (95 %)",
    ]


def test_an_invalid_run_says_why_and_judges_nothing() -> None:
    checks = [Check("all_requests_completed", "invalid", "0 of 128 requests completed"), Check("x", "pass", "good")]
    assert summary("invalid", WORKLOAD, "smoke", checks, {"duration_s": 1.0}, {}, None) == [
        "INVALID: the run cannot be judged (size smoke: 128 requests of 8192 + 2048 tokens, 32 at a time, 1.0 s)",
        "  invalid  all_requests_completed  0 of 128 requests completed",
    ]


@pytest.mark.parametrize(
    ("metrics", "verdict", "beginning"),
    [
        (
            {"steady_output_throughput": 1300.0, "acceptance_length": 2.1, "mean_ttft_ms": 9.0},
            "pass",
            "PASS: 3 of 3 thresholds met (",
        ),
        (
            {"steady_output_throughput": 1300.0, "acceptance_length": 2.1, "mean_ttft_ms": 9999.0},
            "warn",
            "WARN: 1 of 3 thresholds missed (",
        ),
    ],
)
def test_the_headline(metrics: dict[str, float], verdict: str, beginning: str) -> None:
    assert summary(verdict, WORKLOAD, "smoke", judged(metrics), metrics, {}, None)[0].startswith(beginning)


def test_without_thresholds_nothing_is_proven() -> None:
    assert summary("warn", WORKLOAD, "smoke", [], {}, {}, None) == [
        f"WARN: no threshold applies to size smoke, so nothing is proven ({describe(WORKLOAD, 'smoke')})"
    ]


def test_a_run_that_looks_odd_says_so() -> None:
    metrics = {"steady_output_throughput": 1300.0, "acceptance_length": 2.1, "mean_ttft_ms": 9.0}
    checks = [Check("even_speed", "warn", "uneven"), *judged(metrics)]
    lines = summary("warn", WORKLOAD, "smoke", checks, metrics, {}, None)
    assert lines[0].startswith("WARN: 3 of 3 thresholds met; the run looks odd (")
    assert lines[1] == "  warn  even_speed  uneven"
    slow = [checks[0], *judged({**metrics, "steady_output_throughput": 9.0})]
    lines = summary("fail", WORKLOAD, "smoke", slow, metrics, {}, None)
    assert lines[0].startswith("FAIL: 1 of 3 thresholds missed; the run looks odd (")
    assert "  warn  even_speed  uneven" in failure(lines).splitlines()


def test_a_failure_leaves_out_what_is_good() -> None:
    lines = [
        "FAIL: 1 of 2",
        "  fail  a  1",
        "  warn  b  2",
        "  pass  c  3",
        "        d  4",
        "  e is known",
        "  hint: f",
    ]
    assert failure(lines).splitlines() == ["FAIL: 1 of 2", "  fail  a  1", "  warn  b  2", "  e is known", "  hint: f"]


def test_repetitions_in_words() -> None:
    line = "  medians of 3 runs, in which steady_output_throughput differed by 12.5 tok/s"
    assert repeated(3, {"steady_output_throughput": 12.5}) == line


def recorded_hints(name: str) -> list[str]:
    client = json.loads((RECORDED / name).read_text())
    run = Run(condense(client) if name.startswith("raw-") else client, {})
    return hints(run, WORKLOAD, [Check("all_requests_completed", "invalid", "")], compute_metrics(run, WORKLOAD))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("rich.json", []),
        ("raw-refused.json", ["Nothing answered"]),
        ("raw-wrongname.json", ["does not know the model name"]),
        ("killed.json", ["Nothing answered", "broke off"]),
    ],
)
def test_hints_from_recorded_errors(name: str, parts: list[str]) -> None:
    found = recorded_hints(name)
    assert len(found) == len(parts)
    assert all(part in hint for part, hint in zip(parts, found, strict=True))


@pytest.mark.parametrize(
    ("missed", "metrics", "part"),
    [
        ({"acceptance_length": "fail"}, {}, "not active"),
        ({"acceptance_length": "fail"}, {"acceptance_length": 1.0}, "No draft is accepted"),
        ({"acceptance_length": "warn"}, {"acceptance_length": 1.6}, "Fewer drafts are accepted"),
        ({"mean_itl_ms": "fail"}, {"acceptance_length": 2.0, "tokens_per_chunk": 3.1}, "short of CPU"),
        ({"mean_itl_ms": "fail"}, {"tokens_per_chunk": 1.6}, "short of CPU"),
        ({"steady_output_throughput": "fail", "steps_per_s": "pass"}, {}, "draft is weak, not the node"),
        ({"steps_per_s": "warn"}, {}, "it is slow"),
        ({"mean_ttft_ms": "warn"}, {"mean_ttft_ms": 201.0, "warm_mean_ttft_ms": 100.0}, "was cold"),
        ({"output_throughput": "fail"}, {"preemptions": 3.0}, "KV cache is too small"),
        ({"output_throughput": "fail", "steady_output_throughput": "pass"}, {}, "run is too short"),
        ({"mean_tpot_ms": "fail"}, {"acceptance_length": 2.0, "tokens_per_chunk": 2.0}, "clocks, NVLink"),
        ({"server_stayed_up": "invalid"}, {}, "its log says why"),
        ({"prompts_not_cached": "invalid"}, {}, "something in common"),
        ({"answers_readable": "invalid"}, {}, "The model does not work"),
        ({"acceptance_plausible": "warn", "answers_readable": "warn"}, {}, "repeats one token"),
        ({"client_result": "invalid"}, {}, "another result than expected"),
        ({"plausible_speed": "warn"}, {}, "Faster than expected"),
        ({"slots_filled": "warn"}, {}, "between requests"),
        ({"even_speed": "warn"}, {}, "uneven"),
        ({"output_length": "invalid"}, {}, "max-model-len"),
        ({"input_length": "invalid"}, {"mean_input_len": 8300.0}, "tokenize differently"),
    ],
)
def test_the_rules(missed: dict[str, str], metrics: dict[str, float], part: str) -> None:
    checks = [Check(name, status, "") for name, status in missed.items()]
    (hint,) = hints(Run({"errors": {}}, {}), WORKLOAD, checks, metrics)
    assert part in hint


CLIENT = {"errors": {}, "completed": 8, "failed": 0, "total_output_tokens": 800}


@pytest.mark.parametrize(
    ("gains", "look", "part"),
    [
        ({"output_tokens": 1000.0, "requests": 20.0}, {}, "Other traffic reached the server"),
        ({"output_tokens": 1000.0, "requests": 8.0}, {}, "no other client took part"),
        ({"output_tokens": 1000.0}, {}, "the cause is unknown"),
        ({"output_tokens": 700.0, "requests": 8.0}, {}, "a cache, a proxy or another server answered"),
        ({"requests": 8.0}, {}, "--disable-log-stats"),
        ({"output_tokens": 1000.0, "requests": 8.0}, {"comments": True}, "SSE comments"),
    ],
)
def test_others_are_blamed_only_if_the_counts_show_them(gains: dict[str, float], look: Any, part: str) -> None:
    run = Run(CLIENT, {"before": dict.fromkeys(gains, 0.0), "after": gains}, look)
    checks = [Check("no_other_traffic", "invalid", ""), Check("output_length", "invalid", "")]
    (hint,) = hints(run, {**WORKLOAD, "warmup_prompts": 0}, checks, {})
    assert part in hint
    assert ("other clients" in hint) == (part == "Other traffic reached the server")


def test_a_seed_of_the_workload_explains_a_full_cache() -> None:
    checks = [Check("prompts_not_cached", "invalid", "")]
    (hint,) = hints(Run(CLIENT, {}), {**WORKLOAD, "seed": 1}, checks, {})
    assert "leave out the seed" in hint


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_checks_of_a_metric_the_worst_counts(order: int) -> None:
    checks = [Check("acceptance_length", "warn", ""), Check("acceptance_length", "pass", "")][::order]
    checks.append(Check("mean_tpot_ms", "fail", ""))
    (hint,) = hints(Run({"errors": {}}, {}), WORKLOAD, checks, {"acceptance_length": 1.6})
    assert "Fewer drafts are accepted" in hint


def test_tokens_that_are_to_be_sent_together_are_no_sign() -> None:
    checks, metrics = [Check("mean_itl_ms", "fail", "")], {"acceptance_length": 2.0, "tokens_per_chunk": 21.0}
    assert hints(Run({"errors": {}}, {}), WORKLOAD, checks, metrics, Engine(stream_interval=10)) == []


@pytest.mark.parametrize(
    ("missed", "metrics"),
    [
        ({"mean_tpot_ms": "pass"}, {"acceptance_length": 1.0, "preemptions": 3.0}),
        ({"mean_ttft_ms": "fail"}, {"mean_ttft_ms": 199.0, "warm_mean_ttft_ms": 100.0}),
        ({"mean_tpot_ms": "pass"}, {"tokens_per_chunk": 9.0}),
        ({"input_length": "invalid"}, {"mean_input_len": 8000.0}),
        ({"mean_input_len": "warn"}, {"preemptions": 3.0}),
    ],
)
def test_no_hint_without_a_reason(missed: dict[str, str], metrics: dict[str, float]) -> None:
    checks = [Check(name, status, "") for name, status in missed.items()]
    assert hints(Run({"errors": {}}, {}), WORKLOAD, checks, metrics) == []
