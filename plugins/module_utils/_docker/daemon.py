# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of a Docker engine (daemon.json): merge them, and decide how a running engine applies them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._core import mappings

# The settings that an engine reloads without a restart: Daemon.Reload in moby, the same in 20.10 and 29. It reloads
# 'features', too, but reads 'cdi' and 'containerd-snapshotter' only at its start.
RELOADED = frozenset(
    {
        "authorization-plugins",
        "debug",
        "default-cgroupns-mode",
        "default-ipc-mode",
        "default-runtime",
        "default-shm-size",
        "insecure-registries",
        "labels",
        "live-restore",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "network-diagnostic-port",
        "registry-mirrors",
        "runtimes",
        "shutdown-timeout",
    }
)
# The log drivers that rotate their files by themselves.
_ROTATING = ("json-file", "local")
_UNCHANGED = "Nothing was changed: correct the file, or move it away to start with an empty one, and run again."


class DaemonConfigError(Exception):
    """The settings cannot be read, or the engine does not accept them."""


def parse(text: str, path: str) -> dict[str, Any]:
    """Return the settings in C(text), the content of the file C(path). An empty file has none.

    Raises DaemonConfigError, with the position, for anything but a JSON object.
    """
    if not text.strip():
        return {}
    try:
        config = json.loads(text)
    except json.JSONDecodeError as exc:
        line = text.split("\n")[exc.lineno - 1].rstrip()
        raise DaemonConfigError(
            f"{path} is not valid JSON: line {exc.lineno}, column {exc.colno}: {exc.msg}\n  {line}\n"
            f"  {' ' * (exc.colno - 1)}^\nNo engine starts with it. {_UNCHANGED}"
        ) from exc
    if not isinstance(config, dict):
        raise DaemonConfigError(
            f"{path} holds a JSON {type(config).__name__} where the engine wants an object in braces. {_UNCHANGED}"
        )
    return config


def merge(current: Mapping[str, Any], wanted: Mapping[str, Any], log_driver: str = "json-file") -> dict[str, Any]:
    """Return C(current) with C(wanted) merged in: mappings are merged, other values are replaced, no key is removed.

    Log options belong to a log driver. If C(wanted) names another driver than C(current), the options of the old one
    are dropped. If it names none and the engine's driver does not rotate files, the options stay as they are.
    C(log_driver) is the engine's driver if the file names none.
    """
    driver = current.get("log-driver", log_driver)
    if wanted.get("log-driver", driver) != driver:
        current = {key: value for key, value in current.items() if key != "log-opts"}
    elif "log-driver" not in wanted and driver not in _ROTATING:
        wanted = {key: value for key, value in wanted.items() if key != "log-opts"}
    merged: dict[str, Any] = mappings.merge(current, wanted)
    return merged


def changed_keys(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted names of the settings that differ. JSON's C(1) and C(true) differ."""
    found: list[str] = []
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        nested = all(isinstance(value, Mapping) for value in (old, new) if value is not None)
        # A runtime is one setting; a part of it has no meaning.
        if nested and prefix != "runtimes.":
            found += changed_keys(old or {}, new or {}, f"{prefix}{key}.")
        elif _canonical(old) != _canonical(new):
            found.append(f"{prefix}{key}")
    return found


def unapplied_keys(config: Mapping[str, Any], info: Mapping[str, Any]) -> list[str]:
    """Return the dotted names of settings in C(config) that the running engine has not applied.

    Covers only the settings that C(docker info) shows in a known spelling.
    """
    shown = {"live-restore": "LiveRestoreEnabled", "default-runtime": "DefaultRuntime"}
    found = [key for key, name in shown.items() if key in config and name in info and config[key] != info[name]]
    if isinstance(info.get("Runtimes"), Mapping):
        found += [f"runtimes.{name}" for name in config.get("runtimes", {}) if name not in info["Runtimes"]]
    if config.get("features", {}).get("cdi") is True and engine_major(info) >= 25 and not info.get("CDISpecDirs"):
        found.append("features.cdi")
    return found


def engine_major(info: Mapping[str, Any]) -> int:
    """Return the engine's major version, or 0 if it is unknown."""
    match = re.match(r"\d+", str(info.get("ServerVersion", "")))
    return int(match.group()) if match else 0


def restart_keys(keys: Iterable[str]) -> list[str]:
    """Return those of the dotted names that an engine reads only at its start."""
    return [key for key in keys if key.partition(".")[0] not in RELOADED]


def refuse_restart(path: str, keys: Sequence[str], reason: str, containers: Sequence[str], survive: bool) -> str:
    """Return the message that a needed restart is not allowed while containers run. C(survive): live-restore."""
    what = " and ".join(filter(None, [", ".join(keys) and f"changing {', '.join(keys)} in {path}", reason]))
    fate = "keep running, because live-restore is on, but unsupervised until it is back" if survive else "stop"
    leave = " Or leave these settings out of docker_daemon_config." if keys else ""
    return (
        f"The Docker engine must be restarted for {what}, and containers run: {', '.join(containers)}."
        f" Nothing was changed. With docker_restart_ok: true the engine is restarted; its containers {fate}.{leave}"
        " Or stop the containers first."
    )


def render(config: Mapping[str, Any]) -> str:
    """Return settings as the text of a file."""
    return json.dumps(config, indent=4, ensure_ascii=False) + "\n"


def same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether both mean the same to the engine."""
    return _canonical(before) == _canonical(after)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
