# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Timestamps in the format of Docker and of this collection's records."""

from __future__ import annotations

import calendar
import re
import time

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")


def epoch(stamp: str) -> float | None:
    """Return the seconds since 1970 of V(2026-11-25T16:41:00.123456789Z) at the start of a text, or None."""
    match = _STAMP.match(stamp)
    try:
        return calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S")) + float(match[2] or 0) if match else None
    except ValueError:  # no such day
        return None
