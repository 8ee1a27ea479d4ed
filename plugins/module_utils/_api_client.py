# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to an OpenAI- and Anthropic-compatible server, and what went wrong with them in words for people."""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

# What Claude Code sends along; vLLM takes the key as a Bearer token only.
ANTHROPIC_HEADERS = {"anthropic-version": "2023-06-01", "anthropic-beta": "claude-code-20250219", "x-app": "cli"}
QUOTED_CHARACTERS = 300

UNREACHABLE = "unreachable"
TIMEOUT = "timeout"
KEY_REFUSED = "key"
MODEL_UNKNOWN = "model"
HTTP = "http"
BROKEN = "broken"


class ApiError(Exception):
    """A request without a usable answer. C(kind) is one of the names above, C(status) the HTTP status or 0."""

    def __init__(self, kind: str, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


class Event(NamedTuple):
    """One server-sent event: the time since the request was sent, and its data (C(None) for the final C([DONE]))."""

    seconds: float
    data: dict[str, Any] | None


class Api:
    """A server at C(base_url), which has no path, with the key that is sent to it."""

    def __init__(self, base_url: str, key: str | None, timeout_s: float) -> None:
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._timeout_s = timeout_s
        # Without the environment's proxies: a proxy elsewhere has other loopback and private addresses.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    @property
    def has_key(self) -> bool:
        return bool(self._key)

    def with_key(self, key: str | None) -> Api:
        """Return the same server, asked with another key."""
        return Api(self.base_url, key, self._timeout_s)

    def get(self, path: str) -> str:
        """Return the body of the answer to a GET. Raises ApiError."""
        return self._read(self._request(path))

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON object that answers a POST. Raises ApiError."""
        text = self._read(self._request(path, body, headers))
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ApiError(BROKEN, f"{path} answered with something that is no JSON object: {self.quoted(text)}")
        return answer

    def stream(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Iterator[Event]:
        """Yield the events of a streamed answer as they arrive. Raises ApiError."""
        request = self._request(path, {**body, "stream": True}, headers)
        started = time.monotonic()
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                for data in sse_data(response):
                    seconds = time.monotonic() - started
                    if seconds > self._timeout_s:
                        raise TimeoutError
                    yield Event(seconds, self._event(path, data))
        except (OSError, http.client.HTTPException) as exc:
            raise self._error(exc, path) from exc

    def quoted(self, text: object) -> str:
        """Return C(text) on one line, trimmed, and without the key."""
        line = " ".join(str(text).split())
        if self._key:
            line = line.replace(self._key, "********")
        return line if len(line) <= QUOTED_CHARACTERS else line[: QUOTED_CHARACTERS - 3] + "..."

    def _request(
        self, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> urllib.request.Request:
        request = urllib.request.Request(self.base_url + path, headers=dict(headers or {}))
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if self._key:
            # Not passed on to where a redirect may lead.
            request.add_unredirected_header("Authorization", f"Bearer {self._key}")
        return request

    def _read(self, request: urllib.request.Request) -> str:
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                text: str = response.read().decode("utf-8", errors="replace")
                return text
        except (OSError, http.client.HTTPException) as exc:
            raise self._error(exc, urllib.parse.urlsplit(request.full_url).path) from exc

    def _event(self, path: str, data: str) -> dict[str, Any] | None:
        if data == "[DONE]":
            return None
        try:
            event = json.loads(data)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            raise ApiError(BROKEN, f"{path} streamed an event that is no JSON object: {self.quoted(data)}")
        if "error" in event:
            raise ApiError(BROKEN, f"{path} broke its stream off with an error: {self.quoted(event['error'])}")
        return event

    def _error(self, exc: Exception, path: str) -> ApiError:
        if isinstance(exc, urllib.error.HTTPError):
            return self._http_error(exc.code, exc.read().decode("utf-8", errors="replace"), path)
        reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
        if isinstance(reason, (TimeoutError, socket.timeout)):
            return ApiError(TIMEOUT, f"{self.base_url}{path} gave no complete answer within {self._timeout_s:.0f} s.")
        if isinstance(exc, http.client.HTTPException) or not isinstance(exc, urllib.error.URLError):
            words = f"{type(exc).__name__}: {exc}"
            return ApiError(BROKEN, f"{self.base_url}{path} ended in the middle of its answer ({self.quoted(words)}).")
        return ApiError(UNREACHABLE, f"Nothing answers at {self.base_url} ({self.quoted(reason)}). {_advice(reason)}")

    def _http_error(self, status: int, body: str, path: str) -> ApiError:
        said = self.quoted(_error_message(body))
        if status in (401, 403):
            sent = (
                "another key than the server's was sent" if self._key else "no key was sent, and the server wants one"
            )
            return ApiError(KEY_REFUSED, f"HTTP {status} from {self.base_url}{path}: {sent}.", status)
        if status == 404 and "does not exist" in said:
            return ApiError(MODEL_UNKNOWN, f"HTTP 404 from {self.base_url}{path}: {said}", status)
        return ApiError(HTTP, f"HTTP {status} from {self.base_url}{path}: {said or 'an empty body'}", status)


def read_key(path: str | None) -> str | None:
    """Return the key in a file; None where there is no such file, or nothing in it."""
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().strip() or None
    except FileNotFoundError:
        return None


def sse_data(lines: Iterable[bytes]) -> Iterator[str]:
    """Yield the data of each server-sent event; fields other than C(data) and comments are passed over."""
    data: list[str] = []
    for raw in lines:
        line = raw.decode("utf-8", errors="replace").rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []


def _error_message(body: str) -> str:
    """Return the message of an error in OpenAI's, Anthropic's or FastAPI's form, or the whole body."""
    try:
        error = json.loads(body)
        return str(error["error"]["message"] if "error" in error else error["detail"])
    except (ValueError, KeyError, TypeError):
        return body


def _advice(reason: object) -> str:
    if isinstance(reason, ConnectionRefusedError):
        return (
            "Nobody listens there: the SSH tunnel is not open, the port is another one, the server listens on another"
            " address (vllm_bind_address), or it has ended."
        )
    if isinstance(reason, socket.gaierror):
        return "The name is not known to this host."
    return "No way leads there: a firewall drops it, or the address is not reachable from this host."
