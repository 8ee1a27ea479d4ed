# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ASGI middleware for vLLM (C(--middleware key_guard.KeyGuard)): nothing but looks at the server without the API key.

vLLM itself asks for its key at C(/v1) only, and runs the model for anyone at C(/invocations) and other paths.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

OPEN_PATHS = ("/health", "/metrics", "/ping", "/version")
REFUSAL = b'{"error": "Unauthorized"}'

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class KeyGuard:
    """Lets pass what has the key of the environment variable C(VLLM_API_KEY); without one in it, nothing has."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app
        self._key = os.environ.get("VLLM_API_KEY", "").encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket") or self._may_pass(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": REFUSAL})

    def _may_pass(self, scope: Scope) -> bool:
        method, path = scope.get("method"), scope["path"].removeprefix(scope.get("root_path", ""))
        headers = dict(scope["headers"])
        # What a browser asks before a request has no key, and is answered before any route.
        is_preflight = method == "OPTIONS" and b"origin" in headers and b"access-control-request-method" in headers
        if is_preflight or (method in ("GET", "HEAD") and path in OPEN_PATHS):
            return True
        given = headers.get(b"authorization", b"")
        kind, _blank, key = given.partition(b" ")
        return bool(self._key) and kind.lower() == b"bearer" and secrets.compare_digest(key, self._key)
