# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client of the Lambda Cloud API for modules and inventory: rate limit, retries, readable errors."""

from __future__ import annotations

import contextlib
import enum
import ipaddress
import itertools
import json
import os
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from .._core.secrets import KNOWN, quoted
from .files import Pacer

DEFAULT_URL = "https://cloud.lambda.ai/api/v1"
INTERVAL_S = 1.0  # the API allows one request a second ...
LAUNCH_INTERVALS = 12  # ... and one launch in twelve
ATTEMPT_TIMEOUT_S = 30.0
BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 15.0)

TOO_MANY_REQUESTS = 429
# Besides 5xx: a proxy has not waited for the answer (408, 499), has sent the request again, and the second finds the
# first (409), or it refers to the outcome elsewhere (302, 303).
MAY_HAVE_ACTED = (302, 303, 408, 409, 499)
QUOTED = 300  # characters of what the API says
NO_CAPACITY = "instance-operations/launch/insufficient-capacity"
NOT_FOUND = "global/object-does-not-exist"

FIXES = {
    "global/invalid-api-key": (
        "Make a key in the Lambda console under API keys; set LAMBDA_API_KEY in the environment or api_key in a vault."
    ),
    "global/account-inactive": "Activate the account in the Lambda console; it needs a payment method.",
    "global/invalid-address": "Complete the billing address in the Lambda console.",
    "global/quota-exceeded": (
        "Release a node that is not needed (playbooks/release_node.yml), or ask Lambda for a higher quota."
    ),
    "global/invalid-parameters": "Correct the value that is named here.",
    NOT_FOUND: "Check the name or ID, and whether the key belongs to the right account.",
    NO_CAPACITY: "Name more regions, or set capacity_timeout to wait for a free node.",
    "instance-operations/launch/file-system-in-wrong-region": (
        "A file system is bound to its region: launch there, or leave the file system out."
    ),
    "ssh-keys/key-in-use": "Choose another name for the key.",
}
STATUS_FIXES = {
    401: FIXES["global/invalid-api-key"],
    403: "The key has no permission for this. Check the key and the account in the Lambda console.",
    404: "Check the name or ID, and that api_url is the address of the API.",
    TOO_MANY_REQUESTS: "Other programs use the same key. Wait a minute, or raise api_timeout.",
}
BROKEN_FIX = "The API, or a proxy on the way, is at fault; run again later."


class LambdaError(Exception):
    """An error of the API, with place and remedy. Never holds the API key."""


