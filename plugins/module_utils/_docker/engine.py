# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The running Docker engine: query it, and reload or restart it with new settings."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import signal
import subprocess
import time
from typing import Any, NamedTuple

from .._core.process import run
from .cli import DockerError, run_docker

PID_FILE = "/var/run/docker.pid"
PROC = "/proc"
SYSTEMD = "/run/systemd/system"
POLL_INTERVAL_S = 0.5
RELOAD_TIMEOUT_S = 15.0
_LOG_LINES = 15
_MOST_OPEN_FILES = 2**20  # what systemd and Docker call unlimited
_CAP_SYS_RESOURCE = 24  # its bit, see capabilities(7)


class Process(NamedTuple):
    """The engine's process. C(identity) is unique among all processes that this machine has ever run."""

    pid: int
    argv: list[str]
    environment: dict[str, str]
    log: str
    identity: str


def info() -> dict[str, Any] | None:
    """Return the output of C(docker info), or None if no engine answers. Raises DockerError."""
    done = run_docker(["info", "--format", "{{json .}}"])
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return None
    return answer if answer.get("ServerVersion") else None


def containers() -> list[str]:
    """Return the names of the running containers. Raises DockerError."""
    done = run_docker(["ps", "--format", "{{.Names}}"])
    if done.rc != 0:
        raise DockerError(f"docker ps: {done.stderr.strip()}")
    return sorted(done.stdout.split())


def process() -> Process | None:
    """Return the engine's process, or None if the PID file does not lead to one."""
    try:
        pid = int(_read(PID_FILE))
        argv = _read(f"{PROC}/{pid}/cmdline").rstrip("\0").split("\0")
        environment = _read(f"{PROC}/{pid}/environ").rstrip("\0").split("\0")
        # The second field, the name in brackets, may contain anything.
        started = _read(f"{PROC}/{pid}/stat").rpartition(")")[2].split()[19]
        boot = _read(f"{PROC}/sys/kernel/random/boot_id").strip()
        log = os.readlink(f"{PROC}/{pid}/fd/2")
    except (OSError, ValueError, IndexError):
        return None
    if os.path.basename(argv[0]) != "dockerd":
        return None
    return Process(pid, argv, dict(entry.partition("=")[::2] for entry in environment), log, f"{boot}/{pid}/{started}")


def open_files() -> int | None:
    """Return how many open files a container can be given, None if that cannot be read.

    Containers get the limits of containerd, or of the engine that starts it. To raise them takes CAP_SYS_RESOURCE.
    """
    pids = _pids("containerd") or _pids("dockerd")
    try:
        limit = re.search(r"^Max open files\s+\S+\s+(\d+|unlimited)", _read(f"{PROC}/{pids[0]}/limits"), re.MULTILINE)
        capabilities = re.search(r"^CapEff:\s*([0-9a-f]+)", _read(f"{PROC}/{pids[0]}/status"), re.MULTILINE)
        in_namespace = _read(f"{PROC}/{pids[0]}/uid_map").split() != ["0", "0", "4294967295"]
        most = min(int(_read(f"{PROC}/sys/fs/nr_open")), _MOST_OPEN_FILES)
    except (OSError, ValueError, IndexError):
        return None
    if limit is None or capabilities is None:
        return None
    may_raise = bool(int(capabilities[1], 16) & 1 << _CAP_SYS_RESOURCE) and not in_namespace
    return most if may_raise or limit[1] == "unlimited" else min(int(limit[1]), most)


def _pids(program: str) -> list[str]:
    """Return the processes of a program."""
    found = []
    for path in glob.glob(f"{PROC}/[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if _read(path).strip() == program:
                found.append(path.split("/")[-2])
    return sorted(found, key=int)


def config_file(argv: list[str], default: str) -> str:
    """Return the settings file of an engine with this command line."""
    for index, word in enumerate(argv):
        if word.startswith("--config-file="):
            return word.partition("=")[2]
        if word == "--config-file" and index + 1 < len(argv):
            return argv[index + 1]
    return default


def validate(path: str, argv: list[str]) -> str:
    """Validate the settings in C(path) with the installed engine; return its objection, or an empty text.

    C(argv) is the running engine's command line: a setting must not be in both. Engines before 23 cannot do this.
    """
    flags = [word for word in argv[1:] if not word.startswith("--config-file")]
    if "--config-file" in argv:
        index = argv.index("--config-file")
        flags = argv[1:index] + argv[index + 2 :]
    done = run(["dockerd", "--validate", f"--config-file={path}", *flags], 30)
    if not done.rc or "unknown flag: --validate" in done.output:
        return ""
    return done.output.strip().partition("\n")[0].replace(path, "the new settings")


def reload(engine: Process) -> None:
    """Reload the engine's settings, which does not affect containers. Raises DockerError if it refuses them."""
    since = time.time()
    os.kill(engine.pid, signal.SIGHUP)
    # The engine reports success by an event, but a refusal only in its log.
    deadline = since + RELOAD_TIMEOUT_S
    while time.time() < deadline:
        time.sleep(POLL_INTERVAL_S)
        window = ["--since", f"{since:.9f}", "--until", f"{time.time():.9f}"]
        done = run_docker(["events", *window, "--filter", "type=daemon", "--filter", "event=reload"])
        if done.stdout.strip():
            return
    raise DockerError(f"The engine did not apply the settings. Its log says:\n{log_since(engine, since)}")


def restart(engine: Process, timeout_s: float) -> None:
    """Restart the engine as it was started. Raises DockerError, with its log, if it does not come back."""
    since = time.time()
    if os.path.isdir(SYSTEMD):
        # systemd allows three starts in a minute, and a failed one counts.
        run(["systemctl", "reset-failed", "docker"], timeout_s)
        started = run(["systemctl", "restart", "docker"], timeout_s).rc == 0
    else:
        _start_again(engine, timeout_s)
        started = True
    deadline = time.monotonic() + timeout_s
    while started and time.monotonic() < deadline:
        if info() is not None:
            return
        time.sleep(POLL_INTERVAL_S)
    raise DockerError(f"The engine did not start. Its log says:\n{log_since(engine, since)}")


def log_since(engine: Process, since: float) -> str:
    """Return the last lines of the engine's log. If systemd keeps it, only lines since C(since)."""
    if os.path.isdir(SYSTEMD):
        run(["journalctl", "--sync"], 30)  # the newest lines may not have been written yet
        done = run(["journalctl", "-u", "docker", f"--since=@{int(since)}", "-o", "cat", "--no-pager"], 30)
        lines = done.output.splitlines() if done.rc is not None else []
    else:
        lines = _read(engine.log).splitlines() if os.path.isfile(engine.log) else []
    return "\n".join(f"  {line}" for line in lines[-_LOG_LINES:]) or "  (no log)"


def _start_again(engine: Process, timeout_s: float) -> None:
    """Restart an engine without a service manager: same command line, environment and log."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(engine.pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while _runs(engine.pid):
        if time.monotonic() > deadline:
            raise DockerError(f"The engine, process {engine.pid}, did not stop within {timeout_s:.0f} s.")
        time.sleep(POLL_INTERVAL_S)
    with open(engine.log if os.path.isfile(engine.log) else os.devnull, "ab") as log:
        subprocess.Popen(  # pylint: disable=consider-using-with,ansible-bad-function  # it outlives the module
            engine.argv,
            env=engine.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )


def _runs(pid: int) -> bool:
    """Return whether the process is alive. A zombie has no command line."""
    try:
        return bool(_read(f"{PROC}/{pid}/cmdline"))
    except OSError:
        return False


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()
