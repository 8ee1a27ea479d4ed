# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bill: costs, shares and advice; the page about operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.plugin_utils._monitoring import bill, now, operation
from ansible_collections.hgx.inference.plugins.plugin_utils._monitoring.bill import Day, Price, Usage
from ansible_collections.hgx.inference.tests.support import report_sample

API = Price(output=2.5, prompt=0.6)
# A day at a quarter of 1439 tokens per second, with four times as much to read.
DAY = Day("2026-11-29", 1439 / 4 * 86400, 1439 * 86400)
BUSY = Usage("n1", [DAY], 24, 53.52, idle_share=0.1, proven_rate=1439, published_rate=1408)


def test_a_bill_is_what_was_paid_for_what_was_served() -> None:
    found = bill.bill(BUSY, API)
    assert found.usd == pytest.approx(24 * 53.52)
    assert found.utilisation == pytest.approx(0.25)
    assert found.usd_per_million_output == pytest.approx(4 * 53.52 / (1439 * 0.0036))
    assert found.usd_per_million == pytest.approx(4 * 53.52 / (5 * 1439 * 0.0036))
    assert found.usd_at_proven_rate == pytest.approx(53.52 / (1439 * 0.0036))
    assert found.usd_at_published_rate == pytest.approx(53.52 / (1408 * 0.0036))
    assert found.api_usd == pytest.approx((DAY.output * 2.5 + DAY.prompt * 0.6) / 1e6)
    # At the break-even share the API costs what the node does.
    assert found.break_even
    served = Day(DAY.date, DAY.output * found.break_even * 4, DAY.prompt * found.break_even * 4)
    assert bill.bill(BUSY._replace(days=[served]), API).api_usd == pytest.approx(found.usd)


@pytest.mark.parametrize(
    ("usage", "api", "words"),
    [
        (BUSY, API, "With the API you would save 1,132 USD a day. playbooks/release_node.yml ends that"),
        (BUSY, Price(100, 10), "n1 pays: it cost 1,284.48 USD"),
        (BUSY, API, "Even at its full proven rate it costs 2.1 times what the API does"),
        (BUSY, Price(10, 2), "It is worth its price from 57.4 % of its proven rate on; it had 25.0 %."),
        (
            BUSY._replace(days=[Day("d", 0, 0)]),
            None,
            "n1 has served nothing in these days and cost 1,284.48 USD, 1,284 USD",
        ),
        (BUSY._replace(usd_per_hour=None), API, "The price of n1 is unknown"),
        (BUSY._replace(days=[]), API, "Prometheus has no tokens of n1 in these days"),
    ],
)
def test_what_is_advised(usage: Usage, api: Price | None, words: str) -> None:
    found = bill.bill(usage, api)
    assert words in "\n".join(found.advice), found.advice


def test_what_is_unknown_is_told_as_unknown() -> None:
    found = bill.bill(Usage("n1", [], None, None))
    text = "\n".join(bill.lines(found))
    assert "cost       unknown" in text
    assert "idle       unknown" in text
    assert "no price given (bill_api_price)" in text
    assert "served     an unknown number of output tokens" in text
    assert "API        unknown" in "\n".join(bill.lines(bill.bill(Usage("n1", [], None, None), API)))
    assert (found.usd, found.utilisation, found.break_even) == (None, None, None)


def sample(value: float, **labels: str) -> dict[str, Any]:
    return {"labels": {"node": "n1", **labels}, "value": value}


ANSWERS: dict[str, Any] = {
    "results": {
        **{name: [] for name in (*now.queries(), *bill.queries(7))},
        "now_up": [sample(1, server="vllm"), sample(0, server="vllm-b")],
        "now_watch": [sample(1, server="vllm", state="healthy")],
        "now_tpot": [sample(0.0235, server="vllm")],
        "proven_tpot": [sample(0.021, server="vllm")],
        "price": [sample(53.52)],
        "proven_rate": [sample(1439)],
        "idle_share": [sample(0.25)],
    },
    "daily": {
        "output": [{"labels": {"node": "n1"}, "days": {"2026-11-29": DAY.output, "2026-11-28": 1e6}}],
        "prompt": [{"labels": {"node": "n1"}, "days": {"2026-11-29": DAY.prompt}}],
        "hours": [{"labels": {"node": "n1"}, "days": {"2026-11-29": 24.0, "2026-11-28": 6.0}}],
    },
    "alarms": [
        {
            "labels": {"alertname": "SlowerThanProven", "severity": "warn"},
            "annotations": {"summary": "vllm on n1: 28ms <b>", "cause": "GPU 5 lowers its clocks. "},
        },
        {"labels": {"alertname": "VllmDown", "severity": "page"}, "annotations": {"summary": "vllm-b on n1 is down"}},
    ],
}


