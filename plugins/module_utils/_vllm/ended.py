# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that has ended: why, and its log, which outlives its container."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from .._core.files import replace_text
from .._core.secrets import SecretError, scrub
from .._docker.cli import DockerError, run_docker
from .._programs.supervisor import was_asked
from .key import read_key
from .log.watch import newest_lines, stopped
from .release import LABEL
from .store import Store

# The newest part of a log that is kept, in characters.
KEPT_CHARS = 2**20


def why_ended(name: str, container: Mapping[str, Any], state_dir: str) -> list[str]:
    """Return why a container does not run, in lines; none if it runs. Raises DockerError and SecretError.

    C(container) is what C(docker inspect) says of it.
    """
    state = container["State"]
    if state["Running"]:
        return []
    if _was_stopped(name, state):
        return [f"The server's container {name} was stopped on request (exit code {state.get('ExitCode')})."]
    read_key(state_dir)  # from then on it is scrubbed
    return stopped(name, dict(container), newest_lines(name, state), "").splitlines()


def kept_log(state_dir: str, container: Mapping[str, Any]) -> str:
    """Return where the log of a container is kept once it is removed: with its release, if that is recorded."""
    release = str((container["Config"].get("Labels") or {}).get(LABEL, ""))
    return Store(state_dir).log(release)


def read_log(name: str, container: Mapping[str, Any]) -> list[str]:
    """Return the newest lines of a container's log; none if the engine does not give them."""
    with suppress(DockerError):
        return newest_lines(name, container["State"])
    return []


def keep_log(state_dir: str, container: Mapping[str, Any], lines: Sequence[str]) -> str:
    """Keep the newest lines of a log without secrets, and return where; nothing if it cannot be written.

    A log that cannot be kept must not keep a server from starting.
    """
    path = kept_log(state_dir, container)
    try:
        read_key(state_dir)  # from then on it is scrubbed
        text = scrub("\n".join(lines)[-KEPT_CHARS:])
        replace_text(path, f"{text}\n", mode=0o640)
    except (OSError, SecretError):
        return ""
    return path


def _was_stopped(name: str, state: Mapping[str, Any]) -> bool:
    """Return whether somebody stopped the container. The engine remembers its newest 256 events only."""
    if state.get("Status") != "exited":
        return False
    window = ["--since", str(state.get("StartedAt", "")), "--until", f"{time.time():.9f}"]
    filters = ["--filter", f"container={name}", "--filter", "event=kill"]
    with suppress(DockerError):
        return was_asked(run_docker(["events", *window, *filters, "--format", "{{json .}}"]).stdout)
    return False
