# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A light server with vLLM's paths and switchable faults, to stand behind a gateway. Standard library only.

Usage: C(stream_server.py PORT NAME KEY [ADDRESS]). The fault is the content of C(/tmp/NAME.fault), read for each
request: V(500) answers completions so at once while C(/health) stays good, V(503) too; V(hang) never answers them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

TOKENS = 20
GAP_S = 0.03
PROMPT_TOKENS = 8


class StreamServer:
    """Answers completions with C(max_tokens) words, one each 30 ms; C(/seen) lists the headers of the last ones."""

    def __init__(self, name: str, key: str) -> None:
        self._name = name
        self._key = key
        self._seen: list[dict[str, str]] = []

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the requests of a connection."""
        try:
            while await self._request(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path = path.partition("?")[0]
        if path == "/health":
            self._answer(writer, 200, {})
        elif path == "/seen":
            self._answer(writer, 200, self._seen)
        elif headers.get("authorization", "") != f"Bearer {self._key}":
            self._answer(writer, 401, {"error": "Unauthorized"})
        elif method == "GET":
            self._answer(writer, 200, {"data": [{"id": "kimi-k2.6"}]})
        else:
            if path != "/v1/completions":
                self._seen = [*self._seen[-20:], {**headers, "bytes": str(len(body))}]
            await self._complete(writer, path, json.loads(body))
        return headers.get("connection", "").lower() != "close"

    async def _complete(self, writer: asyncio.StreamWriter, path: str, body: dict[str, Any]) -> None:
        fault = self._fault()
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault:
            return self._answer(writer, int(fault), {"error": "EngineCore encountered an issue"})
        count = min(int(body.get("max_tokens", TOKENS)), 10000)
        usage = {"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS + count, "completion_tokens": count}
        if path == "/v1/messages":
            usage = {"input_tokens": PROMPT_TOKENS - 3, "output_tokens": count, "cache_read_input_tokens": 3}
        if not body.get("stream"):
            await asyncio.sleep(GAP_S)
            text = 'It said "usage":{"prompt_tokens":999,"completion_tokens":999} to me.'
            return self._answer(writer, 200, {"choices": [{"text": text}], "usage": usage})
        self._head(writer, 200, "transfer-encoding: chunked\r\ncontent-type: text/event-stream")
        for index in range(count):
            await asyncio.sleep(GAP_S)
            self._event(writer, {"choices": [{"index": 0, "delta": {"content": f"word{index} "}}]})
            await writer.drain()
        if path == "/v1/messages" or (body.get("stream_options") or {}).get("include_usage"):
            self._event(writer, {"choices": [], "usage": usage})
        self._event(writer, "[DONE]")
        writer.write(b"0\r\n\r\n")
        return None

    def _fault(self) -> str:
        try:
            with open(f"/tmp/{self._name}.fault", encoding="utf-8") as stream:
                return stream.read().strip()
        except FileNotFoundError:
            return ""

    def _event(self, writer: asyncio.StreamWriter, event: Any) -> None:
        data = f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _head(self, writer: asyncio.StreamWriter, status: int, more: str) -> None:
        writer.write(f"HTTP/1.1 {status} Said\r\nx-served-by: {self._name}\r\n{more}\r\n\r\n".encode())

    def _answer(self, writer: asyncio.StreamWriter, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self._head(writer, status, f"content-type: application/json\r\ncontent-length: {len(data)}")
        writer.write(data)


async def main() -> None:
    """Serve until the end of the process."""
    port, name, key, *address = sys.argv[1:]
    handler = StreamServer(name, key).connected
    server = await asyncio.start_server(handler, address[0] if address else "127.0.0.1", int(port), backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
