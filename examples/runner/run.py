# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the site from Python with ansible-runner: progress while it runs, the verdict at the end.

    .venv/bin/python examples/runner/run.py --inventory inventories/lambda

The exit code is 0 if every host passed, 2 if it works but is not proven (a warning, or a host without a
benchmark), 1 otherwise.
Ctrl-C and SIGTERM end the play in order; nothing of it runs on, on no host. A second one does not wait for that.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Protocol

import ansible_runner
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

HERE = Path(__file__).resolve().parent
BENCHMARK = "hgx.inference.smoke_benchmark"
PROOFS = {"hgx.inference.vllm_api_check": "functions", BENCHMARK: "benchmark"}
UNSHOWN = {"ansible.builtin.validate_argument_spec"}  # core's own first task in each role
# How long a play may take to end in order before its process is killed.
CANCEL_GRACE_S = 20.0
ANSI = re.compile(r"\x1b\[[0-9;]*m")
PROGRESS_LINE = re.compile(r"^  (?P<module>\w+) \[(?P<host>[^]]+)\] (?P<text>.+)$")
FRACTION = re.compile(r"(?P<done>\d+(?:\.\d+)?) of (?P<total>\d+(?:\.\d+)?)")
STYLES = {"pass": "green", "warn": "yellow", "skipped": "dim"}

Event = Mapping[str, Any]


class Advance(NamedTuple):
    """What a module that runs for long says about itself; done and total are None where it names no amount."""

    module: str
    host: str
    text: str
    done: float | None
    total: float | None

    @classmethod
    def parse(cls, line: str) -> Advance | None:
        """Read the line that the collection's action plugins print, or return None if it is another."""
        match = PROGRESS_LINE.match(line)
        if not match:
            return None
        amount = FRACTION.search(match["text"])
        done, total = (float(amount["done"]), float(amount["total"])) if amount else (None, None)
        return cls(match["module"], match["host"], match["text"], done, total)


@dataclass(frozen=True)
class Verdict:
    """What one kind of proof, functions or benchmark, found on one host."""

    host: str
    proof: str
    verdict: str  # pass, warn, fail or invalid
    summary: list[str]
    checks: list[dict[str, Any]]


