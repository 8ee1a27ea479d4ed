# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action C(vllm_container): shows the progress of the module of the same name."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils._vllm.container import CREATE_TIMEOUT_S, STOP_TIMEOUT_S
from ..module_utils._vllm.gpus import GPU_TIMEOUT_S
from ..plugin_utils._progress import ProgressActionBase


class ActionModule(ProgressActionBase):
    """Runs the module in the background and shows its progress. The module continues without the controller."""

    def time_limit_s(self, args: dict[str, Any]) -> int:
        return int(args.get("drain_timeout", 60)) + STOP_TIMEOUT_S + CREATE_TIMEOUT_S + 2 * int(GPU_TIMEOUT_S) + 300

    def may_end_at_once(self, args: dict[str, Any]) -> bool:
        return not boolean(args.get("replace", False)) and args.get("state", "started") == "started"
