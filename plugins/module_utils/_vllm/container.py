# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start, replace and stop the container of a vLLM server, so that nobody's request is cut off without need."""

from __future__ import annotations

import fcntl
import glob
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from .._core.files import read_text, replace_text
from .._core.http import request
from .._core.progress import ProgressFile
from .._core.timestamp import epoch
from .._docker.cli import DockerError, inspect_container, inspect_image, run_docker
from .._docker.engine import open_files
from .._programs.prometheus import samples
from . import caches
from .caches import folder_name
from .gpus import held_memory, read_report, wait_until_freed
from .log.diagnose import failure_text
from .log.watch import cause_of, diagnose_engine, newest_lines
from .release import LABEL, OPEN_FILES, SPEC_DEFAULTS, create_args, observed
from .spec import endpoint, guard_file

POLL_INTERVAL_S = 0.5
# Seconds after SIGTERM. vLLM ends its engine and workers in fewer, but its web server then waits without end for a
# request that came in the very moment and that nobody answers any more: so it is killed.
STOP_TIMEOUT_S = 7
# An engine whose storage has no layers copies the whole image.
CREATE_TIMEOUT_S = 400
_REQUESTS = ("vllm:num_requests_running", "vllm:num_requests_waiting")
_NEXT = "{}-next"
# Python's shared memory and semaphores, and NCCL's buffers.
_SHARED = re.compile(r"psm_|sem\.mp-|nccl-|torch_\d")


def drain(base_url: str, limit_s: float, progress: ProgressFile) -> int:
    """Wait until no request is under way, at most C(limit_s), and return how many still are.

    On SIGTERM vLLM ends them all. Nothing keeps new ones away meanwhile, hence the limit.
    """
    deadline = time.monotonic() + limit_s
    while True:
        under_way = requests_under_way(base_url)
        left_s = deadline - time.monotonic()
        if not under_way or left_s <= 0:
            return under_way
        progress.report(f"{under_way} requests are under way, waiting up to {left_s:.0f} s for them")
        time.sleep(POLL_INTERVAL_S)


def requests_under_way(base_url: str) -> int:
    """Return how many requests the server counts, running and waiting; none if it does not answer."""
    answer = request(f"{base_url}/metrics", 5)
    return int(sum(value for name, _labels, value in samples(answer.body) if name in _REQUESTS))


def healthy(base_url: str) -> bool:
    """Return whether the server says that it is."""
    return request(f"{base_url}/health", 5).status == 200


def stop(name: str, drain_s: float, progress: ProgressFile, limit_s: int = STOP_TIMEOUT_S) -> int:
    """Stop a container and wait until the GPUs are free; return how many requests were cut off. Raises DockerError.

    One that has not ended after C(limit_s) is killed.
    """
    container = inspect_container(name)
    if container is None or not container["State"]["Running"]:
        return 0
    found = observed(container, [], SPEC_DEFAULTS)
    cut_off = drain(endpoint(found["server"])["base_url"], drain_s, progress)
    held = held_memory(name) if container["HostConfig"].get("DeviceRequests") else {}
    progress.report("stopping the server", force=True)
    _docker(["stop", "-t", str(limit_s), name], limit_s + 60)
    wait_until_freed(held, progress)
    return cut_off


def remove_shared_memory(container: Mapping[str, Any], folder: str = "/dev/shm", proc: str = "/proc") -> list[str]:
    """Remove what a server that was killed has left in the host's shared memory, and return the names.

    That is what was made during the life of the container, with a name that its programs give, and is open nowhere.
    """
    state = container["State"]
    born, died = epoch(str(state.get("StartedAt", ""))), epoch(str(state.get("FinishedAt", "")))
    if container["HostConfig"].get("IpcMode") != "host" or not born or not died or state.get("Running"):
        return []
    left = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                is_ours = bool(_SHARED.match(entry.name)) and entry.is_file(follow_symlinks=False)
                if is_ours and born <= _made_at(entry) <= died + 1:
                    left.append(entry.path)
    unused = set(left) - _mapped(left, proc) if left else set()
    for path in unused:
        with suppress(OSError):
            os.unlink(path)
    return sorted(map(os.path.basename, unused))


def _made_at(entry: os.DirEntry[str]) -> float:
    return entry.stat(follow_symlinks=False).st_ctime


def _mapped(paths: Collection[str], proc: str) -> set[str]:
    """Return which of the files some process uses."""
    used = set()
    for maps in glob.iglob(f"{proc}/[0-9]*/maps"):
        text = read_text(maps)
        used |= {path for path in paths if path in text}
    for descriptor in glob.iglob(f"{proc}/[0-9]*/fd/*"):
        with suppress(OSError):
            used.add(os.readlink(descriptor))
    return used


class Busy(Exception):
    """Another run is replacing the server."""


@contextmanager
def only_one(state_dir: str, progress: ProgressFile, wait: bool = True) -> Iterator[bool]:
    """Keep other runs away from the server meanwhile; yields whether there was one to wait for.

    Raises Busy if there is one and C(wait) is false.
    """
    os.makedirs(state_dir, mode=0o755, exist_ok=True)
    with open(os.path.join(state_dir, "lock"), "w", encoding="utf-8") as stream:
        waited = False
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not wait:
                    raise Busy from None
                waited = True
                progress.report("waiting for another run that is replacing the server")
                time.sleep(POLL_INTERVAL_S)
        yield waited


