# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service that keeps the container of a vLLM server running: its unit, its program and its settings."""

from __future__ import annotations

import inspect
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from .._core.files import read_text, replace_text
from .._core.process import run
from .._docker.cli import MISSING, DockerError, containers_losing_gpus
from .._programs import (
    commands,
    exposition,
    gpu_metrics,
    group,
    health,
    kernel_log,
    link,
    nccl,
    prometheus,
    proven,
    selftest,
    span,
    stacks,
    supervisor,
    texts,
    turns,
    watch,
)
from .key import key_file

UNITS = "/etc/systemd/system"
SYSTEMD = "/run/systemd/system"
# The ports beside that of the engine's ranks: of the supervisors, and of a start.
LINK_PORT, START_PORT = 1, 2
_TIMEOUT_S = 60
# When the host goes down nobody has waited for the requests before: some versions of vLLM let them end.
_STOP_TIMEOUT_S = 60
# What the units start, which never changes; and the programs that it imports.
_LAUNCHER = """\
import sys

from programs.span import make

raise SystemExit(make(sys.argv[1]).run())
"""
_SELFTEST = """\
import sys

from programs.selftest import main

raise SystemExit(main(sys.argv[1]))
"""
_PROGRAMS = (
    commands,
    exposition,
    gpu_metrics,
    group,
    health,
    kernel_log,
    link,
    nccl,
    prometheus,
    proven,
    selftest,
    span,
    stacks,
    supervisor,
    texts,
    turns,
    watch,
)
# Without a setting that may change, because a changed unit takes a reload of systemd, see Service.reload().
_UNIT = """\
[Unit]
Description=vLLM server in the container {name}
After=docker.service network-online.target local-fs.target remote-fs.target
After=nvidia-fabricmanager.service nvidia-persistenced.service
Wants=docker.service network-online.target

[Service]
Type=exec
ExecStart=/usr/bin/python3 {folder}/supervise.py {folder}/settings.json
Restart=on-failure
RestartPreventExitStatus={gave_up}
RestartSec=2
KillMode=mixed
TimeoutStopSec=180

[Install]
WantedBy=multi-user.target
"""


def span_key_file(state_dir: str) -> str:
    """Return where the key of the ranks of a server across hosts is."""
    return os.path.join(state_dir, "span_key")


class SupervisorError(Exception):
    """systemd refuses the service."""


class Supervision(NamedTuple):
    """How a server is supervised and watched; the times are in seconds.

    C(watch) is V(off), V(observe) or V(restart). C(py_spy) is the program of that name, which may be missing. C(span)
    says which rank of a server across hosts this one is, and is empty for a server on one host.
    """

    restart_limit: int
    restart_interval: int
    gpus: bool
    watch: str = watch.OFF
    watch_limit: int = 300
    watch_interval: int = 600
    base_url: str = ""
    served_model_name: str = ""
    py_spy: str = ""
    span: Mapping[str, Any] = MappingProxyType({})


