# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A made-up run of Kimi K2.6 on eight B200, to look at the report: python tests/support/report_sample.py FOLDER

The figures are drawn at random around the published ones. No such run has taken place.
"""

from __future__ import annotations

import heapq
import json
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.hgx.inference.plugins.module_utils._benchmark import early  # noqa: E402
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.metrics import METRICS  # noqa: E402
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.plan import limits_for, request_count  # noqa: E402
from ansible_collections.hgx.inference.plugins.module_utils._gateway import cost  # noqa: E402
from ansible_collections.hgx.inference.plugins.module_utils._gateway.usage import count as count_lines  # noqa: E402
from ansible_collections.hgx.inference.plugins.module_utils._recipe import resolve  # noqa: E402
from ansible_collections.hgx.inference.plugins.plugin_utils._report.charts import percentile  # noqa: E402
from ansible_collections.hgx.inference.plugins.plugin_utils._report.folder import Folder  # noqa: E402
from ansible_collections.hgx.inference.plugins.plugin_utils._report.usage import document as usage_document  # noqa: E402

RECIPE = "kimi_k2_6_hgx_b200"
TITLE_NOTE = " (made-up figures)"
STARTED = 1000.0
PHASES = (
    ("process", "Start of the process", 9.1, ""),
    ("configuration", "Reading of the configuration", 14.2, "KimiK25ForConditionalGeneration"),
    ("engine", "Start of eight workers", 41.7, "NCCL, fused all-reduce"),
    ("weights", "Loading of the weights", 792.4, "64 of 64 shards, 751 MB/s"),
    ("draft", "Loading of the draft", 11.3, ""),
    ("compile", "Compilation", 163.8, ""),
    ("kv_cache", "KV cache", 6.2, "1,402,880 tokens"),
    ("graphs", "CUDA graphs", 58.9, "51 of 51"),
    ("api_server", "API server", 3.4, ""),
    ("first_completion", "First answer", 1.9, ""),
)


def recipe() -> dict[str, Any]:
    data = yaml.safe_load((ROOT / "recipes" / f"{RECIPE}.yml").read_text(encoding="utf-8"))
    return {"name": RECIPE, **resolve(data, "published")}


def client(count: int, workload: Mapping[str, Any], seed: int = 0, slowdown: float = 1.0) -> dict[str, Any]:
    """Return the client's report of C(count) requests to a warm server."""
    dice = random.Random(seed)
    free = [STARTED] * workload["max_concurrency"]
    starts, ttfts, latencies = [], [], []
    for index in range(count):
        start = heapq.heappop(free)
        wave = index / workload["max_concurrency"]
        ttft = dice.lognormvariate(-0.35, 0.35) + (0.09 * index if wave < 1 else 0)
        tpot = max(0.008, dice.gauss(0.0211, 0.0026)) * slowdown
        latency = ttft + tpot * (workload["output_len"] - 1)
        starts.append(start)
        ttfts.append(ttft)
        latencies.append(latency)
        heapq.heappush(free, start + latency)
    duration = max(start + latency for start, latency in zip(starts, latencies, strict=True)) - STARTED
    outputs = [workload["output_len"]] * count
    inputs = [workload["input_len"] + 9] * count
    tpots = [(latency - ttft) / (tokens - 1) for latency, ttft, tokens in zip(latencies, ttfts, outputs, strict=True)]
    itls = [tpot * 2.1 for tpot in tpots]
    statistics = {
        f"{statistic}_{name}_ms": 1000 * value
        for name, values in (("ttft", ttfts), ("tpot", tpots), ("itl", itls), ("e2el", latencies))
        for statistic, value in _statistics(values).items()
    }
    return {
        "num_prompts": count,
        "max_concurrency": workload["max_concurrency"],
        "duration": duration,
        "completed": count,
        "failed": 0,
        "total_input_tokens": sum(inputs),
        "total_output_tokens": sum(outputs),
        "request_throughput": count / duration,
        "output_throughput": sum(outputs) / duration,
        "total_token_throughput": (sum(inputs) + sum(outputs)) / duration,
        "input_lens": inputs,
        "output_lens": outputs,
        "start_times": starts,
        "ttfts": ttfts,
        "latencies": latencies,
        "e2els": latencies,
        "tpots": tpots,
        "chunks": [975] * count,
        "errors": {},
        **statistics,
    }


def _statistics(values: list[float]) -> dict[str, float]:
    shares = {"median": 50, "p90": 90, "p95": 95, "p99": 99}
    return {"mean": sum(values) / len(values), **{name: percentile(values, share) for name, share in shares.items()}}


