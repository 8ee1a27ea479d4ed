# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The benchmark results of a host: one JSON file for each run, and a link C(latest.json) to the newest."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from .._core.files import replace_link, replace_text
from .._core.verdict import FAIL, INVALID

SCHEMA = 2
LATEST = "latest.json"


class StoreError(Exception):
    """A result cannot be written."""


def save(folder: str, record: Mapping[str, Any], finished_at: datetime, size: str) -> str:
    """Write C(record) to a new file, atomically and readable by owner and group only, and return its path."""
    path = os.path.join(folder, f"{finished_at:%Y%m%dT%H%M%SZ}-{size}.json")
    try:
        replace_text(path, json.dumps(record, indent=2) + "\n", mode=0o640)
        replace_link(os.path.join(folder, LATEST), os.path.basename(path))
    except OSError as exc:
        raise StoreError(f"The result cannot be written to {folder}: {exc.strerror}.") from exc
    return path


def save_failure(folder: str, server: str, finished_at: datetime, size: str, reason: str) -> None:
    """Record that a load was started without a result, so that no earlier result is reused for the server."""
    note = {
        "schema": SCHEMA,
        "verdict": INVALID,
        "fingerprint": None,
        "server_fingerprint": server,
        "summary": reason.splitlines(),
    }
    with contextlib.suppress(OSError):  # the caller reports the reason
        path = os.path.join(folder, f"{finished_at:%Y%m%dT%H%M%SZ}-{size}-failed.json")
        replace_text(path, json.dumps(note) + "\n", mode=0o640)


def newest(
    folder: str, fingerprint: str, server: str, now: datetime, max_age_s: int
) -> tuple[str, dict[str, Any]] | None:
    """Return path and content of the newest result with C(fingerprint) that is not too old, or None.

    Also None if a later load on the same C(server) failed, was invalid or gave no result.
    """
    oldest = f"{now - timedelta(seconds=max_age_s):%Y%m%dT%H%M%SZ}"
    future = f"{now + timedelta(seconds=1):%Y%m%dT%H%M%SZ}"  # later names come from a clock that was ahead
    try:
        names = sorted(os.listdir(folder), reverse=True)
    except OSError:
        return None
    for name in names:
        if not name[:1].isdigit() or not name.endswith(".json") or name < oldest:
            continue
        path = os.path.join(folder, name)
        # Skip damaged files and those of another version of this collection.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            with open(path, encoding="utf-8") as stream:
                record = json.load(stream)
            if record["schema"] != SCHEMA:
                continue
            if record["fingerprint"] == fingerprint and name < future:
                return path, record
            if record["server_fingerprint"] == server and record["verdict"] in (FAIL, INVALID):
                return None
    return None


def judge_again(path: str, record: Mapping[str, Any]) -> None:
    """Replace a result with the same figures, judged again. Raises StoreError."""
    try:
        replace_text(path, json.dumps(record, indent=2) + "\n", mode=0o640)
    except OSError as exc:
        raise StoreError(f"The result {path} cannot be written: {exc.strerror}.") from exc
