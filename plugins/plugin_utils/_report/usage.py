# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page about the use of each person, from what the gateways have counted. Pure."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...module_utils._gateway.usage import merge
from . import render, words

UNKNOWN = "unknown"


class Row(NamedTuple):
    """The use of a person in words; C(remarks) are what of it failed, was refused, or is not counted."""

    name: str
    requests: str
    seconds: str
    tokens_in: str
    tokens_out: str
    share: str
    usd: str
    remarks: str


def document(gateways: Mapping[str, Mapping[str, Any]], now: float, price_usd_per_hour: float | None) -> dict[str, Any]:
    """Return all that the page shows. C(gateways) has what the module gateway_usage_info returns for each."""
    return {
        "made_at": _moment(now),
        "gateways": sorted(gateways),
        "price_usd_per_hour": price_usd_per_hour,
        **merge(gateways.values(), now, price_usd_per_hour),
    }


def page(found: Mapping[str, Any], index: str) -> str:
    """Return the page of a document; C(index) is the relative address of the page of all runs."""
    since = None if found["since"] is None else _moment(found["since"])
    return render.page("usage.html.j2", found=found, since=since, rows=rows(found["users"]), index=index)


def rows(users: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return a row for each person, and one for all if there are several."""
    found = [_row(user) for user in users]
    return [*found, _row(_all(users))] if len(found) > 1 else found


def _all(users: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sums. What is unknown of one person is unknown of all, but for tokens, of which the known ones are."""
    names = ("requests", "limited", "failed", "seconds", "counted", "uncounted", "share")
    sums = {name: sum(user[name] for user in users) for name in names}
    known = [user for user in users if user["tokens_in"] is not None]
    tokens = {name: sum(user[name] for user in known) if known else None for name in ("tokens_in", "tokens_out")}
    prices = [user["usd"] for user in users]
    return {"name": "All", **sums, **tokens, "usd": None if None in prices else sum(prices)}


def _row(user: Mapping[str, Any]) -> Row:
    remarks = (
        (user["failed"], "failed"),
        (user["limited"], "beyond a limit"),
        (user["uncounted"], "without token counts"),
    )
    return Row(
        name=user["name"],
        requests=words.figure(user["requests"]),
        seconds=words.duration(user["seconds"]),
        tokens_in=_tokens(user, "tokens_in"),
        tokens_out=_tokens(user, "tokens_out"),
        share=f"{100 * user['share']:.1f} %",
        usd=UNKNOWN if user["usd"] is None else words.usd(user["usd"]),
        remarks=", ".join(f"{words.figure(count)} {what}" for count, what in remarks if count),
    )


def _tokens(user: Mapping[str, Any], name: str) -> str:
    if user[name] is None:
        return UNKNOWN
    return f"{'at least ' if user['uncounted'] else ''}{words.figure(user[name])}"


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
