# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server's container: its log as it grows, its state, and the one place that says why it stopped."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO, Any, cast

from ..._core.causes import Facts
from ..._core.files import read_text
from ..._core.timestamp import epoch
from ..._core.units import GIB
from ..._docker.cli import MISSING, DockerError, inspect_container, run_docker
from ..._docker.engine import info
from ..._hf.safetensors import damage
from ..._nvidia.gpu_probe import libraries, versions
from ..._programs.kernel_log import KernelLog
from ..gpus import holders
from .diagnose import Diagnosis, diagnose, failure_text
from .phases import HUNG_FIX, Start

LOG_LINES = 4000
# The engine may take this long to notice that a container has ended, and its log to be complete.
SETTLE_S = 5.0
# Reading back how a long running server once started.
_START_LINES = 20000
_DAMAGED_SHOWN = 5
_HOLDERS_SHOWN = 8
_MODEL_FOLDER = re.compile(r"(?:model_path \[|model=')(/[^'\]]+)")
_DRIVER_MODULE = "/proc/driver/nvidia/version"
_VERSION = re.compile(r"(?:^|[ .])(\d{3}\.\d[\d.]*)")
_NEVER = "0001-01-01T00:00:00Z"


class LogFollower:
    """Follows a container's log in a process of its own, with the engine's time stamps, from its newest start on.

    C(ended) is set once the log has ended, which is when the container has.
    """

    def __init__(self, container: str, since: str) -> None:
        self.ended = threading.Event()
        self.start = Start(epoch(since) or time.time())
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._lock = threading.Lock()
        self._process = _logs(container, since, ["--follow", "--tail", str(LOG_LINES)])
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def lines(self) -> list[str]:
        """Return the newest lines."""
        with self._lock:
            return list(self._lines)

    def close(self) -> None:
        """End the process that follows the log."""
        self._process.kill()
        self._process.wait()
        self._reader.join(timeout=5)

    def _read(self) -> None:
        for raw in cast(IO[bytes], self._process.stdout):
            line = raw.decode("utf-8", errors="replace").rstrip("\n")
            with self._lock:
                self._lines.append(line)
                self.start.feed(line)
        self.ended.set()


def read_start(container: str, since: str) -> Start:
    """Return how the container's newest start went, from the beginning of its log, however long ago that was."""
    start = Start(epoch(since) or time.time())
    process = _logs(container, since, [])
    watchdog = threading.Timer(10, process.kill)
    watchdog.start()
    try:
        for number, raw in enumerate(cast(IO[bytes], process.stdout)):
            start.feed(raw.decode("utf-8", errors="replace").rstrip("\n"))
            if start.is_complete or number > _START_LINES:
                break
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
    return start


def start_words(container: str, since: str) -> str:
    """Return how far the start of a server is that is not healthy, and what to do if it has been ready before."""
    start = read_start(container, since)
    return f"{start.words()}; {HUNG_FIX.format(container)}" if start.is_complete else start.words()


def newest_lines(container: str, state: dict[str, Any]) -> list[str]:
    """Return the newest lines of the log of a container's newest run."""
    started_at = str(state.get("StartedAt", _NEVER))
    since = [] if started_at == _NEVER else ["--since", started_at]
    return run_docker(["logs", "--tail", str(LOG_LINES), *since, container], merge=True).stdout.splitlines()


