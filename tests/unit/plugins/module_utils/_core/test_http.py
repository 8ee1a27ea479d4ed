# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.http import HttpAnswer, request


@pytest.fixture
def address() -> Iterator[str]:
    """A server that answers with what it was sent; with status 404 at /404, nothing that is HTTP at /broken,
    and half of its answer at /half.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/broken":
                self.wfile.write(b"what?")
                return
            self.send_response(404 if self.path == "/404" else 200)
            if self.path == "/half":
                self.send_header("Content-Length", "1000")
            self.end_headers()
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            said = [self.command, self.headers.get("Authorization"), self.headers.get("Content-Type"), body]
            self.wfile.write(json.dumps(said).encode())

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, args=[0.02], daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def test_answers(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert request(address, 60) == HttpAnswer(200, '["GET", null, null, ""]')
    assert request(f"{address}/404", 60).status == 404
    answer = request(address, 60, {"a": "{{ b }}"}, "k3y")
    assert json.loads(answer.body) == ["POST", "Bearer k3y", "application/json", '{"a": "{{ b }}"}']


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "no address", "http://[::1"])
def test_no_answer(url: str) -> None:
    answer = request(url, 60)
    assert answer.status == 0 and answer.body


def test_an_answer_that_breaks_off_is_none(address: str) -> None:
    answer = request(f"{address}/half", 60)
    assert answer.status == 0
    assert "more expected" in answer.body


def test_an_answer_that_is_no_http(address: str) -> None:
    assert request(f"{address}/broken", 60).status == 0
