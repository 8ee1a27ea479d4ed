# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write a container's specification as a docker command that a person can paste. Pure.

It runs on a machine without anything of ours. So the server may download its weights, the packages are installed at the
start, and the key guard is left out. Secrets are named and come from the environment of the person.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from .._core.secrets import is_secret_name, scrub
from .._core.units import GIB
from .._nvidia.gpu_request import request_words
from .key import CONTAINER_FOLDER

# What only our own host has, or what keeps the server from downloading.
_OWN_VARIABLES = ("HF_HUB_OFFLINE", "HF_MODULES_CACHE", "PYTHONPATH")
_OWN_OPTIONS = ("--middleware",)
_WIDTH = 110


def docker_command(spec: Mapping[str, Any], base_image: str, pip: Sequence[str], name: str, keyed: bool) -> str:
    """Return the command, over several lines. C(keyed) is whether the server is to have an API key."""
    guard = next((mount.partition(":")[0] for mount in spec["mounts"] if mount.split(":")[1] == "/run/guard"), "")
    mounts = [mount for mount in spec["mounts"] if mount.split(":")[1] != CONTAINER_FOLDER]
    mounts = [mount for mount in mounts if not guard or not mount.startswith(f"{guard}:")]
    secrets = [*(["VLLM_API_KEY"] if keyed else []), "HF_TOKEN"]
    variables = {key: value for key, value in spec["env"].items() if key not in _OWN_VARIABLES}
    secrets += [key for key in variables if is_secret_name(key) and key not in secrets]
    gpus = request_words(spec["gpus"], spec.get("gpu_set", ""))
    options = [
        ["--detach"],
        ["--name", name],
        *([gpus] if gpus else []),
        *([["--ipc", spec["ipc"]]] if spec["ipc"] else []),
        *([["--shm-size", str(int(spec["shm_gib"] * GIB))]] if spec["shm_gib"] and spec["ipc"] != "host" else []),
        *([["--network", spec["network"]]] if spec.get("network") else []),
        *(["--device", device] for device in spec.get("devices") or ()),
        *(["--publish", port] for port in spec["ports"]),
        *(["--volume", mount.removesuffix(":ro").removesuffix(":rw")] for mount in mounts),
        *(["--env", f"{key}={scrub(value)}"] for key, value in variables.items() if key not in secrets),
        *(["--env", secret] for secret in secrets),
    ]
    command = _without_own(spec["command"])
    if pip:
        install = f'pip install --quiet {shlex.join(pip)} && exec "$@"'
        options.append(["--entrypoint", "/bin/sh"])
        words = [["-c", install, "vllm"], *_grouped(command)]
    else:
        options.append(["--entrypoint", command[0]])
        words = _grouped(command[1:])
    lines = [shlex.join(group) for group in [*options, [base_image], *words]]
    text = " \\\n  ".join(_filled(["docker run", *map(scrub, lines)]))
    head = [f"# {secret} comes from your environment; without it, take the option out." for secret in secrets]
    return "\n".join([*head, text])


def _without_own(command: Sequence[str]) -> list[str]:
    kept: list[str] = []
    words = iter(command)
    for word in words:
        if word in _OWN_OPTIONS:
            next(words, None)
        else:
            kept.append(word)
    return kept


def _grouped(words: Sequence[str]) -> list[list[str]]:
    """Return each option with its values, so that no line ends between them."""
    groups: list[list[str]] = []
    for word in words:
        if word.startswith("-") or not groups or not groups[-1][0].startswith("--"):
            groups.append([word])
        else:
            groups[-1].append(word)
    return groups


def _filled(pieces: Sequence[str]) -> list[str]:
    """Return the pieces in lines of about the width of a page."""
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + len(piece) < _WIDTH:
            lines[-1] += f" {piece}"
        else:
            lines.append(piece)
    return lines