def is_prepared(name: str, release: str) -> bool:
    """Return whether the next container has been created, of this release. Raises DockerError."""
    container = inspect_container(_NEXT.format(name))
    return container is not None and runs(container, release)


def runs(container: Mapping[str, Any], release: str) -> bool:
    """Return whether a container was made of this release."""
    return bool((container["Config"].get("Labels") or {}).get(LABEL) == release)


def image_source(record: Mapping[str, Any]) -> str | None:
    """Return what the image of a release is called on this host: by its name, or by its ID where the name has moved on.

    None if it is not here. Raises DockerError.
    """
    name, recorded = record["container"]["image"], record["image"]["id"]
    image = inspect_image(name)
    if image is not None and recorded in ("", image["Id"]):
        return str(name)
    return str(recorded) if recorded and inspect_image(recorded) is not None else None


def cache_folder(image: str, spec: Mapping[str, Any]) -> str:
    """Return the name of the folder for the caches of a server of this image on this host. Raises DockerError."""
    report = read_report() if spec["gpus"] else {"driver_version": None, "gpus": []}
    return folder_name((inspect_image(image) or {}).get("Id", ""), report["gpus"], report["driver_version"])


def guard_is_current(state_dir: str, mounts: Collection[str]) -> bool:
    """Return whether a container with these mounts finds the guard as it is now, or needs none.

    The guard of a release from another version has a folder of its own, where it stays.
    """
    path, source = guard_file(state_dir)
    return not any(mount.startswith(f"{os.path.dirname(path)}:") for mount in mounts) or read_text(path) == source


def provide_guard(state_dir: str, mounts: Collection[str]) -> bool:
    """Write the guard if a container mounts it, and return whether it was written."""
    if guard_is_current(state_dir, mounts):
        return False
    replace_text(*guard_file(state_dir))
    return True


def switch(name: str) -> None:
    """Start the prepared container in the place of one that is stopped, or not there. Raises DockerError."""
    _docker(["rm", "--force", name], missing_ok=True)
    _docker(["rename", _NEXT.format(name), name])
    _docker(["start", name])


def start_without_cache(name: str, state_dir: str, progress: ProgressFile) -> str:
    """Start a server again that what earlier starts have compiled has broken, with that set aside.

    Returns the folder where it is now; nothing, and does nothing, if that is not the cause or cannot help. Raises
    DockerError.
    """
    details = inspect_container(name)
    if details is None:
        return ""
    state = details["State"]
    code = None if state.get("Running") else int(state.get("ExitCode", 0))
    cause = cause_of(details, newest_lines(name, state), code)
    if cause is None or cause.key not in caches.AT_FAULT:
        return ""
    with only_one(state_dir, progress):
        stop(name, 0, progress)
        aside = caches.set_aside(caches.folder_of(details), epoch(str(state.get("StartedAt", ""))) or 0.0)
        if aside:
            remove_shared_memory(inspect_container(name) or details)
            _docker(["start", name])
    return aside


def prepare(name: str, record: Mapping[str, Any], image: str, keyed: bool, cache_folder: str) -> str:
    """Create the next container beside the running one, so that what is wrong with it shows before that is stopped.

    C(keyed) is whether the server is to have an API key, C(cache_folder) where it keeps what it compiles. Returns a
    warning about the engine, or nothing. Raises DockerError.
    """
    limit = open_files()
    _docker(["rm", "--force", _NEXT.format(name)], missing_ok=True)
    _docker(create_args(_NEXT.format(name), record, image, keyed, limit, cache_folder), CREATE_TIMEOUT_S)
    if limit is None or limit >= OPEN_FILES:
        return ""
    return (
        f"The server may have {limit} open files, because the Docker engine cannot give it more; vLLM asks for"
        f" {OPEN_FILES}. With many clients it then refuses connections. Raise LimitNOFILE of the services docker and"
        " containerd, or 'ulimit -Hn' of the shell that starts dockerd."
    )


def remove(name: str) -> bool:
    """Remove a container that is stopped, and what an interrupted run has left; return whether there was one."""
    found = [each for each in (name, _NEXT.format(name)) if inspect_container(each) is not None]
    for each in found:
        _docker(["rm", "--force", each])
    return bool(found)


def _docker(args: list[str], timeout_s: float = 120, missing_ok: bool = False) -> None:
    done = run_docker(args, timeout_s)
    if done.rc != 0 and not (missing_ok and "no such container" in done.stderr.lower()):
        raise DockerError(_refusal(args[0], done.stderr.strip()))


def _refusal(command: str, said: str) -> str:
    lines = said.splitlines()
    known = diagnose_engine(lines)
    if known is None:
        return f"docker {command}: {said}"
    cause, rest = failure_text(known, lines)
    return "\n".join([f"docker {command} failed: {cause}", *rest])
