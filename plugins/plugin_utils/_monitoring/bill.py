# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node has cost, what it has served for that, and whether it pays. Pure.

All amounts are in USD, all rates per 1 million tokens. What is unknown is None, and is told as unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

_MILLION = 1e6


class Day(NamedTuple):
    """What a node served in one day; C(date) is its UTC date."""

    date: str
    output: float
    prompt: float


class Price(NamedTuple):
    """The price of an API, for 1 million tokens."""

    output: float
    prompt: float


class Usage(NamedTuple):
    """What is known of a node.

    C(hours) are those in which it was there, C(idle_share) is the share of them without a request, from 0 to 1.
    C(proven_rate) and C(published_rate) are output tokens per second.
    """

    node: str
    days: Sequence[Day]
    hours: float | None
    usd_per_hour: float | None
    idle_share: float | None = None
    proven_rate: float | None = None
    published_rate: float | None = None


class Bill(NamedTuple):
    """A bill. C(utilisation) and C(break_even) are shares of the proven output rate, from 0 to 1 and more."""

    usage: Usage
    output: float | None
    prompt: float | None
    usd: float | None
    usd_per_million_output: float | None
    usd_per_million: float | None
    usd_at_proven_rate: float | None
    usd_at_published_rate: float | None
    utilisation: float | None
    api_usd: float | None
    break_even: float | None
    has_api: bool
    advice: list[str]


def bill(usage: Usage, api: Price | None = None) -> Bill:
    """Return the bill of a node, compared with an API of that price."""
    output = sum(day.output for day in usage.days) if usage.days else None
    prompt = sum(day.prompt for day in usage.days) if usage.days else None
    usd = _product(usage.hours, usage.usd_per_hour)
    capacity = _product(usage.hours, usage.proven_rate, 3600)
    api_usd = None
    if api is not None and output is not None and prompt is not None:
        api_usd = (output * api.output + prompt * api.prompt) / _MILLION
    found = Bill(
        usage=usage,
        output=output,
        prompt=prompt,
        usd=usd,
        usd_per_million_output=_per_million(usd, output),
        usd_per_million=_per_million(usd, None if output is None or prompt is None else output + prompt),
        usd_at_proven_rate=_per_million(usage.usd_per_hour, _product(usage.proven_rate, 3600)),
        usd_at_published_rate=_per_million(usage.usd_per_hour, _product(usage.published_rate, 3600)),
        utilisation=output / capacity if capacity and output is not None else None,
        api_usd=api_usd,
        break_even=_break_even(usage, output, prompt, api),
        has_api=api is not None,
        advice=[],
    )
    return found._replace(advice=list(_advice(found)))


def _break_even(usage: Usage, output: float | None, prompt: float | None, api: Price | None) -> float | None:
    """Return the utilisation at which the node costs what the API does for the same mix of prompts and answers."""
    if api is None or not usage.usd_per_hour or not usage.proven_rate or not output or prompt is None:
        return None
    usd_per_output = (api.output + api.prompt * prompt / output) / _MILLION
    return usage.usd_per_hour / (usage.proven_rate * 3600 * usd_per_output) if usd_per_output else None


def _advice(found: Bill) -> Iterable[str]:
    usage = found.usage
    if usage.usd_per_hour is None:
        yield (
            f"The price of {usage.node} is unknown, so nothing is said of its costs. Set monitoring_price_usd_per_hour"
            " and run playbooks/monitoring.yml."
        )
    if not usage.days:
        yield f"Prometheus has no tokens of {usage.node} in these days, so what it served is unknown."
        return
    release = f"playbooks/release_node.yml ends that; it wipes the local disks of {usage.node}."
    if not found.output and found.usd:
        yield (
            f"{usage.node} has served nothing in these days and cost {found.usd:,.2f} USD,"
            f" {24 * (usage.usd_per_hour or 0):,.0f} USD a day. {release}"
        )
    elif found.usd is not None and found.api_usd is not None and found.api_usd < found.usd:
        days = (usage.hours or 0) / 24
        saved = (found.usd - found.api_usd) / days if days else 0
        yield (
            f"The API would have cost {found.api_usd:,.2f} USD for the same tokens, {usage.node} cost"
            f" {found.usd:,.2f} USD. With the API you would save {saved:,.0f} USD a day. {release}"
        )
    elif found.usd is not None and found.api_usd is not None:
        yield (
            f"{usage.node} pays: it cost {found.usd:,.2f} USD, and the API would have cost {found.api_usd:,.2f} USD for"
            " the same tokens."
        )
    if found.break_even is not None:
        share = "an unknown share" if found.utilisation is None else f"{100 * found.utilisation:.1f} %"
        words = f"It is worth its price from {100 * found.break_even:.1f} % of its proven rate on; it had {share}."
        if found.break_even > 1:
            words = (
                f"Even at its full proven rate it costs {found.break_even:.1f} times what the API does for this mix of"
                f" prompts and answers; it had {share} of that rate."
            )
        yield words