def result(
    size: str = "full", seed: int = 0, slowdown: float = 1.0, finished_at: str = "2026-11-25T16:31:45Z"
) -> dict[str, Any]:
    """Return a record as the benchmark stores it."""
    chosen = recipe()
    workload, published = chosen["benchmark"], chosen["published"]
    limits = early.limits_of(limits_for(chosen["thresholds"], published, workload, size))
    parts = early.parts_of(workload, size, limits)
    measured = client(request_count(parts[0], size), workload, seed, slowdown)
    latencies = measured["latencies"]
    mean = sum(latencies) / len(latencies)
    found = {
        **measured,
        "steady_output_throughput": workload["max_concurrency"] * workload["output_len"] / mean,
        "warm_mean_ttft_ms": 1000 * sum(measured["ttfts"][32:]) / max(len(latencies) - 32, 1),
        "tokens_per_chunk": 2.1,
        "acceptance_length": 2.12,
        "steps_per_s": workload["max_concurrency"] * workload["output_len"] / mean / 2.12,
        "preemptions": 0.0,
        "duration_s": measured["duration"],
    }
    metrics = {name: float(found[name]) for name in METRICS if name in found}
    thresholds = [
        check(threshold, metrics, published)
        for threshold in chosen["thresholds"]
        if size in (threshold.get("sizes") or [size])
    ]
    found_statuses = [found["status"] for found in thresholds]
    verdict = next((status for status in ("fail", "warn") if status in found_statuses), "pass")
    conditions = [
        {"name": "all_requests_completed", "status": "pass", "message": f"all {len(latencies)} requests completed"},
        {"name": "output_length", "status": "pass", "message": "the answers have 2048 tokens, 2048 were requested"},
        {"name": "no_other_traffic", "status": "pass", "message": "the server produced what the client received"},
    ]
    deviation = (sum((latency - mean) ** 2 for latency in latencies) / len(latencies)) ** 0.5
    interval = metrics["steady_output_throughput"] * 1.96 * deviation / mean / len(latencies) ** 0.5
    spans = early.Interval.of(metrics["steady_output_throughput"], interval)
    ended = early.Ended(True, len(latencies), request_count(workload, size), spans, limits) if len(parts) > 1 else None
    hints = ["Tokens take too long although drafts are accepted: check clocks, NVLink, all-reduce fusion, KV type."]
    argv = ["vllm", "bench", "serve", "--backend", "openai-chat", "--base-url", "http://127.0.0.1:8001"]
    argv += ["--model", "moonshotai/Kimi-K2.6", "--num-prompts", str(workload["sizes"][size]), "--save-result"]
    return {
        "schema": 1,
        "verdict": verdict,
        "summary": [],
        "hints": hints if slowdown > 1.1 else [],
        "checks": [*conditions, *thresholds],
        "metrics": metrics,
        "steady_interval": interval,
        "ended": ended and ended.as_dict(),
        "size": size,
        "workload": workload,
        "published": published,
        "metadata": {"recipe": chosen["name"], "profile": "published", "title": chosen["title"] + TITLE_NOTE},
        "started_at": finished_at,
        "finished_at": finished_at,
        "environment": {
            "container": "vllm",
            "container_started_at": "2026-11-25T16:02:11.663366106Z",
            "image": "vllm/vllm-openai:cu130-nightly",
            "image_id": "sha256:" + "757da3aa26b14255" * 4,
            "vllm_version": "0.19.1",
            "client_argv": argv,
        },
        "spec_decode": {"acceptance_length": 2.12, "per_position": [0.63, 0.33, 0.16]},
        "fingerprint": f"{seed:064x}",
        "client": measured,
    }


def check(threshold: Mapping[str, Any], metrics: Mapping[str, float], published: Mapping[str, float]) -> dict[str, Any]:
    """Return the judgement of one threshold, as in a record."""
    name, op = threshold["metric"], threshold["op"]
    value = float(published[name] if threshold.get("value") is None else threshold["value"])
    tolerance = threshold.get("tolerance") or ""
    share = float(tolerance.rstrip("%")) / 100 if tolerance else 0.0
    limit = value * {">=": 1 - share, "<=": 1 + share, "==": 1}[op]
    measured = metrics[name]
    met = {">=": measured >= limit, "<=": measured <= limit, "==": measured == limit}[op]
    return {
        "name": name,
        "status": "pass" if met else threshold["severity"],
        "message": f"{name} is {measured}",
        "op": op,
        "value": value,
        "tolerance": tolerance,
        "limit": limit,
        "severity": threshold["severity"],
        "source": threshold.get("source") or "",
        "unit": METRICS[name].unit,
        "measured": measured,
        "published": published.get(name),
        "delta_percent": 100 * (measured / published[name] - 1) if name in published else None,
    }


