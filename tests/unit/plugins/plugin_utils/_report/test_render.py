# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page itself: complete, escaped, self-contained, small and readable."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.plugin_utils._report import history, render, usage
from ansible_collections.hgx.inference.plugins.plugin_utils._report.document import PARTS
from ansible_collections.hgx.inference.tests.support import report_sample as sample

VOID = {"meta", "br", "wbr", "link", "img", "input", "hr"}
PALETTES = re.findall(r":root \{(.*?)\}", render.style(), re.DOTALL)


class Page(HTMLParser):
    """Reads a page and checks that its elements are closed in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def values(self, name: str) -> list[str]:
        return [str(attributes[name]) for _tag, attributes in self.elements if name in attributes]

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _attributes in self.elements)


@pytest.fixture(scope="module")
def full() -> str:
    return render.html(sample.document(), "../../index.html")


def index_page() -> str:
    entries = [
        history.Entry("a", str(day), sample.document("a", size="quick", finished_at=f"2026-11-{day}T10:00:00Z"), "")
        for day in (23, 24)
    ]
    return render.page(
        "index.html.j2", groups=history.groups(entries), sweeps=[("a", "s", "a/s/report.html")],
        usage=True, operations=["a"], unmeasured=[("b", "b/unmeasured/report.html", "why")], runs=2, hosts=1,
    )  # fmt: skip


def sweep_page() -> str:
    sweep = sample.sweep()
    metrics, rows = history.sweep_rows(sweep)
    return render.page(
        "sweep.html.j2", host="a", stem="s", sweep=sweep, metrics=metrics, rows=rows, fronts=history.fronts(sweep),
        index="i.html",
    )  # fmt: skip


def usage_page() -> str:
    return usage.page(sample.usage(), "index.html")


@pytest.mark.parametrize("page", ["full", "index", "sweep", "usage"])
def test_a_page_stands_alone_and_is_accessible(page: str, full: str) -> None:
    text = {"full": full, "index": index_page(), "sweep": sweep_page(), "usage": usage_page()}[page]
    read = Page(text)
    assert len(text.encode()) < 300_000
    assert text.startswith("<!DOCTYPE html>")
    assert '<html lang="en">' in text
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert read.count("script") == read.count("link") == read.count("img") == 0
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    addresses = [*read.values("href"), *read.values("src")]
    assert [address for address in addresses if "//" in address] == []
    identities = read.values("id")
    assert len(identities) == len(set(identities))
    assert {name for names in read.values("aria-labelledby") for name in names.split()} <= set(identities)
    assert read.count("table") == read.count("caption")
    assert read.count("h1") == 1
    drawings = [attributes for tag, attributes in read.elements if tag == "svg" and "aria-hidden" not in attributes]
    assert drawings or page == "usage"
    assert all(drawing.get("role") == "img" and drawing.get("aria-labelledby") for drawing in drawings)


def test_the_page_begins_with_the_verdict_and_has_every_part(full: str) -> None:
    text = Page(full).text
    assert text.index("PASS") < text.index("Key figures") < text.index("Checks")
    for words in (
        "14 of 14 thresholds met",
        "published 1,408",
        "Throughput over time",
        "Time to first token",
        "real text: code",
        "Anthropic messages",
        "Loading of the weights",
        "Through the gateway",
        "10.56 USD",
        "8 × NVIDIA B200",
        "commit f2eb120e16f4",
        "--kv-cache-dtype fp8",
        "ansible-playbook hgx.inference.verify",
        "vllm bench serve",
        "rests on the slowest 5",
    ):
        assert words in text, words


@pytest.mark.parametrize("absent", [*itertools.combinations(PARTS, 1), PARTS])
def test_any_part_may_be_absent(absent: tuple[str, ...]) -> None:
    document = {**sample.document(size="quick"), **dict.fromkeys(absent)}
    assert "None" not in Page(render.html(document)).text
    assert "None" not in render.markdown(document)


@pytest.mark.parametrize("lost", ["client", "metrics", "workload", "metadata", "environment", "checks", "published"])
def test_a_record_may_lack_what_a_newer_version_has(lost: str) -> None:
    document = sample.document(size="quick")
    del document["result"][lost]
    Page(render.html(document))
    render.markdown(document)


NOTHING: dict[str, Any] = {"since": None, "unknown_keys": 0, "users": []}
HOSTILE = '<script>alert(1)</script> {{ 7 * 7 }} {% raw %} "quoted" & |pipe|'


def planted(value: Any) -> Any:
    """Return the document with a hostile text behind every text that is shown."""
    if isinstance(value, dict):
        return {
            key: inner if key in ("status", "verdict", "op", "size", "name") else planted(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [planted(inner) for inner in value]
    return f"{value} {HOSTILE}" if isinstance(value, str) else value


def test_nothing_in_a_value_is_markup_or_a_template() -> None:
    document = planted(sample.document(size="quick"))
    text = render.html(document)
    read = Page(text)
    assert read.count("script") == 0
    assert "<script>" not in text
    assert HOSTILE in read.text
    assert "{{ 7 * 7 }}" in read.text
    assert "49" not in read.text.split("Benchmark report")[1][:200]
    outside_of_code = re.sub(r"^(`{3,})sh$.*?^\1$", "", render.markdown(document), flags=re.MULTILINE | re.DOTALL)
    assert "<script>" not in outside_of_code


def test_code_cannot_end_its_fence() -> None:
    assert render.fenced("a\n```\nb") == "````sh\na\n```\nb\n````"


def test_the_same_document_makes_the_same_page(full: str) -> None:
    assert render.html(sample.document(), "../../index.html") == full


def test_markdown_says_the_same() -> None:
    text = render.markdown(sample.document(slowdown=1.3))
    assert text.startswith("# FAIL: Kimi K2.6")
    assert "| ✗ fail | Mean TPOT |" in text
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1, table


def test_what_a_gateway_costs_is_part_of_the_verdict() -> None:
    document = sample.document(size="quick")
    assert "WARN" not in Page(render.html(document)).text
    ttft, throughput = document["gateways"]["gateway-1"]["checks"]
    ttft.update(status="warn", value=12.3, spread=20.0)
    text = Page(render.html(document)).text
    assert "WARNING" in text
    assert "Time to first token through gateway-1: +12.3 ms (± 20.0 ms); the limit is +10 ms." in text
    throughput.update(status="fail", value=0.2, spread=0.01)
    text = render.markdown(document)
    assert text.startswith("# FAIL: ")
    assert "| ✗ fail | Throughput | \N{MINUS SIGN}20.0 % | ± 1.0 % | \N{MINUS SIGN}5 % | gateway-1, " in text.replace(
        "\xa0", " "
    )
    # A run without a result is not measured, whatever a gateway costs.
    assert render.markdown({**document, "result": None, "functional": None}).startswith("# NOT MEASURED")


def test_the_use_of_people_is_shown_and_what_is_unknown_is_not_zero() -> None:
    text = " ".join(Page(usage_page()).text.replace("\xa0", " ").split())
    for shown in (
        "Who used how much",
        "gateway-1, gateway-2",
        "alice 618 3 h 36 min 37,698,000 556,200 ",
        "batch-summaries 1,890 4 h 43 min at least 1,260,000 at least 189,000 ",
        "dave 4 4.00 s unknown unknown ",
        "2 requests came without a known key, and were refused.",
        "107.04 USD per hour of all servers",
    ):
        assert shown in text, (shown, text)
    found = sample.usage()
    found["users"][0]["usd"] = None
    rows = usage.rows(found["users"])
    assert (rows[0].usd, rows[-1].name, rows[-1].usd) == ("unknown", "All", "unknown")
    assert len(usage.rows(found["users"][:1])) == 1
    assert "No request is in the log" in usage.page(usage.document({"gateway-1": NOTHING}, 0.0, None), "index.html")


def test_repetitions_are_a_table_with_a_head_and_cards_on_a_phone() -> None:
    document = sample.document()
    document["result"]["repetitions"] = [document["result"]["metrics"]] * 3
    page = render.html(document)
    (table,) = re.findall(r"<table[^>]*><caption>Repetitions;.*?</table>", page, re.DOTALL)
    assert table.startswith('<table class="cards" role="table">')
    titles = re.findall(r'<th role="columnheader"[^>]*>([^<]+)</th>', table)
    assert titles[:2] == ["Run", "Output throughput, steady state"]
    assert re.findall(r'data-label="([^"]+)"', table) == titles[1:] * 3
    (rows,) = re.findall(r"^\| run \|.*\n(?:\|.*\n){4}", render.markdown(document), re.MULTILINE)
    assert "| run 3 | 1,494 tok/s |" in rows
    assert len({row.count("|") for row in rows.splitlines()}) == 1


def test_evidence_has_a_bounded_length() -> None:
    assert len(render.evidence("x" * 5000)) < 700
    assert render.evidence({"a": 1}) == "a: 1"
    assert render.evidence(["x"]) == "1: x"


# --- colours ---


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("number", [0, 1], ids=["light", "dark"])
def test_every_text_can_be_read(number: int) -> None:
    colours = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", PALETTES[number]))
    texts = set(colours) - {"page", "surface", "rule", "on-bar", "phase0", "phase1"}
    pairs = [(text, ground) for text in texts for ground in ("page", "surface")]
    pairs += [("on-bar", "phase0"), ("on-bar", "phase1")]
    poor = [f"{text} on {ground}" for text, ground in pairs if contrast(colours[text], colours[ground]) < 4.5]
    assert poor == []


def test_both_palettes_name_the_same_colours() -> None:
    light, dark = (set(re.findall(r"--([a-z0-9-]+):", palette)) for palette in PALETTES[:2])
    assert light == dark
