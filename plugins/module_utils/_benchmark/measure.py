# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a benchmark run measured: every metric from the client's figures and the server's counters. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .metrics import CLIENT, METRICS
from .plan import Run
from .spec import GOODPUT_LIMITS

# Metrics that the client reports under another name, and those that hold even if no request completed.
_CLIENT_KEYS = {"duration_s": "duration"}
_NO_STATISTIC = {"completed", "failed", "duration_s"}
# Metrics that add up over the parts of a run.
_SUMS = {*_NO_STATISTIC, "preemptions"}


class Request(NamedTuple):
    """The figures of a completed request; times in seconds."""

    start: float
    ttft: float
    e2el: float
    tpot: float
    inputs: int
    outputs: int
    chunks: int  # after the first


def requests(client: Mapping[str, Any]) -> list[Request]:
    """Return the requests that were answered."""
    columns = ("start_times", "ttfts", "e2els", "tpots", "input_lens", "output_lens", "chunks")
    rows = (Request(*row) for row in zip(*(client[column] for column in columns)))
    return [request for request in rows if request.outputs]


def compute_metrics(run: Run, workload: Mapping[str, Any]) -> dict[str, float]:
    """Return every metric that the run measured. A metric without a figure is absent, never 0."""
    client = run.client
    if client.get("problems"):
        return {}
    completed = client["completed"]
    found: dict[str, float | None] = {
        name: client.get(_CLIENT_KEYS.get(name, name))
        for name, metric in METRICS.items()
        if metric.origin == CLIENT and (completed or name in _NO_STATISTIC)
    }
    if any(client.get("output_lens", ())):
        found.update(_request_metrics(client, workload))
        found.update(_server_metrics(run))
        steady, per_step = found.get("steady_output_throughput"), found.get("acceptance_length")
        found["steps_per_s"] = steady / per_step if steady and per_step else None
    found.update(_goodput(client, workload.get("goodput") or {}))
    figures = {name: found.get(name) for name in METRICS}
    return {name: float(figure) for name, figure in figures.items() if figure is not None}


def concurrency_of(client: Mapping[str, Any], workload: Mapping[str, Any]) -> int:
    """Return how many requests the client sent at a time."""
    return int(client.get("max_concurrency") or workload["max_concurrency"])


def _request_metrics(client: Mapping[str, Any], workload: Mapping[str, Any]) -> dict[str, float | None]:
    answered = requests(client)
    concurrency = min(concurrency_of(client, workload), len(answered))
    outputs = sum(request.outputs for request in answered)
    latencies = [request.e2el for request in answered]
    metrics: dict[str, float | None] = {
        "mean_input_len": statistics.fmean(request.inputs for request in answered),
        "mean_output_len": outputs / len(answered),
    }
    if sum(latencies):
        metrics["steady_output_throughput"] = concurrency * outputs / sum(latencies)
    half = len(answered) // 2
    faster = sum(sorted(latencies)[:half])
    if faster:
        metrics["e2el_spread"] = sum(sorted(latencies)[-half:]) / faster
    chunks = sum(request.chunks for request in answered)
    if chunks:
        metrics["tokens_per_chunk"] = (outputs - len(answered)) / chunks
    else:  # what the client reports then is 0
        metrics.update(dict.fromkeys(name for name in METRICS if name.endswith(("_tpot_ms", "_itl_ms"))))
    later = [request.ttft for request in sorted(answered)[concurrency:]]
    if later:
        metrics["warm_mean_ttft_ms"] = 1000 * statistics.fmean(later)
    return metrics


def _server_metrics(run: Run) -> dict[str, float | None]:
    drafts, drafted = run.gained("drafts"), run.gained("draft_tokens")
    accepted = run.gained("accepted_tokens")
    return {
        "acceptance_length": 1 + accepted / drafts if drafts and accepted is not None else None,
        "acceptance_rate": 100 * accepted / drafted if drafted and accepted is not None else None,
        "preemptions": run.gained("preemptions"),
        "prefix_cache_hit_rate": cached_share(run),
    }


