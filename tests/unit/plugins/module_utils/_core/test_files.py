# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core import files


def test_a_file_is_replaced_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    for text in ("one", "two {{ braces }}\n"):
        files.replace_text(str(path), text, mode=0o600, durable=True)
        assert path.read_text() == text
        assert path.stat().st_mode & 0o7777 == 0o600
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o007, 0o660), (0o077, 0o600)])
def test_a_file_without_a_mode_gets_that_of_any_new_file(tmp_path: Path, umask: int, mode: int) -> None:
    path = tmp_path / "file"
    before = os.umask(umask)
    try:
        files.replace_text(str(path), "text")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o7777 == mode


def test_paths_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.replace_text("file", "text")
    assert (tmp_path / "file").read_text() == "text"
    assert files.free_bytes("not/there") > 0


def test_a_full_disk_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.replace_text(str(path), "new", durable=True)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_replaced(tmp_path: Path) -> None:
    link = tmp_path / "current"
    for target in ("one", "two"):
        files.replace_link(str(link), target)
        assert os.readlink(link) == target
    assert os.listdir(tmp_path) == ["current"]


def test_a_file_that_cannot_be_read_is_empty(tmp_path: Path) -> None:
    assert files.read_text(str(tmp_path / "absent")) == ""


def test_free_bytes_of_a_path_that_is_not_there(tmp_path: Path) -> None:
    assert files.free_bytes(str(tmp_path / "not" / "there")) > 0
