# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One request to a server on this host or in its private network."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

_MOST_BYTES = 64 * 2**20


class HttpAnswer(NamedTuple):
    """Status and body of an answer. C(status) 0 means no answer, and C(body) says why."""

    status: int
    body: str


def request(url: str, timeout_s: float, body: Mapping[str, Any] | None = None, key: str = "") -> HttpAnswer:
    """Send a GET, or a POST if there is a C(body), with the Bearer token C(key) if there is one.

    Bypasses the environment's proxies, for which loopback and private addresses lead elsewhere.
    """
    try:
        wanted = urllib.request.Request(url)
        if body is not None:
            wanted.data = json.dumps(body).encode()
            wanted.add_header("Content-Type", "application/json")
        if key:
            wanted.add_unredirected_header("Authorization", f"Bearer {key}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(wanted, timeout=timeout_s) as response:
            return HttpAnswer(response.status, _text(response))
    except urllib.error.HTTPError as exc:
        with suppress(OSError, http.client.HTTPException):
            return HttpAnswer(exc.code, _text(exc))
        return HttpAnswer(exc.code, "")
    except (OSError, ValueError, http.client.HTTPException) as exc:
        return HttpAnswer(0, str(exc))


def _text(response: Any) -> str:
    data = response.read(_MOST_BYTES)
    if response.length:  # read() with a limit returns the half of an answer without a word
        raise http.client.IncompleteRead(data, response.length)
    return str(data.decode("utf-8", errors="replace"))
