# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The following of a job whose connection comes and goes. The tests of the actions cover the rest, with real jobs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.hgx.inference.plugins.plugin_utils import _progress
from ansible_collections.hgx.inference.plugins.plugin_utils._progress import ProgressActionBase


class Follower(ProgressActionBase):
    """Sees what it is given; an exception is raised."""

    def __init__(self, seen: list[str | Exception]) -> None:
        self.shown: list[str] = []
        self.resets = 0
        self._seen = iter(seen)
        self._task = SimpleNamespace(action="hgx.inference.some_module")
        self._display = SimpleNamespace(display=self.shown.append)
        self._connection = SimpleNamespace(reset=self._reset)

    def _reset(self) -> None:
        self.resets += 1

    def _low_level_execute_command(self, *_args: Any, **_kwargs: Any) -> dict[str, str]:
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


def test_a_connection_may_be_lost_for_a_while() -> None:
    lost = AnsibleConnectionFailure("connection timed out")
    follower = follow(["1 of 2\n", lost, lost, "2 of 2\nfinished\n"])
    assert follower.resets == 2
    assert len(follower.shown) == 2


def test_a_connection_that_stays_away_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "LOST_CONNECTION_LIMIT_S", -1.0)
    with pytest.raises(AnsibleConnectionFailure):
        follow(["1 of 2\n", AnsibleConnectionFailure("no route to host")])