def cached_share(run: Run) -> float | None:
    """Return the percentage of the input found in any prefix cache, or None if the server does not count it."""
    queries, hits = run.gained("prefix_cache_queries"), run.gained("prefix_cache_hits")
    read, cached = run.gained("prompt_tokens"), run.gained("prompt_tokens_cached")
    shares = []
    if queries is not None and hits is not None:
        shares.append((hits + (run.gained("external_cache_hits") or 0)) / max(queries, 1))
    if read is not None and cached is not None:
        shares.append(cached / max(read, 1))
    return 100 * max(shares) if shares else None


def _goodput(client: Mapping[str, Any], limits: Mapping[str, float | None]) -> dict[str, float]:
    """Return the goodput. Failed and empty requests count as outside the limits."""
    wanted = [(name[: -len("_ms")], limits[name]) for name in GOODPUT_LIMITS if limits.get(name)]
    asked = client["completed"] + (client.get("failed") or 0)
    if not wanted or not asked:
        return {}
    good = sum(
        all(1000 * getattr(request, latency) <= limit for latency, limit in wanted if limit)
        for request in requests(client)
    )
    return {"goodput_rate": 100 * good / asked, "request_goodput": good / client["duration"]}


def spec_decode(run: Run) -> dict[str, Any] | None:
    """Return the acceptance length of drafts, and the share accepted at each position."""
    drafts = run.gained("drafts")
    length = _server_metrics(run)["acceptance_length"]
    if not drafts or length is None:
        return None
    positions: list[float] = []
    while (accepted := run.gained(f"accepted_at_{len(positions)}")) is not None:
        positions.append(accepted / drafts)
    return {"acceptance_length": length, "per_position": positions}


def latencies_of(run: Run) -> list[float]:
    """Return the latency of each request that was answered, in seconds."""
    return [] if run.client.get("problems") else [request.e2el for request in requests(run.client)]


def steady_interval(latencies: Sequence[float], metrics: Mapping[str, float]) -> float | None:
    """Return the half width of the 95 % interval of the steady-state throughput, in tok/s.

    It is conservative: requests that run at the same time vary together less than independent ones would.
    """
    if len(latencies) < 2 or not metrics.get("steady_output_throughput"):
        return None
    variation = statistics.pstdev(latencies) / statistics.fmean(latencies)
    return metrics["steady_output_throughput"] * 1.96 * variation / math.sqrt(len(latencies))


def pooled(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the metrics of all requests of several parts of a run, from those of each part.

    A percentile is the mean of those of the parts, by their requests.
    """
    counts = [part["completed"] for part in parts]
    found = {}
    for name in (name for name in parts[0] if all(name in part for part in parts)):
        figures = [part[name] for part in parts]
        if name in _SUMS:
            found[name] = sum(figures)
        elif METRICS[name].unit.endswith("/s") and all(figures):
            found[name] = sum(counts) / sum(count / figure for count, figure in zip(counts, figures))
        else:
            found[name] = sum(count * figure for count, figure in zip(counts, figures)) / sum(counts)
    return found


def median_of(repetitions: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each metric that every repetition has."""
    shared = [name for name in repetitions[0] if all(name in metrics for metrics in repetitions)]
    return {name: statistics.median(metrics[name] for metrics in repetitions) for name in shared}


def spread_of(repetitions: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the difference between greatest and least figure of each metric that every repetition has."""
    spread = {}
    for name in median_of(repetitions):
        figures = [metrics[name] for metrics in repetitions]
        spread[name] = max(figures) - min(figures)
    return spread


def middle_of(repetitions: Sequence[Mapping[str, float]], preferred: Sequence[int] = ()) -> int:
    """Return the index of the repetition with the median of the steady throughput, among those C(preferred) if any."""
    candidates = preferred or range(len(repetitions))
    order = sorted(candidates, key=lambda index: repetitions[index].get("steady_output_throughput", 0))
    return order[(len(order) - 1) // 2]
