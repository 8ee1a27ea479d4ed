# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Execute foreign Python code in a throw-away container: no network, nothing to write to, no rights, little of all."""

from __future__ import annotations

import os
import secrets
import select
import subprocess
import tempfile
import time
from typing import Any, NamedTuple

from .._docker.cli import DockerError, inspect_container, run_docker

# Seconds for the start of a container and its program, also on a busy host.
TIME_LIMIT_S = 60.0
# More output than that ends the container.
MOST_BYTES = 64 * 1024
_CPU_LIMIT_S = 10
_TRIAL = b"print('ready')"
_OPTIONS = (
    "--rm",
    "--interactive",
    "--pull=never",
    # The image of a server asks for all GPUs, which NVIDIA's runtime would give to it.
    "--runtime=runc",
    "--network=none",
    "--ipc=none",
    "--read-only",
    "--user=65534:65534",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--memory=256m",
    "--memory-swap=256m",
    "--pids-limit=32",
    "--cpus=1",
    f"--ulimit=cpu={_CPU_LIMIT_S}",
    "--ulimit=core=0",
    # No file may grow, such as one in a volume of the image.
    "--ulimit=fsize=0",
    "--ulimit=nofile=64",
    "--log-driver=none",
    "--no-healthcheck",
    "--workdir=/",
    "--entrypoint=python3",
)


class SandboxError(Exception):
    """No code can be executed on this host; the message says why."""


class Outcome(NamedTuple):
    """The output of a program, at most MOST_BYTES of it, and why it did not end well, or an empty text."""

    output: str
    trouble: str


class Sandbox(NamedTuple):
    """Containers of an image that this host has, with C(python3) in it."""

    image: str
    timeout_s: float = TIME_LIMIT_S

    def execute(self, program: bytes) -> Outcome:
        """Execute a program in a container of its own, which is gone afterwards. The program comes through stdin."""
        name = f"hgx-code-{secrets.token_hex(8)}"
        argv = ["docker", "run", f"--name={name}", *_OPTIONS, self.image, "-I", "-S", "-"]
        deadline = time.monotonic() + self.timeout_s
        with tempfile.TemporaryFile() as source:
            source.write(program)
            source.seek(0)
            try:
                process = subprocess.Popen(  # pylint: disable=ansible-bad-function  # run_command limits nothing
                    argv, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
                )
            except OSError as exc:
                return Outcome("", f"the docker command cannot be run: {exc}")
            with process:
                left = trouble = "interrupted"
                try:
                    output, trouble = _read(process, deadline, self.timeout_s)
                finally:
                    if trouble:
                        process.kill()
                        left = _remove(name)
        return Outcome(output.decode("utf-8", errors="replace"), trouble and f"{trouble}{left}")


def prepared(container: str) -> Sandbox:
    """Return a sandbox of the image of a container on this host, after a trial. Raises SandboxError."""
    if not container:
        raise SandboxError("the server is in no container of this host that is known (container)")
    try:
        details = inspect_container(container)
    except DockerError as exc:
        raise SandboxError(str(exc).rstrip(".")) from exc
    if details is None:
        raise SandboxError(f"this host has no container {container}, whose image would execute it")
    sandbox = Sandbox(details["Image"])
    found = sandbox.execute(_TRIAL)
    if found.trouble or found.output.split()[-1:] != ["ready"]:
        said = f"{found.trouble} {found.output.strip()[-300:]!r}".strip()
        raise SandboxError(f"the image of {container} executes no Python in a container without rights: {said}")
    return sandbox


def _read(process: subprocess.Popen[bytes], deadline: float, timeout_s: float) -> tuple[bytes, str]:
    """Return the output until the program ends, and why it did not end well, or an empty text."""
    stream: Any = process.stdout
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    late = f"it did not end within {timeout_s:g} s"
    output = b""
    while len(output) <= MOST_BYTES:
        if not poll.poll(max(0, deadline - time.monotonic()) * 1000):
            return output, late
        chunk = os.read(stream.fileno(), MOST_BYTES)
        if not chunk:
            break
        output += chunk
    else:
        return output[:MOST_BYTES], f"it wrote more than {MOST_BYTES // 1024} KiB"
    try:
        code = process.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return output, late
    return output, f"it ended with the exit code {code}" if code else ""


def _remove(name: str) -> str:
    """Remove a container that may run, and return a remark if it is still there, or an empty text."""
    try:
        run_docker(["rm", "--force", "--volumes", name])
        return f"; its container {name} is left" if _is_running(name) else ""
    except DockerError as exc:
        return f"; its container {name} may be left: {exc}"


def _is_running(name: str) -> bool:
    details = inspect_container(name)
    return bool(details and details["State"]["Running"])
