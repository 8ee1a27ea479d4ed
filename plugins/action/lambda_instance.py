# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action C(lambda_instance): shows the progress of launch and release."""

from __future__ import annotations

from typing import Any

from ..plugin_utils._progress import ProgressActionBase

# The module's own defaults.
WAIT_S = 1800
CAPACITY_S = 0
# Time for the requests, in addition to the waiting.
MARGIN_S = 600


class ActionModule(ProgressActionBase):
    def time_limit_s(self, args: dict[str, Any]) -> int:
        """Return the limit of a run that first waits for another run, and then for its own instance."""
        wait_s, capacity_s = args.get("wait_timeout", WAIT_S), args.get("capacity_timeout", CAPACITY_S)
        return 2 * (int(wait_s) + int(capacity_s)) + MARGIN_S
