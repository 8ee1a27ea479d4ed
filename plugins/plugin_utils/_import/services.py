# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a Compose file as the C(docker run) commands that it stands for. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from .server import NotUnderstood

# What says how a service runs, and not what it serves. Our roles decide that.
_OWN = {
    *("command", "container_name", "depends_on", "entrypoint", "environment", "expose", "healthcheck", "image", "init"),
    *("labels", "logging", "network_mode", "networks", "profiles", "restart", "stdin_open", "tty", "ulimits"),
}
_LISTS = {"volumes": "--volume", "ports": "--publish", "env_file": "--env-file", "devices": "--device"}


def is_compose(data: Any) -> bool:
    """Return whether data are those of a Compose file."""
    return isinstance(data, Mapping) and isinstance(data.get("services"), Mapping)


def read_compose(data: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the words of one command for each service with an image. Raises NotUnderstood."""
    try:
        for service in data["services"].values():
            if "image" in service:
                command = [*_words(service.get("entrypoint"))[1:], *_words(service.get("command"))]
                yield ["docker", "run", *_options(service), str(service["image"]), *command]
    except (AttributeError, LookupError, TypeError, ValueError) as exc:
        raise NotUnderstood(f"a Compose file in a form that is not known here ({exc})") from exc


def _options(service: Mapping[str, Any]) -> Iterator[str]:
    variables = service.get("environment") or {}
    listed = [f"{name}={value}" for name, value in variables.items()] if isinstance(variables, Mapping) else variables
    for variable in listed:
        yield from ("--env", str(variable))
    yield from (f"--entrypoint={word}" for word in _words(service.get("entrypoint"))[:1])
    for key, value in service.items():
        if key == "deploy":
            reserved = (value.get("resources") or {}).get("reservations") or {}
            yield from (f"--gpus={_gpus(device)}" for device in reserved.get("devices") or ())
        elif key in _LISTS:
            yield from (f"{_LISTS[key]}={each}" for each in (value if isinstance(value, list) else [value]))
        elif key not in _OWN:
            yield f"--{str(key).replace('_', '-')}={value}"


def _gpus(device: Mapping[str, Any]) -> str:
    return str(device.get("device_ids") or device.get("count", "all"))


def _words(command: Any) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else [str(word) for word in command or ()]
