# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The releases of a host, on disk.

STATE/releases/ID/release.json    what a server runs with, who deployed it, and when
STATE/releases/ID/packages.txt    the Python packages of its image, if the host has built that
STATE/releases/ID/benchmark.json  the result that it was promoted with
STATE/current, STATE/last_good    links to the release that is to run, and to the newest that passed
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from .._core.files import free_bytes, replace_link, replace_text, sync_folder
from .._core.units import human_bytes
from .release import ID

CURRENT = "current"
LAST_GOOD = "last_good"
FORMAT = 1


class StoreError(Exception):
    """A record that cannot be read or written; the message says where and what to do."""


class Store:
    """The releases below the state directory of a server."""

    def __init__(self, state_dir: str) -> None:
        self._root = state_dir
        self._releases = os.path.join(state_dir, "releases")

    def ids(self) -> list[str]:
        """Return the IDs of all records, the newest first."""
        with suppress(FileNotFoundError):
            found = [(self._written_at(name), name) for name in os.listdir(self._releases) if self.has(name)]
            return [name for _written_at, name in sorted(found, reverse=True)]
        return []

    def has(self, release: str) -> bool:
        return ID.fullmatch(release) is not None and os.path.isfile(self._record(release))

    def read(self, release: str) -> dict[str, Any]:
        """Return the record of a release. Raises StoreError."""
        path = self._record(release)
        try:
            with open(path, encoding="utf-8") as stream:
                record: dict[str, Any] = json.load(stream)
        except FileNotFoundError:
            known = ", ".join(self.ids()) or "none"
            raise StoreError(f"There is no record of the release {release} at {path}. There are {known}.") from None
        except (OSError, ValueError) as exc:
            raise StoreError(f"{path} cannot be read: {exc}") from exc
        if record.get("format") != FORMAT:
            raise StoreError(f"{path} is of another format, {record.get('format')!r}, than this version knows.")
        return record

    def pointed(self, name: str) -> str | None:
        """Return the release that C(current) or C(last_good) leads to, or None."""
        try:
            release = os.path.basename(os.readlink(os.path.join(self._root, name)))
        except OSError:
            return None
        return release if self.has(release) else None

    def write(self, record: dict[str, Any]) -> None:
        """Write a record: all of it or nothing. Raises StoreError."""
        folder = os.path.dirname(self._record(record["id"]))
        new = not os.path.isdir(folder)
        try:
            os.makedirs(self._releases, mode=0o755, exist_ok=True)
            os.makedirs(folder, mode=0o750, exist_ok=True)
            _write(self._record(record["id"]), json.dumps(record, indent=1) + "\n")
        except OSError as exc:
            if new:
                shutil.rmtree(folder, ignore_errors=True)
            raise self._cannot_write(exc) from exc

    def keep_packages(self, release: str, packages: Sequence[str]) -> None:
        """Keep the Python packages of the image of a recorded release, if they are known. Raises StoreError."""
        try:
            if packages:
                _write(os.path.join(self._releases, release, "packages.txt"), "\n".join([*packages, ""]))
        except OSError as exc:
            raise self._cannot_write(exc) from exc

    def point(self, name: str, release: str) -> None:
        """Let C(current) or C(last_good) lead to a release, in one step. Raises StoreError."""
        try:
            replace_link(os.path.join(self._root, name), os.path.join("releases", release))
            sync_folder(self._root)
        except OSError as exc:
            raise self._cannot_write(exc) from exc

    def store_result(self, release: str, result: str) -> None:
        """Keep a copy of the benchmark result in the file C(result) with the release. Raises StoreError."""
        try:
            with open(result, encoding="utf-8") as stream:
                _write(self._result(release), stream.read())
        except OSError as exc:
            raise self._cannot_write(exc) from exc

    def result(self, release: str) -> dict[str, Any] | None:
        """Return the benchmark result that a release was promoted with, or None."""
        with suppress(OSError, ValueError), open(self._result(release), encoding="utf-8") as stream:
            result: dict[str, Any] = json.load(stream)
            return result
        return None

    def log(self, release: str) -> str:
        """Return the path for the log of a server that has ended; with its release, if that is recorded."""
        return os.path.join(os.path.dirname(self._record(release)) if self.has(release) else self._root, "ended.log")

    def prune(self, keep: int) -> list[str]:
        """Remove the oldest records beyond C(keep), but never what C(current) and C(last_good) lead to."""
        pointed = {self.pointed(CURRENT), self.pointed(LAST_GOOD)}
        free = [release for release in self.ids() if release not in pointed]
        removed = free[max(0, keep - len(pointed - {None})) :]
        for release in removed:
            shutil.rmtree(os.path.dirname(self._record(release)), ignore_errors=True)
        return removed

    def _record(self, release: str) -> str:
        return os.path.join(self._releases, release, "release.json")

    def _result(self, release: str) -> str:
        return os.path.join(self._releases, release, "benchmark.json")

    def _written_at(self, release: str) -> float:
        with suppress(OSError):
            return os.stat(self._record(release)).st_mtime
        return 0.0

    def _cannot_write(self, exc: OSError) -> StoreError:
        return StoreError(
            f"The release cannot be recorded below {self._root}: {exc.strerror or exc}"
            f" ({human_bytes(free_bytes(self._root))} free). What was recorded before is intact, and the server was not"
            " touched. Make room there, and run the play again."
        )


def _write(path: str, text: str) -> None:
    replace_text(path, text, mode=0o640, durable=True)
