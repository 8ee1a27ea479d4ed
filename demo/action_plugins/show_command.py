# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a long command on the controller and show its lines while it runs, also under ansible-runner."""

from __future__ import annotations

import subprocess
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()


class ActionModule(ActionBase):
    """The task's only argument is argv. The result is that of ansible.builtin.command: rc and stdout."""

    _VALID_ARGS = frozenset(["argv"])

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        argv = [str(word) for word in self._task.args["argv"]]
        lines = []
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip())
                display.display(f"  {lines[-1]}")
        result.update(rc=process.returncode, stdout="\n".join(lines), changed=True, failed=process.returncode != 0)
        if result["failed"]:
            result["msg"] = "\n".join(lines[-25:]) or f"{argv[0]} ended with exit code {process.returncode}"
        return result
