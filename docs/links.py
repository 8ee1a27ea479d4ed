# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check a built site: python -m docs.links FOLDER.

Every link inside leads somewhere, and no page loads from a network.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

LOADED = {("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src"), ("link", "href")}
NOT_LOADED = {"canonical", "next", "prev", "search", "index"}  # a link element of these kinds is only a pointer


class Page(NamedTuple):
    """What a page offers and what it refers to; loads are the references that a browser follows by itself."""

    anchors: set[str]
    links: list[str]
    loads: list[str]


class Reader(HTMLParser):
    """Collects anchors and references."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page(set(), [], [])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.page.anchors.update(value for name in ("id", "name") if (value := given.get(name)))
        for name in ("href", "src"):
            value = given.get(name)
            if value is None:
                continue
            loaded = (tag, name) in LOADED and given.get("rel") not in NOT_LOADED
            (self.page.loads if loaded else self.page.links).append(value)


def read(path: Path) -> Page:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader.page


def problems(site: Path) -> Iterator[str]:
    """Yield each reference of the site that leads nowhere, and each that a browser would load from elsewhere."""
    pages = {path.resolve(): read(path) for path in site.rglob("*.html")}
    if not pages:
        yield f"{site} has no pages"
    for path, page in pages.items():
        where = path.relative_to(site.resolve())
        for reference in [*page.links, *page.loads]:
            parts = urlsplit(reference)
            if parts.scheme or parts.netloc:
                if reference in page.loads and parts.scheme != "data":
                    yield f"{where} loads {reference}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                yield f"{where} refers to {reference}: there is no such file"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{where} refers to {reference}: there is no such place in the page"


if __name__ == "__main__":
    found = list(problems(Path(sys.argv[1])))
    sys.exit("\n".join(found) or 0)
