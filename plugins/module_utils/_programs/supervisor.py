# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service that keeps the container of a vLLM server running: supervise.py SETTINGS.json

An engine that dies while serving ends the server with exit code 0, which Docker's own policies either ignore or answer
by starts without end. This one counts. It reads its settings at every turn, so that they change without a restart.
What it has done stands beside the settings, in state.json. The watch (watch.py) runs in a thread of it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from .commands import command
from .watch import Host, Watch

RESTART_DELAY_S = 5.0
# docker restart: the container that a person stopped is running again. And an engine that goes down has stopped it.
SECOND_LOOK_S = 10.0
FABRIC_TIMEOUT_S = 300.0
ENGINE_POLL_S = 2.0
DOCKER_TIMEOUT_S = 60.0
GPUS_TIMEOUT_S = 30.0  # nvidia-smi may hang for good when a GPU is lost
# A server that hangs answers no request any more, so there is nothing to wait for.
UNWELL_STOP_S = 7
GAVE_UP = 3  # the unit knows this exit code
_ASKED_SIGNALS = ("2", "9", "15")


def too_many(restarts: list[float], now: float, limit: int, interval_s: float) -> bool:
    """Return whether one more restart would be more than C(limit) within C(interval_s).

    A restart that is still to come was counted before the clock was set back.
    """
    return len([at for at in restarts if 0 <= now - at < interval_s]) >= limit


def was_asked(events: str) -> bool:
    """Return whether somebody stopped the container: then the engine has sent it a signal."""
    for line in events.splitlines():
        try:
            if json.loads(line)["Actor"]["Attributes"].get("signal") in _ASKED_SIGNALS:
                return True
        except (ValueError, KeyError, TypeError):
            continue
    return False


def fabric_settled(csv: str) -> bool:
    """Return whether every GPU has joined the fabric, or has none, from C(fabric.state)."""
    states = [line.strip() for line in csv.splitlines() if line.strip()]
    return bool(states) and all(state not in ("Not Started", "In Progress") for state in states)


