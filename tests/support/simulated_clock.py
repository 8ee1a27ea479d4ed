# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A clock of the Lambda API's client whose time passes only where it is waited for."""

from __future__ import annotations

from ansible_collections.hgx.inference.plugins.module_utils._lambda.client import Clock


class SimulatedClock(Clock):
    """Starts at some time in 2027; C(now) is in seconds since 1970, and C(slept) has each wait in seconds."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += max(0.0, seconds)
