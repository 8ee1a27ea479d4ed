# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run measured."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._benchmark import measure as measured
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.metrics import METRICS
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.plan import GOODPUT_METRICS, Run
from ansible_collections.hgx.inference.tests.support.simulated_server import ANSWER_TOKENS, simulate, true_throughput
from ansible_collections.hgx.inference.tests.unit.support.benchmark_runs import IDLE, WORKLOAD, recorded, simulated


def compute(run: Run, **workload: Any) -> dict[str, float]:
    return measured.compute_metrics(run, {**WORKLOAD, **workload})


class TestMetrics:
    def test_a_recorded_run(self) -> None:
        metrics = compute(recorded("rich.json"))
        assert set(metrics) == set(METRICS) - set(GOODPUT_METRICS)
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
            "e2els": [latency] * 512,
            "tpots": [0.02114] * 512,
            "input_lens": [8201] * 512,
            "output_lens": [2048] * 512,
            "chunks": [973] * 512,
        }
        metrics = compute(Run(client, {}))
        assert metrics["steady_output_throughput"] == pytest.approx(1439, abs=0.5)
        assert metrics["tokens_per_chunk"] == pytest.approx(2.104, abs=0.001)

    def test_the_first_wave_is_left_out_of_the_warm_latency(self) -> None:
        run = recorded("rich.json")
        by_start = sorted(zip(run.client["start_times"], run.client["ttfts"], strict=True))
        later = [ttft for _start, ttft in by_start[32:]]
        assert compute(run)["warm_mean_ttft_ms"] == pytest.approx(1000 * sum(later) / 32)

    def test_a_run_of_one_wave_has_no_warm_latency(self) -> None:
        assert "warm_mean_ttft_ms" not in compute(recorded("raw-instant.json"))

    def test_fewer_requests_than_slots(self) -> None:
        """The concurrency is what was possible, not what was allowed."""
        wide = compute(recorded("raw-instant.json", max_concurrency=1000))
        assert wide["steady_output_throughput"] == pytest.approx(2054, abs=1)

    def test_the_warm_up_counts_where_its_end_is_unknown(self) -> None:
        run = recorded("rich.json")
        metrics = compute(Run(run.client, {**run.counters, "measuring": None}))
        assert metrics["acceptance_length"] == pytest.approx(1 + 1100 / 2000)

    @pytest.mark.parametrize("name", ["killed.json", "raw-refused.json", "raw-wrongname.json"])
    def test_a_failed_run_has_no_latency_instead_of_a_splendid_one(self, name: str) -> None:
        assert set(compute(recorded(name))) == {"completed", "failed", "duration_s"}

    def test_answers_in_one_piece_have_no_time_per_token(self) -> None:
        missing = set(METRICS) - set(compute(recorded("rich.json", chunks=[0] * 64))) - set(GOODPUT_METRICS)
        per_token = {name for name in METRICS if "_tpot_" in name or "_itl_" in name}
        assert missing == per_token | {"tokens_per_chunk"}

    def test_a_server_without_drafts_and_an_older_client(self) -> None:
        run = recorded("rich.json")
        client = {key: value for key, value in run.client.items() if not key.startswith("p95")}
        metrics = compute(Run(client, {"before": IDLE, "measuring": None, "after": IDLE}))
        missing = {"acceptance_length", "acceptance_rate", "preemptions", "prefix_cache_hit_rate", *GOODPUT_METRICS}
        missing.add("steps_per_s")
        assert set(METRICS) - set(metrics) == missing | {name for name in METRICS if name.startswith("p95")}

    def test_the_interval_of_the_steady_state(self) -> None:
        run = recorded("rich.json")
        metrics = compute(run)
        # The latencies vary by 3.17 %.
        expected = metrics["steady_output_throughput"] * 1.96 * 0.031715 / 8
        assert measured.steady_interval(measured.latencies_of(run), metrics) == pytest.approx(expected, rel=1e-3)
        assert measured.steady_interval(measured.latencies_of(recorded("killed.json")), {}) is None

    @pytest.mark.parametrize(
        ("limits", "good"),
        [
            ({"ttft_ms": 1e6}, 64),
            ({"ttft_ms": 1e6, "tpot_ms": 0.001}, 0),
            ({"e2el_ms": 2361.588}, 32),
            ({"ttft_ms": 1e6, "tpot_ms": None, "e2el_ms": None}, 64),
        ],
    )
    def test_goodput(self, limits: dict[str, float | None], good: int) -> None:
        run = recorded("rich.json")
        metrics = compute(run, goodput=limits)
        assert metrics["goodput_rate"] == pytest.approx(100 * good / 64)
        assert metrics["request_goodput"] == pytest.approx(good / run.client["duration"])

    def test_a_failed_request_has_kept_no_limit(self) -> None:
        outputs = [256] * 48 + [0] * 16
        run = recorded("rich.json", completed=48, failed=16, output_lens=outputs)
        assert compute(run, goodput={"ttft_ms": 1e6})["goodput_rate"] == 75
        assert compute(recorded("killed.json"), goodput={"ttft_ms": 1e6})["goodput_rate"] == 0

    def test_the_draft_by_position(self) -> None:
        run = recorded("rich.json")
        after = {
            **(run.counters["after"] or {}),
            "accepted_at_0": 600.0,
            "accepted_at_1": 400.0,
            "accepted_at_2": 100.0,
        }
        measuring = {
            **(run.counters["measuring"] or {}),
            **dict.fromkeys(["accepted_at_0", "accepted_at_1", "accepted_at_2"], 0.0),
        }
        found = measured.spec_decode(Run(run.client, {**run.counters, "measuring": measuring, "after": after}))
        assert found == {"acceptance_length": 2.1, "per_position": [0.6, 0.4, 0.1]}
        assert measured.spec_decode(Run(run.client, {"before": IDLE, "after": IDLE})) is None


