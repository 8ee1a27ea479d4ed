# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a program with a time limit, which C(AnsibleModule.run_command) lacks."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from typing import NamedTuple


class Answer(NamedTuple):
    """The output of a program. C(rc) is None if it did not end by itself, and C(output) then says why."""

    rc: int | None
    output: str
    errors: str = ""
    missing: bool = False
    timed_out: bool = False


def run(argv: list[str], timeout_s: float, stdin: bytes | None = None, merge: bool = True) -> Answer:
    """Run a program in the C locale with C(stdin), if any, as input.

    C(merge) puts both its streams into C(output), in the order of their lines; otherwise C(errors) has stderr.
    """
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function  # run_command has no time limit
            argv,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            timeout=timeout_s,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError:
        return Answer(None, "", missing=True)
    except subprocess.TimeoutExpired as exc:
        return Answer(None, str(exc), timed_out=True)
    except OSError as exc:
        return Answer(None, str(exc))
    return Answer(done.returncode, _text(done.stdout), _text(done.stderr))


def output_lines(argv: list[str], timeout_s: float) -> Iterator[str]:
    """Yield the lines of a program's output as they come, for more than the memory should hold.

    Raises OSError with the program's own words if it is missing, fails, or runs longer than C(timeout_s).
    """
    with subprocess.Popen(  # pylint: disable=ansible-bad-function  # run_command has no time limit
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C"},
    ) as process:
        killer = threading.Timer(timeout_s, process.kill)
        killer.start()
        try:
            yield from process.stdout or ()
            errors = process.stderr.read().strip() if process.stderr else ""
            code = process.wait()
        finally:
            killer.cancel()
            process.kill()
    if code != 0:
        raise OSError(errors or f"{argv[0]} ended with the exit code {code}, or after {timeout_s:g} s")


def _text(stream: bytes | None) -> str:
    return (stream or b"").decode("utf-8", errors="replace")
