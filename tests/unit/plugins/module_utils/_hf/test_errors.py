# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors that no test of the module can bring about; the others are in test_hf_snapshot.py."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import httpx2
import pytest
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from ansible_collections.hgx.inference.plugins.module_utils._hf.errors import (
    explain,
    is_final,
    is_full,
    status_of,
)


def wrapped(cause: Exception) -> Exception:
    """Return an error as the library raises it when it could not reach the Hub for a file."""
    error = LocalEntryNotFoundError("not in the local cache")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), ["the disk is full", "are free at", "is kept"]),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), ["the disk is full"]),
        (PermissionError(errno.EACCES, "Permission denied", "/cache/hub"), ["may not write /cache/hub", "owner"]),
        (wrapped(httpx2.ConnectError("no route to host")), ["cannot be reached (ConnectError: no route to host)"]),
        (wrapped(httpx2.ReadTimeout("timed out")), ["cannot be reached (ReadTimeout: timed out)", "is kept"]),
        (OSError(errno.EROFS, "Read-only file system", "/c"), ["/c is on a read-only file system"]),
        (
            json.JSONDecodeError("Expecting value", "<html>", 0),
            ["http://hub answers what no Hugging Face hub", "sign-in"],
        ),
        (KeyError("type"), ["http://hub answers what no Hugging Face hub"]),
        (httpx2.TooManyRedirects("20"), ["http://hub redirects in a circle"]),
        (OSError("Consistency check failed"), ["Consistency check failed", "is kept; run again"]),
    ],
)
def test_explain(tmp_path: Path, error: Exception, parts: list[str]) -> None:
    message = explain(error, "org/name", "main", "http://hub", has_token=False, cache=str(tmp_path))
    assert all(part in message for part in parts), message


def refused(status: int, by: str = "http://hub/a/b/resolve/x/f", after: str = "") -> Exception:
    """Return a refusal of one address, after a redirect from another one if there is one."""
    history = [httpx2.Response(302, request=httpx2.Request("GET", after))] if after else []
    response = httpx2.Response(status, request=httpx2.Request("GET", by), history=history)
    return HfHubHTTPError("no", response=response)


FILE = "http://hub/a/b/resolve/main/f"


@pytest.mark.parametrize(
    ("error", "final"),
    [
        *((refused(status), True) for status in (400, 401, 403, 404, 416)),
        *((refused(status), False) for status in (408, 425, 429, 500, 502, 503, 504)),
        (wrapped(refused(403)), True),
        *((refused(status, "http://cdn/f?signature=x", FILE), False) for status in (400, 401, 403, 404, 410)),
        (refused(403, "http://hub/lfs/f", FILE), False),
        (refused(403, "http://hub:8080/a/b/resolve/main/f", FILE), False),
        # A renamed repository: the hub's own answer.
        (refused(404, "http://hub/new/b/resolve/main/f", FILE), True),
        (refused(401, "http://hub/api/resolve-cache/models/b/f", FILE), True),
        (OSError(errno.EROFS, "Read-only file system"), True),
        (wrapped(httpx2.ReadTimeout("timed out")), False),
        (PermissionError(errno.EACCES, "Permission denied"), True),
        (httpx2.UnsupportedProtocol("no scheme"), True),
        (OSError("Consistency check failed"), False),
        (RuntimeError("something in Xet"), False),
    ],
)
def test_is_final(error: Exception, final: bool) -> None:
    assert is_final(error, "http://hub") is final


def test_who_has_refused_is_named() -> None:
    error = refused(403, "http://me@cdn:81/f?signature=s3cret", FILE)
    message = explain(error, "a/b", "main", "http://hub", has_token=True, cache="/")
    assert message.startswith("cdn:81 answered with status 403. http://hub sends downloads there")
    assert "s3cret" not in message and "token" not in message


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),
        (OSError(errno.EIO, "I/O error"), False),
    ],
)
def test_is_full(error: Exception, full: bool) -> None:
    assert is_full(error) is full


def test_status_of() -> None:
    assert status_of(refused(404)) == 404
    assert status_of(OSError()) is None
