# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action C(vllm_image): shows the progress of the module of the same name."""

from __future__ import annotations

from typing import Any

from ..plugin_utils._progress import ProgressActionBase

LIMIT_S = 2 * 3600


class ActionModule(ProgressActionBase):
    """Runs the module in the background and shows its progress."""

    def time_limit_s(self, args: dict[str, Any]) -> int:
        return LIMIT_S