class TestRepetitions:
    RUNS = [  # noqa: RUF012
        {"steady_output_throughput": 90.0, "mean_ttft_ms": 5.0},
        {"steady_output_throughput": 100.0, "mean_ttft_ms": 9.0, "acceptance_length": 2.0},
        {"steady_output_throughput": 80.0, "mean_ttft_ms": 4.0, "acceptance_length": 2.0},
    ]

    def test_the_median_of_each_metric(self) -> None:
        assert measured.median_of(self.RUNS) == {"steady_output_throughput": 90.0, "mean_ttft_ms": 5.0}
        assert measured.spread_of(self.RUNS) == {"steady_output_throughput": 20.0, "mean_ttft_ms": 5.0}

    @pytest.mark.parametrize(
        ("count", "preferred", "index"), [(1, [], 0), (2, [], 0), (3, [], 0), (3, [1], 1), (3, [1, 2], 2)]
    )
    def test_the_run_that_stands_for_all(self, count: int, preferred: list[int], index: int) -> None:
        assert measured.middle_of(self.RUNS[:count], preferred) == index


class TestParts:
    def test_all_requests_count_together(self) -> None:
        runs = [simulated(simulate(count, 8, seed)) for seed, count in enumerate((16, 48))]
        metrics = [compute(run) for run in runs]
        latencies = [latency for run in runs for latency in measured.latencies_of(run)]
        found = measured.pooled(metrics)
        assert set(found) == set(metrics[0])
        assert found["completed"] == 64
        assert found["duration_s"] == sum(run.client["duration"] for run in runs)
        assert found["output_throughput"] == pytest.approx(64 * ANSWER_TOKENS / found["duration_s"])
        assert found["steady_output_throughput"] == pytest.approx(8 * ANSWER_TOKENS * 64 / sum(latencies))
        assert found["mean_e2el_ms"] == pytest.approx(1000 * statistics.fmean(latencies))
        assert measured.pooled(metrics[:1]) == pytest.approx(metrics[0])

    def test_steps_tell_a_slow_node_from_a_weak_draft(self) -> None:
        good, slow = simulate(64, 32, 1), simulate(64, 32, 1, slowness=lambda _now: 1.25)
        weak = simulate(64, 32, 1, draft=0.6)
        figures = [compute(simulated(result)) for result in (good, slow, weak)]
        names = ("steady_output_throughput", "steps_per_s", "acceptance_length")
        slower, weaker = ([one[name] / figures[0][name] for name in names] for one in figures[1:])
        assert slower == pytest.approx([0.8, 0.8, 1.0], abs=0.01)
        assert weaker[0] < 0.9
        assert weaker[1:] == pytest.approx([1.05, 0.8], abs=0.03)  # prompts take a smaller share of the time


class TestSteadyState:
    """Against a server whose true speed is known."""

    def estimates(self, requests: int, seeds: range) -> tuple[list[float], list[float], list[float]]:
        runs = [simulated(simulate(requests, 32, seed)) for seed in seeds]
        metrics = [compute(run) for run in runs]
        latencies = map(measured.latencies_of, runs)
        intervals = [measured.steady_interval(*both) or 0 for both in zip(latencies, metrics, strict=True)]
        return (
            [figures["steady_output_throughput"] for figures in metrics],
            [figures["output_throughput"] for figures in metrics],
            intervals,
        )

    def test_128_requests_say_what_512_say(self) -> None:
        short, short_raw, intervals = self.estimates(128, range(7))
        long, long_raw, _intervals = self.estimates(512, range(100, 103))
        truth = true_throughput(32, 1000)
        assert statistics.median(short) == pytest.approx(statistics.median(long), rel=0.03)
        assert statistics.median(short) == pytest.approx(truth, rel=0.03)
        assert statistics.median(long) == pytest.approx(truth, rel=0.02)
        # The plain figure of the short run is far off: that is what the estimate is for.
        assert statistics.median(short_raw) < 0.93 * truth
        assert statistics.median(long_raw) > 0.96 * truth
        within = [
            abs(figure - statistics.median(long)) <= interval for figure, interval in zip(short, intervals, strict=True)
        ]
        assert sum(within) >= 6
