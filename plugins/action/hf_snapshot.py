# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action C(hf_snapshot): shows the progress of the download."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ..plugin_utils._progress import ProgressActionBase

# 600 GB at 7 MB/s. A download that exceeds it resumes at the next run.
LIMIT_S = 24 * 3600


class ActionModule(ProgressActionBase):
    def time_limit_s(self, args: dict[str, Any]) -> int:
        return LIMIT_S

    def may_end_at_once(self, args: dict[str, Any]) -> bool:
        return not boolean(args.get("verify", False))
