# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The metrics of a benchmark: those that thresholds and published figures of a recipe may name."""

from __future__ import annotations

from typing import NamedTuple

HIGHER = "higher"
LOWER = "lower"

CLIENT = "client"  # a key of the JSON of vllm bench serve
DETAIL = "detail"  # computed from the per-request figures in that JSON
SERVER = "server"  # computed from the server's /metrics before and after the run


class Metric(NamedTuple):
    """One metric. C(better) is None if neither direction is better."""

    unit: str
    better: str | None
    origin: str
    description: str


_LATENCIES = {
    "ttft": "time to first token",
    "tpot": "time per output token after the first, per request",
    "itl": "time between two streamed chunks; a chunk holds several tokens with speculative decoding",
    "e2el": "end-to-end latency of a request",
}
_STATISTICS = {
    "mean": "mean",
    "median": "median",
    "p90": "90th percentile",
    "p95": "95th percentile",
    "p99": "99th percentile",
}

METRICS: dict[str, Metric] = {
    "output_throughput": Metric(
        "tok/s", HIGHER, CLIENT, "Output tokens over the whole duration, ramp-up and drain included."
    ),
    "steady_output_throughput": Metric(
        "tok/s",
        HIGHER,
        DETAIL,
        "Output throughput without ramp-up and drain, by Little's law: concurrency x mean output / mean latency.",
    ),
    "steps_per_s": Metric(
        "steps/s",
        HIGHER,
        SERVER,
        "Steady output throughput over tokens per step: the speed of the node, however many drafts are accepted.",
    ),
    "total_token_throughput": Metric("tok/s", HIGHER, CLIENT, "Input and output tokens over the whole duration."),
    "request_throughput": Metric("req/s", HIGHER, CLIENT, "Completed requests over the whole duration."),
    **{
        f"{statistic}_{latency}_ms": Metric("ms", LOWER, CLIENT, f"{words.capitalize()} of the {what}.")
        for latency, what in _LATENCIES.items()
        for statistic, words in _STATISTICS.items()
    },
    "warm_mean_ttft_ms": Metric(
        "ms", LOWER, DETAIL, "Mean time to first token without the first wave, which all starts at once."
    ),
    "e2el_spread": Metric(
        "x", LOWER, DETAIL, "Mean latency of the slower half of the requests over that of the faster half."
    ),
    "goodput_rate": Metric("%", HIGHER, DETAIL, "Share of all requests within the limits of goodput."),
    "request_goodput": Metric("req/s", HIGHER, DETAIL, "Requests within the limits of goodput, over the duration."),
    "tokens_per_chunk": Metric("tok", HIGHER, DETAIL, "Mean number of output tokens in a streamed chunk."),
    "acceptance_length": Metric(
        "tok", HIGHER, SERVER, "Tokens per step with speculative decoding; 1 if no draft is ever accepted."
    ),
    "acceptance_rate": Metric("%", HIGHER, SERVER, "Share of the drafted tokens that the model accepted."),
    "mean_input_len": Metric("tok", None, DETAIL, "Mean input of a completed request, as the server counts it."),
    "mean_output_len": Metric("tok", None, DETAIL, "Mean output of a completed request, as the server counts it."),
    "duration_s": Metric("s", LOWER, CLIENT, "Duration of the measured run, warm-up excluded."),
    "completed": Metric("requests", HIGHER, CLIENT, "Requests that completed."),
    "failed": Metric("requests", LOWER, CLIENT, "Requests that failed."),
    "preemptions": Metric(
        "requests", LOWER, SERVER, "Requests that the scheduler preempted because the KV cache was full."
    ),
    "prefix_cache_hit_rate": Metric("%", None, SERVER, "Share of the input tokens found in the prefix cache."),
}