def functional() -> dict[str, Any]:
    """Return results of the functional checks."""
    checks = [
        ("models", "Lists its model", "pass", "kimi-k2.6 with 262144 tokens of context", {"id": "kimi-k2.6"}, 0.02),
        ("chat", "Answers a chat", "pass", "a text of 21 tokens, finish_reason stop", "Paris is the capital.", 0.61),
        ("stream", "Streams", "pass", "34 chunks over 0.7 s, usage at the end", "", 0.74),
        ("thinking", "Thinks, and does not when told", "pass", "reasoning of 118 tokens; none in Instant", "", 2.9),
        (
            "tool_call",
            "Calls a tool",
            "pass",
            "arguments are valid JSON and match the schema",
            'get_weather({"city": "Paris"})',
            1.12,
        ),
        ("image", "Sees an image", "pass", "names the colour of a red square", "The image is red.", 1.34),
        ("long_context", "Finds a needle in 250,000 tokens", "skipped", "not asked for", "", None),
        ("messages", "Anthropic messages, as Claude Code sends them", "pass", "streamed tool call", "", 1.05),
        ("wrong_key", "Refuses a wrong key", "pass", "HTTP 401", "", 0.01),
    ]
    names = ("name", "title", "status", "message", "evidence", "seconds")
    return {"verdict": "pass", "checks": [dict(zip(names, check, strict=True)) for check in checks]}


def document(host: str = "kimi-b200-1", **about: Any) -> dict[str, Any]:
    """Return the complete document of a run; C(about) is passed to C(result)."""
    measured = result(**about)
    chosen = recipe()
    argv = ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model", "moonshotai/Kimi-K2.6"]
    argv += ["--served-model-name", "kimi-k2.6", "--tensor-parallel-size", "8", "--kv-cache-dtype", "fp8"]
    argv += ["--no-enable-prefix-caching", "--speculative-config"]
    argv += ['{"method":"eagle3","model":"lightseekorg/kimi-k2.6-eagle3","num_speculative_tokens":3}']
    return {
        "format": 1,
        "host": host,
        "made_at": measured["finished_at"],
        "problem": None,
        "result": measured,
        "functional": functional(),
        "acceptance": {
            "acceptance_length": 3.02,
            "per_position": [0.84, 0.68, 0.5],
            "sets": [
                {"name": "code", "acceptance_length": 3.31, "per_position": [0.89, 0.77, 0.65]},
                {"name": "prose", "acceptance_length": 2.71, "per_position": [0.79, 0.57, 0.35]},
            ],
        },
        "startup": {
            "seconds": sum(phase[2] for phase in PHASES),
            "phases": [dict(zip(("name", "title", "seconds", "detail"), phase, strict=True)) for phase in PHASES],
            "kv_cache_tokens": 1402880,
        },
        "release": {
            "id": "3f9ac1d27b40",
            "created_at": "2026-11-25T16:01:58Z",
            "created_by": "ops@bastion",
            "collection_version": "0.2.0",
            "image": {"name": "vllm/vllm-openai:cu130-nightly", "digest": "sha256:" + "9b1c44e0d2a7f3b8" * 4},
            "commits": {model["repo"]: "f2eb120e16f4" + "0" * 28 for model in chosen["models"]},
            "argv": argv,
            "env": chosen["engine"]["env"],
        },
        "run": {
            "phases": [
                {"name": "Check the host", "seconds": 14.0, "longest": ""},
                {"name": "Prepare the host", "seconds": 129.0, "longest": ""},
                {"name": "Cache the weights", "seconds": 1466.0, "longest": "Fetch the models 24 min"},
                {"name": "Serve the model", "seconds": 1012.0, "longest": "Wait for the server 16 min"},
                {"name": "Verify the endpoint", "seconds": 830.0, "longest": ""},
            ],
            "usd_per_hour": 53.52,
            "cost": "at 53.52 USD an hour",
        },
        "node": {
            "price_usd_per_hour": 53.52,
            "gpus": [{"name": "NVIDIA B200"}] * 8,
            "driver": "580.95.05",
            "cuda": "13.0",
        },
        "gateways": {"gateway-1": gateway()},
    }


