# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pull an image through the engine's API, which tells the bytes of each layer. C(docker pull) tells only terminals.

It pulls as an anonymous client: logins belong to the command line.
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from .._core.progress import Meter
from .._core.units import human_bytes
from .cli import DockerError
from .registry import parse_reference

_SOCKET = "/var/run/docker.sock"
# The engine keeps finished layers, so a second attempt fetches only the others.
ATTEMPTS = 3
_POLL_S = 1.0
_DONE = ("Already exists", "Pull complete", "Download complete", "Extracting", "Verifying Checksum")


class PullStalled(DockerError):
    """No byte came for too long."""


class Layers:
    """The layers of a pull, from the engine's messages."""

    def __init__(self) -> None:
        self._bytes: dict[str, int] = {}
        self._totals: dict[str, int] = {}
        self._states: dict[str, str] = {}

    def add(self, message: Mapping[str, Any]) -> None:
        """Take one message: C({id, status, progressDetail: {current, total}})."""
        layer, state = message.get("id"), str(message.get("status", ""))
        if not isinstance(layer, str) or not layer or state.startswith("Pulling from"):
            return
        self._states[layer] = state
        detail = message.get("progressDetail")
        current, total = (detail.get(name) if isinstance(detail, Mapping) else None for name in ("current", "total"))
        if state == "Downloading" and isinstance(total, int) and total > 0:
            self._bytes[layer], self._totals[layer] = current if isinstance(current, int) else 0, total
        elif state in _DONE and layer in self._totals:
            self._bytes[layer] = self._totals[layer]

    @property
    def downloading(self) -> list[str]:
        """The layers of which bytes are to come."""
        return [layer for layer, state in self._states.items() if state == "Downloading"]

    @property
    def waiting(self) -> bool:
        """Whether only bytes can make progress: nothing is known yet, or a layer is downloaded and none is unpacked."""
        return not self._states or bool(self.downloading)

    @property
    def bytes(self) -> int:
        return sum(self._bytes.values())

    def line(self, meter: Meter, now: float) -> str:
        """Return the progress. The total counts the layers whose size is known by now."""
        done = sum(state in ("Already exists", "Pull complete") for state in self._states.values())
        return f"{meter.line(now, self.bytes, sum(self._totals.values()))}, {done} of {len(self._states)} layers"


def local_engine() -> str:
    """Return the path of the engine's socket, or nothing if the engine is elsewhere."""
    host = os.environ.get("DOCKER_HOST") or f"unix://{_SOCKET}"
    path = host[len("unix://") :] if host.startswith("unix://") else ""
    return path if os.path.exists(path) else ""


def pull(engine: str, image: str, stall_s: float, tell: Callable[[str], None]) -> None:
    """Pull an image through the engine at the socket C(engine), and report progress to C(tell).

    Raises PullStalled if no byte came for C(stall_s) seconds in each of ATTEMPTS attempts, and DockerError otherwise.
    """
    for attempt in range(1, ATTEMPTS + 1):
        layers = Layers()
        try:
            _attempt(engine, image, stall_s, layers, tell)
            return
        except TimeoutError as exc:
            if attempt < ATTEMPTS:
                continue
            waiting = f" of layer {', '.join(layers.downloading)}" if layers.downloading else ""
            raise PullStalled(
                f"{image} cannot be pulled: no byte{waiting} came for {stall_s:.0f} s in each of {ATTEMPTS} attempts,"
                f" after {human_bytes(layers.bytes)}. Try 'docker pull {image}' on the host; if it stalls too, use a"
                " mirror of the registry (registry-mirrors in docker_daemon_config) or another vllm_image_name."
            ) from exc


def _attempt(engine: str, image: str, stall_s: float, layers: Layers, tell: Callable[[str], None]) -> None:
    """Raises TimeoutError if no byte came for C(stall_s) while some were to come."""
    meter, moved_at, seen = Meter(), time.monotonic(), -1
    connection = _UnixConnection(engine)
    arrived: queue.Queue[dict[str, Any] | None] = queue.Queue()
    threading.Thread(target=_read, args=(connection, image, arrived), daemon=True).start()
    try:
        while True:
            try:
                message = arrived.get(timeout=_POLL_S)
            except queue.Empty:
                message = {}
            if message is None:
                return
            if "error" in message:
                raise DockerError(f"{image} cannot be pulled. The engine says: {message['error']}")
            layers.add(message)
            now = time.monotonic()
            # While a layer is checked or unpacked, no bytes come.
            if layers.bytes != seen or not layers.waiting:
                moved_at, seen = now, layers.bytes
            elif now - moved_at > stall_s:
                raise TimeoutError
            tell(f"pulling {image}: {layers.line(meter, now)}")
    finally:
        connection.close()  # which ends an unfinished pull


def _read(connection: _UnixConnection, image: str, arrived: queue.Queue[dict[str, Any] | None]) -> None:
    """Put the engine's messages into the queue, and None at the end."""
    reference = parse_reference(image)
    query = urllib.parse.urlencode({"fromImage": reference.repository, "tag": reference.version})
    try:
        connection.request("POST", f"/images/create?{query}")
        response = connection.getresponse()
        if response.status != 200:
            arrived.put({"error": json.loads(response.read()).get("message") or f"status {response.status}"})
            return
        for line in response:
            if line.strip():
                arrived.put(json.loads(line))
        arrived.put(None)
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as exc:
        arrived.put({"error": f"{type(exc).__name__} {exc}"})


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)
