# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of progress: run a long module in the background and show its progress lines."""

from __future__ import annotations

import secrets
import shlex
import time
from typing import Any

from ansible.plugins.action import ActionBase

POLL_INTERVAL_S = 2.0
# What the module may take beyond its own limit, to clean up and to report.
GRACE_S = 60


class ProgressActionBase(ActionBase):
    """Runs the module of the task through core's async wrapper and shows each new line of its progress file.

    The job on the target outlives a lost connection but never C(time_limit_s).
    """

    TRANSFERS_FILES = False

    def time_limit_s(self, args: dict[str, Any]) -> int:
        """Return how long the module may run, in seconds, given the task's arguments."""
        raise NotImplementedError

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = dict(self._task.args)
        if self._task.check_mode:
            result.update(self._execute_module(module_args=args, task_vars=task_vars))
            return result
        async_dir = self._remote_expand_user(self.get_shell_option("async_dir", default="~/.ansible_async"))
        progress_file = f"{async_dir}/hgx-{secrets.token_hex(8)}.progress"
        job = self._start({**args, "progress_file": progress_file}, self.time_limit_s(args) + GRACE_S, task_vars)
        if "ansible_job_id" not in job:
            result.update(job)  # it never started: a bad interpreter, a full disk
            return result
        host = str((task_vars or {}).get("inventory_hostname", "target"))
        self._follow(host, progress_file, f"{async_dir}/{job['ansible_job_id']}", self.time_limit_s(args) + 2 * GRACE_S)
        result.update(self._collect(job["ansible_job_id"], async_dir, task_vars))
        self._low_level_execute_command(f"rm -f {progress_file} {progress_file}.new {progress_file}.seen")
        return result

    def _start(self, args: dict[str, Any], limit_s: int, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        self._task.async_val = limit_s
        try:
            return dict(self._execute_module(module_args=args, task_vars=task_vars, wrap_async=True))
        finally:
            self._task.async_val = 0  # otherwise core would poll for the job, too

    def _follow(self, host: str, progress_file: str, results_file: str, limit_s: float) -> None:
        # One cheap shell command per look; the results file says "unfinished" until the wrapper replaces it.
        unfinished = shlex.quote(r'^\{"started": (true|1), "finished": (false|0)')
        look = (
            f"mkdir -p {shlex.quote(results_file.rpartition('/')[0])}; touch {progress_file}.seen;"
            f" cat {progress_file} 2>/dev/null; grep -Eq {unfinished} {results_file} || echo finished"
        )
        shown = ""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            lines = str(self._low_level_execute_command(look).get("stdout", "")).split("\n")
            lines = [line.strip() for line in lines if line.strip()]
            finished = bool(lines) and lines[-1] == "finished"
            progress = lines[0] if len(lines) > finished else ""
            if progress and progress != shown:
                shown = progress
                self._display.display(f"  {self._task.action.rpartition('.')[2]} [{host}] {progress}")
            if finished:
                return
            time.sleep(POLL_INTERVAL_S)

    def _collect(self, job_id: str, async_dir: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        status_args = {"jid": job_id, "_async_dir": async_dir}
        status = "ansible.legacy.async_status"
        result = dict(self._execute_module(module_name=status, module_args=status_args, task_vars=task_vars))
        self._execute_module(module_name=status, module_args={**status_args, "mode": "cleanup"}, task_vars=task_vars)
        for internal in (
            "ansible_job_id",
            "started",
            "finished",
            "results_file",
            "stdout",
            "stderr",
            "stdout_lines",
            "stderr_lines",
        ):
            result.pop(internal, None)
        return result
