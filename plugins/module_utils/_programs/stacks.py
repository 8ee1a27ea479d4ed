# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where processes wait, by what C(py-spy dump) prints."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping

from .commands import command

_TIMEOUT_S = 30.0
_PROCESSES = 16
_FRAMES_SHOWN = 8
# Frames that each waiting process has, and that do not tell what it waits for. Newer Pythons name the class, too.
_COMMON = re.compile(
    r"^(?:\w+\.)*(?:wait|_wait|poll|select|acquire|recv|_recv|read|sleep|get|run|_bootstrap\w*|_main|main|<module>)$"
)
_FRAME = re.compile(r"^\s+(?P<function>.+?) \((?P<file>[^()]+?)(?::(?P<line>\d+))?\)$")


def installed(py_spy: str) -> str:
    """Return the path of the program, or nothing if it is not there."""
    return py_spy if py_spy and os.access(py_spy, os.X_OK) else ""


def dump_all(py_spy: str, pids: Iterable[int]) -> dict[int, list[str]]:
    """Return the frames of each process whose frames can be read, of the first 16; none without C(py_spy).

    A program that hangs is waited for once or twice, and not for each process.
    """
    until = time.monotonic() + _TIMEOUT_S
    dumps = {pid: dump(py_spy, pid) for pid in sorted(pids)[:_PROCESSES] if py_spy and time.monotonic() < until}
    return {pid: frames for pid, frames in dumps.items() if frames}


def dump(py_spy: str, pid: int) -> list[str]:
    """Return the frames of a process's main thread, innermost first; none if they cannot be read."""
    done = command(py_spy, "dump", "--nonblocking", "--pid", str(pid), timeout_s=_TIMEOUT_S)
    return parse_dump(done.stdout) if done.returncode == 0 else []


def stopped(pids: Iterable[int]) -> frozenset[int]:
    """Return which of the processes a signal has stopped."""
    return frozenset(pid for pid in pids if _state(pid) == "T")


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            return re.sub(r".*\) ", "", stream.read(), flags=re.DOTALL)[:1]
    except OSError:
        return ""


def parse_dump(text: str) -> list[str]:
    """Return the frames of the main thread in what C(py-spy dump) prints, or of its first thread."""
    threads: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("Thread "):
            name = line
            threads[name] = []
        elif name and _FRAME.match(line):
            threads[name].append(line.strip())
    main = next((frames for title, frames in threads.items() if '"MainThread"' in title), None)
    return main if main is not None else next(iter(threads.values()), [])


def waits_in(frames: list[str]) -> str:
    """Return the innermost function that tells what is waited for."""
    functions = [frame.partition(" (")[0] for frame in frames]
    return next((name for name in functions if not _COMMON.match(name)), functions[0])


def words_of(dumps: Mapping[int, list[str]]) -> list[str]:
    """Return in lines where each process waits."""
    lines = []
    for pid, frames in dumps.items():
        lines.append(f"process {pid} waits in {waits_in(frames)}:")
        lines += [f"  {frame}" for frame in frames[:_FRAMES_SHOWN]]
    return lines
