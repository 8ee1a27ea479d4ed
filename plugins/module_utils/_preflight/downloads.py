# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask where the deployment will download from, before it does. Read-only."""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import TypeVar

from .._core.units import human_bytes
from .._docker.registry import API_PATH, Answer

URL_TIMEOUT_S = 5.0
# For all questions together, because a request's time limit does not cover name resolution.
ALL_TIMEOUT_S = 8.0
_MOST_BYTES = 16 * 2**20

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def ask_all(questions: Mapping[_Key, Callable[[], _Value]], silence: _Value) -> dict[_Key, _Value]:
    """Return the answer to each question, or C(silence) for each that has none after ALL_TIMEOUT_S."""
    found: dict[_Key, _Value] = {}

    def ask(key: _Key) -> None:
        found[key] = questions[key]()

    # Daemon threads, because a look-up at a dead name server cannot be stopped, and the module must not wait for it.
    threads = [threading.Thread(target=ask, args=(key,), daemon=True) for key in questions]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + ALL_TIMEOUT_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return {key: found.get(key, silence) for key in questions}


def unreachable(url: str) -> str | None:
    """Return why nothing answers at C(url), or None. A refusal such as 401 or 404 is an answer, a 5xx is not.

    A registry with an untrusted certificate counts as reachable, since the engine's settings decide on trust.
    """
    try:
        request = urllib.request.Request(url, method="HEAD")
        # A new opener uses the proxies of the environment, as the download will.
        with urllib.request.build_opener().open(request, timeout=URL_TIMEOUT_S):
            return None
    except urllib.error.HTTPError as exc:
        return f"status {exc.code}" if exc.code >= 500 else None
    except urllib.error.URLError as exc:
        if isinstance(exc.reason, ssl.SSLError) and url.endswith(API_PATH):
            return None
        return str(exc.reason)
    except (OSError, ValueError) as exc:
        return str(exc)


def find_model(hub: str, repo: str, revision: str, token: str) -> Answer:
    """Return whether a hub has a revision of a model; the detail of a present one is its commit and size."""
    url = f"{hub.rstrip('/')}/api/models/{repo}/revision/{urllib.parse.quote(revision, safe='')}?blobs=true"
    request = urllib.request.Request(url)
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener().open(request, timeout=URL_TIMEOUT_S) as response:
            info = json.loads(response.read(_MOST_BYTES))
            sizes = [file.get("size") for file in info.get("siblings") or ()]
            size = f", {human_bytes(sum(sizes))}" if sizes and all(isinstance(each, int) for each in sizes) else ""
            return Answer("present", f"commit {str(info['sha'])[:8]}{size}")
    except urllib.error.HTTPError as exc:
        if exc.code in (401, 403):
            return Answer("denied", f"status {exc.code}")
        if exc.code == 404:
            missing = exc.headers.get("X-Error-Code") == "RevisionNotFound"
            return Answer("absent", f"it has no revision {revision}" if missing else "status 404")
        return Answer("limited" if exc.code == 429 else "unknown", f"status {exc.code}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        return Answer("unknown", str(getattr(exc, "reason", exc)))
