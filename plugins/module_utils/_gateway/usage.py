# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The use of each person, counted from the lines of the logs of gateways. Pure."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from .._core.units import human_bytes, human_duration

_WIDTH = 12
_NOBODY = "-"
_SUMS = ("requests", "limited", "failed", "seconds", "bytes", "counted", "uncounted")


def count(lines: Iterable[str], now: float, price_usd_per_hour: float | None = None) -> dict[str, Any]:
    """Return C(since) (Unix time of the first request, or None), C(unknown_keys) and the C(users), most used first.

    A user has C(requests), C(limited) (answered 429), C(failed) (5xx or not complete), C(seconds) (the sum of the
    durations of all requests), C(bytes) of the answers, C(counted) and C(uncounted) (completed answers with and without
    token counts), C(tokens_in) and C(tokens_out) of the counted ones (None if there are only others), C(share) (of all
    seconds, 0 to 1) and C(usd) (that share of the price since then, or None). Lines that are no request are skipped.
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
    return _shared(users, since, unknown_keys, now, price_usd_per_hour)


def merge(gateways: Iterable[Mapping[str, Any]], now: float, price_usd_per_hour: float | None = None) -> dict[str, Any]:
    """Return the use at all gateways of the same servers, in the form that C(count) returns for each.

    The price is that of the servers, so each gateway's shares of it cannot be added.
    """
    users: dict[str, dict[str, Any]] = {}
    known = list(gateways)
    for user in (user for found in known for user in found["users"]):
        sums = users.setdefault(user["name"], _nothing(user["name"]))
        for name in (*_SUMS, "tokens_in", "tokens_out"):
            sums[name] += user[name] or 0
    starts = [found["since"] for found in known if found["since"] is not None]
    unknown_keys = sum(found["unknown_keys"] for found in known)
    return _shared(users, min(starts, default=None), unknown_keys, now, price_usd_per_hour)


def _shared(
    users: Mapping[str, dict[str, Any]], since: float | None, unknown_keys: int, now: float, price: float | None
) -> dict[str, Any]:
    total = sum(user["seconds"] for user in users.values())
    hours = max(0.0, now - since) / 3600 if since is not None else 0.0  # the clock may have been set back
    for user in users.values():
        user["share"] = user["seconds"] / total if total else 0.0
        user["usd"] = None if price is None else user["share"] * price * hours
        if user["uncounted"] and not user["counted"]:
            user["tokens_in"] = user["tokens_out"] = None
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
    return {"name": name, **dict.fromkeys((*_SUMS, "tokens_in", "tokens_out"), 0)}


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
        user["counted"] += 1
    elif status == 200 and entry.get("method") == "POST" and not str(entry.get("path")).endswith("/count_tokens"):
        user["uncounted"] += 1
    if status >= 500 or status <= 0:
        user["failed"] += 1


def _number(value: Any) -> int | None:
    return int(value) if str(value).isdigit() else None


def _requests(count: int) -> str:
    return f"{count} request{'' if count == 1 else 's'}"


def _tokens(user: Mapping[str, Any]) -> str:
    if user["tokens_in"] is None:
        return "unknown tokens"
    least = "at least " if user["uncounted"] else ""
    return f"{least}{user['tokens_in']:,} tokens in and {user['tokens_out']:,} out".replace(",", " ")


def _words(user: dict[str, Any]) -> str:
    words = [
        f"{user['name']}: {_requests(user['requests'])}",
        f"{human_duration(user['seconds'])} of answers",
        _tokens(user),
        f"{human_bytes(user['bytes'])}",
        f"{user['share']:.0%} of the time",
    ]
    words += [f"{user['usd']:.2f} USD"] if user["usd"] is not None else []
    words += [f"{user['uncounted']} answers without token counts"] if user["uncounted"] else []
    words += [f"{user['limited']} beyond a limit"] if user["limited"] else []
    words += [f"{user['failed']} failed"] if user["failed"] else []
    return ", ".join(words)
