# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The following of a job whose connection comes and goes. The tests of the actions cover the rest, with real jobs."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.hgx.inference.plugins.module_utils._core.progress import ControllerGone, ProgressFile
from ansible_collections.hgx.inference.plugins.plugin_utils import _progress
from ansible_collections.hgx.inference.plugins.plugin_utils._progress import ProgressActionBase


class Follower(ProgressActionBase):
    """Sees what it is given; an exception is raised."""

    def __init__(self, seen: list[str | Exception]) -> None:
        self.shown: list[str] = []
        self.commands: list[str] = []
        self.resets = 0
        self._seen = iter(seen)
        self._task = SimpleNamespace(action="hgx.inference.some_module")
        self._display = SimpleNamespace(display=self.shown.append)
        self._connection = SimpleNamespace(reset=self._reset)

    def _reset(self) -> None:
        self.resets += 1

    def _low_level_execute_command(self, command: str, **_kwargs: Any) -> dict[str, str]:
        self.commands.append(command)
        seen = next(self._seen)
        if isinstance(seen, Exception):
            raise seen
        return {"stdout": seen}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress.time, "sleep", lambda _seconds: None)


def follow(seen: list[str | Exception]) -> Follower:
    follower = Follower(seen)
    follower._follow("node1", "progress", "results", 60)
    return follower


def test_each_new_line_is_shown_once() -> None:
    follower = follow(["", "1 of 2\n", "1 of 2\n", "2 of 2\nfinished\n"])
    assert follower.shown == ["  some_module [node1] 1 of 2", "  some_module [node1] 2 of 2"]


def test_the_job_that_runs_beside_it_is_shown_too() -> None:
    beside = "meanwhile: pulling\n"
    follower = follow(["1 of 2\n", f"1 of 2\n{beside}", f"pulling\n{beside}", f"2 of 2\n{beside}finished\n"])
    lines = ("1 of 2", "meanwhile: pulling", "pulling", "2 of 2", "meanwhile: pulling")
    assert sorted(follower.shown) == sorted(f"  some_module [node1] {line}" for line in lines)


def test_a_connection_may_be_lost_for_a_while() -> None:
    lost = AnsibleConnectionFailure("connection timed out")
    follower = follow(["1 of 2\n", lost, lost, "2 of 2\nfinished\n"])
    assert follower.resets == 2
    assert len(follower.shown) == 2


def test_a_connection_that_stays_away_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "LOST_CONNECTION_LIMIT_S", -1.0)
    with pytest.raises(AnsibleConnectionFailure):
        follow(["1 of 2\n", AnsibleConnectionFailure("no route to host")])


ABANDONED = f"touch -t {_progress.LONG_AGO} progress.seen"


def test_a_signal_tells_the_job_first_and_then_does_what_it_always_does() -> None:
    handled: list[int] = []
    follower = Follower(["1 of 2\n", ""])
    follower._display = SimpleNamespace(display=lambda _line: signal.raise_signal(signal.SIGTERM))
    before = signal.signal(signal.SIGTERM, lambda number, _frame: handled.append(number))
    try:
        with pytest.raises(_progress.Interrupted):
            follower._follow("node1", "progress", "results", 60)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert handled == [signal.SIGTERM]
    assert follower.commands[-1].startswith(f"{ABANDONED}; ")


def test_the_job_is_told_that_the_play_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    parents = iter([100, 100, 100, 1])
    monkeypatch.setattr(_progress.os, "getppid", lambda: next(parents))
    follower = Follower(["1 of 2\n", ""])
    with pytest.raises(_progress.Interrupted):
        follower._follow("node1", "progress", "results", 60)
    assert follower.commands[-1].startswith(f"{ABANDONED}; ")


def test_a_job_that_was_told_stops_at_its_next_report(tmp_path: Path) -> None:
    progress = ProgressFile(str(tmp_path / "progress"), watched=True)
    subprocess.run(["sh", "-c", f"touch {tmp_path}/progress.seen"], check=True)
    progress.report("1 of 2")
    subprocess.run(["sh", "-c", ABANDONED.replace("progress.seen", f"{tmp_path}/progress.seen")], check=True)
    with pytest.raises(ControllerGone, match=r"^The play has ended; this task was stopped\.$"):
        progress.report("2 of 2")


def test_a_job_that_nobody_waits_for_leaves_no_files(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a progress", "a progress.seen", "j1.2")]
    for file in files:
        file.write_text('{"started": 1, "finished": 0, "ansible_job_id": "j1.2"}')
    command = _progress.later_removal(str(files[0]), str(files[2]), 600)
    subprocess.run(["sh", "-c", command], check=True, timeout=1)
    assert all(file.exists() for file in files), "the job still needs them"
    files[2].write_text('{"changed": false}')
    deadline = time.monotonic() + 20
    while any(file.exists() for file in files):
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


class Caller(ProgressActionBase):
    """Takes the answers of its module one after the other, and follows no job."""

    def __init__(self, *answers: dict[str, Any], check: bool = False) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answers = iter(answers)
        self._task = SimpleNamespace(action="some_module", args={"name": "vllm"}, check_mode=check, async_val=0)

    def may_end_at_once(self, args: dict[str, Any]) -> bool:
        return args == {"name": "vllm"}

    def time_limit_s(self, args: dict[str, Any]) -> int:
        return 1

    def _execute_module(self, module_args: Any = None, **_more: Any) -> dict[str, Any]:
        self.asked.append(module_args)
        return next(self._answers)

    def _remote_expand_user(self, path: str, *_more: Any) -> str:
        raise InterruptedError(path)


def test_a_module_with_nothing_to_do_needs_no_job() -> None:
    caller = Caller({"changed": False, "msg": "all is there"})
    assert caller.act({"host": "node1"}, {}) == {"host": "node1", "changed": False, "msg": "all is there"}
    assert caller.asked == [{"name": "vllm", "at_once": True}]


def test_a_module_that_fails_at_once_has_failed() -> None:
    assert Caller({"failed": True, "msg": "no engine"}).act({}, {})["failed"]


def test_a_module_with_something_to_do_gets_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Caller, "get_shell_option", lambda *_words, **_more: "~/.ansible_async")
    with pytest.raises(InterruptedError, match="ansible_async"):
        Caller({"changed": False, "later": True}).act({}, {})


def test_check_mode_asks_once_and_waits_for_nothing() -> None:
    caller = Caller({"changed": True}, check=True)
    assert caller.act({}, {}) == {"changed": True}
    assert caller.asked == [{"name": "vllm"}]
