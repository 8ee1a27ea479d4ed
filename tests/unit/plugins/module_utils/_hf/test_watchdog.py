# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._hf.watchdog import Attempt, Watchdog


def test_no_new_byte_is_a_stall() -> None:
    watchdog = Watchdog(60, now=100)
    watchdog.saw(110, 5)
    watchdog.saw(150, 5)
    assert not watchdog.stalled(169.9)
    assert watchdog.stalled(170)


def test_nothing_at_all_is_a_stall() -> None:
    watchdog = Watchdog(60, now=100)
    assert not watchdog.stalled(159)
    assert watchdog.stalled(160)


@pytest.mark.parametrize("count", [6, 4], ids=["more", "less, a useless partial is gone"])
def test_another_number_of_bytes_is_a_sign_of_life(count: int) -> None:
    watchdog = Watchdog(60, now=0)
    watchdog.saw(0, 5)
    watchdog.saw(59, count)
    assert not watchdog.stalled(118)


def test_a_pause_that_was_asked_for_is_no_stall() -> None:
    watchdog = Watchdog(60, now=0)
    watchdog.excuse(0, 300)
    watchdog.saw(10, 5)
    assert not watchdog.stalled(359)
    assert watchdog.stalled(360)


def attempts(xet: bool, *progressed: bool) -> list[str]:
    """Return how each attempt transfers, given whether each one before it has brought anything."""
    attempt: Attempt | None = Attempt(xet)
    ways = []
    for progress in (*progressed, False):
        ways.append("gives up" if attempt is None else "xet" if attempt.xet else "http")
        if attempt is None:
            break
        attempt = attempt.after_stall(progress)
    return ways


@pytest.mark.parametrize(
    ("xet", "progressed", "ways"),
    [
        (True, [True], ["xet", "xet"]),
        (True, [True, True], ["xet", "xet", "http"]),
        (True, [False] * 5, ["xet", "xet", "http", "http", "http", "gives up"]),
        (False, [False] * 3, ["http", "http", "http", "gives up"]),
        (False, [False, False, True, False, False, False], ["http"] * 6 + ["gives up"]),
        (False, [True] * 8, ["http"] * 9),
    ],
)
def test_attempts(xet: bool, progressed: list[bool], ways: list[str]) -> None:
    assert attempts(xet, *progressed) == ways
