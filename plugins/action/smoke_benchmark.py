# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action C(smoke_benchmark): shows the progress of the module of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils._benchmark.run import END_GRACE_S, WORKER_GRACE_S
from ..plugin_utils._progress import ProgressActionBase

DEFAULT_LIMIT_S = 3600


class ActionModule(ProgressActionBase):
    """Runs the module in the background and shows its progress."""

    def time_limit_s(self, args: dict[str, Any]) -> int:
        workload = args.get("workload")
        limit_s = workload.get("time_limit_s", DEFAULT_LIMIT_S) if isinstance(workload, Mapping) else DEFAULT_LIMIT_S
        ends_early = isinstance(workload, Mapping) and args.get("size") in (workload.get("ends_early") or ())
        runs = 2 if ends_early else int(args.get("repetitions") or 1)
        return runs * (int(limit_s) + int(WORKER_GRACE_S) + END_GRACE_S)

    def may_end_at_once(self, args: dict[str, Any]) -> bool:
        return args.get("reuse") == "if_same"
