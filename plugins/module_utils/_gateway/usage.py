# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The use of each person, counted from the lines of the gateway's log. Pure."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from .._core.units import human_bytes, human_duration

_WIDTH = 12
_NOBODY = "-"


def count(lines: Iterable[str], now: float, price_usd_per_hour: float | None = None) -> dict[str, Any]:
    """Return C(since) (Unix time of the first request, or None), C(unknown_keys) and the C(users), most used first.

    A user has C(requests), C(limited) (answered 429), C(failed) (5xx or not complete), C(seconds) (the sum of the
    durations of all requests), C(bytes) of the answers, C(tokens_in), C(tokens_out), C(uncounted) (completed answers
    without token counts), C(share) (of all seconds, 0 to 1) and C(usd) (that share of the price since then, or None).
    Lines that are no request are skipped.
    """
    users: dict[str, dict[str, Any]] = {}
    since: float | None = None
    unknown_keys = 0
    for entry in map(_entry, lines):
        if entry is None:
            continue
        since = entry["at"] if since is None else min(since, entry["at"])
        if entry["user"] == _NOBODY:
            unknown_keys += 1
        else:
            _add(users.setdefault(entry["user"], _nothing(entry["user"])), entry)
    total = sum(user["seconds"] for user in users.values())
    hours = max(0.0, now - since) / 3600 if since is not None else 0.0  # the clock may have been set back
    for user in users.values():
        user["share"] = user["seconds"] / total if total else 0.0
        user["usd"] = None if price_usd_per_hour is None else user["share"] * price_usd_per_hour * hours
    ordered = sorted(users.values(), key=lambda user: (-user["seconds"], user["name"]))
    return {"since": since, "unknown_keys": unknown_keys, "users": ordered}


def render(found: dict[str, Any], now: float) -> list[str]:
    """Return the use in lines of text. C(found) is what C(count) returns."""
    if found["since"] is None:
        return [f"{'usage':<{_WIDTH}} no request is in the gateway's log"]
    day = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(found["since"]))
    refused = f", {_requests(found['unknown_keys'])} without a known key" if found["unknown_keys"] else ""
    age = human_duration(now - found["since"])
    lines = [f"{'usage':<{_WIDTH}} since {day} ({age}), as far as the gateway's log reaches{refused}"]
    return lines + [f"{'':<{_WIDTH}} {_words(user)}" for user in found["users"]]


def _entry(line: str) -> dict[str, Any] | None:
    """Return a request, or None for any other line."""
    if not line.startswith('{"at":'):
        return None
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    numbers = ("at", "status", "total_ms", "bytes")
    whole = all(isinstance(entry.get(name), int) for name in numbers) and isinstance(entry.get("user"), str)
    return entry if whole else None


def _nothing(name: str) -> dict[str, Any]:
    zeros = ("requests", "limited", "failed", "seconds", "bytes", "tokens_in", "tokens_out", "uncounted")
    return {"name": name, **dict.fromkeys(zeros, 0)}


def _add(user: dict[str, Any], entry: dict[str, Any]) -> None:
    status = entry["status"]
    user["requests"] += 1
    user["bytes"] += entry["bytes"]
    if status == 429 and entry.get("server") == "<NOSRV>":
        user["limited"] += 1
        return
    user["seconds"] += max(0, entry["total_ms"]) / 1000
    counted = _number(entry.get("tokens_in")), _number(entry.get("tokens_out"))
    if counted[0] is not None and counted[1] is not None:
        user["tokens_in"] += counted[0]
        user["tokens_out"] += counted[1]
    elif status == 200 and entry.get("method") == "POST" and not str(entry.get("path")).endswith("/count_tokens"):
        user["uncounted"] += 1
    if status >= 500 or status <= 0:
        user["failed"] += 1


def _number(value: Any) -> int | None:
    return int(value) if str(value).isdigit() else None


def _requests(count: int) -> str:
    return f"{count} request{'' if count == 1 else 's'}"


def _words(user: dict[str, Any]) -> str:
    words = [
        f"{user['name']}: {_requests(user['requests'])}",
        f"{human_duration(user['seconds'])} of answers",
        f"{user['tokens_in']:,} tokens in and {user['tokens_out']:,} out".replace(",", " "),
        f"{human_bytes(user['bytes'])}",
        f"{user['share']:.0%} of the time",
    ]
    words += [f"{user['usd']:.2f} USD"] if user["usd"] is not None else []
    words += [f"{user['uncounted']} answers without token counts"] if user["uncounted"] else []
    words += [f"{user['limited']} beyond a limit"] if user["limited"] else []
    words += [f"{user['failed']} failed"] if user["failed"] else []
    return ", ".join(words)