def test_the_page_tells_now_beside_what_is_proven() -> None:
    found = operation.operation("n1", ANSWERS, 7, API, 1408.0, [], "2026-11-30T16:00:00Z")
    assert [(server.server, server.state) for server in found.servers] == [
        ("vllm", "healthy"),
        ("vllm-b", "does not answer"),
    ]
    figures = {figure.title: (figure.now, figure.proven) for figure in found.servers[0].figures}
    assert figures["Time per output token"] == ("23.50 ms", "21 ms")
    assert set(figures) == {"Time per output token"}, "of the others nothing is known"
    assert [alarm.name for alarm in found.alarms or []] == ["VllmDown", "SlowerThanProven"]
    (one,) = found.bills
    assert (one.usage.hours, [day.date for day in one.usage.days]) == (30, ["2026-11-28", "2026-11-29"])
    text = operation.page(found, "../index.html")
    assert "28ms &lt;b&gt; GPU 5 lowers its clocks." in text
    assert "1,605.60 USD" in text


RATES = (100, 101, 99, 100, 88, 89, 87)


def daily(rates: Sequence[float], **labels: str) -> dict[str, Any]:
    return {"labels": {"node": "n1", **labels}, "days": {f"2026-11-{24 + day}": rate for day, rate in enumerate(rates)}}


@pytest.mark.parametrize(
    ("rates", "throttled", "finding"),
    [
        (RATES, {}, "12 % slower since 28 November 2026"),
        (RATES, {"5": {"2026-11-28": 1.0}}, "12 % slower since 28 November 2026, GPU 5 throttles"),
        (RATES, {"5": {"2026-11-24": 1.0, "2026-11-28": 1.0}}, "12 % slower since 28 November 2026"),
        ((100, 101, 99, 100, 100, 100, 60), {}, ""),  # one night is no trend
        ((100, 98, 101, 97, 99, 100, 98), {}, ""),
        ((88, 89, 87, 100, 101, 99, 100), {}, ""),
        ((100,), {}, ""),
    ],
)
def test_a_lasting_slowdown_is_told_with_its_day(
    rates: Sequence[float], throttled: dict[str, dict[str, float]], finding: str
) -> None:
    gpus = [{"labels": {"node": "n1", "gpu": gpu}, "days": days} for gpu, days in throttled.items()]
    (trend,) = now.trends({"selftest": [daily(rates, server="vllm")], "throttled": gpus})
    assert trend.finding == finding
    answers = {**ANSWERS, "daily": {**ANSWERS["daily"], "selftest": [daily(rates, server="vllm")], "throttled": gpus}}
    text = operation.page(operation.operation("n1", answers, 7, API, 1408.0), "../index.html")
    assert (finding or "No lasting slowdown") in text


def test_a_page_without_data_says_so() -> None:
    empty = {**ANSWERS, "results": {}, "daily": {}, "alarms": []}
    text = operation.page(operation.operation("n1", empty, 7, None, None), "../index.html")
    for words in ("No alarm fires.", "Prometheus scrapes no vLLM server.", "Prometheus knows no node"):
        assert words in text
    text = operation.page(operation.operation("n1", {**empty, "alarms": None}, 7, None, None), "../index.html")
    assert "Prometheus has no alarm rules" in text
    assert "No alarm fires" not in text


def test_the_use_of_people_is_on_the_page() -> None:
    found = operation.operation("n1", ANSWERS, 7, None, None, report_sample.usage()["users"])
    text = operation.page(found, "../index.html")
    assert "batch-summaries" in text
    assert ">unknown<" in text
