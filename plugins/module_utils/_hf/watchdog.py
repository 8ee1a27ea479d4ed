# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide when a transfer counts as stalled, and how to retry it."""

from __future__ import annotations

from dataclasses import dataclass, replace

_XET_TRIES = 2
_FRUITLESS_TRIES = 3


class Watchdog:
    """Detects that no new byte has arrived for a while. Times are seconds of any steady clock."""

    def __init__(self, stall_s: float, now: float) -> None:
        self._stall_s = stall_s
        self._bytes = -1
        self._deadline = now + stall_s

    def saw(self, now: float, count: int) -> None:
        """Record the number of bytes. Any change, even to a smaller number, is a sign of life."""
        if count != self._bytes:
            self._bytes = count
            self._deadline = max(self._deadline, now + self._stall_s)

    def excuse(self, now: float, seconds: float) -> None:
        """Expect no byte for C(seconds): the Hub asked for a pause, or a peer does not have the file yet."""
        self._deadline = max(self._deadline, now + seconds + self._stall_s)

    def stalled(self, now: float) -> bool:
        return now >= self._deadline


@dataclass(frozen=True)
class Attempt:
    """How the next attempt transfers, and how often earlier ones stalled."""

    xet: bool
    stalls: int = 0
    fruitless: int = 0

    def after_stall(self, progressed: bool) -> Attempt | None:
        """Return the next attempt, or None after too many without progress.

        The first stall of Xet may be chance; after the second one the rest is fetched by plain HTTP.
        """
        fruitless = 0 if progressed else self.fruitless + 1
        if self.xet:
            return replace(self, xet=self.stalls + 1 < _XET_TRIES, stalls=self.stalls + 1, fruitless=0)
        if fruitless >= _FRUITLESS_TRIES:
            return None
        return replace(self, stalls=self.stalls + 1, fruitless=fruitless)
