# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action C(benchmark_report): writes the reports of benchmarks on the controller."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..plugin_utils._edge import EdgeActionBase
from ..plugin_utils._report.document import PARTS
from ..plugin_utils._report.folder import Folder, ReportError
from ..plugin_utils._times import RUN

OPTIONS: dict[str, Any] = {
    "dest": {"type": "path", "required": True},
    "host": {"type": "str"},
    "result": {"type": "path"},
    "outcome": {"type": "dict", "default": {}},
    **{part: {"type": "dict"} for part in PARTS if part not in ("result", "run", "gateways")},
    "gateway": {"type": "str"},
    "gateway_cost": {"type": "dict"},
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
}


class ActionModule(EdgeActionBase):
    """Never touches the target."""

    _requires_connection = False

    def act(self, returned: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        _validation, args = self.validate_argument_spec(argument_spec=OPTIONS)
        folder = Folder(Path(self._loader.path_dwim(args["dest"])), bool(self._task.check_mode))
        try:
            with folder.locked():
                reports = self._reports(folder, args)
                index = folder.index()
        except ReportError as exc:
            return {**returned, "failed": True, "msg": str(exc)}
        except Exception as exc:
            # Returned, because an exception would bypass the task's failed_when and end a play whose server is good.
            return {**returned, "failed": True, "msg": f"The report cannot be made: {type(exc).__name__}: {exc}."}
        for problem in folder.problems:
            self._display.warning(problem)
        return {**returned, "changed": folder.changed, "reports": [str(path) for path in reports], "index": str(index)}

    def _reports(self, folder: Folder, args: dict[str, Any]) -> list[Path]:
        if not args["host"]:
            return folder.remake()
        if args["gateway_cost"]:
            found = folder.add_gateway(args["host"], args["gateway"], args["gateway_cost"])
            return [found] if found else []
        return [self._report(folder, args)]

    def _report(self, folder: Folder, args: dict[str, Any]) -> Path:
        result = Path(self._loader.path_dwim(args["result"])) if args["result"] else None
        parts = {part: args.get(part) for part in PARTS}
        if not args["outcome"].get("reused"):  # the report keeps the times of the run that measured
            parts["run"] = RUN.as_dict(time.monotonic())
        return folder.report(args["host"], result, parts, args["outcome"])