@dataclass(frozen=True)
class SiteResult:
    """How a run of the site ended; status is ansible-runner's: successful, failed, canceled, timeout."""

    status: str
    verdicts: list[Verdict] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    hosts: frozenset[str] = frozenset()  # on which anything was done, or skipped

    @property
    def unmeasured(self) -> list[str]:
        """The hosts of which no benchmark says anything."""
        measured = {verdict.host for verdict in self.verdicts if verdict.proof == "benchmark"}
        return sorted((self.hosts | {verdict.host for verdict in self.verdicts}) - measured)

    @property
    def exit_code(self) -> int:
        """0: proven. 1: failed. 2: it serves, but that it is as fast as it should be is not proven."""
        found = {verdict.verdict for verdict in self.verdicts}
        if self.status != "successful" or found - {"pass", "warn"}:
            return 1
        return 0 if found == {"pass"} and not self.unmeasured else 2

    def table(self) -> Table:
        """Return every check of every host."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("host", "proof", "verdict", "what was found"):
            table.add_column(column, overflow="fold")
        for verdict in self.verdicts:
            first = [escape(verdict.host), verdict.proof, _styled(verdict.verdict)]
            lines = [_styled(str(check["status"]), check["message"]) for check in verdict.checks] or verdict.summary
            table.add_row(*first, "\n".join(lines))
        return table

    def show(self, console: Console) -> None:
        """Print the table, and what went wrong."""
        if self.verdicts:
            console.print(self.table())
            if self.unmeasured:
                console.print(f"No benchmark ran on {', '.join(map(escape, self.unmeasured))}.", highlight=False)
        else:
            console.print("No benchmark ran, so nothing is proven.")
        if self.status != "successful":
            for failure in self.failures:
                console.print(failure, markup=False, highlight=False)
            console.print(f"The run ended as {self.status}.", style="red")


class Display(Protocol):
    """Where the course of a run is shown."""

    def phase(self, name: str) -> None: ...
    def step(self, name: str) -> None: ...
    def advance(self, advance: Advance) -> None: ...
    def failed(self, text: str) -> None: ...


class Lines:
    """Plain lines with the time since the start, for logs and for whatever is no terminal."""

    def __init__(self, show: Callable[[str], None] = print, clock: Callable[[], float] = time.monotonic) -> None:
        self._show = show
        self._clock = clock
        self._start = clock()

    def phase(self, name: str) -> None:
        self._say(name)

    def step(self, name: str) -> None:
        self._say(f"  {name}")

    def advance(self, advance: Advance) -> None:
        self._say(f"    {advance.module} [{advance.host}] {advance.text}")

    def failed(self, text: str) -> None:
        self._say(f"  FAILED {text}")

    def _say(self, line: str) -> None:
        minutes, seconds = divmod(int(self._clock() - self._start), 60)
        self._show(f"{minutes:3}:{seconds:02} {line}")


class Drawing:
    """A line for each phase that is over; the present one with its step, and a bar for each module that runs long."""

    def __init__(self, console: Console) -> None:
        self._phases = Bars(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[step]}"),
            console=console,
        )
        self._bars = Bars(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            TextColumn("[dim]{task.fields[text]}"),
            console=console,
        )
        self._live = Live(Group(self._phases, self._bars), console=console, refresh_per_second=8)
        self._now: TaskID | None = None
        self._running: dict[tuple[str, str], TaskID] = {}

    def __enter__(self) -> Drawing:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _exc: BaseException | None, _at: TracebackType | None) -> None:
        self._end_bars()
        self._live.stop()

    def phase(self, name: str) -> None:
        self.over()
        self._now = self._phases.add_task(escape(name), total=1, step="")

    def over(self) -> None:
        """Show that the present phase has ended well."""
        self._end_bars()
        if self._now is not None:
            self._phases.update(self._now, completed=1, step="")

    def last(self) -> RenderableType:
        """Return the phases as they stand, to be printed elsewhere."""
        return self._phases.get_renderable()

    def step(self, name: str) -> None:
        self._end_bars()
        if self._now is not None:
            self._phases.update(self._now, step=escape(name))

    def advance(self, advance: Advance) -> None:
        key = (advance.module, advance.host)
        if key not in self._running:
            self._running[key] = self._bars.add_task(escape(advance.host), total=None, text="")
        self._bars.update(
            self._running[key], total=advance.total, completed=advance.done or 0, text=escape(advance.text)
        )

    def failed(self, text: str) -> None:
        self._live.console.print(f"[red]FAILED[/] {escape(text)}", highlight=False)

    def _end_bars(self) -> None:
        for task in self._running.values():
            self._bars.remove_task(task)
        self._running.clear()


class Progress:
    """Handles the events of one run: shows what begins, keeps what matters at the end."""

    def __init__(self, display: Display) -> None:
        self.verdicts: dict[tuple[str, str], Verdict] = {}
        self.failures: list[str] = []
        self.hosts: set[str] = set()
        self.pid = 0  # of ansible-playbook
        self._display = display

    def handle(self, event: Event) -> bool:
        """Take one event of ansible-runner. Returns False: nothing needs to be kept on disk."""
        kind, data = event["event"], event.get("event_data") or {}
        self.pid = event.get("pid") or self.pid
        if kind.startswith("runner_on_") and data.get("host"):
            self.hosts.add(data["host"])
        if kind == "playbook_on_play_start":
            self._display.phase(data["play"])
        elif kind in ("playbook_on_task_start", "playbook_on_handler_task_start"):
            if data.get("task_action") in UNSHOWN:
                return False
            role = data["role"].rpartition(".")[2] + ": " if data.get("role") else ""
            self._display.step(f"{role}{data['task']}")
        elif kind in ("runner_on_ok", "runner_on_failed", "runner_on_unreachable"):
            self._result(kind, data)
        elif kind == "verbose":
            for line in ANSI.sub("", event.get("stdout") or "").splitlines():
                self._plain_output(line)
        return False

    def _result(self, kind: str, data: Mapping[str, Any]) -> None:
        result, host = data.get("res") or {}, data["host"]
        proof = PROOFS.get(data.get("task_action", ""))
        if proof and "verdict" in result:
            checks, summary = result.get("checks", []), result.get("summary", [])
            self.verdicts[host, proof] = Verdict(host, proof, result["verdict"], summary, checks)
        elif kind != "runner_on_ok" and not data.get("ignore_errors"):
            self.failures.append(f"{host}: {data['task']}: {result.get('msg', 'failed')}")
            self._display.failed(self.failures[-1])

    def _plain_output(self, line: str) -> None:
        advance = Advance.parse(line)
        if advance:
            self._display.advance(advance)
        elif line.startswith("[ERROR]: "):  # what is wrong before the first task, such as a syntax error
            self.failures.append(line.removeprefix("[ERROR]: "))


class Cancellation:
    """What ansible-runner asks whether to kill the play; ends it in order before.

    Interrupted, ansible-playbook and the collection's action plugins have the hosts end what runs there; killed, they
    could not.
    """

    def __init__(
        self, progress: Progress, wanted: Callable[[], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.asked_at: float | None = None
        self._progress = progress
        self._wanted = wanted
        self._clock = clock

    def __call__(self) -> bool:
        wanted = self._wanted()
        if not wanted:
            return False
        if self.asked_at is None:
            self.asked_at = self._clock()
            if self._progress.pid:
                with suppress(ProcessLookupError):
                    os.kill(self._progress.pid, signal.SIGINT)
        return wanted > 1 or not self._progress.pid or self._clock() - self.asked_at > CANCEL_GRACE_S


def run_site(
    inventory: Path = HERE / "inventory",
    playbook: Path = HERE / "project" / "site.yml",
    extra_vars: Mapping[str, Any] | None = None,
    display: Display | None = None,
    cancel: Callable[[], int] = lambda: 0,
) -> SiteResult:
    """Run the playbook against the inventory and return how it ended.

    Cancel is asked every second: 0 goes on, 1 ends the play in order, more kills it. Secrets (VLLM_API_KEY, HF_TOKEN)
    are read from the environment; extra_vars show up in a process list.
    """
    progress = Progress(display or Lines())
    cancellation = Cancellation(progress, cancel)
    # What runner writes down, the environment among it, goes when the run ends.
    with tempfile.TemporaryDirectory(prefix="hgx-inference-") as artifacts:
        runner = ansible_runner.run(
            private_data_dir=str(HERE),
            artifact_dir=artifacts,
            playbook=str(playbook.resolve()),
            inventory=[str(inventory.resolve())],
            extravars=dict(extra_vars or {}),
            # Runner calls ansible-playbook by name: take the one that belongs to this Python.
            envvars={"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])},
            event_handler=progress.handle,
            cancel_callback=cancellation,
            suppress_env_files=True,
            quiet=True,
        )
    status = runner.status if cancellation.asked_at is None else "canceled"
    return SiteResult(status, list(progress.verdicts.values()), progress.failures, frozenset(progress.hosts))


def main() -> int:
    """Run the site as the command line says and return the exit code."""
    parser = argparse.ArgumentParser(description="Deploy and prove an endpoint with ansible-runner.")
    parser.add_argument("-i", "--inventory", type=Path, default=HERE / "inventory")
    parser.add_argument("-e", "--extra-var", action="append", default=[], type=_name_and_value, metavar="NAME=VALUE")
    arguments = parser.parse_args()
    signals: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, receive)

    options: dict[str, Any] = {
        "inventory": arguments.inventory,
        "extra_vars": dict(arguments.extra_var),
        "cancel": lambda: len(signals),
    }
    console = Console()
    if console.is_terminal:
        with Drawing(console) as drawing:
            result = run_site(display=drawing, **options)
            if result.status == "successful":
                drawing.over()
    else:
        console = Console(width=160)
        result = run_site(**options)
    result.show(console)
    return result.exit_code


def _name_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _styled(verdict: str, text: str | None = None) -> str:
    return f"[{STYLES.get(verdict, 'red')}]{verdict}[/]" + (f"  {escape(text)}" if text else "")


if __name__ == "__main__":
    sys.exit(main())
