#!/usr/bin/python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Send requests through the gateway, and say what came. Usage: C(gateway_client.py SECONDS WORKERS BODY [HEADER...]).

Each worker sends one request after the other on one connection until the time is over or SIGTERM comes; with 0 seconds
it sends one. The last line of the output is a JSON list with an entry for each request, whose C(began) is a Unix time.
A stream counts only with its end marker.
C(GATEWAY_PORT) in the environment is another port, without TLS.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
import time
from typing import Any

PORT = int(os.environ.get("GATEWAY_PORT", "8443"))
PLAIN = PORT != 8443
CERTIFICATE = "/etc/hgx-inference/gateway/self_signed.pem"


class Connection:
    """A connection that is kept open between requests, as clients do."""

    def __init__(self) -> None:
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, headers: list[str], body: bytes) -> dict[str, Any]:
        """Return the outcome of a request: C(status) is 0 if there was no whole answer."""
        outcome: dict[str, Any] = {
            "status": 0,
            "by": "",
            "arrivals": 0,
            "text": "",
            "headers": {},
            "began": time.time(),
        }
        if self._reader is None or self._writer is None or self._reader.at_eof():
            context = None if PLAIN else ssl.create_default_context(cafile=CERTIFICATE)
            self._reader, self._writer = await asyncio.open_connection("localhost", PORT, ssl=context)
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers, "", ""]
        try:
            self._writer.write("\r\n".join(lines).encode() + body)
            await self._writer.drain()
            await self._read(self._reader, outcome)
        except (asyncio.IncompleteReadError, OSError, ValueError) as exc:
            outcome["status"], outcome["error"] = 0, repr(exc)
        if not outcome["status"] or outcome["headers"].get("connection") == "close":
            self._writer.close()
            self._reader = None
        return outcome

    async def _read(self, reader: asyncio.StreamReader, outcome: dict[str, Any]) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        outcome.update(headers=headers, by=headers.get("x-served-by", ""))
        data, last = b"", 0.0
        if headers.get("transfer-encoding") == "chunked":
            while True:
                size = int(await reader.readline(), 16)
                data += await reader.readexactly(size + 2)
                # What lies in the buffer already has come together with the one before.
                outcome["arrivals"] += time.monotonic() - last > 0.01
                last = time.monotonic()
                if not size:
                    break
            if b"[DONE]" not in data:
                raise ConnectionError("the stream has no end marker")
        else:
            data = await reader.readexactly(int(headers.get("content-length", 0)))
        outcome["status"], outcome["text"] = int(head[0].split()[1]), data[:300].decode("latin-1")


async def main() -> None:
    """Send the requests and print the outcomes."""
    seconds, workers, body, *headers = sys.argv[1:]
    settings = json.loads(body)
    method, path = settings.pop("method", "POST"), settings.pop("path", "/v1/chat/completions")
    pad = "x" * settings.pop("pad", 0)
    question = {"model": "kimi-k2.6", "messages": [{"role": "user", "content": pad}], **settings}
    data = json.dumps(question).encode() if method == "POST" else b""
    end = time.monotonic() + float(seconds)
    outcomes = []

    def stop() -> None:
        nonlocal end
        end = 0.0

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)

    async def work(number: int) -> None:
        connection = Connection()
        while True:
            own = [header.replace("WORKER", str(number)) for header in headers]
            outcomes.append({"worker": number, **await connection.ask(method, path, own, data)})
            if time.monotonic() >= end:
                return

    await asyncio.gather(*(work(number) for number in range(int(workers))))
    print(json.dumps(outcomes))


if __name__ == "__main__":
    asyncio.run(main())
