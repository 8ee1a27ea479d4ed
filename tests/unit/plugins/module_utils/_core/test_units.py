# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.units import human_bytes, human_duration


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (595_203_948_573, "595.2 GB"),
        (1_040_000_000_000, "1.04 TB"),
    ],
)
def test_human_bytes(count: int, text: str) -> None:
    assert human_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89.4, "89 s"), (89.6, "2 min"), (1860, "31 min"), (5399, "1 h 30 min"), (7500, "2 h 05 min")],
)
def test_human_duration(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text
