# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP transport to the Lambda Cloud API, for modules and controller plugins."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
import time
from typing import Any
from urllib.error import HTTPError, URLError

from ansible.module_utils.urls import open_url

from .client import Response, TransportError

LIMIT_BYTES = 32_000_000


class HttpTransport:
    """Follows no redirect and reads no .netrc, so that the key goes to the configured address and nowhere else."""

    def send(self, method: str, url: str, headers: dict[str, str], body: bytes | None, timeout_s: float) -> Response:
        deadline = time.monotonic() + timeout_s
        try:
            try:
                answer = open_url(
                    url,
                    method=method,
                    headers=headers,
                    data=body,
                    timeout=timeout_s,
                    follow_redirects="none",
                    use_netrc=False,
                    use_proxy=url.startswith("https:"),  # plain http stays on the loopback interface
                    http_agent="hgx.inference",
                )
            except HTTPError as exc:
                answer = exc  # also an answer
            with answer:
                content = read_all(answer, deadline)
                named = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.code, named, content)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise TransportError(describe(exc, timeout_s), sent=not never_sent(exc)) from exc


def read_all(answer: Any, deadline: float) -> bytes:
    """Return the body. The time limit also holds for a server that sends a byte now and then."""
    parts = []
    size = 0
    while True:
        part = answer.read1(65536) if hasattr(answer, "read1") else answer.read()
        if not part:
            break
        parts.append(part)
        size += len(part)
        if size > LIMIT_BYTES:
            raise OSError(f"the answer is larger than {LIMIT_BYTES // 1_000_000} MB")
        if time.monotonic() > deadline:
            raise socket.timeout("the answer took too long")
    expected = answer.headers.get("Content-Length", "")
    if expected.isdigit() and size < int(expected) and not answer.headers.get("Content-Encoding"):
        raise OSError(f"the connection was cut after {size} of {expected} bytes")
    return b"".join(parts)


def never_sent(exc: BaseException) -> bool:
    """Return whether the connection was never made, or never trusted."""
    reason = exc.reason if isinstance(exc, URLError) else exc
    if isinstance(reason, (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)):
        return True
    return isinstance(reason, OSError) and reason.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)


def describe(exc: BaseException, timeout_s: float) -> str:
    reason = exc.reason if isinstance(exc, URLError) else exc
    if isinstance(reason, (socket.timeout, TimeoutError)) or "timed out" in str(reason):
        return f"none within {timeout_s:.0f} s"
    return f"{type(reason).__name__}: {reason}" if isinstance(reason, BaseException) else str(reason)
