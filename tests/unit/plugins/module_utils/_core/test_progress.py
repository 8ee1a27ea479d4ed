# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The line that tells how far a transfer is."""

from __future__ import annotations

from ansible_collections.hgx.inference.plugins.module_utils._core.progress import Meter


def test_meter_rate_and_time_to_go() -> None:
    meter = Meter()
    assert meter.line(0, 0, 1_000_000_000) == "0 B of 1.0 GB (0 %)"
    assert meter.line(10, 200_000_000, 1_000_000_000) == "200.0 MB of 1.0 GB (20 %), 20.0 MB/s, 40 s to go"


def test_meter_does_not_count_what_was_there_before() -> None:
    meter = Meter()
    meter.line(0, 900_000_000, 1_000_000_000)
    meter.line(10, 910_000_000, 1_000_000_000)
    assert "(92 %), 1.0 MB/s, 80 s to go" in meter.line(20, 920_000_000, 1_000_000_000)


def test_meter_follows_the_last_half_minute() -> None:
    meter = Meter()
    for second in range(60):
        meter.line(second, second * 10_000_000, 1_000_000_000)
    for second in range(60, 100):
        line = meter.line(second, 600_000_000 + (second - 60) * 1_000_000, 1_000_000_000)
    assert "1.0 MB/s" in line


def test_meter_at_the_end_and_backwards() -> None:
    meter = Meter()
    meter.line(0, 500, 1000)
    assert "0 B/s" in meter.line(1, 400, 1000)
    assert meter.line(2, 1000, 1000) == "1.0 kB of 1.0 kB (100 %)"
    assert Meter().line(0, 0, 0) == "0 B of 0 B (0 %)"
