# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The check of the built documentation finds what leads nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hgx.inference.docs.links import problems

GOOD = (
    '<h1 id="top">One</h1><a href="a/two.html#there">two</a><a href="#top">up</a><a href="https://elsewhere.org">e</a>'
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "two.html").write_text('<p id="there"><a href="../one.html">one</a>', encoding="utf-8")
    (tmp_path / "one.html").write_text(GOOD, encoding="utf-8")
    return tmp_path


def test_a_good_site(site: Path) -> None:
    assert list(problems(site)) == []


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ('<a href="three.html">', "one.html refers to three.html: there is no such file"),
        ('<a href="a/two.html#gone">', "one.html refers to a/two.html#gone: there is no such place in the page"),
        ('<img src="a/none.png">', "one.html refers to a/none.png: there is no such file"),
        ('<link rel="stylesheet" href="https://fonts.org/x.css">', "one.html loads https://fonts.org/x.css"),
        ('<script src="//cdn.org/x.js">', "one.html loads //cdn.org/x.js"),
    ],
)
def test_what_is_broken(site: Path, broken: str, expected: str) -> None:
    (site / "one.html").write_text(GOOD + broken, encoding="utf-8")
    assert list(problems(site)) == [expected]


def test_an_empty_folder_is_no_site(tmp_path: Path) -> None:
    assert len(list(problems(tmp_path))) == 1
