# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A step-by-step simulation of a serving engine, and vLLM's report about it. Its true speed is known.

It models what makes a short run of the real engine misleading: all slots start at once and wait for each other's
prompts, a step takes longer the more requests run, and the acceptance of drafts varies between requests.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

PROMPT_TOKENS, ANSWER_TOKENS, DRAFT_TOKENS = 1024, 256, 3
STEP_S, STEP_PER_REQUEST_S, PREFILL_S = 0.020, 0.0005, 0.060


class Answer:
    """A running request."""

    def __init__(self, start: float, acceptance: float) -> None:
        self.start = start
        self.acceptance = acceptance
        self.tokens = 0
        self.times: list[float] = []


def simulate(
    requests: int,
    concurrency: int,
    seed: int,
    slowness: Callable[[float], float] = lambda _now: 1.0,
    draft: float = 1.0,
) -> dict[str, Any]:
    """Return the client's result of C(requests) with C(concurrency) at a time.

    C(slowness) stretches steps, by time; C(draft) is the worth of the draft.
    """
    luck = random.Random(seed)
    now, sent = 0.0, 0
    waiting: deque[Answer] = deque()
    running: list[Answer] = []
    done: list[Answer] = []
    while len(done) < requests:
        while sent < requests and len(waiting) + len(running) < concurrency:
            waiting.append(Answer(now, draft * luck.uniform(0.1, 0.9)))
            sent += 1
        step = STEP_S + STEP_PER_REQUEST_S * len(running) + (PREFILL_S if waiting else 0)
        now += step * slowness(now)
        for answer in running:
            answer.tokens += 1
            for _ in range(DRAFT_TOKENS):
                if luck.random() > answer.acceptance:
                    break
                answer.tokens += 1
            answer.times.append(now)
        if waiting:
            first = waiting.popleft()
            first.tokens = 1
            first.times.append(now)
            running.append(first)
        done += [answer for answer in running if answer.tokens >= ANSWER_TOKENS]
        running = [answer for answer in running if answer.tokens < ANSWER_TOKENS]
    return as_reported(done, concurrency, now)


def as_reported(done: list[Answer], concurrency: int, duration: float) -> dict[str, Any]:
    """Return the output of the client with --save-detailed, but for the sums of its lists."""
    gaps = [[later - earlier for earlier, later in zip(a.times, a.times[1:], strict=False)] for a in done]
    return {
        "completed": len(done),
        "failed": 0,
        "duration": duration,
        "max_concurrency": concurrency,
        "start_times": [answer.start for answer in done],
        "ttfts": [answer.times[0] - answer.start for answer in done],
        "itls": gaps,
        "input_lens": [PROMPT_TOKENS] * len(done),
        "output_lens": [ANSWER_TOKENS] * len(done),
        "generated_texts": [f"Answer {index} is about {index * 7919 % 1009}." for index in range(len(done))],
        "errors": [""] * len(done),
    }


def true_throughput(concurrency: int, seed: int) -> float:
    """Return the tokens per second of a long run, without its start and end, counted as tokens appear."""
    result = simulate(64 * concurrency, concurrency, seed)
    moments = []
    for start, ttft, gaps in zip(result["start_times"], result["ttfts"], result["itls"], strict=True):
        moment = start + ttft
        for gap in gaps:
            moment += gap
            moments.append((moment, ANSWER_TOKENS / len(gaps)))
    low, high = 0.2 * result["duration"], 0.8 * result["duration"]
    return sum(tokens for moment, tokens in moments if low <= moment < high) / (high - low)