def gateway() -> dict[str, Any]:
    """Return what a gateway costs."""
    dice = random.Random(7)
    rounds = [
        (cost.Burst(61 + dice.gauss(0, 0.5), 382), cost.Burst(61.4 + dice.gauss(0, 0.5), 381 + dice.gauss(0, 1)))
        for _round in range(12)
    ]
    return {"measured_at": "2026-11-25T16:40:02Z", "server": "kimi-b200-1", **cost.judge(rounds, 10, 0.05)}


def usage() -> dict[str, Any]:
    """Return the use of some people at two gateways, some of whose tokens are unknown."""
    now = 1_795_624_805.0
    requests = (
        ("alice", 412, 21_000, 61_000, 900),
        ("bob", 97, 64_000, 9_000, 2_100),
        ("batch-summaries", 1_260, 9_000, None, None),
        ("dave", 3, 1_000, None, None),
    )
    found = {}
    for gateway_number in (1, 2):
        lines = []
        for number, (user, count, took_ms, tokens_in, tokens_out) in enumerate(requests):
            for index in range(count // gateway_number):
                known = tokens_in is not None or (index % 3 == 0 and user != "dave")
                entry = {
                    "at": int(now) - 600_000 + 300 * index,
                    "user": user,
                    "method": "POST",
                    "path": "/v1/messages",
                    "status": 429 if index % 50 == 49 and number == 1 else 500 if index == 60 else 200,
                    "server": "<NOSRV>" if index % 50 == 49 and number == 1 else "kimi-b200-1",
                    "total_ms": took_ms,
                    "bytes": 4_000,
                    "tokens_in": str(tokens_in or 2_000) if known else "-",
                    "tokens_out": str(tokens_out or 300) if known else "-",
                }
                lines.append(json.dumps(entry, separators=(",", ":")))
        lines.append(json.dumps({**entry, "user": "-", "status": 401}, separators=(",", ":")))
        found[f"gateway-{gateway_number}"] = count_lines(lines, now)
    return usage_document(found, now, 107.04)


def sweep() -> dict[str, Any]:
    """Return the record of a sweep over concurrencies."""
    points = [
        {
            "name": f"{concurrency} at a time",
            "concurrency": concurrency,
            "engine_args": {},
            "verdict": "pass",
            "metrics": {
                "steady_output_throughput": 2350 * concurrency / (concurrency + 20),
                "mean_tpot_ms": 8.5 + 0.39 * concurrency,
                "mean_ttft_ms": 210 + 19.5 * concurrency,
                "acceptance_length": 2.12,
            },
        }
        for concurrency in (1, 2, 4, 8, 16, 32, 64)
    ]
    return {"format": 1, "points": points, "recipe_point": "32 at a time", "finished_at": "2026-11-25T18:02:00Z"}


def write(folder: Path) -> None:
    """Write results of two hosts, one of which has become slower, a sweep, and all reports."""
    runs: list[tuple[str, dict[str, Any]]] = [
        ("kimi-b200-1", {"size": "full", "seed": 1, "finished_at": "2026-11-23T09:12:40Z"}),
        ("kimi-b200-1", {"size": "full", "seed": 2, "finished_at": "2026-11-24T10:44:02Z"}),
        ("kimi-b200-1", {"size": "full", "seed": 0, "finished_at": "2026-11-25T16:31:45Z"}),
        ("kimi-b200-2", {"size": "full", "seed": 3, "finished_at": "2026-11-24T11:02:20Z"}),
        ("kimi-b200-2", {"size": "full", "seed": 4, "slowdown": 1.22, "finished_at": "2026-11-25T17:20:09Z"}),
        ("kimi-b200-2", {"size": "smoke", "seed": 5, "finished_at": "2026-11-25T17:40:31Z"}),
    ]
    made = Folder(folder, dry=False)
    for host, about in runs:
        parts = document(host, **about)
        stem = f"{about['finished_at'].replace('-', '').replace(':', '')}-{about['size']}"
        (folder / host).mkdir(parents=True, exist_ok=True)
        (folder / host / f"{stem}.json").write_text(json.dumps(parts["result"]), encoding="utf-8")
        made.report(host, folder / host / f"{stem}.json", parts, {})
    path = folder / "kimi-b200-1" / "20261125T180200Z-sweep.json"
    path.write_text(json.dumps(sweep()), encoding="utf-8")
    made.report("kimi-b200-1", path, {}, {})
    made.usage(usage())
    made.index()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    print(f"{sys.argv[1]}/index.html")
