# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module apt_sources_info; what it reads is tested with its parser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._apt.sources import parse_one_line
from ansible_collections.hgx.inference.plugins.modules import apt_sources_info

LISTS = {"a.list": "deb [signed-by=/a.gpg] http://a/ /\ndeb http://b/ stable main", "b.list": "deb http://a /"}


def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    sources = [entry for file, text in LISTS.items() for entry in parse_one_line(text, file)]
    monkeypatch.setattr(apt_sources_info, "read_sources", lambda: sources)
    with patch_module_args(options), pytest.raises(SystemExit):
        apt_sources_info.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


@pytest.mark.parametrize(
    ("options", "files"),
    [({}, ["a.list", "a.list", "b.list"]), ({"uris": ["http://a/"]}, ["a.list", "b.list"]), ({"uris": []}, [])],
)
def test_entries(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: dict[str, Any], files: list[str]
) -> None:
    result = ask(monkeypatch, capsys, **options)
    assert [entry["file"] for entry in result["entries"]] == files
    assert result["changed"] is False


def test_conflicts_are_told_whatever_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = ask(monkeypatch, capsys, uris=["http://b/"])
    assert result["conflicts"] == ["http://a /: a.list with /a.gpg, b.list with no key"]
