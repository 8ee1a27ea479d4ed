# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action C(vllm_ready): shows the progress of the module of the same name."""

from __future__ import annotations

from typing import Any

from ..module_utils._vllm.ready import COMPLETION_TIMEOUT_S
from ..plugin_utils._progress import ProgressActionBase


class ActionModule(ProgressActionBase):
    """Runs the module in the background and shows its progress."""

    def time_limit_s(self, args: dict[str, Any]) -> int:
        # A start may come twice: the second one with an empty cache.
        return 2 * (int(args.get("timeout", 3600)) + int(COMPLETION_TIMEOUT_S))

    def may_end_at_once(self, args: dict[str, Any]) -> bool:
        # The ranks of a server wait for each other.
        return not args.get("span")
