# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The middleware that stands before a server which others can reach. The real vLLM runs it in tests/e2e."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs.key_guard import KeyGuard

PASSED: list[dict[str, Any]] = [{"type": "passed"}]


@pytest.fixture(params=["s3cret"])
def ask(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("VLLM_API_KEY", request.param)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(PASSED[0])

    guard: Any = KeyGuard(app)

    def ask(method: str, path: str, authorization: str | None = None, **scope: Any) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        headers = [] if authorization is None else [(b"authorization", authorization.encode())]
        asyncio.run(guard({"type": "http", "method": method, "path": path, "headers": headers, **scope}, None, send))
        return sent

    return ask


@pytest.mark.parametrize("authorization", ["Bearer s3cret", "bearer s3cret"])
def test_the_key_opens_everything(ask: Any, authorization: str) -> None:
    assert ask("POST", "/invocations", authorization) == PASSED


@pytest.mark.parametrize("authorization", [None, "", "s3cret", "Basic s3cret", "Bearer", "Bearer ", "Bearer s3cret2"])
@pytest.mark.parametrize("path", ["/invocations", "/v1/models", "/", "//health", "/health/x", "/metrics2"])
def test_nothing_else_does(ask: Any, authorization: str | None, path: str) -> None:
    assert ask("POST", path, authorization)[0]["status"] == 401
    assert ask("GET", path, authorization)[0]["status"] == 401


@pytest.mark.parametrize("path", ["/health", "/metrics", "/ping", "/version"])
def test_looks_at_the_server_are_open(ask: Any, path: str) -> None:
    assert ask("GET", path) == PASSED
    assert ask("GET", f"/root{path}", root_path="/root") == PASSED
    assert ask("POST", path)[0]["status"] == 401


def test_other_kinds(ask: Any) -> None:
    assert ask("OPTIONS", "/v1/models")[0]["status"] == 401
    asked = [(b"origin", b"https://a.example"), (b"access-control-request-method", b"POST")]
    assert ask("OPTIONS", "/v1/models", headers=asked) == PASSED
    assert ask("OPTIONS", "/v1/models", headers=asked[:1])[0]["status"] == 401
    assert ask("", "", type="lifespan") == PASSED
    assert ask("", "/v1/realtime", type="websocket") == [{"type": "websocket.close", "code": 1008}]
    assert ask("", "/v1/realtime", "Bearer s3cret", type="websocket") == PASSED


@pytest.mark.parametrize("ask", [""], indirect=True)
def test_without_a_key_nobody_has_it(ask: Any) -> None:
    assert ask("POST", "/invocations", "Bearer ")[0]["status"] == 401
