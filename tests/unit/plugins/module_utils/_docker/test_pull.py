# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pull, from a socket that answers as the engine's does."""

from __future__ import annotations

import contextlib
import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._docker import pull as _pull
from ansible_collections.hgx.inference.plugins.module_utils._docker.cli import DockerError

MB = 10**6


def downloading(layer: str, current: int, total: int) -> dict[str, Any]:
    return {"status": "Downloading", "id": layer, "progressDetail": {"current": current, "total": total}}


STARTED: list[dict[str, Any]] = [
    {"status": "Pulling from vllm/vllm-openai", "id": "v1"},
    {"status": "Already exists", "progressDetail": {}, "id": "a"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "b"},
    downloading("b", 5 * MB, 20 * MB),
]
FINISHED: list[dict[str, Any]] = [
    {"status": "Download complete", "progressDetail": {}, "id": "b"},
    {"status": "Extracting", "progressDetail": {"current": 20 * MB, "total": 20 * MB}, "id": "b"},
    {"status": "Pull complete", "progressDetail": {}, "id": "b"},
    {"status": "Digest: sha256:0"},
]


class Engine(http.server.BaseHTTPRequestHandler):
    """Plays the messages of its server, and then stays silent if it is told to."""

    def do_POST(self) -> None:
        server: Any = self.server
        server.asked.append(self.path)
        self.send_response(server.status)
        self.end_headers()
        for message in server.messages:
            self.wfile.write(json.dumps(message).encode() + b"\r\n")
        self.wfile.flush()
        if server.silent:
            server.over.wait(30)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextlib.contextmanager
def engine(folder: Path, messages: list[dict[str, Any]], status: int = 200, silent: bool = False) -> Iterator[Any]:
    with Server(str(folder / "docker.sock"), Engine) as server:
        played: Any = server
        played.messages, played.status, played.silent = messages, status, silent
        played.asked, played.over = [], threading.Event()
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield server
        played.over.set()
        server.shutdown()


def pull(folder: Path, image: str = "vllm/vllm-openai:v1") -> list[str]:
    lines: list[str] = []
    _pull.pull(str(folder / "docker.sock"), image, 0.3, lines.append)
    return lines


def test_bytes_and_layers_are_told(tmp_path: Path) -> None:
    with engine(tmp_path, [*STARTED, *FINISHED]) as server:
        lines = pull(tmp_path)
    assert server.asked == ["/images/create?fromImage=vllm%2Fvllm-openai&tag=v1"]
    assert any("pulling vllm/vllm-openai:v1: 5.0 MB of 20.0 MB (25 %)" in line for line in lines)
    assert lines[-1].endswith("20.0 MB of 20.0 MB (100 %), 2 of 2 layers")


@pytest.mark.parametrize(
    ("image", "query"),
    [
        ("ubuntu", "fromImage=library%2Fubuntu&tag=latest"),
        ("host:5000/a", "fromImage=host%3A5000%2Fa&tag=latest"),
        ("a/b:1@sha256:0", "fromImage=a%2Fb&tag=sha256%3A0"),
    ],
)
def test_names(image: str, query: str, tmp_path: Path) -> None:
    with engine(tmp_path, FINISHED) as server:
        pull(tmp_path, image)
    assert server.asked == [f"/images/create?{query}"]


@pytest.mark.parametrize(
    ("messages", "status", "words"),
    [
        ([{"message": "manifest for a/b:1 not found"}], 404, "The engine says: manifest for a/b:1 not found"),
        ([*STARTED, {"error": "unexpected EOF"}], 200, "The engine says: unexpected EOF"),
        ([{"message": "toomanyrequests: You have reached your pull rate limit"}], 500, "toomanyrequests"),
    ],
)
def test_refusals(messages: list[dict[str, Any]], status: int, words: str, tmp_path: Path) -> None:
    with engine(tmp_path, messages, status), pytest.raises(DockerError, match=words):
        pull(tmp_path)


def test_a_layer_that_stalls_is_named_after_all_attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pull, "_POLL_S", 0.05)
    words = "no byte of layer b came for 0 s in each of 3 attempts, after 5.0 MB"
    with engine(tmp_path, STARTED, silent=True) as server, pytest.raises(_pull.PullStalled, match=words):
        pull(tmp_path)
    assert len(server.asked) == 3


def test_a_registry_that_says_nothing_stalls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pull, "_POLL_S", 0.05)
    with engine(tmp_path, [], silent=True), pytest.raises(_pull.PullStalled, match="no byte came"):
        pull(tmp_path)


def test_unpacking_is_no_stall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pull, "_POLL_S", 0.05)
    with engine(tmp_path, [*STARTED, FINISHED[0]], silent=True) as server:
        threading.Timer(0.45, server.over.set).start()
        assert pull(tmp_path)
    assert len(server.asked) == 1


def test_no_engine(tmp_path: Path) -> None:
    with pytest.raises(DockerError, match="cannot be pulled"):
        pull(tmp_path)


@pytest.mark.parametrize(
    ("host", "expected"), [("unix://{}", "{}"), ("tcp://127.0.0.1:2375", ""), ("unix:///nonexistent", "")]
)
def test_where_the_engine_is(host: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "docker.sock"
    path.touch()
    monkeypatch.setenv("DOCKER_HOST", host.format(path))
    assert _pull.local_engine() == expected.format(path)
