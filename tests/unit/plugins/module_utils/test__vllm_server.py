# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wait for a server, against a stand-in of the docker command and a loopback HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils import _vllm_server
from ansible_collections.hgx.inference.plugins.module_utils._progress import ProgressFile
from ansible_collections.hgx.inference.plugins.module_utils._vllm_server import NotReady, Server, wait_until_ready

RUNNING = {
    "Running": True,
    "Status": "running",
    "ExitCode": 0,
    "OOMKilled": False,
    "Error": "",
    "StartedAt": "2026-11-23T10:00:00.5Z",
}
EXITED = {**RUNNING, "Running": False, "Status": "exited", "ExitCode": 2}
KEY = "k3y {{ with braces }}"


class Engine:
    """Says through the docker command on PATH what a container's state and log are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "docker").write_text(
            "#!/bin/sh\n"
            f"case $1 in logs) cat '{folder}/log';;\n"
            f"container) [ -e '{folder}/state' ] || {{ echo 'Error: No such container: vllm' >&2; exit 1; }}\n"
            f"cat '{folder}/state';;\n"
            "esac\n"
        )
        (folder / "docker").chmod(0o755)

    def says(self, state: dict[str, Any], log: str = "") -> None:
        (self._folder / "state").write_text(json.dumps([{"State": state}]))
        (self._folder / "log").write_text(log)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(_vllm_server, "POLL_INTERVAL_S", 0.01)
    return Engine(tmp_path)


@pytest.fixture
def base_url() -> Iterator[str]:
    """A server that is healthy at the third look and answers a completion to whoever has the key."""
    looks = iter(range(1000))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200 if next(looks) >= 2 else 503, {})

        def do_POST(self) -> None:
            if self.headers["Authorization"] != f"Bearer {KEY}":
                self._send(401, {"error": "Unauthorized"})
                return
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if body["model"] != "kimi-k2.6":
                self._send(404, {"error": f"The model {body['model']} does not exist."})
                return
            self._send(200, {"choices": [{"message": {"content": None, "reasoning": "The user greets me"}}]})

        def _send(self, status: int, body: dict[str, Any]) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def wait(base_url: str, name: str = "kimi-k2.6", key: str | None = KEY, timeout_s: float = 30) -> dict[str, Any]:
    return wait_until_ready(Server("vllm", base_url, name, key), timeout_s, ProgressFile(None))


def test_ready_means_that_a_completion_was_answered(engine: Engine, base_url: str) -> None:
    engine.says(RUNNING)
    assert wait(base_url)["completion"] == "The user greets me"


@pytest.mark.parametrize(
    ("name", "key", "words"),
    [
        ("kimi-k2.6", None, "HTTP 401. Another program"),
        ("kimi-k9", KEY, "HTTP 404: .*The model kimi-k9 does not exist."),
    ],
)
def test_healthy_but_refusing(
    engine: Engine, base_url: str, monkeypatch: pytest.MonkeyPatch, name: str, key: str | None, words: str
) -> None:
    monkeypatch.setattr(_vllm_server.time, "sleep", lambda _seconds: None)
    engine.says(RUNNING)
    with pytest.raises(NotReady, match=words) as caught:
        wait(base_url, name, key)
    assert KEY not in str(caught.value)


def test_an_ended_container_fails_at_once_with_its_log(engine: Engine) -> None:
    engine.says(EXITED, "usage: ...\napi_server.py: error: unrecognized arguments: --no-such-flag\n")
    with pytest.raises(NotReady) as caught:
        wait("http://127.0.0.1:1")
    assert "state exited, exit code 2" in str(caught.value)
    assert "  api_server.py: error: unrecognized arguments: --no-such-flag\n" in str(caught.value)


@pytest.mark.parametrize("log", ["", "INFO 11-23 20:00:03 [loader.py:1] Loading weights\n"])
def test_killed_without_a_word(engine: Engine, log: str) -> None:
    engine.says({**EXITED, "ExitCode": 137}, log)
    with pytest.raises(NotReady, match="It was killed: mostly by the kernel for lack of memory"):
        wait("http://127.0.0.1:1")


def test_a_container_that_never_started_says_why(engine: Engine) -> None:
    engine.says(
        {
            **EXITED,
            "Status": "created",
            "ExitCode": 128,
            "Error": "Bind for 127.0.0.1:8001 failed: port is already allocated",
        }
    )
    with pytest.raises(NotReady, match="port is already allocated"):
        wait("http://127.0.0.1:1")


def test_no_container(engine: Engine) -> None:
    with pytest.raises(NotReady, match="There is no container vllm"):
        wait("http://127.0.0.1:1")


def test_time_out_says_how_far_it_got(engine: Engine) -> None:
    engine.says(RUNNING, "Loading safetensors checkpoint shards:  50% Completed | 32/64 [06:10<06:09, 11.5s/it]\n")
    with pytest.raises(NotReady, match=r"not ready after 0 s; it is loading weights 32/64 \(50 %\)"):
        wait("http://127.0.0.1:1", timeout_s=0.05)


def test_progress(engine: Engine, base_url: str, tmp_path: Path) -> None:
    engine.says(RUNNING)
    progress = tmp_path / "progress"
    wait_until_ready(Server("vllm", base_url, "kimi-k2.6", KEY), 30, ProgressFile(str(progress)))
    assert progress.read_text().endswith(" s, waiting for the first completion\n")
