# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure how many drafted tokens a model accepts on real text, by the server's counters."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .._programs.texts import survey
from . import answers
from .client import Api
from .server import ACCEPTED, ACCEPTED_AT, DRAFTS, GENERATED, parse_metrics

# The share of other traffic that is tolerated in the server's output.
FOREIGN_SHARE = 0.02


def acceptance(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, Any]:
    """Return acceptance length and acceptance per position between two readings of the counters; null if no draft."""
    drafts = after.get(DRAFTS, 0.0) - before.get(DRAFTS, 0.0)
    if drafts <= 0:
        return {"acceptance_length": None, "per_position": []}
    positions = sorted(
        (name for name in after if name.startswith(f"{ACCEPTED_AT}:")), key=lambda name: int(name.rpartition(":")[2])
    )
    accepted = after.get(ACCEPTED, 0.0) - before.get(ACCEPTED, 0.0)
    return {
        "acceptance_length": round(1 + accepted / drafts, 3),
        "per_position": [round((after[name] - before.get(name, 0.0)) / drafts, 3) for name in positions],
    }


def probe(api: Api, model: str, sets: Mapping[str, Sequence[str]], output_len: int, concurrency: int) -> dict[str, Any]:
    """Send every prompt, one set after the other, and return the acceptance of each set and of all.

    Raises ApiError, and KeyError, TypeError or IndexError for a malformed answer.
    """

    def ask(prompt: str) -> tuple[int, str]:
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": output_len}
        answer = answers.from_chat(api.post("/v1/chat/completions", body))
        return answer.output_tokens, answer.reasoning + answer.text

    def counters() -> dict[str, float]:
        return parse_metrics(api.get("/metrics"))

    found = []
    first = before = counters()
    tokens, seconds = 0, 0.0
    texts: list[str] = []
    with ThreadPoolExecutor(concurrency) as pool:
        for name, prompts in sets.items():
            started = time.monotonic()
            answered = list(pool.map(ask, prompts))
            generated = sum(count for count, _text in answered)
            texts += [text for _count, text in answered]
            seconds += time.monotonic() - started
            after = counters()
            found.append(
                {"name": name, "prompts": len(prompts), "output_tokens": generated, **acceptance(before, after)}
            )
            tokens += generated
            before = after
    read = survey(texts)
    counted = before.get(GENERATED, 0.0) - first.get(GENERATED, 0.0)
    return {
        **acceptance(first, before),
        "output_tokens": tokens,
        "output_throughput": round(tokens / seconds, 1) if seconds else None,
        "sets": found,
        "unreadable": max(read["empty"], read["looping"], read["broken"]),
        # The last step of an answer can draft beyond its end; the server counts these tokens but does not send them.
        "undisturbed": abs(counted - tokens) <= max(FOREIGN_SHARE * tokens, 4 * sum(map(len, sets.values()))),
    }


def summary(found: Mapping[str, Any]) -> str:
    """Return the outcome in one line for people."""
    if found["acceptance_length"] is None:
        return "No draft is active: the server counts no drafted tokens."
    sets = ", ".join(f"{entry['name']} {entry['acceptance_length'] or 'unknown'}" for entry in found["sets"])
    words = f"{found['acceptance_length']} tokens are accepted per step on real text ({sets})"
    if found["unreadable"]:
        words += f"; {found['unreadable']} answers are empty, repeat themselves or are no text"
    return words if found["undisturbed"] else f"{words}; the figures include tokens of other requests"
