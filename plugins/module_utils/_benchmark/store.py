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
from typing import Any, NamedTuple

from .._core.files import ensure_folder, replace_link, replace_text
from .._core.secrets import scrubbed
from .._core.verdict import FAIL, INVALID

SCHEMA = 3
LATEST = "latest.json"


class StoreError(Exception):
    """A result cannot be written."""


def provide(folder: str) -> None:
    """Ensure that there is a directory for results. Raises StoreError."""
    try:
        ensure_folder(folder)
    except OSError as exc:
        raise StoreError(f"results_dir: {folder} is no directory to write to: {exc.strerror}.") from exc


def save(folder: str, record: Mapping[str, Any], finished_at: datetime, size: str) -> str:
    """Write C(record) to a new file, atomically and readable by owner and group only, and return its path."""
    path = os.path.join(folder, f"{finished_at:%Y%m%dT%H%M%SZ}-{size}.json")
    try:
        replace_text(path, json.dumps(scrubbed(record), indent=2) + "\n", mode=0o640)
        replace_link(os.path.join(folder, LATEST), os.path.basename(path))
    except OSError as exc:
        raise StoreError(f"The result cannot be written to {folder}: {exc.strerror}.") from exc
    return path


def begin(folder: str, server: str | None, started_at: datetime, size: str) -> str:
    """Record that a load is being put on C(server), and return the path. Raises StoreError.

    If nothing removes it, the run has ended without a judgement, and no earlier result is reused for the server.
    """
    path = os.path.join(folder, f"{started_at:%Y%m%dT%H%M%SZ}-{size}-failed.json")
    keep(path, server, started_at, "The benchmark was started and has not ended.")
    return path


def keep(path: str, server: str | None, at: datetime, reason: str, measured: Mapping[str, Any] | None = None) -> None:
    """Replace what C(begin) has recorded by the C(reason) why there is no judgement, and what was measured until then.

    Raises StoreError.
    """
    record = {
        "schema": SCHEMA,
        "verdict": INVALID,
        "metrics": {},
        "fingerprint": None,
        "server_fingerprint": server,
        "finished_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "summary": reason.splitlines(),
        **(measured or {}),
    }
    try:
        replace_text(path, json.dumps(scrubbed(record)) + "\n", mode=0o640)
    except OSError as exc:
        raise StoreError(f"The result cannot be written to {os.path.dirname(path)}: {exc.strerror}.") from exc


def forget(path: str) -> None:
    """Remove what C(begin) has recorded."""
    with contextlib.suppress(OSError):
        os.unlink(path)


class Stored(NamedTuple):
    """A stored result that may be reused; C(path) and C(record) are empty without one.

    C(ignored) says in sentences which files cannot be used and why.
    """

    path: str
    record: dict[str, Any]
    ignored: list[str]


def newest(folder: str, fingerprint: str, server: str, now: datetime, max_age_s: int) -> Stored:
    """Return the newest result with C(fingerprint) that is not too old.

    There is none if a later load on the same C(server) failed, was invalid or gave no result, or if a later file is
    damaged and may be of such a load.
    """
    oldest = f"{now - timedelta(seconds=max_age_s):%Y%m%dT%H%M%SZ}"
    future = f"{now + timedelta(seconds=1):%Y%m%dT%H%M%SZ}"  # later names come from a clock that was ahead
    ignored: list[str] = []
    try:
        names = sorted(os.listdir(folder), reverse=True)
    except OSError:
        return Stored("", {}, ignored)
    for name in names:
        if not name[:1].isdigit() or not name.endswith(".json") or name < oldest:
            continue
        path = os.path.join(folder, name)
        try:
            with open(path, encoding="utf-8") as stream:
                record = json.load(stream)
            version, verdict = record["schema"], record["verdict"]
            found, found_server = record["fingerprint"], record["server_fingerprint"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            ignored.append(f"The stored result {path} is damaged. It is ignored, and so are earlier ones.")
            return Stored("", {}, ignored)
        if version == SCHEMA and found == fingerprint and name < future:
            return Stored(path, record, ignored)
        if found_server == server and verdict in (FAIL, INVALID):
            return Stored("", {}, ignored)
        if version != SCHEMA and found_server == server and not ignored:
            ignored.append(
                f"The stored result {path} is of another version of this collection, whose checks were others, and is"
                " not reused."
            )
    return Stored("", {}, ignored)


def judge_again(path: str, record: Mapping[str, Any]) -> None:
    """Replace a result with the same figures, judged again. Raises StoreError."""
    try:
        replace_text(path, json.dumps(scrubbed(record), indent=2) + "\n", mode=0o640)
    except OSError as exc:
        raise StoreError(f"The result {path} cannot be written: {exc.strerror}.") from exc
