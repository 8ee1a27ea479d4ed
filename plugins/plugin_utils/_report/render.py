# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages from documents. The templates are those of role smoke_benchmark; values are escaped, and never templates."""

from __future__ import annotations

import functools
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from ...module_utils._benchmark.metrics import METRICS
from . import charts, words
from .view import View, view

TEMPLATES = Path(__file__).resolve().parents[3] / "roles" / "smoke_benchmark" / "templates" / "report"
EVIDENCE_LENGTH = 600


def html(document: Mapping[str, Any], index: str = "") -> str:
    """Return the page of C(document); C(index) is the relative address of the page of all runs."""
    shown = view(document)
    return page("report.html.j2", view=shown, charts=drawings(document, shown), index=index)


def markdown(document: Mapping[str, Any]) -> str:
    """Return the same as C(html), without charts, as Markdown."""
    text = _plain().get_template("report.md.j2").render(view=view(document))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def page(template: str, **variables: Any) -> str:
    """Return the page of a template."""
    return _pages().get_template(template).render(style=style(), **variables)


def drawings(document: Mapping[str, Any], shown: View) -> dict[str, Any]:
    """Return every chart that the document has figures for."""
    result = document.get("result") or {}
    client, metrics, published = result.get("client") or {}, result.get("metrics") or {}, result.get("published") or {}
    series = charts.series_of(client)
    steady, interval = metrics.get("steady_output_throughput"), result.get("steady_interval")
    rate = published.get("output_throughput")
    return {
        "bullets": {found.metric: drawn for found in shown.key_figures if (drawn := charts.bullet(found))},
        "throughput": series and charts.both(lambda width: charts.throughput(series, steady, interval, rate, width)),
        "estimated": bool(series and series.estimated),
        "band": bool(steady and interval),
        "distributions": charts.distributions(client, published),
        "acceptance": charts.acceptance(shown.acceptance),
        "startup": charts.both(lambda width: charts.startup(shown.phases, width)),
    }


@functools.cache
def style() -> Markup:
    """Return the style sheet, which every page includes."""
    return Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))


@functools.cache
def _pages() -> jinja2.Environment:
    return _environment(autoescape=True)


@functools.cache
def _plain() -> jinja2.Environment:
    return _environment(finalize=md)


def _environment(**how_to_escape: Any) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **how_to_escape,
    )
    environment.filters.update(
        status_word=lambda status: words.STATUS_WORDS.get(status, "not measured"),
        symbol=lambda status: f"{words.STATUS_SYMBOLS.get(status, '')} {words.STATUS_WORDS.get(status, '')}".strip(),
        duration=words.duration,
        moment=words.moment,
        metric_title=words.metric_title,
        unit=lambda metric: METRICS[metric].unit,
        symbol_of=symbol_of,
        address=urllib.parse.quote,
        evidence=evidence,
        breakable=breakable,
        fenced=fenced,
    )
    return environment


def evidence(value: Any) -> str:
    """Return the evidence of a check as text of bounded length."""
    text = value if isinstance(value, str) else "\n".join(f"{name}: {found}" for name, found in _pairs(value))
    return text if len(text) <= EVIDENCE_LENGTH else text[:EVIDENCE_LENGTH] + " …"


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    return list(enumerate(value, 1)) if isinstance(value, list) else [("found", value)]


def breakable(value: str) -> Markup:
    """Return a long name that may break after its separators."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[/:@,])", value))


def symbol_of(index: int) -> Markup:
    """Return the symbol of a host in the charts."""
    return Markup('<svg viewBox="0 0 14 14" aria-hidden="true">{}</svg>').format(charts.symbol(7, 7, index, "point"))


def md(value: Any) -> str:
    """Return text that Markdown shows as it is, in one line; a block of code as it is."""
    if isinstance(value, Markup):
        return value
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", " ".join(str(value).split()))


def fenced(text: str) -> Markup:
    """Return a block of code, in a fence that the code cannot close."""
    fence = "`" * max(3, *(len(ticks) + 1 for ticks in re.findall("`+", text) or [""]))
    return Markup(f"{fence}sh\n{text}\n{fence}")
