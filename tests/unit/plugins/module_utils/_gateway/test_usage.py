# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The use of each person, from the lines of the gateway's log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._gateway.usage import count, merge, render

NOW = 1_800_003_600.0


def line(user: str = "alice", **changes: Any) -> str:
    entry = {
        "at": 1_800_000_000,
        "user": user,
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "server": "node1",
        "total_ms": 3000,
        "bytes": 500,
        "tokens_in": "100",
        "tokens_out": "20",
        **changes,
    }
    return json.dumps(entry, separators=(",", ":"))


def of(user: str, *lines: str) -> dict[str, Any]:
    (found,) = [each for each in count(lines, NOW)["users"] if each["name"] == user]
    return dict(found)


def test_requests_seconds_and_tokens_are_summed() -> None:
    found = of("alice", line(), line(tokens_in="1", tokens_out="2", total_ms=500))
    assert (found["requests"], found["seconds"], found["tokens_in"], found["tokens_out"]) == (2, 3.5, 101, 22)
    assert (found["bytes"], found["uncounted"], found["failed"], found["limited"]) == (1000, 0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "uncounted", "failed", "limited", "seconds"),
    [
        ({"tokens_in": "-", "tokens_out": "-"}, 1, 0, 0, 3),
        ({"tokens_in": "5", "tokens_out": "-"}, 1, 0, 0, 3),
        ({"tokens_in": "-", "tokens_out": "-", "method": "GET", "path": "/v1/models"}, 0, 0, 0, 3),
        ({"tokens_in": "-", "tokens_out": "-", "path": "/v1/messages/count_tokens"}, 0, 0, 0, 3),
        ({"tokens_in": "-", "tokens_out": "-", "status": 400}, 0, 0, 0, 3),
        ({"tokens_in": "-", "tokens_out": "-", "status": 503}, 0, 1, 0, 3),
        ({"tokens_in": "-", "tokens_out": "-", "status": -1}, 0, 1, 0, 3),
        ({"tokens_in": "-", "tokens_out": "-", "status": 429, "server": "<NOSRV>"}, 0, 0, 1, 0),
        ({"tokens_in": "-", "tokens_out": "-", "status": 429}, 0, 0, 0, 3),
        ({"total_ms": -1}, 0, 0, 0, 0),
    ],
)
def test_what_is_unknown_is_not_zero(
    changes: dict[str, Any], uncounted: int, failed: int, limited: int, seconds: float
) -> None:
    found = of("alice", line(**changes))
    assert (found["uncounted"], found["failed"], found["limited"]) == (uncounted, failed, limited)
    assert found["seconds"] == seconds


def test_tokens_that_no_answer_tells_are_unknown() -> None:
    silent = line(tokens_in="-", tokens_out="-")
    found = of("alice", silent)
    assert (found["tokens_in"], found["tokens_out"], found["counted"]) == (None, None, 0)
    assert ", unknown tokens, " in render(count([silent], NOW), NOW)[1]
    assert ", at least 100 tokens in and 20 out, " in render(count([silent, line()], NOW), NOW)[1]
    assert of("alice", line(method="GET", path="/v1/models", tokens_in="-", tokens_out="-"))["tokens_in"] == 0


def test_gateways_are_added_and_share_one_price() -> None:
    silent = line("bob", total_ms=1000, tokens_in="-", tokens_out="-")
    one = count([line(), silent, line("-", status=401)], NOW, 16.0)
    other = count([line(at=1_799_996_400, total_ms=8000), line("eve", total_ms=0), silent], NOW, 16.0)
    found = merge([one, other, count([], NOW)], NOW, 16.0)
    assert (found["since"], found["unknown_keys"]) == (1_799_996_400, 1)
    alice, bob, eve = found["users"]
    assert (alice["name"], alice["requests"], alice["seconds"], alice["tokens_in"]) == ("alice", 2, 11, 200)
    assert (bob["tokens_in"], bob["uncounted"], eve["name"]) == (None, 2, "eve")
    assert sum(user["usd"] for user in found["users"]) == 32.0
    assert merge([one], NOW, 16.0) == one
    assert merge([], NOW)["since"] is None


def test_shares_and_the_price() -> None:
    found = count([line(), line("bob", total_ms=1000), line("-", status=401)], NOW, 16.0)
    assert [(user["name"], user["share"], user["usd"]) for user in found["users"]] == [
        ("alice", 0.75, 12.0),
        ("bob", 0.25, 4.0),
    ]
    assert (found["unknown_keys"], found["since"]) == (1, 1_800_000_000)
    assert count([line()], NOW)["users"][0]["usd"] is None


@pytest.mark.parametrize(
    "other",
    [
        "",
        "Server vllm/node1 is DOWN, reason: Layer4 timeout",
        '{"at":18',
        '{"at":1,"user":"alice"}',
        line(status="200"),
        line(user=None),  # type: ignore[arg-type]
        "{}",
    ],
)
def test_other_lines_are_skipped(other: str) -> None:
    assert count([other], NOW) == {"since": None, "unknown_keys": 0, "users": []}


def test_the_text() -> None:
    lines = [line(tokens_in="1234567"), line("bob", total_ms=1000, tokens_in="-", status=500), line("-", status=401)]
    head, alice, bob = render(count(lines, NOW, 16.0), NOW)
    assert head.split(", ") == [
        "usage        since 2027-01-15 08:00 UTC (60 min)",
        "as far as the gateway's log reaches",
        "1 request without a known key",
    ]
    assert alice.split(", ") == [
        "             alice: 1 request",
        "3 s of answers",
        "1 234 567 tokens in and 20 out",
        "500 B",
        "75% of the time",
        "12.00 USD",
    ]
    assert bob.split(", ")[-2:] == ["4.00 USD", "1 failed"]
    assert render(count([], NOW), NOW) == ["usage        no request is in the gateway's log"]


def test_a_clock_that_was_set_back_makes_no_negative_bill() -> None:
    (user,) = count([line(at=int(NOW) + 86400)], NOW, 10.0)["users"]
    assert user["usd"] == 0
