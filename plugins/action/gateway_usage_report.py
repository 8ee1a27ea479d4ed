# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action C(gateway_usage_report): adds up what gateways have counted, and writes a page on the controller."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..module_utils._gateway.usage import render
from ..plugin_utils._edge import EdgeActionBase
from ..plugin_utils._report import usage
from ..plugin_utils._report.folder import Folder, ReportError

OPTIONS: dict[str, Any] = {
    "dest": {"type": "str", "default": ""},
    "gateways": {"type": "dict", "required": True},
    "price_usd_per_hour": {"type": "float"},
}


class ActionModule(EdgeActionBase):
    """Never touches the target."""

    _requires_connection = False

    def act(self, result: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        _validation, args = self.validate_argument_spec(argument_spec=OPTIONS)
        now = time.time()
        found = usage.document(args["gateways"], now, args["price_usd_per_hour"])
        text = render(found, now)
        # A report is an observation.
        result = {**result, "changed": False, "text": text, "users": found["users"]}
        if not args["dest"]:
            return result
        folder = Folder(Path(self._loader.path_dwim(args["dest"])), bool(self._task.check_mode))
        try:
            with folder.locked():
                path = folder.usage(found)
                folder.index()
        except ReportError as exc:
            return {**result, "failed": True, "msg": str(exc)}
        return {**result, "path": str(path), "text": [*text, f"{'':<12} Page: {path}"]}
