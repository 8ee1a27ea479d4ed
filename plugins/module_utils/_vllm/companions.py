# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The other ranks of a server across hosts, while it starts: when the head answers, and who failed first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from .._core.files import read_text
from .._core.secrets import scrub
from .._programs.group import GRACE_S, Failure, blamed
from .._programs.link import SILENT_S, Heard, Link
from .supervisor import START_PORT, span_key_file

# Their tasks begin at about the same time, but not on a busy controller.
ABSENT_S = 300.0
# How long the head waits for the others to see that it answers.
_FAREWELL_S = 30.0
_TURN_S = 0.5
_MOST_CHARS = 8000


class RankFailed(Exception):
    """A rank has failed, this one or another. The text names rank, host and cause."""


class Connection(Protocol):
    """What is used of a link."""

    problem: str

    def say(self, message: Mapping[str, Any]) -> None:
        """Make this the message of this rank."""

    def heard(self) -> dict[int, Heard]:
        """Return the newest message of each other rank."""

    def wait(self, limit_s: float) -> None:
        """Wait for anything new."""

    def close(self) -> None:
        """End all connections."""


class Companions:
    """What this rank tells the others, and hears of them.

    C(span) is as the module vllm_supervisor has it, with the C(run) of the play, which tells it apart from an old one.
    """

    def __init__(
        self,
        span: Mapping[str, Any],
        link: Connection,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hosts = [str(host) for host in span["hosts"]]
        self._rank = int(span["rank"])
        self._run = str(span.get("run", ""))
        self._link = link
        self._clock = clock
        self._began_at = clock()
        self._told: dict[str, Any] = {}
        self._failed_at = 0.0

    @property
    def is_head(self) -> bool:
        return self._rank == 0

    def tell(self, words: str) -> None:
        """Tell how far this rank is. Raises RankFailed if another one has failed, or is gone."""
        self._say(words=words)
        failures = self._failures()
        if failures:
            raise RankFailed(self._words(blamed(failures)))

    def head_answers(self) -> bool:
        """Return whether the head has told that it answers."""
        return bool(self._messages().get(0, {}).get("answers"))

    def fail(self, cause: str) -> str:
        """Tell that this rank has failed, and return which one is to blame, with its host and cause."""
        cause = scrub(cause)[:_MOST_CHARS]
        self._failed_at = self._clock()
        self._say(failed=cause)
        # The others fail with it, and one of them may have been the first.
        while self._clock() - self._failed_at < GRACE_S:
            self._link.wait(_TURN_S)
            self._say()
        own = Failure(self._rank, self._hosts[self._rank], cause, self._clock() - self._failed_at)
        return self._words(blamed([own, *self._failures()]))

    def end(self) -> None:
        """Tell that this rank has done its part; at the head, wait until the others know."""
        began_at = self._clock()
        self._say(answers=True)
        while self.is_head and self._clock() - began_at < _FAREWELL_S:
            if all(message.get("answers") for message in self._messages().values()) and self._all_heard():
                break
            self._link.wait(_TURN_S)

    def close(self) -> None:
        self._link.close()

    def _say(self, **new: Any) -> None:
        self._told.update(new)
        ago_s = round(self._clock() - self._failed_at, 1) if self._failed_at else 0.0
        self._link.say({**self._told, "run": self._run, "ago_s": ago_s})

    def _all_heard(self) -> bool:
        return len(self._messages()) == len(self._hosts) - 1

    def _messages(self) -> dict[int, Mapping[str, Any]]:
        """Return what the other ranks of this play say."""
        heard = self._link.heard().items()
        return {
            rank: each.message
            for rank, each in heard
            if 0 <= rank < len(self._hosts) and each.message.get("run") == self._run
        }

    def _failures(self) -> list[Failure]:
        messages, heard, now = self._messages(), self._link.heard(), self._clock()
        found = []
        for rank, host in enumerate(self._hosts):
            if rank == self._rank or (rank > 0 and self._rank > 0):
                continue  # the followers hear the head only
            if rank not in messages:
                if now - self._began_at > ABSENT_S:
                    found.append(Failure(rank, host, self._absent(), now - self._began_at))
            elif messages[rank].get("failed"):
                ago_s = float(messages[rank].get("ago_s", 0.0)) + now - heard[rank].at
                at, where = int(messages[rank].get("at", rank)), str(messages[rank].get("host", host))
                found.append(Failure(at, where, str(messages[rank]["failed"]), ago_s))
            elif now - heard[rank].at > SILENT_S and not messages[rank].get("answers"):
                silent_s = now - heard[rank].at
                found.append(Failure(rank, host, f"nothing was heard of it for {silent_s:.0f} s", silent_s))
        return found

    def _absent(self) -> str:
        why = f" ({self._link.problem})" if self._link.problem else ""
        return f"nothing was heard of it in {ABSENT_S:.0f} s{why}. The ranks must reach each other, both ways"

    def _words(self, failure: Failure) -> str:
        """Return the message, with which the head also tells the other followers."""
        if self._told.get("failed") != failure.cause:
            self._say(failed=failure.cause, at=failure.rank, host=failure.host)
        return f"Rank {failure.rank} on {failure.host}: {failure.cause}"


def connect(span: Mapping[str, Any], state_dir: str) -> Companions:
    """Return the other ranks of a server, whose key is in a file."""
    key = read_text(span_key_file(state_dir)).strip().encode()
    link = Link(int(span["rank"]), (str(span["head_address"]), int(span["port"]) + START_PORT), key)
    link.open()
    return Companions(span, link)
