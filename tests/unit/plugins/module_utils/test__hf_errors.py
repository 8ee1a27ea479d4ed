# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors that no test of the module can bring about; the others are in test_hf_snapshot.py."""

from __future__ import annotations

import errno
from pathlib import Path

import httpx2
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from ansible_collections.hgx.inference.plugins.module_utils._hf_errors import explain


def wrapped(cause: Exception) -> Exception:
    """Return an error as the library raises it when it could not reach the Hub for a file."""
    error = LocalEntryNotFoundError("not in the local cache")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), ["the disk is full", "are free at", "Make room", "is kept"]),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), ["the disk is full"]),
        (PermissionError(errno.EACCES, "Permission denied", "/cache/hub"), ["may not write /cache/hub", "owner"]),
        (wrapped(httpx2.ConnectError("no route to host")), ["cannot be reached (ConnectError: no route to host)"]),
        (wrapped(httpx2.ReadTimeout("timed out")), ["cannot be reached (ReadTimeout: timed out)", "is kept"]),
        (OSError("Consistency check failed"), ["Consistency check failed", "is kept; run again"]),
    ],
)
def test_explain(tmp_path: Path, error: Exception, parts: list[str]) -> None:
    message = explain(error, "org/name", "main", "http://hub", has_token=False, cache=str(tmp_path))
    assert all(part in message for part in parts), message
