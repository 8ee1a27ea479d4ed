# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the site from Python with ansible-runner: progress while it runs, the verdict at the end.

    .venv/bin/python examples/runner.py --inventory inventories/lambda

The exit code is 0 if every host passed, 2 if it works but is not proven (a warning, or no benchmark), 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

REPOSITORY = Path(__file__).resolve().parents[1]
BENCHMARK = "hgx.inference.smoke_benchmark"
UNSHOWN = {"ansible.builtin.validate_argument_spec"}  # core's own first task in each role
ANSI = re.compile(r"\x1b\[[0-9;]*m")
PROGRESS_LINE = re.compile(r"^  \w+ \[[^]]+\] ")

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What the benchmark found on one host."""

    verdict: str  # pass, warn, fail or invalid
    summary: list[str]
    checks: list[dict[str, Any]]


@dataclass(frozen=True)
class SiteResult:
    """How a run of the site ended; status is ansible-runner's: successful, failed, canceled, timeout."""

    status: str
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0: proven. 1: failed. 2: it serves, but that it is as fast as it should be is not proven."""
        found = {verdict.verdict for verdict in self.verdicts.values()}
        if self.status != "successful" or found - {"pass", "warn"}:
            return 1
        return 0 if found == {"pass"} else 2

    def table(self) -> str:
        """Return the verdict of each host with its figures, or what went wrong."""
        lines = []
        for host, verdict in self.verdicts.items():
            lines += [f"{host}: {verdict.verdict}", *(f"  {line}" for line in verdict.summary)]
        if not self.verdicts:
            lines.append("No benchmark ran, so nothing is proven.")
        return "\n".join([*lines, *self.failures])


class Progress:
    """Handles the events of one run: shows what begins, keeps what matters at the end."""

    def __init__(self, show: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self.failures: list[str] = []
        self._show = show
        self._clock = clock
        self._start = clock()

    def handle(self, event: Event) -> bool:
        """Take one event of ansible-runner. Returns False: nothing needs to be kept on disk."""
        kind, data = event["event"], event.get("event_data") or {}
        if kind == "playbook_on_play_start":
            self._say(data["play"])
        elif kind in ("playbook_on_task_start", "playbook_on_handler_task_start"):
            if data.get("task_action") in UNSHOWN:
                return False
            role = data["role"].rpartition(".")[2] + ": " if data.get("role") else ""
            self._say(f"  {role}{data['task']}")
        elif kind in ("runner_on_ok", "runner_on_failed", "runner_on_unreachable"):
            self._result(kind, data)
        elif kind == "verbose":
            for line in ANSI.sub("", event.get("stdout") or "").splitlines():
                self._plain_output(line)
        return False

    def _result(self, kind: str, data: Mapping[str, Any]) -> None:
        result = data.get("res") or {}
        if data.get("task_action") == BENCHMARK and "verdict" in result:
            checks = result.get("checks", [])
            self.verdicts[data["host"]] = Verdict(result["verdict"], result["summary"], checks)
        elif kind != "runner_on_ok" and not data.get("ignore_errors"):
            self.failures.append(f"{data['host']}: {data['task']}: {result.get('msg', 'failed')}")
            self._say(f"  FAILED {self.failures[-1]}")

    def _plain_output(self, line: str) -> None:
        if PROGRESS_LINE.match(line):  # what a module in the background says about itself
            self._say(f"  {line}")
        elif line.startswith("[ERROR]: "):  # what is wrong before the first task, such as a syntax error
            self.failures.append(line.removeprefix("[ERROR]: "))

    def _say(self, line: str) -> None:
        minutes, seconds = divmod(int(self._clock() - self._start), 60)
        self._show(f"{minutes:3}:{seconds:02} {line}")


def run_site(
    inventory: Path = REPOSITORY / "inventories" / "local",
    playbook: Path = REPOSITORY / "site.yml",
    extra_vars: Mapping[str, Any] | None = None,
    show: Callable[[str], None] = print,
) -> SiteResult:
    """Run the playbook against the inventory and return how it ended.

    Secrets (VLLM_API_KEY, HF_TOKEN) are read from the environment; extra_vars show up in a process list.
    """
    progress = Progress(show)
    # Runner keeps its files outside of the repository, and they go when it ends.
    with tempfile.TemporaryDirectory(prefix="hgx-inference-") as private:
        runner = ansible_runner.run(
            private_data_dir=private,
            project_dir=str(REPOSITORY),
            playbook=str(playbook),
            inventory=[str(inventory.resolve())],
            extravars=dict(extra_vars or {}),
            envvars={
                "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
                # Runner calls ansible-playbook by name: take the one that belongs to this Python.
                "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            },
            event_handler=progress.handle,
            suppress_env_files=True,
            quiet=True,
        )
    return SiteResult(runner.status, progress.verdicts, progress.failures)


def main() -> int:
    """Run the site as the command line says and return the exit code."""
    parser = argparse.ArgumentParser(description="Deploy and prove an endpoint with ansible-runner.")
    parser.add_argument("-i", "--inventory", type=Path, default=REPOSITORY / "inventories" / "local")
    result = run_site(parser.parse_args().inventory)
    print(f"\n{result.table()}")
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main())
