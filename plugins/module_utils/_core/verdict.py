# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outcomes of a check."""

from __future__ import annotations

PASS = "pass"
WARN = "warn"
FAIL = "fail"
INVALID = "invalid"  # the measurement is meaningless, so it proves nothing
SKIPPED = "skipped"