def _logs(container: str, since: str, options: list[str]) -> subprocess.Popen[bytes]:
    command = ["docker", "logs", "--timestamps", "--since", since, *options, container]
    try:
        return subprocess.Popen(  # pylint: disable=ansible-bad-function  # run_command shows nothing before the end
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except FileNotFoundError as exc:
        raise DockerError(MISSING) from exc


def stopped(container: str, details: dict[str, Any], lines: list[str], doing: str) -> str:
    """Return the message about a container that does not run: cause, evidence, fix, and where to read on.

    C(details) is what the engine says of it, C(lines) its log, C(doing) what went on, such as " while loading weights".
    """
    state: dict[str, Any] = details["State"]
    code = int(state.get("ExitCode", 0))
    message = failed(details, lines, f"The server's container {container} {_state_words(state, code)}{doing}", code)
    if code == 0 and state.get("Status") == "exited":
        message.append("Exit code 0 is no success: vLLM ends so, too, when its engine has died.")
    return "\n".join([*message, f"The whole log: docker logs {container}"])


def failed(details: dict[str, Any], lines: list[str], headline: str, code: int | None = None) -> list[str]:
    """Return the lines of the message about a server that has failed; the first is the headline with the cause."""
    diagnosis = cause_of(details, lines, code)
    if diagnosis and diagnosis.key == "corrupt-weights":
        diagnosis = diagnosis._replace(evidence=[*diagnosis.evidence, *_damaged_weights(details, lines)])
    if diagnosis and diagnosis.key in ("gpu-memory-taken", "cuda-out-of-memory"):
        others = holders(str(details.get("Id", "")))[:_HOLDERS_SHOWN]
        diagnosis = diagnosis._replace(evidence=[*diagnosis.evidence, *(f"nvidia-smi: {line}" for line in others)])
    cause, rest = failure_text(diagnosis, lines)
    if not lines:
        rest.insert(0, "  (the log is empty)")
    return [f"{headline}: {cause}", *rest]


def cause_of(details: dict[str, Any], lines: list[str], code: int | None = None) -> Diagnosis | None:
    """Return why the server has failed, None if it has no name. C(code) is the exit code of one that has ended."""
    return _from_outside(details) or diagnose(lines, code, _facts(details))


def _state_words(state: dict[str, Any], code: int) -> str:
    status = state.get("Status", "unknown")
    if status == "created":
        return "was never started"
    if status == "exited":
        return f"has ended with exit code {code}"
    return f"is {status} (exit code {code})"


def _facts(details: dict[str, Any]) -> Facts:
    """Return what the host and the container's settings say beside its log."""
    settings = details.get("HostConfig", {})
    module = _VERSION.search(read_text(_DRIVER_MODULE))
    shm = settings.get("ShmSize") if settings.get("IpcMode") not in ("host", None) else None
    requests = settings.get("DeviceRequests") or []
    return Facts(
        module=module[1] if module else "",
        libraries=tuple(sorted({match[1] for match in map(_VERSION.search, libraries()) if match})),
        shm_bytes=None if shm is None else int(shm),
        cdi=any(request.get("Driver") == "cdi" for request in requests) if requests else None,
    )


def diagnose_engine(lines: list[str]) -> Diagnosis | None:
    """Return the cause of what the engine says; of the layers below it, with the versions that take part."""
    known = diagnose(lines)
    if known is None or not known.signature.outside:
        return known
    told = versions(info() or {})
    known = diagnose([*lines, told]) or known
    return known._replace(evidence=[*known.evidence, f"versions: {told}"])


def _from_outside(details: dict[str, Any]) -> Diagnosis | None:
    """Return what the engine or the kernel know of the end; the log of a process that was killed says nothing of it."""
    state = details["State"]
    if state.get("Error"):
        known = diagnose_engine(state["Error"].splitlines())
        if known is not None:
            return known
    killed = _kernel_kills(str(details.get("Id", "")), epoch(str(state.get("StartedAt", ""))))
    if not killed and state.get("OOMKilled"):
        killed = ["Memory cgroup out of memory (as the engine knows)"]
    known = diagnose(killed)
    if known is None:
        return None
    limit = int(details.get("HostConfig", {}).get("Memory", 0))
    words = f" (limit of the container: {limit / GIB:.1f} GiB)" if limit else ""
    return known._replace(evidence=[f"kernel: {killed[-1]}{words}"])


def _damaged_weights(details: dict[str, Any], lines: Iterable[str]) -> list[str]:
    """Return which files of the model in the container are damaged, and how, as far as the host has them."""
    found = []
    for folder in sorted({match[1] for line in lines for match in _MODEL_FOLDER.finditer(line)}):
        for mount in details.get("Mounts", ()):
            if folder.startswith(mount["Destination"] + "/"):
                source = os.path.realpath(mount["Source"])
                on_host = os.path.realpath(source + folder[len(mount["Destination"]) :])
                if not on_host.startswith(f"{source}/"):
                    continue  # anybody can write a path into a log
                for path in sorted(glob.glob(f"{glob.escape(on_host)}/*.safetensors")):
                    with contextlib.suppress(OSError):
                        words = damage(path)
                        if words:
                            found.append(f"{path} {words}")
    return found[:_DAMAGED_SHOWN]


def _kernel_kills(container_id: str, since: float | None) -> list[str]:
    """Return what the kernel's log says of processes of this container that it killed, as far as it may be read."""
    if not container_id or since is None:
        return []
    found = [line for at, line in _kernel_log() if at > since - 1 and "oom-kill:" in line and container_id in line]
    # oom-kill:constraint=CONSTRAINT_MEMCG,...,task_memcg=/docker/ID,task=python3,pid=123,uid=0
    return [re.sub(r"[^,]*(?:cpuset|mems_allowed|memcg)=[^,]*,", "", line) for line in found]


def _kernel_log() -> Iterator[tuple[float, str]]:
    """Yield the kernel's messages with their times in seconds since 1970."""
    booted_at = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    log = KernelLog()
    yield from ((booted_at + at, text) for at, text in log.read())
    log.close()


def settled(container: str) -> dict[str, Any] | None:
    """Return the details of a container that ends, once the engine has noticed; or as it is after a moment."""
    until = time.monotonic() + SETTLE_S
    details = inspect_container(container)
    while details is not None and details["State"].get("Running") and time.monotonic() < until:
        time.sleep(0.2)
        details = inspect_container(container)
    return details
