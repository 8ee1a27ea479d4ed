# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two tasks that fetch images at once. tests/proof/overlap.py pulls real ones, and the demo builds one."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.progress import ProgressFile
from ansible_collections.hgx.inference.plugins.modules import vllm_image


def test_the_second_waits_and_shows_the_progress_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, ours, theirs = tmp_path / "lock", tmp_path / "ours", tmp_path / "theirs"
    theirs.write_text("pulling, 3 of 5 layers\n", encoding="utf-8")
    monkeypatch.setattr(vllm_image, "_LOCK", str(lock))
    with vllm_image.only_one(str(theirs), ProgressFile(None)), lock.open() as first:
        monkeypatch.setattr(vllm_image.time, "sleep", lambda _seconds: seen.append(ours.read_text(encoding="utf-8")))
        seen: list[str] = []
        tries = iter([BlockingIOError, BlockingIOError, None])

        def flock(_stream: object, _operation: int) -> None:
            if error := next(tries):
                raise error

        monkeypatch.setattr(fcntl, "flock", flock)
        with vllm_image.only_one(str(ours), ProgressFile(str(ours), interval_s=0)):
            assert seen == ["pulling, 3 of 5 layers\n"] * 2
            assert first.read() == str(ours)


def test_a_real_lock_keeps_the_second_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Waited(Exception):
        pass

    def wait(_seconds: float) -> None:
        raise Waited

    monkeypatch.setattr(vllm_image, "_LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(vllm_image.time, "sleep", wait)
    first, second = (vllm_image.only_one(None, ProgressFile(None)) for _number in range(2))
    with first, pytest.raises(Waited), second:
        pass
    with vllm_image.only_one(None, ProgressFile(None)):
        pass


def test_without_the_right_to_lock_nothing_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_image, "_LOCK", str(tmp_path / "no" / "lock"))
    with vllm_image.only_one(None, ProgressFile(None)), vllm_image.only_one(None, ProgressFile(None)):
        pass
