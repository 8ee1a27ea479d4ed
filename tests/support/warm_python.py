# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that start without a delay: a Python that has imported what they need forks once for each of them.

The start of ansible-playbook, or of a process that imports huggingface_hub, costs more than most tests need.
A program started here behaves as one of its own, with its own environment, folder, arguments and descriptors.
Only what a module reads from the environment at its import is that of the warm Python.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

ROOT = Path(__file__).parents[2]


class Process:
    """A started program, with the parts of subprocess.Popen that its users need."""

    def __init__(self, answers: socket.socket, stdin: IO[bytes] | None, stdout: IO[bytes] | None) -> None:
        self._answers = answers.makefile("r", encoding="ascii")
        answers.close()
        self.pid = int(self._answers.readline())
        self.stdin = stdin
        self.stdout = stdout
        self.returncode: int | None = None

    def wait(self) -> int:
        """Return the exit code, negative for a signal."""
        if self.returncode is None:
            self.returncode = int(self._answers.readline())
            self._answers.close()
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)  # nobody else has this number before wait() has returned

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_exc: object) -> None:
        for stream in (self.stdin, self.stdout):
            if stream:
                with suppress(BrokenPipeError):
                    stream.close()
        self.wait()


class WarmPython:
    """A Python that has imported C(modules), which may be those of this folder or of the collection."""

    def __init__(self, *modules: str, env: Mapping[str, str] | None = None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._requests = ours
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), *modules],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
                env={**(env or os.environ), "PYTHONPATH": str(ROOT / "collections")},
            )

    def close(self) -> None:
        self._requests.close()
        self._process.wait()

    def start(
        self,
        function: str,
        argv: Sequence[str] = (),
        *,
        stdin: IO[bytes] | int | None = None,
        stdout: IO[bytes] | int | None = None,
        stderr: IO[bytes] | int | None = None,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """Run C(module:function) with these C(sys.argv) in the root of the checkout; streams are as with Popen."""
        ours, theirs = socket.socketpair()
        opened: list[int] = []

        def given(stream: IO[bytes] | int | None, flags: int) -> int:
            if stream is None:
                opened.append(os.open(os.devnull, flags))
                return opened[-1]
            return stream if isinstance(stream, int) else stream.fileno()

        pipes: list[IO[bytes] | None] = [None, None]
        if stdin == subprocess.PIPE:
            stdin, write = os.pipe()
            opened.append(stdin)
            pipes[0] = os.fdopen(write, "wb", buffering=0)
        if stdout == subprocess.PIPE:
            read, stdout = os.pipe()
            opened.append(stdout)
            pipes[1] = os.fdopen(read, "rb", buffering=0)
        output = given(stdout, os.O_WRONLY)
        streams = [
            given(stdin, os.O_RDONLY),
            output,
            output if stderr == subprocess.STDOUT else given(stderr, os.O_WRONLY),
        ]
        what = {
            "function": function,
            "argv": list(argv),
            "env": dict(env or os.environ),
        }
        with theirs:
            socket.send_fds(self._requests, [json.dumps(what).encode()], [theirs.fileno(), *streams, *pass_fds])
        for descriptor in opened:
            os.close(descriptor)
        return Process(ours, pipes[0], pipes[1])


def serve(descriptor: int, modules: Sequence[str]) -> None:
    """Fork for each request until there can be no more."""
    for module in modules:
        importlib.import_module(module)
    # A collection in a fork would copy the memory of all that was imported, and short programs need none.
    gc.disable()
    signal.signal(signal.SIGCHLD, _reap)
    requests = socket.socket(fileno=descriptor)
    while True:
        request, descriptors, _flags, _address = socket.recv_fds(requests, 1 << 20, 64)
        if not request:
            return
        if os.fork() == 0:
            requests.close()
            _supervise(json.loads(request), descriptors)
        for each in descriptors:
            os.close(each)


def _reap(_number: int, _frame: FrameType | None) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _supervise(what: dict[str, Any], descriptors: list[int]) -> None:
    """Run a program in a child, and tell its process ID and its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    answers, *streams = descriptors
    child = os.fork()
    if child == 0:
        os.close(answers)
        os._exit(_run(what, streams[:3]))
    for each in streams:
        os.close(each)
    os.write(answers, b"%d\n" % child)
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert ended
    with suppress(OSError):  # whoever has started it is gone
        os.write(answers, b"%d\n" % (ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status))
        os.read(answers, 1)
    os.waitpid(child, 0)
    os._exit(0)


def _run(what: dict[str, Any], streams: list[int]) -> int:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in {*streams} - {0, 1, 2}:
        os.close(stream)
    os.environ.clear()
    os.environ.update(what["env"])
    sys.argv = what["argv"]
    random.seed()
    atexit._clear()  # what was registered at an import is the warm Python's
    module, _, function = what["function"].partition(":")
    code: object = 0
    try:
        code = getattr(importlib.import_module(module), function)() or 0
    except SystemExit as exc:
        code = exc.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    atexit._run_exitfuncs()
    for printed in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            printed.flush()
    return code or 0


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2:])
