# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to an OpenAI- and Anthropic-compatible server, with readable errors."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .._core.secrets import quoted

QUOTED_CHARACTERS = 300
# No answer to these requests is larger; more would fill the target's memory.
MOST_BYTES = 64 * 2**20
# How much of an error is read.
MOST_ERROR_BYTES = 64 * 2**10
PIECE_BYTES = 64 * 2**10

UNREACHABLE = "unreachable"
TIMEOUT = "timeout"
KEY_REFUSED = "key"
MODEL_UNKNOWN = "model"
HTTP = "http"
BROKEN = "broken"
# An answer that is whole, and no JSON or no stream.
FORM = "form"
TOO_LONG = "length"
# An error inside of a success.
ERROR = "error"


class ApiError(Exception):
    """A request without a usable answer.

    C(kind) is one of the names above, C(status) the HTTP status or 0, C(body) the error as the server sent it.
    """

    def __init__(self, kind: str, message: str, status: int = 0, body: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.body = body


class Event(NamedTuple):
    """One server-sent event: the time since the request was sent, its data (C(None) for the final C([DONE])), its name.

    The name is empty if the server sends none.
    """

    seconds: float
    data: dict[str, Any] | None
    name: str = ""


class _UntilDeadline(io.RawIOBase):
    """A socket stream with one deadline for all reads; a socket's own timeout restarts with each byte."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._deadline = time.monotonic() + (sock.gettimeout() or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer that must arrive in full, with its headers, within the timeout of its socket."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_UntilDeadline(self.fp.detach(), sock))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A server of this API redirects nothing; what answers elsewhere, without the key, would be told in its place."""

    def redirect_request(self, *_args: Any, **_options: Any) -> None:
        return None


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Sends requests as urllib does, and enforces the deadline on their answers."""

    def do_open(self, http_class: Any, req: urllib.request.Request, **arguments: Any) -> http.client.HTTPResponse:
        def connect(*args: Any, **kwargs: Any) -> http.client.HTTPConnection:
            connection: http.client.HTTPConnection = http_class(*args, **kwargs)
            connection.response_class = _Response
            return connection

        return super().do_open(connect, req, **arguments)


class Api:
    """A server at C(base_url), without a path, and the key that is sent to it.

    An answer may take C(timeout_s) in total and have up to MOST_BYTES.
    """

    def __init__(self, base_url: str, key: str | None, timeout_s: float) -> None:
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._timeout_s = timeout_s
        # Bypass the environment's proxies, for which loopback and private addresses lead elsewhere.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Handler, _NoRedirect)

    @property
    def has_key(self) -> bool:
        return bool(self._key)

    @property
    def key_hash(self) -> str:
        """A hash of the key, to notice another one."""
        return hashlib.sha256((self._key or "").encode()).hexdigest()

    def with_key(self, key: str | None) -> Api:
        """Return the same server with another key."""
        return Api(self.base_url, key, self._timeout_s)

    def get(self, path: str) -> str:
        """Return the body of the answer to a GET. Raises ApiError."""
        return self._read(path)

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON object that answers a POST. Raises ApiError."""
        text = self._read(path, body, headers)
        answer = _json_object(text)
        if answer is None:
            said = self.quoted(text) or "an empty text"
            raise ApiError(FORM, f"{self.base_url}{path} did not answer with a JSON object: {said}", 200)
        self.require_success(path, text)
        return answer

    def stream(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Iterator[Event]:
        """Yield the events of a streamed answer as they arrive. Raises ApiError."""
        started = time.monotonic()
        try:
            with self._open(path, {**body, "stream": True}, headers) as response:
                lines = split_lines(self._limited(path, iter(lambda: response.read1(PIECE_BYTES), b"")))
                for name, data in sse_events(self._streamed(path, lines)):
                    yield Event(time.monotonic() - started, self._event(path, data), name)
        except (OSError, http.client.HTTPException) as exc:
            raise self._error(exc, path) from exc

    def require_success(self, path: str, text: str) -> None:
        """Check that the body of a success is no error. Raises ApiError."""
        if _is_error(_json_object(text) or {}):
            words = f"{self.base_url}{path} answered with HTTP 200 and an error"
            raise ApiError(ERROR, f"{words}: {self.quoted(_error_message(text))}", 200)

    def quoted(self, text: object) -> str:
        """Return C(text) on one line, trimmed, and without the key."""
        return quoted(text, QUOTED_CHARACTERS)

    def _request(
        self, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> urllib.request.Request:
        request = urllib.request.Request(self.base_url + path, headers=dict(headers or {}))
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if self._key:
            request.add_header("Authorization", f"Bearer {self._key}")
        return request

    def _open(
        self, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        try:
            response: http.client.HTTPResponse = self._opener.open(
                self._request(path, body, headers), timeout=self._timeout_s
            )
        except (http.client.InvalidURL, ValueError, OverflowError) as exc:
            # Without the error's text, which may contain the key in an encoded form.
            words = "the address, the key or the timeout is malformed"
            raise ApiError(UNREACHABLE, f"No request can be sent to {self.base_url}: {words}.") from exc
        encoding = response.headers.get("Content-Encoding") or "identity"
        if encoding != "identity":
            response.close()
            words = (
                f"is compressed ({self.quoted(encoding)}), which was not asked for: a proxy before the server does that"
            )
            raise ApiError(FORM, f"The answer of {self.base_url}{path} {words}.", 200)
        return response

    def _read(self, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> str:
        try:
            with self._open(path, body, headers) as response:
                data = b"".join(self._limited(path, iter(lambda: response.read(PIECE_BYTES), b"")))
                # Unlike a read without a limit, one with a limit tolerates a connection that was closed too early.
                missing = getattr(response, "length", None)
                if missing:
                    raise http.client.IncompleteRead(data, missing)
        except (OSError, http.client.HTTPException) as exc:
            raise self._error(exc, path) from exc
        return data.decode("utf-8", errors="replace")

    def _limited(self, path: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > MOST_BYTES:
                limit = f"more than {MOST_BYTES // 2**20} MiB"
                raise ApiError(TOO_LONG, f"{self.base_url}{path} answered with {limit}, and was not read further.")
            yield piece

    def _event(self, path: str, data: str) -> dict[str, Any] | None:
        if data == "[DONE]":
            return None
        event = _json_object(data)
        if event is None:
            raise ApiError(FORM, f"{path} streamed an event that is not a JSON object: {self.quoted(data)}", 200)
        if _is_error(event):
            raise ApiError(ERROR, f"{path} ended its stream with an error: {self.quoted(_error_message(data))}", 200)
        return event

    def _streamed(self, path: str, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the lines of a stream. Raises ApiError if the answer is something else, such as JSON or a page."""
        lines = iter(lines)
        first = next((line for line in lines if line.strip()), b"")
        if not first or _SSE_FIELD.match(first):
            yield first
            yield from lines
            return
        text = b"\n".join([first, *lines]).decode("utf-8", errors="replace")
        self.require_success(path, text)
        raise ApiError(FORM, f"{self.base_url}{path} did not stream its answer: {self.quoted(text)}", 200)

    def _error(self, exc: Exception, path: str) -> ApiError:
        if isinstance(exc, urllib.error.HTTPError):
            if 300 <= exc.code < 400:
                return self._redirected(exc.code, exc.headers.get("Location") or "", path)
            return self._http_error(exc.code, _error_body(exc), path)
        reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
        if isinstance(reason, (TimeoutError, socket.timeout)):
            return ApiError(TIMEOUT, f"{self.base_url}{path} gave no complete answer within {self._timeout_s:.0f} s.")
        if isinstance(exc, http.client.HTTPException) or not isinstance(exc, urllib.error.URLError):
            words = f"{type(exc).__name__}: {exc}"
            return ApiError(BROKEN, f"{self.base_url}{path} ended in the middle of its answer ({self.quoted(words)}).")
        return ApiError(UNREACHABLE, f"Nothing answers at {self.base_url} ({self.quoted(reason)}). {_advice(reason)}")

    def _redirected(self, status: int, target: str, path: str) -> ApiError:
        """Return the error for a redirect. Of its target only the host is named; the rest may hold a secret."""
        try:
            host = urlsplit(target).hostname or "another path"
        except ValueError:
            host = "an invalid address"
        words = f"HTTP {status} from {self.base_url}{path}: a redirect to {host}, which is not followed."
        return ApiError(HTTP, words, status)

    def _http_error(self, status: int, body: str, path: str) -> ApiError:
        said = self.quoted(_error_message(body))
        if status in (401, 403):
            sent = (
                "another key than the server's was sent" if self._key else "no key was sent, and the server wants one"
            )
            return ApiError(KEY_REFUSED, f"HTTP {status} from {self.base_url}{path}: {sent}.", status)
        if status == 404 and "does not exist" in said:
            return ApiError(MODEL_UNKNOWN, f"HTTP 404 from {self.base_url}{path}: {said}", status)
        return ApiError(HTTP, f"HTTP {status} from {self.base_url}{path}: {said or 'an empty body'}", status, body)


def is_lost_connection(error: ApiError) -> bool:
    """Return whether the connection was refused or reset."""
    cause = error.__cause__
    return isinstance(cause.reason if isinstance(cause, urllib.error.URLError) else cause, ConnectionError)


# The line ends of server-sent events, and the start of a line that is of one.
_LINE_END = re.compile(rb"\r\n|\n|\r")
_SSE_FIELD = re.compile(rb"(?:data|event|id|retry)?:|(?:data|event|id|retry)$")
_BOM = b"\xef\xbb\xbf"


def split_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream as soon as they end: with LF, CRLF or CR, after a byte order mark or none."""
    parts: list[bytes] = []
    cut, is_first = False, True
    for piece in pieces:
        # An LF after a piece that ends with CR belongs to it.
        text = piece[1:] if cut and piece.startswith(b"\n") else piece
        cut = piece.endswith(b"\r")
        *ended, rest = _LINE_END.split(text)
        for line in ended:
            whole = b"".join([*parts, line])
            yield whole.removeprefix(_BOM) if is_first else whole
            parts, is_first = [], False
        parts.append(rest)
    yield b"".join(parts).removeprefix(_BOM if is_first else b"")


def sse_events(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Yield the name and the data of each server-sent event; other fields and comments are skipped.

    The final C([DONE]) needs no blank line after it: clients end there, or where the connection does.
    """
    name = ""
    data: list[str] = []
    for raw in lines:
        line = raw.decode("utf-8", errors="replace").rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif line.startswith("event:"):
            name = line[6:].removeprefix(" ")
        elif not line:
            if data:
                yield name, "\n".join(data)
            name, data = "", []
    if data == ["[DONE]"]:
        yield name, data[0]


def _json_object(text: str) -> dict[str, Any] | None:
    """Return C(text) as a JSON object, or None if it is none or nested too deeply."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_error(answer: Mapping[str, Any]) -> bool:
    """Return whether C(answer) is an error in OpenAI's, Anthropic's, FastAPI's, vLLM's older or a gateway's form."""
    if answer.get("error") or answer.get("errors") or "error" in (answer.get("object"), answer.get("type")):
        return True
    return isinstance(answer.get("message"), str) or ("detail" in answer and len(answer) == 1)


def _error_body(error: urllib.error.HTTPError) -> str:
    """Return the body of an error, or an empty text if it does not arrive: the status says enough."""
    try:
        with error:
            return error.read(MOST_ERROR_BYTES).decode("utf-8", errors="replace")
    except (OSError, http.client.HTTPException):
        return ""


def _error_message(body: str) -> str:
    """Return the message of an error in OpenAI's, Anthropic's, FastAPI's or vLLM's older form, or the whole body."""
    try:
        error = json.loads(body)
        if isinstance(error.get("error"), str):
            return str(error["error"])
        return str(error["error"]["message"] if error.get("error") else error.get("detail") or error["message"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return body


def _advice(reason: object) -> str:
    if isinstance(reason, ConnectionRefusedError):
        return (
            "Nothing listens there: the SSH tunnel is not open, the port is wrong, the server listens on another"
            " address (vllm_bind_address), or it has ended."
        )
    if isinstance(reason, socket.gaierror):
        return "This host cannot resolve the name."
    return "No route: a firewall drops the packets, or the address is not reachable from this host."
