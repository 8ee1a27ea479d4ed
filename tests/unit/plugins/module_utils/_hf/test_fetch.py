# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counts as a stall, with time that passes by the event: how slow this machine is plays no part."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, cast

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._hf import verify, worker
from ansible_collections.hgx.inference.plugins.module_utils._hf.cache import RepoCache, RepoFile
from ansible_collections.hgx.inference.plugins.module_utils._hf.fetch import Fetcher, FetchError
from ansible_collections.hgx.inference.tests.support.hub_server import git_blob

JOB = worker.Job("/cache", "https://hub", None, [], 1, False, None, 60, [], 0o022)


class Process:
    """A process that prints its next event whenever the time is asked for, which is 1.5 s later each time."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self._events = [json.dumps(event).encode() + b"\n" for event in events]
        read, self._output = os.pipe()
        self.stdout = os.fdopen(read, "rb")
        self.stdin = io.BytesIO()
        self.now = 0.0

    def clock(self) -> float:
        self.now += 1.5
        if self._events:
            os.write(self._output, self._events.pop(0))
        return self.now

    def kill(self) -> None:
        self._events.clear()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_exc: object) -> None:
        os.close(self._output)
        self.stdout.close()
        self.stdin.close()


def fetch(events: list[dict[str, Any]], stall_s: float) -> list[float]:
    """Follow processes that print these events and transfer nothing; return how long each took."""
    processes: list[Process] = []

    def start(_errors: IO[bytes], _lock: int) -> Any:
        processes.append(Process(events))
        return processes[-1]

    fetcher = Fetcher(
        JOB, stall_s, 0, lambda: 0, lambda _repo, _blob: None, lambda _note: None, start,
        clock=lambda: processes[-1].clock(), interval_s=0.001,
    )  # fmt: skip
    try:
        fetcher.run()
    except FetchError as exc:
        assert "no byte came for 4 s" in str(exc)
        return [process.now for process in processes]
    assert len(processes) == 1
    return [processes[0].now]


def test_signs_of_life_are_no_stall() -> None:
    (seconds,) = fetch([{"wait": 1.0}] * 40 + [{"done": True}], stall_s=4)
    assert seconds > 40


def test_other_events_are_none() -> None:
    assert fetch([{"note": "still here"}] * 40 + [{"done": True}], stall_s=4) == [7.5] * 3


def test_hashing_shows_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A large file on a slow disk: its blocks are read, but for longer than a stall no byte comes."""
    content = os.urandom(20_000)
    (tmp_path / "file").write_bytes(content)
    now = iter(range(1000))
    monkeypatch.setattr(verify, "_READ_BYTES", 1000)
    monkeypatch.setattr(verify, "time", SimpleNamespace(monotonic=lambda: next(now)))
    file = cast("RepoFile", SimpleNamespace(blob=git_blob(content), path="file"))
    cache = cast("RepoCache", SimpleNamespace(repo="org/model"))
    assert worker.Worker._is_good(cast("worker.Worker", None), cache, file, str(tmp_path / "file"))
    waits = [json.loads(line)["wait"] for line in capsys.readouterr().out.splitlines()]
    assert waits == [1.0] * len(waits)
    assert len(waits) > 5
