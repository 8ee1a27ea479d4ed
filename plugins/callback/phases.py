# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Callback C(phases)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: phases
type: stdout
short_description: Show phases, changes, warnings and messages
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Shows what a person wants to see of a long play, which is the plays, progress, changes, warnings, messages and
    failures. At the end it shows how long each play took, which of its tasks took long, and what that cost if the price
    of the nodes is known.
  - Hides tasks that were skipped, and tasks that changed nothing unless they take long.
  - With C(-v) it is the callback C(ansible.builtin.default).
  - Unlike that callback with O(display_ok_hosts=false), it shows messages and warnings of tasks that changed nothing.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as stdout in configuration
"""

import re
import threading
import time
from typing import TYPE_CHECKING, Any

from ansible.constants import _ACTION_DEBUG, COLOR_ERROR, COLOR_UNREACHABLE
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as DefaultCallback

from ..plugin_utils._preload import preload
from ..plugin_utils._times import RUN

if TYPE_CHECKING:
    from ansible.executor.stats import AggregateStats
    from ansible.executor.task_result import CallbackTaskResult
    from ansible.playbook import Playbook
    from ansible.playbook.included_file import IncludedFile
    from ansible.playbook.play import Play
    from ansible.playbook.task import Task

# A task that takes longer is shown while it runs, so that no play is silent for long.
LONG_TASK_S = 15.0
HIDDEN = ("display_ok_hosts", "display_skipped_hosts")


class CallbackModule(DefaultCallback):
    """The default output without what nobody reads."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "hgx.inference.phases"

    def __init__(self) -> None:
        super().__init__()
        self._timer = threading.Timer(0, lambda: None)
        # A play for an empty list, such as that of the gateways where there are none.
        self._is_for_nobody = False

    @property
    def _is_brief(self) -> bool:
        return bool(self._display.verbosity == 0)

    def get_option(self, k: str, hostvars: Any = None) -> Any:
        """Return the value of the option C(k); without C(-v) those of HIDDEN are off, whatever is configured."""
        return False if k in HIDDEN and self._is_brief else super().get_option(k, hostvars)

    def _task_start(self, task: Task, prefix: str | None = None) -> None:
        super()._task_start(task, prefix)
        self._timer.cancel()
        RUN.task(task.name or task.action, time.monotonic())
        if self._is_brief:
            self._timer = threading.Timer(LONG_TASK_S, self._print_task_banner, [task])
            self._timer.daemon = True
            self._timer.start()

    def v2_playbook_on_include(self, included_file: IncludedFile) -> None:
        if not self._is_brief:  # not by HIDDEN, because ansible-core 2.19 has no option for it
            super().v2_playbook_on_include(included_file)

    def v2_playbook_on_start(self, playbook: Playbook) -> None:
        super().v2_playbook_on_start(playbook)
        preload()

    def v2_playbook_on_play_start(self, play: Play) -> None:
        self._timer.cancel()
        self._is_for_nobody = not play.hosts
        if self._is_for_nobody and self._is_brief:
            return
        RUN.play(play.get_name().strip(), time.monotonic())
        super().v2_playbook_on_play_start(play)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        if not (self._is_for_nobody and self._is_brief):
            super().v2_playbook_on_no_hosts_matched()

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        if result.task.action == "hgx.inference.load_recipe":
            RUN.price(result.host.get_name(), result.result.get("price_usd_per_hour"))
        if "ansible_job_id" in result.result and not result.result.get("finished"):
            RUN.beside(result.task.name or result.task.action)
        if not (self._is_brief and self._is_brief_result(result)):
            super().v2_runner_on_ok(result)

    def v2_runner_item_on_ok(self, result: CallbackTaskResult) -> None:
        if not (self._is_brief and self._is_brief_result(result)):
            super().v2_runner_item_on_ok(result)

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        message = result.result.get("msg")
        # The output of a command tells more than its message, and each item of a loop is told by itself.
        if not (self._is_brief and message) or "rc" in result.result or "results" in result.result or ignore_errors:
            super().v2_runner_on_failed(result, ignore_errors)
            return
        if self._last_task_banner != result.task._uuid:
            self._print_task_banner(result.task)
        self._handle_warnings_and_exception(result)
        self._display.display(f"fatal: [{self.host_label(result)}]: FAILED!\n{_indented(message)}", color=COLOR_ERROR)

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        if not self._is_brief:
            super().v2_runner_on_unreachable(result)
            return
        if self._last_task_banner != result.task._uuid:
            self._print_task_banner(result.task)
        words = _indented(_unreachable(str(result.result.get("msg", ""))))
        self._display.display(f"fatal: [{self.host_label(result)}]: UNREACHABLE!\n{words}", color=COLOR_UNREACHABLE)

    def _handle_exception(self, result: Any, use_stderr: bool = False) -> None:
        # It is the failure's message once more, with the source of the task.
        if not (self._is_brief and result.get("msg")):
            super()._handle_exception(result, use_stderr=use_stderr)

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        self._timer.cancel()
        lines = RUN.table(time.monotonic())
        if self._is_brief and len(lines) > 2:
            self._display.banner("TIMES")
            for line in lines:
                self._display.display(line)
        super().v2_playbook_on_stats(stats)

    def _is_brief_result(self, result: CallbackTaskResult) -> bool:
        """Show what of a result that changed nothing is for a person; return whether that was all."""
        if isinstance(result.task, TaskInclude):
            return True
        if result.result.get("changed") or (result.task.loop and "results" in result.result):
            return False
        self._handle_warnings_and_exception(result)
        message = result.result.get("msg")
        if result.task.action in _ACTION_DEBUG and message:
            self._display.display(f"\n[{self.host_label(result)}]\n{_indented(message)}")
        return True


def _unreachable(message: str) -> str:
    """Return why a host cannot be reached and what to do, given the message of the connection."""
    changed = re.search(r"Host key for (\S+) has changed", message)
    if changed is None:
        return f"{message.strip()}\nWhat was done so far is kept: the next run continues from here."
    name, file = changed[1], re.search(r"Offending \S+ key in (\S+):\d+", message)
    where = f"-f '{file[1]}' " if file else ""
    return (
        f"The SSH host key of {name} is not the one of the first connection: the machine was installed anew, or another"
        f" machine answers. If you expect that, remove the old key and run again: ssh-keygen {where}-R '{name}'"
    )


def _indented(message: Any) -> str:
    lines = [str(line) for line in message] if isinstance(message, list) else str(message).splitlines()
    return "\n".join(f"  {line}" for line in lines)