class Service:
    """The service of one container."""

    def __init__(self, name: str, state_dir: str, check_mode: bool = False) -> None:
        self._name = name
        self._state_dir = state_dir
        self._check_mode = check_mode
        self.unit = f"hgx-inference-{name}.service"
        self.folder = os.path.join(state_dir, "supervisor")
        self._file = os.path.join(UNITS, self.unit)
        self._wants = os.path.join(UNITS, "multi-user.target.wants", self.unit)

    @property
    def possible(self) -> bool:
        return os.path.isdir(SYSTEMD)

    def ensure(self, wanted: Supervision) -> bool:
        """Install, enable and start the service; return whether anything changed."""
        unit = _UNIT.format(name=self._name, folder=self.folder, gave_up=supervisor.GAVE_UP)
        active = self.state().get("ActiveState") == "active"
        new_program = self.install()
        changed = self._write(os.path.join(self.folder, "settings.json"), self.settings(wanted))
        changed |= self._write(self._file, unit)
        if not os.path.islink(self._wants):
            changed = True
            if not self._check_mode:
                os.makedirs(os.path.dirname(self._wants), exist_ok=True)
                os.symlink(self._file, self._wants)
        if not active:
            self._systemctl("reset-failed", self.unit)
            self._systemctl("start", self.unit)
        elif not self.reload() and new_program:
            self._start_again()
        return changed or new_program or not active

    def install(self) -> bool:
        """Write the programs; return whether one of them is new."""
        sources = {f"{_name_of(module)}.py": inspect.getsource(module) for module in _PROGRAMS}
        paths = {os.path.join(self.folder, "programs", name): text for name, text in sources.items()}
        paths[os.path.join(self.folder, "supervise.py")] = _LAUNCHER
        paths[os.path.join(self.folder, "selftest.py")] = _SELFTEST
        return bool([path for path, text in paths.items() if self._write(path, text)])

    def settings(self, wanted: Supervision) -> str:
        """Return the file of the settings. The API key is not in it, only where it lies."""
        settings: dict[str, Any] = {
            "container": self._name,
            "gpus": wanted.gpus,
            "restart_limit": wanted.restart_limit,
            "restart_interval_s": wanted.restart_interval,
            "stop_timeout_s": _STOP_TIMEOUT_S,
            "watch": {
                "mode": wanted.watch,
                "limit_s": wanted.watch_limit,
                "interval_s": wanted.watch_interval,
                "base_url": wanted.base_url,
                "served_model_name": wanted.served_model_name,
                "key_file": key_file(self._state_dir),
                "py_spy": wanted.py_spy,
            },
        }
        if wanted.span:
            settings["span"] = {
                "rank": int(wanted.span["rank"]),
                "hosts": list(wanted.span["hosts"]),
                "head_address": wanted.span["head_address"],
                "link_port": int(wanted.span["port"]) + LINK_PORT,
                "key_file": span_key_file(self._state_dir),
            }
        return json.dumps(settings, indent=1) + "\n"

    def reload(self) -> bool:
        """Let systemd read a changed unit, unless that could take the GPUs from a container; return whether it did."""
        if not self.needs_reload() or self.waits_for():
            return False
        self._systemctl("daemon-reload")
        if self.state().get("ActiveState") == "active":
            with suppress(SupervisorError):  # it may have ended meanwhile, and a server waits to be started
                self._start_again()
        return True

    def _start_again(self) -> None:
        """Let systemd start the program again, without touching the container."""
        self._systemctl("kill", "--signal=KILL", self.unit)

    def needs_reload(self) -> bool:
        """Return whether systemd has not read the unit since it was changed."""
        return self.possible and self.state().get("NeedDaemonReload") == "yes"

    def waits_for(self) -> list[str]:
        """Return the containers that could lose their GPUs by a reload of systemd."""
        try:
            return containers_losing_gpus()
        except DockerError as exc:
            return [] if str(exc) == MISSING else ["unknown ones: the engine does not answer"]

    def pause(self) -> None:
        """Make the service leave the container alone until C(ensure) runs again. A boot still starts it."""
        path = os.path.join(self.folder, "settings.json")
        with suppress(OSError, ValueError), open(path, encoding="utf-8") as stream:
            replace_text(path, json.dumps({**json.load(stream), "paused": True}, indent=1) + "\n")

    def remove(self) -> bool:
        """Stop and remove the service, which leaves the container alone if that was stopped before."""
        there = [path for path in (self._wants, self._file, self.folder) if os.path.lexists(path)]
        if there and not self._check_mode:
            self._systemctl("stop", self.unit)
            self._systemctl("reset-failed", self.unit)
            for path in (self._wants, self._file):
                with suppress(FileNotFoundError):
                    os.unlink(path)
            shutil.rmtree(self.folder, ignore_errors=True)
            for subject in (
                watch.subject(self._name),
                span.subject(self._name),
                f"proof_{self._name}",
                f"selftest_{self._name}",
            ):
                exposition.remove(subject)
        return bool(there)

    def state(self) -> dict[str, Any]:
        """Return what systemd says of the service, and what the service says of itself."""
        shown = run(
            ["systemctl", "show", self.unit, "--property=ActiveState,UnitFileState,LoadState,NeedDaemonReload"],
            _TIMEOUT_S,
        ).output
        state: dict[str, Any] = dict(line.partition("=")[::2] for line in shown.splitlines())
        state["enabled"] = os.path.islink(self._wants)
        state.update(self._json("state.json"))
        state["watch"] = self._json(watch.RECORD)
        return state

    def _json(self, name: str) -> dict[str, Any]:
        with suppress(OSError, ValueError), open(os.path.join(self.folder, name), encoding="utf-8") as stream:
            found = json.load(stream)
            return found if isinstance(found, dict) else {}
        return {}

    def _write(self, path: str, text: str) -> bool:
        if read_text(path) == text:
            return False
        if not self._check_mode:
            replace_text(path, text)
        return True

    def _systemctl(self, *words: str) -> None:
        if self._check_mode:
            return
        done = run(["systemctl", *words], 240)
        if done.rc != 0 and words[0] in ("start", "kill"):
            raise SupervisorError(f"systemctl {' '.join(words)}: {done.output.strip()}\nSee journalctl -u {self.unit}")


def _name_of(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]