class Supervisor:
    """Follows one container, named in the settings."""

    def __init__(self, settings_file: str) -> None:
        self._settings_file = settings_file
        self._state_file = os.path.join(os.path.dirname(settings_file), "state.json")
        self._state: dict[str, Any] = {"restarts": [], "gave_up": ""}
        self._unwell = ""  # why the watch has stopped the server

    def spans(self) -> bool:
        """Return whether the container is one rank of a server across hosts."""
        return bool(self._settings().get("span"))

    def run(self) -> int:
        """Keep the container running until somebody stops it or it has ended too often."""
        signal.signal(signal.SIGTERM, self._stop)
        self._wait_for_engine()
        if not self._running():
            self._wait_for_fabric()
            self._start()
        self._watch()
        while True:
            self._save()
            engine = self._engine_run()
            self._follow()
            if self._settings().get("paused"):
                say("a play replaces the server, and starts this service again when the new one is ready")
                return 0
            if self._unwell:
                why, self._unwell = self._unwell, ""
            else:
                ended = self._ended(engine)
                if ended is None:
                    continue
                if not ended:
                    say("somebody stopped the server, so it stays down until it is started again")
                    return 0
                why = f"the server ended by itself (exit code {ended['ExitCode']})"
                self._state["gave_up"] = self._no_more(f"the server ended again (exit code {ended['ExitCode']})")
                if self._state["gave_up"]:
                    self._save()
                    say(f"{self._state['gave_up']}: it stays down. See docker logs {self._settings()['container']}")
                    return GAVE_UP
            self._restart(why)

    def _watch(self) -> None:
        host = Host(limited_docker, self.restart_unwell, say)
        watch = Watch(os.path.dirname(self._settings_file), self._settings, host)
        threading.Thread(target=watch.run, daemon=True).start()

    def restart_unwell(self, container_id: str, why: str) -> str:
        """Stop a server that hangs, so that it is started again; return why not, or nothing. For the watch."""
        refused = self._no_more(why)
        if refused:
            return f"not restarted: {refused}"
        if self._settings().get("paused"):
            return "not restarted: a play replaces the server"
        self._unwell = why
        # Its ID, as a play may put another container in its place.
        done = docker("stop", "-t", str(UNWELL_STOP_S), container_id)
        if done.returncode != 0:
            self._unwell = ""
            return f"not restarted: docker stop: {done.stderr.strip()}"
        return ""

    def _no_more(self, what: str) -> str:
        """Return that C(what) has come after as many restarts as may be; nothing if there may be another one."""
        settings = self._settings()
        limit, interval_s = int(settings["restart_limit"]), float(settings["restart_interval_s"])
        if not too_many(self._state["restarts"], time.time(), limit, interval_s):
            return ""
        return f"{what} after {limit} restarts in {interval_s / 60:.0f} minutes"

    def _count_restart(self) -> None:
        now, interval_s = time.time(), float(self._settings()["restart_interval_s"])
        self._state["restarts"] = [at for at in self._state["restarts"] if now - at < interval_s] + [now]
        self._save()

    def _restart(self, why: str) -> None:
        self._count_restart()
        say(f"{why}, starting it again")
        time.sleep(RESTART_DELAY_S)
        self._wait_for_engine()
        self._start()

    def _ended(self, engine: str) -> dict[str, Any] | None:
        """Return the state of a container that ended by itself, an empty one if stopped, or None if it runs.

        It runs again after a C(docker restart), and once an engine that went down has been waited for. C(engine) is the
        run of the engine in which it was followed, as an engine that ends stops its containers like a person does.
        """
        deadline = time.monotonic() + SECOND_LOOK_S
        while time.monotonic() < deadline:
            if not self._engine_up() or self._engine_run() != engine:
                say("the engine went down, waiting for it")
                self._wait_for_engine()
                return None if self._running() else self._down_with_engine()
            state = self._inspect()
            if state and state["Running"]:
                return None
            # One that was only created is about to take the place of the one that was stopped.
            if state and state["Status"] != "created" and not self._asked(state):
                return state
            time.sleep(ENGINE_POLL_S)
        return {}

    def _down_with_engine(self) -> dict[str, Any] | None:
        """Do what follows when the engine is back and the container is not; return as C(_ended) does."""
        self._wait_for_fabric()
        self._start()
        return None

    def _asked(self, ended: dict[str, Any]) -> bool:
        window = ["--since", ended["StartedAt"], "--until", f"{time.time():.9f}"]
        filters = ["--filter", f"container={self._settings()['container']}", "--filter", "event=kill"]
        return was_asked(docker("events", *window, *filters, "--format", "{{json .}}").stdout)

    def _follow(self) -> None:
        docker("wait", self._settings()["container"])

    def _start(self) -> str:
        """Start the container; return why that failed, or nothing."""
        done = docker("start", self._settings()["container"])
        if done.returncode == 0:
            return ""
        say(f"docker start: {done.stderr.strip()}")
        return f"docker start: {done.stderr.strip()}"

    def _inspect(self) -> dict[str, Any] | None:
        done = docker("container", "inspect", "--format", "{{json .State}}", self._settings()["container"])
        if done.returncode != 0:
            return None
        state: dict[str, Any] = json.loads(done.stdout)
        return state

    def _running(self) -> bool:
        state = self._inspect()
        return state is not None and bool(state["Running"])

    def _engine_run(self) -> str:
        """Return what tells one run of the engine from another; nothing if systemd does not run it."""
        return command("systemctl", "show", "docker.service", "--property=InvocationID", "--value").stdout.strip()

    def _engine_up(self) -> bool:
        """Return whether the engine answers and is not about to go down."""
        if docker("version", "--format", "{{.Server.Version}}").returncode != 0:
            return False
        shown = command("systemctl", "show", "docker.service", "--property=ActiveState", "--value")
        return shown.stdout.strip() not in ("deactivating", "activating", "reloading")

    def _wait_for_engine(self) -> None:
        while not self._engine_up():
            time.sleep(ENGINE_POLL_S)

    def _wait_for_fabric(self) -> None:
        if not self._settings()["gpus"]:
            return
        deadline = time.monotonic() + FABRIC_TIMEOUT_S
        while time.monotonic() < deadline:
            asked = command("nvidia-smi", "--query-gpu=fabric.state", "--format=csv,noheader", timeout_s=GPUS_TIMEOUT_S)
            if asked.returncode == 0 and fabric_settled(asked.stdout):
                return
            time.sleep(ENGINE_POLL_S)
        say("the GPUs have not joined their fabric; the server is started all the same, and its log will say")

    def _stop(self, _signal: int, _frame: object) -> None:
        settings = self._settings()
        say("stopping the server")
        docker("stop", "-t", str(settings["stop_timeout_s"]), settings["container"])
        raise SystemExit(0)

    def _settings(self) -> dict[str, Any]:
        return read(self._settings_file)

    def _save(self) -> None:
        temporary = f"{self._state_file}.new"
        try:
            with open(temporary, "w", encoding="utf-8") as stream:
                json.dump(self._state, stream)
            os.replace(temporary, self._state_file)
        except OSError as exc:  # a full disk must not end the supervision
            say(f"{self._state_file}: {exc}")


def docker(*args: str) -> subprocess.CompletedProcess[str]:
    return command("docker", *args)


def limited_docker(*args: str) -> subprocess.CompletedProcess[str]:
    return command("docker", *args, timeout_s=DOCKER_TIMEOUT_S)


def say(words: str) -> None:
    """Tell the journal."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def read(path: str) -> dict[str, Any]:
    """Return what a JSON file holds, nothing if it is not there or broken."""
    try:
        with open(path, encoding="utf-8") as stream:
            found: dict[str, Any] = json.load(stream)
            return found
    except (OSError, ValueError):
        return {}
