# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reading of apt's sources, and the search for those that are there already."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._apt.sources import (
    Source,
    parse_deb822,
    parse_one_line,
    read_sources,
    serving,
    signing_conflicts,
)

TOOLKIT = "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH)"


def source(uri: str, signed_by: str = "", file: str = "a.list", suite: str = "/", enabled: bool = True) -> Source:
    return Source(file, ["deb"], [uri], [suite], [], signed_by, enabled)


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        (
            f"deb [arch=amd64 signed-by=/k.gpg] {TOOLKIT} /",
            Source("f", ["deb"], [TOOLKIT], ["/"], [], "/k.gpg", True),
        ),
        (
            "  deb-src http://archive.ubuntu.com/ubuntu noble main universe # a mirror",
            Source("f", ["deb-src"], ["http://archive.ubuntu.com/ubuntu"], ["noble"], ["main", "universe"], "", True),
        ),
        (
            "deb file:/srv/repository stable main",
            Source("f", ["deb"], ["file:/srv/repository"], ["stable"], ["main"], "", True),
        ),
        ("# deb http://archive.ubuntu.com/ubuntu noble main", None),
        ("deb", None),
        ("debug this", None),
        ("", None),
    ],
)
def test_one_line(line: str, entry: Source | None) -> None:
    assert parse_one_line(line, "f") == ([entry] if entry else [])


DEB822 = """\
# The archive.
Types: deb deb-src
URIs: http://archive.ubuntu.com/ubuntu http://mirror.example/ubuntu
Suites: noble noble-updates
# Main only.
Components: main
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg

Enabled: no
Types: deb
URIs: https://example.com/deb/
Suites: /
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEZ
 -----END PGP PUBLIC KEY BLOCK-----

X-Comment: no source at all
"""


def test_deb822() -> None:
    archive, example = parse_deb822(DEB822, "f.sources")
    assert archive.types == ["deb", "deb-src"]
    assert archive.uris == ["http://archive.ubuntu.com/ubuntu", "http://mirror.example/ubuntu"]
    assert archive.suites == ["noble", "noble-updates"]
    assert archive.components == ["main"]
    assert archive.signed_by == "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
    assert archive.enabled
    assert not example.enabled
    assert example.signed_by.splitlines()[0] == "-----BEGIN PGP PUBLIC KEY BLOCK-----"


def test_the_files_are_read_in_apts_order(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://one/ / \n")
    (parts / "b.list").write_text("deb http://three/ /\n")
    (parts / "a.sources").write_text("Types: deb\nURIs: http://two/\nSuites: /\n")
    (parts / "c.list.save").write_text("deb http://not-read/ /\n")
    found = read_sources(str(tmp_path))
    assert [entry.uris for entry in found] == [["http://one/"], ["http://two/"], ["http://three/"]]
    assert found[1].file == f"{parts}/a.sources"


def test_no_sources_at_all(tmp_path: Path) -> None:
    assert read_sources(str(tmp_path)) == []


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (source(TOOLKIT), True),
        (source("https://NVIDIA.github.io/libnvidia-container/stable//deb/amd64/"), True),
        (source("https://nvidia.github.io/libnvidia-container/stable/deb/arm64"), False),
        (source("https://nvidia.github.io/libnvidia-container/experimental/deb/amd64"), False),
        (source(TOOLKIT, enabled=False), False),
        (source(TOOLKIT)._replace(types=["deb-src"]), False),
    ],
)
def test_the_search_for_a_repository(there: Source, found: bool) -> None:
    assert serving([source("http://other/"), there], [TOOLKIT], "amd64") == ([there] if found else [])


@pytest.mark.parametrize(
    ("sources", "lines"),
    [
        ([source(TOOLKIT, "/a.gpg"), source(TOOLKIT, "/a.gpg", "b.list")], []),
        ([source("http://x/", "/a.gpg", suite="one"), source("http://x/", "/b.gpg", suite="two")], []),
        ([source("http://x/", "/a.gpg"), source("http://x/", "/b.gpg", enabled=False)], []),
        (
            [source(TOOLKIT, "/a.gpg"), source(TOOLKIT.replace("$(ARCH)", "amd64/"), "", "b.list")],
            ["https://nvidia.github.io/libnvidia-container/stable/deb/amd64 /: a.list with /a.gpg, b.list with no key"],
        ),
        (
            [source("http://x", "/a.gpg", suite="noble"), source("http://x", "-----BEGIN\nx", "b.sources", "noble")],
            ["http://x noble: a.list with /a.gpg, b.sources with a key of its own"],
        ),
    ],
)
def test_conflicts(sources: list[Source], lines: list[str]) -> None:
    assert signing_conflicts(sources, "amd64") == lines
