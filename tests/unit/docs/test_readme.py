# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""README.md is short and lists all content. It, CONTRIBUTING.md and the READMEs of roles name only files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTENTS = sorted(
    {
        *(path.name for path in (ROOT / "roles").iterdir()),
        *(path.stem for path in (ROOT / "playbooks").glob("*.yml")),
        *(
            path.stem
            for kind in ("modules", "inventory", "callback")
            for path in (ROOT / "plugins" / kind).glob("*.py")
        ),
        *(path.stem for path in (ROOT / "plugins" / "filter").glob("*.yml")),
    }
)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("roles/*/README.md")]
PATHS = re.compile(r"[`\s(]((?:demo|docs|examples|inventories|molecule|plugins|recipes|roles|tests)/[\w./-]*\w)")
PLACEHOLDERS = re.compile(r"\b(?:NAME|ROLE)\b|_subject/")


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("name", CONTENTS)
def test_the_readme_names_all_content(name: str) -> None:
    assert re.search(rf"(?:[`/]|\[){name}\b", README)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = {name for name in PATHS.findall(page.read_text(encoding="utf-8")) if not PLACEHOLDERS.search(name)}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
