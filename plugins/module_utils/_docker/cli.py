# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The calls of the docker command that the modules need."""

from __future__ import annotations

import inspect
import json
import subprocess
from collections.abc import Callable, Collection, Mapping
from types import ModuleType
from typing import IO, Any, NamedTuple, cast

from .._core.files import read_text
from .._core.process import run

# The program with which Python in a container becomes a worker. It gets the sources of its modules with the job through
# stdin, so the container needs none of our files. The last module is the worker; it may import those before it.
WORKER_PROGRAM = "import json, sys, types; job = json.loads(sys.stdin.readline()); exec(job['loader'])"
_LOADER = """\
for name, source in job["modules"].items():
    module = sys.modules[name] = types.ModuleType(name)
    module.__package__ = name.partition(".")[0]
    exec(source, vars(module))
module.main(job)
"""
_PACKAGE = "programs"
MISSING = "The docker command is not on this host's PATH. Run the role hgx.inference.docker first."


class DockerError(Exception):
    """The docker command is missing, hangs or cannot reach its engine."""


class DockerTimeout(DockerError):
    """The docker command took too long."""


class Completed(NamedTuple):
    """A finished docker command."""

    rc: int
    stdout: str
    stderr: str


def run_docker(args: list[str], timeout_s: float = 60, stdin: bytes | None = None, merge: bool = False) -> Completed:
    """Run C(docker ARGS). The caller judges the exit code.

    C(merge) puts both output streams into C(stdout), in the order of their lines.

    Raises DockerError when the command cannot be run, and DockerTimeout when it takes longer than C(timeout_s) seconds.
    """
    done = run(["docker", *args], timeout_s, stdin=stdin, merge=merge)
    if done.missing:
        raise DockerError(MISSING)
    if done.timed_out:
        raise DockerTimeout(f"'docker {args[0]}' did not answer within {timeout_s:.0f} s. Is the engine healthy?")
    if done.rc is None:
        raise DockerError(f"The docker command cannot be run: {done.output}")
    return Completed(done.rc, done.output, done.errors)


def follow_docker(args: list[str], tell: Callable[[str], None], stdin: str = "") -> Completed:
    """Run a long C(docker ARGS) and pass on each line as it comes. C(stdout) has both output streams.

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
        raise DockerError(MISSING) from exc
    return Completed(process.returncode, "".join(lines), "")


def worker_job(*modules: ModuleType, **job: Any) -> bytes:
    """Return the stdin for WORKER_PROGRAM to run C(main(job)) of the last of these modules of C(_programs)."""
    sources = {f"{_PACKAGE}.{module.__name__.rpartition('.')[2]}": inspect.getsource(module) for module in modules}
    return json.dumps({**job, "loader": _LOADER, "modules": sources}).encode() + b"\n"


def own_pids(container_id: str, pids: Collection[int]) -> frozenset[int]:
    """Return which of the host's processes belong to a container, by their control group."""
    return frozenset(pid for pid in pids if container_id and container_id in read_text(f"/proc/{pid}/cgroup"))


def inspect_container(name: str) -> dict[str, Any] | None:
    """Return the output of C(docker inspect) for the container C(name), or None if there is none.

    Raises DockerError when the engine cannot be asked.
    """
    return _inspect("container", name)


def inspect_image(name: str) -> dict[str, Any] | None:
    """Return the output of C(docker inspect) for an image, by name or ID, or None if it is not on the host.

    Raises DockerError when the engine cannot be asked.
    """
    return _inspect("image", name)


def containers_losing_gpus() -> list[str]:
    """Return the names of the running containers from which a reload of systemd can take the GPUs.

    Those that got them by CDI keep them. Raises DockerError when the engine cannot be asked.
    """
    listed = run_docker(["ps", "--quiet", "--no-trunc"])
    if listed.rc != 0:
        raise DockerError(f"docker ps: {listed.stderr.strip()}")
    containers = filter(None, map(inspect_container, listed.stdout.split()))
    return [str(container["Name"]).lstrip("/") for container in containers if _has_gpus_by_runtime(container)]


def _has_gpus_by_runtime(container: Mapping[str, Any]) -> bool:
    host = container["HostConfig"]
    requests = host.get("DeviceRequests") or []
    return host.get("Runtime") == "nvidia" or any(request.get("Driver") != "cdi" for request in requests)


def _inspect(kind: str, name: str) -> dict[str, Any] | None:
    done = run_docker([kind, "inspect", name])
    if done.rc == 0:
        details: dict[str, Any] = json.loads(done.stdout)[0]
        return details
    if f"no such {kind}" in done.stderr.lower():
        return None
    raise DockerError(f"docker {kind} inspect {name}: {done.stderr.strip()}")
