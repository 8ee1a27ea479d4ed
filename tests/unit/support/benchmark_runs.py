# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Benchmark runs for tests: recorded on an H100, with counters of a server made to fit."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from ansible_collections.hgx.inference.plugins.module_utils._benchmark.plan import Check, Run
from ansible_collections.hgx.inference.plugins.module_utils._programs.benchmark_worker import condense
from ansible_collections.hgx.inference.plugins.module_utils._programs.texts import survey
from ansible_collections.hgx.inference.tests.support.simulated_server import DRAFT_TOKENS

RECORDED = Path(__file__).parents[1] / "fixtures" / "bench"

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
    "requests": 0.0,
    "prompt_tokens": 0.0,
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
    "requests": 96.0,
    "prompt_tokens": 96.0 * 1035,
    "output_tokens": 100.0 + 96 * 256,
    "drafts": 2010.0,
    "draft_tokens": 6030.0,
    "accepted_tokens": 1120.0,
}


def simulated(result: dict[str, Any], **changes: float) -> Run:
    """A run of the simulated server, without a warm-up, with counters that are right but for C(changes)."""
    client = condense(result)
    steps = sum(client["chunks"])
    counted = {
        "requests": float(client["completed"]),
        "prompt_tokens": float(sum(client["input_lens"])),
        "output_tokens": float(sum(client["output_lens"])),
        "prefix_cache_queries": float(sum(client["input_lens"])),
        "prefix_cache_hits": 0.0,
        "drafts": float(steps),
        "draft_tokens": float(DRAFT_TOKENS * steps),
        "accepted_tokens": max(float(sum(client["output_lens"])) - steps - client["completed"], 0.0),
    }
    before = {**IDLE, **dict.fromkeys(counted, 0.0)}
    return Run(client, {"before": before, "measuring": None, "after": {**IDLE, **counted, **changes}})


def recorded(name: str, **changes: Any) -> Run:
    client = json.loads((RECORDED / name).read_text())
    if name.startswith("raw-"):
        client = condense(client)
    counters = {"before": BEFORE, "measuring": MEASURING, "after": AFTER}
    texts = survey(answers(client["completed"]))  # the recordings have none
    return Run({**client, "texts": texts, **changes}, counters)


def answers(count: int, words: int = 60, seed: int = 0) -> list[str]:
    """Return what a healthy model may say to random prompts."""
    luck = random.Random(seed)
    words_known = [
        "the",
        "a",
        "sea",
        "token",
        "seems",
        "random",
        "to",
        "of",
        "42",
        "and?",
        "so,",
        "**",
        "it's",
        "海",
        "ñandú\n",
    ]
    return [" ".join(luck.choices(words_known, k=words)) for _ in range(count)]


def statuses(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.status for check in checks}
