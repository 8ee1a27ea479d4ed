# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of progress: run a long module in the background and show its progress lines."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from ansible.errors import AnsibleConnectionFailure

from ..module_utils._core.secrets import scrub
from ._edge import EdgeActionBase

# Many jobs have nothing to do and end at once: poll soon, then less often.
POLL_INTERVALS_S = (0.25, 0.5, 1.0)
# The progress of the job that runs beside the tasks of a play, shown by each task that shows progress of its own.
BESIDE = "hgx-beside.progress"
MEANWHILE = "meanwhile: "
# How long a connection may be lost; the job continues without it.
LOST_CONNECTION_LIMIT_S = 300.0
# Extra time beyond the module's own limit, to clean up and to report.
GRACE_S = 60
# A poll time that tells a job that its play has ended.
LONG_AGO = "200001010000"
# Keys that core's wrapper adds to the module's own result.
WRAPPER_KEYS = (
    "ansible_job_id",
    "started",
    "finished",
    "results_file",
    "stdout",
    "stderr",
    "stdout_lines",
    "stderr_lines",
)


class Interrupted(BaseException):
    """The play is being ended. Not an Exception, so that no handler mistakes it for a failure of the task."""


class ProgressActionBase(EdgeActionBase):
    """Runs the module of the task through core's async wrapper and shows each new line of its progress file.

    The job on the target outlives a lost connection but never C(time_limit_s). It is notified when the play is ended.

    A module that may have nothing to do is called in the foreground first, with C(at_once).

    A task with C(async) and C(poll: 0) only starts the job, unless the module would change nothing. The tasks after it
    show its progress beside their own.
    """

    _supports_async = True

    def time_limit_s(self, args: dict[str, Any]) -> int:
        """Return how long the module may run, in seconds, given the task's arguments."""
        raise NotImplementedError

    def may_end_at_once(self, args: dict[str, Any]) -> bool:
        """Return whether the module, which has the option C(at_once), may find nothing to do."""
        return False

    def act(self, result: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        args = dict(self._task.args)
        beside, self._task.async_val = bool(self._task.async_val), 0
        if self._task.check_mode:
            return {**result, **self._execute_module(module_args=args, task_vars=task_vars)}
        if beside:
            planned = self._planned(args, task_vars)
            if not planned.get("changed"):
                return {**result, **planned}
        elif self.may_end_at_once(args):
            found = self._execute_module(module_args={**args, "at_once": True}, task_vars=task_vars)
            if not found.get("later"):
                return {**result, **found}
        limit_s = self.time_limit_s(args) + GRACE_S
        async_dir = self._remote_expand_user(self.get_shell_option("async_dir", default="~/.ansible_async"))
        # The wrapper would expand it by HOME, which may differ from the user's home.
        self._connection._shell.set_option("async_dir", async_dir)
        if beside:
            return self._start_beside(args, async_dir, limit_s, task_vars)
        progress_file = f"{async_dir}/hgx-{secrets.token_hex(8)}.progress"
        job = self._start({**args, "progress_file": progress_file}, limit_s, task_vars)
        if "ansible_job_id" not in job:
            result.update(job)  # it never started: a bad interpreter, a full disk
            return result
        results_file = f"{async_dir}/{job['ansible_job_id']}"
        host = str(task_vars.get("inventory_hostname", "target"))
        self._follow(host, progress_file, results_file, limit_s + GRACE_S)
        status_args = {"jid": job["ansible_job_id"], "_async_dir": async_dir}
        result.update(
            self._execute_module(
                module_name="ansible.legacy.async_status", module_args=status_args, task_vars=task_vars
            )
        )
        for key in WRAPPER_KEYS:
            result.pop(key, None)
        self._low_level_execute_command(removal(progress_file, results_file))
        return result

    def _planned(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        self._task.check_mode = True
        try:
            return dict(self._execute_module(module_args=args, task_vars=task_vars))
        finally:
            self._task.check_mode = False

    def _start_beside(
        self, args: dict[str, Any], async_dir: str, limit_s: int, task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        progress_file = f"{async_dir}/{BESIDE}"
        job = self._start({**args, "progress_file": progress_file}, limit_s, task_vars)
        if "ansible_job_id" in job:
            results_file = f"{async_dir}/{job['ansible_job_id']}"
            self._low_level_execute_command(later_removal(progress_file, results_file, limit_s + GRACE_S))
            job["changed"] = True
        return job

    def _start(self, args: dict[str, Any], limit_s: int, task_vars: dict[str, Any]) -> dict[str, Any]:
        self._task.async_val = limit_s
        try:
            return dict(self._execute_module(module_args=args, task_vars=task_vars, wrap_async=True))
        finally:
            self._task.async_val = 0  # otherwise core would poll for the job, too

    def _follow(self, host: str, progress_file: str, results_file: str, limit_s: float) -> None:
        """Show the progress until the job has ended, or for C(limit_s)."""
        intervals = itertools.chain(POLL_INTERVALS_S, itertools.repeat(POLL_INTERVALS_S[-1]))
        started = last_contact = time.monotonic()
        shown: set[str] = set()
        with _interrupts() as require_play:
            while time.monotonic() - started < limit_s:
                try:
                    require_play()
                    progress, finished = self._look(progress_file, results_file)
                    require_play()
                except AnsibleConnectionFailure:
                    if time.monotonic() - last_contact > LOST_CONNECTION_LIMIT_S:
                        raise
                    self._connection.reset()
                except Interrupted:
                    tell = f"touch -t {LONG_AGO} {shlex.quote(progress_file)}.seen"
                    tidy_up = later_removal(progress_file, results_file, limit_s)
                    self._low_level_execute_command(f"{tell}; {tidy_up}")
                    raise
                else:
                    last_contact = time.monotonic()
                    for line in set(progress) - shown:
                        self._display.display(f"  {self._task.action.rpartition('.')[2]} [{host}] {scrub(line)}")
                    shown = set(progress)
                    if finished:
                        return
                time.sleep(next(intervals))

    def _look(self, progress_file: str, results_file: str) -> tuple[list[str], bool]:
        """Return the newest progress lines, of the job and of the one beside it, and whether the job has ended.

        One cheap command instead of a module.
        """
        progress, unfinished = shlex.quote(progress_file), is_unfinished(results_file)
        beside = shlex.quote(os.path.join(os.path.dirname(progress_file), BESIDE))
        read = f"head -n 1 {progress}; sed -n '1s/^/{MEANWHILE}/p' {beside}"
        command = f"touch {progress}.seen; {{ {read}; }} 2>/dev/null; {unfinished} || echo finished"
        lines = str(self._low_level_execute_command(command).get("stdout", "")).split("\n")
        lines = [line.strip() for line in lines if line.strip()]
        finished = bool(lines) and lines[-1] == "finished"
        # A task that waits for the job beside it shows the same line.
        shown = [line for line in lines[: len(lines) - finished] if line not in {f"{MEANWHILE}{own}" for own in lines}]
        return shown, finished


def is_unfinished(results_file: str) -> str:
    """Return a shell command that succeeds while a job runs."""
    # The wrapper writes this first, and later replaces it with the module's result.
    unfinished = shlex.quote(r'^\{"started": (true|1), "finished": (false|0)')
    return f"grep -Eq {unfinished} {shlex.quote(results_file)}"


def removal(progress_file: str, results_file: str) -> str:
    """Return the shell command that removes the files of a job."""
    return shlex.join(["rm", "-f", progress_file, f"{progress_file}.seen", results_file])


def later_removal(progress_file: str, results_file: str, limit_s: float) -> str:
    """Return a shell command that returns at once and removes the files of a job once the job has ended."""
    wait = f"n=0; while [ $n -lt {limit_s:.0f} ] && {is_unfinished(results_file)}; do sleep 1; n=$((n + 1)); done"
    script = shlex.quote(f"{wait}; {removal(progress_file, results_file)}")
    return f"nohup sh -c {script} </dev/null >/dev/null 2>&1 &"


@contextlib.contextmanager
def _interrupts() -> Iterator[Callable[[], None]]:
    """Yield a function that raises Interrupted once the play is being ended or its process is gone.

    Core runs each task in its own process and session. A signal would end that process at once. Without a signal, as
    when ansible-playbook is killed, it would follow its job to the end.
    """
    play = os.getppid()
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    def require_play() -> None:
        if received or os.getppid() != play:
            raise Interrupted

    handlers = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield require_play
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])
