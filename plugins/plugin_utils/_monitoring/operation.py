# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page about operation: what the servers do now, and the bill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .._report import charts, render, usage, words
from . import bill, now


class Operation(NamedTuple):
    """All that the page shows. C(alarms) is None without alarm rules; C(users) is the use of each person."""

    host: str
    when: str
    days: int
    servers: list[now.Server]
    alarms: list[now.Alarm] | None
    trends: list[now.Trend]
    bills: list[bill.Bill]
    users: list[usage.Row]
    has_api_price: bool


def operation(
    host: str,
    answers: Mapping[str, Any],
    days: int,
    api: bill.Price | None,
    published_rate: float | None,
    users: Sequence[Mapping[str, Any]] = (),
    when: str = "",
) -> Operation:
    """Return what the page shows, from the result of the module prometheus_info."""
    results = answers["results"]
    by_node = {
        name: {str(each["labels"].get("node", "")): float(each["value"]) for each in results.get(name, [])}
        for name in bill.queries(days)
    }
    daily = {
        name: {str(each["labels"].get("node", "")): each["days"] for each in samples}
        for name in bill.daily_queries()
        for samples in [answers["daily"].get(name, [])]
    }
    return Operation(
        host=host,
        when=when,
        days=days,
        servers=now.servers(results),
        alarms=None if answers["alarms"] is None else now.alarms(answers["alarms"]),
        trends=now.trends(answers["daily"]),
        bills=[bill.bill(usage, api) for usage in bill.usages(daily, by_node, published_rate)],
        users=usage.rows(users),
        has_api_price=api is not None,
    )


def page(found: Operation, index: str) -> str:
    """Return the page; C(index) is the relative address of the page of all runs."""
    drawn = {
        each.usage.node: _drawn(f"days{number}", "Output tokens per day", "tokens", tokens)
        for number, each in enumerate(found.bills)
        for tokens in [[(day.date, day.output) for day in each.usage.days]]
    }
    trends = [
        (each, _drawn(f"test{number}", "Output of one request at a time", "tok/s", each.days))
        for number, each in enumerate(found.trends)
    ]
    bills = [(each, rows(each)) for each in found.bills]
    return render.page("operation.html.j2", found=found, bills=bills, drawn=drawn, trends=trends, index=index)


def rows(found: bill.Bill) -> list[tuple[str, str]]:
    """Return the figures of a bill by title."""
    usage = found.usage
    return [
        ("Output tokens", words.figure(found.output and round(found.output))),
        ("Prompt tokens", words.figure(found.prompt and round(found.prompt))),
        ("Hours", words.figure(usage.hours)),
        ("Price per hour", _usd(usage.usd_per_hour)),
        ("Cost", _usd(found.usd)),
        ("1 million output tokens, served", _usd(found.usd_per_million_output)),
        ("1 million output tokens, at the proven rate", _usd(found.usd_at_proven_rate)),
        ("1 million output tokens, at the published rate", _usd(found.usd_at_published_rate)),
        ("1 million tokens, prompts included", _usd(found.usd_per_million)),
        ("The same tokens by the API", _usd(found.api_usd)),
        ("Share of the proven rate", _percent(found.utilisation)),
        ("Share at which the node pays", _percent(found.break_even)),
        ("Time without a request", _percent(usage.idle_share)),
    ]


def _drawn(name: str, title: str, unit: str, days: Sequence[tuple[str, float]]) -> Any:
    points = [charts.Point(x=index, y=value, label=date, shape=0) for index, (date, value) in enumerate(days)]
    return charts.trend(name, title, unit, points, None) if len(points) > 1 else None


def _usd(amount: float | None) -> str:
    return "unknown" if amount is None else words.usd(amount)


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{words.figure(100 * share)} %"
