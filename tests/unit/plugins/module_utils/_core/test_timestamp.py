# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times in text."""

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.timestamp import epoch


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("1970-01-02T00:00:01Z", 86401.0),
        ("2026-11-25T16:41:00.250000000Z", 1795624860.25),
        ("2026-11-25T16:41:00.5Z INFO a line of a log", 1795624860.5),
        ("0001-01-01T00:00:00Z", -62135596800.0),  # Docker's never
        ("2026-99-25T16:41:00Z", None),
        ("2026-11-25 16:41:00", None),
        ("", None),
    ],
)
def test_epoch(stamp: str, seconds: float | None) -> None:
    assert epoch(stamp) == seconds
