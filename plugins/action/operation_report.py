# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action C(operation_report): asks Prometheus on the target, and writes a page on the controller."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..module_utils._core.secrets import scrubbed
from ..plugin_utils._edge import EdgeActionBase
from ..plugin_utils._monitoring import bill, now
from ..plugin_utils._monitoring.operation import operation, page
from ..plugin_utils._report.folder import Folder, ReportError

OPTIONS: dict[str, Any] = {
    "dest": {"type": "path", "required": True},
    "host": {"type": "str", "required": True},
    "url": {"type": "str", "default": "http://127.0.0.1:9090"},
    "days": {"type": "int", "default": 7},
    "api_price": {
        "type": "dict",
        "options": {"output": {"type": "float", "required": True}, "prompt": {"type": "float", "required": True}},
    },
    "published_rate": {"type": "float"},
    "users": {"type": "list", "elements": "dict", "default": []},
}


class ActionModule(EdgeActionBase):
    """Runs the module prometheus_info on the target."""

    def act(self, result: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        _validation, args = self.validate_argument_spec(argument_spec=OPTIONS)
        days = max(1, args["days"])
        asked = {
            "url": args["url"],
            "queries": {**now.queries(), **bill.queries(days)},
            "daily": {**bill.daily_queries(), **now.DAILY},
            "days": days,
        }
        answers = self._execute_module("hgx.inference.prometheus_info", asked, task_vars=task_vars)
        if answers.get("failed"):
            return {**result, "failed": True, "msg": answers.get("msg", "prometheus_info failed")}
        api = bill.Price(**args["api_price"]) if args["api_price"] else None
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(answers["now"]))
        found = operation(args["host"], answers, days, api, args["published_rate"], args["users"], when)
        folder = Folder(Path(self._loader.path_dwim(args["dest"])), bool(self._task.check_mode))
        try:
            with folder.locked():
                path = folder.operation(args["host"], page(found, "../index.html"))
                folder.index()
        except ReportError as exc:
            return {**result, "failed": True, "msg": str(exc)}
        text = [line for each in found.bills for line in bill.lines(each)]
        text += [f"{each.server} on {each.node}: {each.finding}." for each in found.trends if each.finding]
        text += ["Prometheus has no alarm rules, so nothing is known of alarms."] if found.alarms is None else []
        alarms = [f"{alarm.name}: {alarm.summary}" for alarm in found.alarms or []]
        # A report is an observation.
        return {**result, "changed": False, "path": str(path), "text": scrubbed(text), "alarms": alarms}
