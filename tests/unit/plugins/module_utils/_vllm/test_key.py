# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API key of a server: kept, made, and noticed when it is another one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.secrets import SecretError
from ansible_collections.hgx.inference.plugins.module_utils._vllm import key

STARTED = {"State": {"StartedAt": "2026-11-25T18:00:00.123456789Z"}}
BEFORE, AFTER = 1_795_629_600, 1_795_629_601


def wish(folder: Path, value: str = "", generate: bool = False) -> dict[str, Any]:
    return {"state_dir": str(folder), "api_key": value, "api_key_generate": generate}


def write_key(params: dict[str, Any]) -> bool:
    """Do what a replacement does; return whether the key is new."""
    staged = key.stage_key(params)
    if staged:
        key.use_staged_key(params["state_dir"])
    return staged


def kept(folder: Path, value: str, at: int = BEFORE) -> None:
    write_key(wish(folder, value))
    os.utime(key.key_file(str(folder)), (at, at))


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    assert write_key(wish(tmp_path, generate=True))
    made = key.read_key(str(tmp_path))
    assert len(made) == 48
    assert not write_key(wish(tmp_path, generate=True))
    assert key.read_key(str(tmp_path)) == made
    path = Path(key.key_file(str(tmp_path)))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_given_key_wins_and_none_keeps_it(tmp_path: Path) -> None:
    write_key(wish(tmp_path, generate=True))
    assert write_key(wish(tmp_path, "{{ given }}", generate=True))
    assert key.read_key(str(tmp_path)) == "{{ given }}"
    assert not write_key(wish(tmp_path))
    assert key.read_key(str(tmp_path)) == "{{ given }}"


@pytest.mark.parametrize(
    ("value", "generate", "at", "new"),
    [
        ("old", False, BEFORE, False),
        ("", True, BEFORE, False),
        ("new", False, BEFORE, True),
        ("", False, BEFORE, False),  # from a shell that does not have it
        ("old", False, AFTER, True),  # written by a run that did not get to the restart
    ],
)
def test_whether_the_server_has_another_key(tmp_path: Path, value: str, generate: bool, at: int, new: bool) -> None:
    kept(tmp_path, "old", at)
    assert key.key_is_new(wish(tmp_path, value, generate), STARTED, keyed=True) is new


def test_without_a_key(tmp_path: Path) -> None:
    assert not key.key_is_new(wish(tmp_path), STARTED, keyed=False)
    assert key.key_is_new(wish(tmp_path, generate=True), STARTED, keyed=False)


@pytest.mark.parametrize("generate", [False, True])
def test_a_key_that_was_removed(tmp_path: Path, generate: bool) -> None:
    """Then the server gets another one, or none."""
    assert key.wants_key(wish(tmp_path, generate=generate)) is generate
    assert key.key_is_new(wish(tmp_path, generate=generate), STARTED, keyed=True)


def test_the_old_key_stays_until_the_server_has_stopped(tmp_path: Path) -> None:
    kept(tmp_path, "old")
    assert key.stage_key(wish(tmp_path, "new"))
    assert key.read_key(str(tmp_path)) == "old"
    key.use_staged_key(str(tmp_path))
    assert key.read_key(str(tmp_path)) == "new"
    assert os.listdir(tmp_path / "secrets") == ["vllm_api_key"]


def test_a_full_disk_keeps_the_old_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    kept(tmp_path, "old")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SecretError, match=r"cannot be written to .*: No space left on device. Nothing was stopped"):
        key.stage_key(wish(tmp_path, "new"))
    assert key.read_key(str(tmp_path)) == "old"
    assert os.listdir(tmp_path / "secrets") == ["vllm_api_key"]
