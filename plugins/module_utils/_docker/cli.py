# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The few calls of the docker command that the modules need."""

from __future__ import annotations

import inspect
import json
import subprocess
from collections.abc import Callable
from types import ModuleType
from typing import IO, Any, NamedTuple, cast

# What Python in a container runs to become a worker: the worker's source comes with its job through stdin, so that the
# container needs no file of ours.
WORKER_PROGRAM = "import json, sys; job = json.loads(sys.stdin.readline()); exec(job['source']); main(job)"


class DockerError(Exception):
    """The docker command is missing, hangs or does not reach its engine."""


class DockerTimeout(DockerError):
    """The docker command took too long."""


class Completed(NamedTuple):
    """A finished docker command."""

    rc: int
    stdout: str
    stderr: str


def run_docker(args: list[str], timeout_s: float = 60, stdin: bytes | None = None, merge: bool = False) -> Completed:
    """Run C(docker ARGS); a non-zero exit code is the caller's to judge.

    C(merge) puts both output streams into C(stdout), in the order of their lines.

    Raises DockerError when the command cannot be run, and DockerTimeout when it takes longer than C(timeout_s) seconds.
    """
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function  # run_command knows no time limit
            ["docker", *args],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as exc:
        raise DockerError(
            "The docker command is not on this host's PATH. Run the role hgx.inference.docker first."
        ) from exc
    except subprocess.TimeoutExpired as exc:
        raise DockerTimeout(
            f"'docker {args[0]}' did not answer within {timeout_s:.0f} s. Is the engine healthy?"
        ) from exc
    return Completed(
        done.returncode,
        done.stdout.decode("utf-8", errors="replace"),
        (done.stderr or b"").decode("utf-8", errors="replace"),
    )


def follow_docker(args: list[str], tell: Callable[[str], None], stdin: str = "") -> Completed:
    """Run C(docker ARGS), a long one, and tell each line as it comes; both output streams are in C(stdout).

    Raises DockerError when the command cannot be run.
    """
    lines: list[str] = []
    try:
        with subprocess.Popen(  # pylint: disable=ansible-bad-function  # run_command shows nothing until the end
            ["docker", *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            stream = cast(IO[str], process.stdin)
            stream.write(stdin)
            stream.close()
            for line in cast(IO[str], process.stdout):
                lines.append(line)
                tell(line.strip())
    except FileNotFoundError as exc:
        raise DockerError(
            "The docker command is not on this host's PATH. Run the role hgx.inference.docker first."
        ) from exc
    return Completed(process.returncode, "".join(lines), "")


def worker_job(worker: ModuleType, **job: Any) -> bytes:
    """Return what WORKER_PROGRAM reads from stdin to run C(main(job)) of the module C(worker)."""
    return json.dumps({**job, "source": inspect.getsource(worker)}).encode() + b"\n"


def inspect_container(name: str) -> dict[str, Any] | None:
    """Return what C(docker inspect) says of the container C(name), or None if there is none.

    Raises DockerError when the engine cannot be asked.
    """
    done = run_docker(["container", "inspect", name])
    if done.rc == 0:
        details: dict[str, Any] = json.loads(done.stdout)[0]
        return details
    if "no such container" in done.stderr.lower():
        return None
    raise DockerError(f"docker container inspect {name}: {done.stderr.strip()}")


def inspect_image(name: str) -> dict[str, Any] | None:
    """Return what C(docker inspect) says of the image C(name), a name or an ID, or None if it is not on the host.

    Raises DockerError when the engine cannot be asked.
    """
    done = run_docker(["image", "inspect", name])
    if done.rc == 0:
        details: dict[str, Any] = json.loads(done.stdout)[0]
        return details
    if "no such image" in done.stderr.lower():
        return None
    raise DockerError(f"docker image inspect {name}: {done.stderr.strip()}")