def lines(found: Bill) -> list[str]:
    """Return a bill in lines."""
    usage = found.usage
    hours = "an unknown time" if usage.hours is None else f"{usage.hours:.1f} h"
    rows = [
        ("served", f"{_count(found.output)} output tokens and {_count(found.prompt)} prompt tokens in {hours}"),
        ("cost", _usd(found.usd)),
        ("1M output", f"{_usd(found.usd_per_million_output)} served"),
        ("", f"{_usd(found.usd_at_proven_rate)} at the proven rate"),
        ("", f"{_usd(found.usd_at_published_rate)} at the published rate"),
        ("1M of all", _usd(found.usd_per_million)),
        ("idle", _share(usage.idle_share)),
        ("used", f"{_share(found.utilisation)} of the proven rate"),
        ("API", _usd(found.api_usd) if found.has_api else "no price given (bill_api_price)"),
    ]  # fmt: skip
    return [
        f"{usage.node}:",
        *(f"  {name:<10} {words}" for name, words in rows),
        *(f"  {line}" for line in found.advice),
    ]


def _count(tokens: float | None) -> str:
    return "an unknown number of" if tokens is None else f"{tokens:,.0f}"


def _usd(amount: float | None) -> str:
    return "unknown" if amount is None else f"{amount:,.2f} USD"


def _share(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f} %"


def _product(*factors: float | None) -> float | None:
    product = 1.0
    for factor in factors:
        if factor is None:
            return None
        product *= factor
    return product


def _per_million(usd: float | None, tokens: float | None) -> float | None:
    return None if usd is None or not tokens else _MILLION * usd / tokens


# --- what Prometheus is asked for ---

_SERVED = "sum by (node) (increase(vllm:{}_tokens_total[1d]))"


def daily_queries() -> dict[str, str]:
    """Return the expressions that are asked for each day, at its end."""
    return {
        "output": _SERVED.format("generation"),
        "prompt": _SERVED.format("prompt"),
        # One sample in a minute: a node is billed whether it answers or not.
        "hours": 'sum by (node) (count_over_time(up{job="node"}[1d:1m])) / 60',
    }


def queries(days: int) -> dict[str, str]:
    """Return the expressions that are asked once."""
    runs = "sum by (node) (vllm:num_requests_running) > bool 0"
    return {
        "price": "max by (node) (last_over_time(hgx_node_price_usd_per_hour[1h]))",
        "idle_share": f"1 - avg_over_time(({runs})[{days}d:1m])",
        # The servers of a node share its GPUs.
        "proven_rate": 'sum by (node) (last_over_time(hgx_proof_figure{metric="steady_output_throughput"}[1h]))',
    }


def usages(
    daily: Mapping[str, Mapping[str, Mapping[str, float]]],
    found: Mapping[str, Mapping[str, float]],
    published_rate: float | None = None,
) -> list[Usage]:
    """Return the usage of each node from the answers of Prometheus.

    C(daily) is query -> node -> date -> value, C(found) is query -> node -> value.
    """
    nodes = sorted({node for by_node in (*daily.values(), *found.values()) for node in by_node})
    return [
        Usage(
            node=node,
            days=[
                Day(date, value, daily.get("prompt", {}).get(node, {}).get(date, 0.0))
                for date, value in sorted(daily.get("output", {}).get(node, {}).items())
            ],
            hours=sum(hours.values()) if (hours := daily.get("hours", {}).get(node)) else None,
            usd_per_hour=found.get("price", {}).get(node),
            idle_share=found.get("idle_share", {}).get(node),
            proven_rate=found.get("proven_rate", {}).get(node),
            published_rate=published_rate,
        )
        for node in nodes
    ]