class ApiError(LambdaError):
    """The API answered with an error; below status 500 nothing was changed. C(code) is the API's error code."""

    def __init__(self, message: str, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Uncertain(LambdaError):
    """The answer to a change was lost; the change may or may not have been made."""


class TransportError(Exception):
    """No answer. C(sent) says whether the request may have reached the API."""

    def __init__(self, message: str, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Response(NamedTuple):
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


class Transport(Protocol):
    def send(self, method: str, url: str, headers: dict[str, str], body: bytes | None, timeout_s: float) -> Response:
        """Return the answer, whatever its status. Raises TransportError if there is none in time."""


class Clock:
    """The clock, which tests replace."""

    def time(self) -> float:
        """Return seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


class Repeat(enum.Enum):
    """Which requests may be sent again after a failure."""

    ALWAYS = "reads and idempotent changes"
    REFUSED = "only requests that the API has certainly not acted on"
    NEVER = "none; the caller checks first"


class Client:
    """Sends requests to the API. C(timeout_s) limits one call with all its retries."""

    def __init__(
        self,
        transport: Transport,
        api_key: str | None,
        url: str = DEFAULT_URL,
        timeout_s: float = 60.0,
        interval_s: float = INTERVAL_S,
        state_dir: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._key = checked_key(api_key)
        KNOWN.add(self._key)
        self.url = checked_url(url)
        self.timeout_s = timeout_s
        self.interval_s = interval_s
        self.clock = clock or Clock()
        self._transport = transport
        self._pacer = Pacer(os.path.join(state_dir, "pace") if state_dir else None, self.clock)

    def get(self, path: str, limit_s: float | None = None) -> Any:
        return self.call("GET", path, limit_s=limit_s)

    def get_list(self, path: str) -> list[dict[str, Any]]:
        """Return the entries of a list. Raises LambdaError if the answer is not a list."""
        data = self.get(path)
        if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
            raise LambdaError(f"GET {self.url}{path}: the answer is not a list of objects. {BROKEN_FIX}")
        return data

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        repeat: Repeat = Repeat.ALWAYS,
        limit_s: float | None = None,
    ) -> Any:
        """Return the C(data) of the answer.

        Raises ApiError for a refusal, Uncertain for a change whose answer is lost, and LambdaError otherwise.
        """
        where = f"{method} {self.url}{path}"
        deadline = self.clock.monotonic() + min(self.timeout_s, limit_s if limit_s is not None else self.timeout_s)
        for tries, delay_s in enumerate(itertools.chain(BACKOFF_S, itertools.repeat(BACKOFF_S[-1])), start=1):
            self._pacer.wait("requests", self.interval_s)
            left_s = max(1.0, deadline - self.clock.monotonic())
            try:
                response = self._send(method, path, body, min(ATTEMPT_TIMEOUT_S, left_s))
                return parse_data(response, where)
            except TransportError as exc:
                error: LambdaError = LambdaError(
                    f"{where}: no answer ({exc}). Check the network, the proxy and api_url."
                )
                untouched, passing, wait_s = not exc.sent, True, delay_s
            except BrokenAnswer as exc:
                error, untouched, passing, wait_s = LambdaError(f"{where}: {exc} {BROKEN_FIX}"), False, True, delay_s
            except ApiError as exc:
                error, untouched = exc, exc.status < 500 and exc.status not in MAY_HAVE_ACTED
                passing = exc.status == TOO_MANY_REQUESTS or exc.status >= 500
                wait_s = max(delay_s, retry_after_s(response, BACKOFF_S[-1]))
            if not untouched and repeat is not Repeat.ALWAYS:
                raise Uncertain(str(error)) from None
            may_repeat = repeat is Repeat.ALWAYS or (repeat is Repeat.REFUSED and untouched)
            if not passing or not may_repeat:
                raise error from None
            if self.clock.monotonic() + wait_s >= deadline:
                tried = f"Gave up after {tries} {'try' if tries == 1 else 'tries'}."
                raise _with_text(error, f"{error} {tried}") from None
            self.clock.sleep(wait_s)
        raise AssertionError("unreachable")

    def wait_for_launch_slot(self) -> None:
        """Wait until the next launch is allowed; launches have a rate limit of their own."""
        self._pacer.wait("launches", self.interval_s * LAUNCH_INTERVALS)

    def _send(self, method: str, path: str, body: dict[str, Any] | None, timeout_s: float) -> Response:
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        return self._transport.send(method, self.url + path, headers, content, timeout_s)


class BrokenAnswer(Exception):
    """A successful answer with undocumented content."""


def _with_text(error: LambdaError, text: str) -> LambdaError:
    if isinstance(error, ApiError):
        return ApiError(text, error.status, error.code)
    return type(error)(text)


def checked_key(key: str | None) -> str:
    key = (key or "").strip()
    if not key:
        raise LambdaError(
            "There is no Lambda API key. Set LAMBDA_API_KEY in the environment, or api_key in a vault; "
            "keys are made in the Lambda console under API keys."
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise LambdaError("The Lambda API key contains a character that no key has, such as a space or a line break.")
    return key


def checked_url(url: str) -> str:
    """Return the address without a trailing slash. Raises LambdaError if it would send the key in clear text."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and loopback)):
        raise LambdaError(f"api_url is {url!r}, but the key goes over https only (http on the loopback interface).")
    return url.rstrip("/")


def parse_data(response: Response, where: str) -> Any:
    """Return the C(data) of a success. Raises ApiError for a refusal and BrokenAnswer for anything else.

    The errors quote the API's own messages. Of other content they name only the fields, because its values may be
    secrets.
    """
    content: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        content = json.loads(response.body.decode("utf-8"))
    status = response.status
    if 200 <= status < 300:
        if isinstance(content, dict) and "data" in content:
            return content["data"]
        raise BrokenAnswer(f"the answer is not what the API documents: {outline(response, content)}.")
    if 300 <= status < 400:
        raise ApiError(f"{where}: {redirected(response)}", status, f"http/{status}")
    error = content.get("error") if isinstance(content, dict) else None
    error = error if isinstance(error, dict) else {}
    code = quoted(error.get("code") or f"http/{status}", 80)
    told = " ".join(error[key] for key in ("message", "suggestion") if isinstance(error.get(key), str) and error[key])
    told = quoted(told, QUOTED) if told else f"The answer is {outline(response, content)}."
    fix = FIXES.get(code) or STATUS_FIXES.get(status) or (BROKEN_FIX if status >= 500 else "")
    fields = field_errors(content)
    raise ApiError(f"{where}: {code} ({status}). {told} {fields}{fix}".rstrip(), status, code)


def field_errors(content: Any) -> str:
    """Return the API's messages about single parameters: C(region_name: not a region.)"""
    found = content.get("field_errors") if isinstance(content, dict) else None
    if not isinstance(found, dict):
        return ""
    texts = {str(name): entry.get("message") if isinstance(entry, dict) else entry for name, entry in found.items()}
    return "".join(f"{quoted(f'{name}: {text}', QUOTED)} " for name, text in texts.items())


def redirected(response: Response) -> str:
    """Return the message for a redirect. Of its target only the host is named; the rest may hold a secret."""
    try:
        host = urlsplit(response.headers.get("location", "")).hostname
    except ValueError:
        host = None
    to = f" to {host}" if host else ""
    return (
        f"the answer is a redirect{to} ({response.status}), which is not followed, so that the key goes to one address "
        "only. Set api_url (LAMBDA_API_URL) to the address of the API itself, and check for a proxy or a sign-in page "
        "on the way."
    )


def outline(response: Response, content: Any) -> str:
    """Return what an answer is, without its values: C(an object with the fields: id, name)."""
    if isinstance(content, dict):
        names = sorted(str(name) for name in content)
        return f"an object with the fields {quoted(', '.join(names), 80) or '(none)'}"
    if content is not None:
        return f"JSON, but not an object ({type(content).__name__})"
    if not response.body:
        return "empty"
    kind = quoted(response.headers.get("content-type", "").partition(";")[0], 40)
    page = b"<html" in response.body[:1000].lower() or kind == "text/html"
    what = "a web page" if page else f"no JSON{f' ({kind})' if kind else ''}"
    return f"{what} of {len(response.body)} bytes"


def retry_after_s(response: Response, limit_s: float) -> float:
    """Return the seconds that a refusal asks to wait, at most C(limit_s); 0 without such a header."""
    value = response.headers.get("retry-after", "")
    return min(float(value), limit_s) if value.isdigit() else 0.0


def default_state_dir() -> str:
    """Return this user's folder for the journal, the locks and the rate limit."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "hgx-inference", "lambda")


def poll(clock: Clock, limit_s: float, interval_s: float) -> Iterator[float]:
    """Yield the seconds left, at least once, then every C(interval_s) until the limit has passed."""
    deadline = clock.monotonic() + limit_s
    yield max(0.0, limit_s)
    while clock.monotonic() + interval_s <= deadline:
        clock.sleep(interval_s)
        yield deadline - clock.monotonic()
