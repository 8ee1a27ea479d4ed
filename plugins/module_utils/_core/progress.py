# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's side of progress: one line in a file that the action plugin reads and shows."""

from __future__ import annotations

import os
import time

from .files import replace_text

# Longer than the controller continues without a connection (LOST_CONNECTION_LIMIT_S of the action plugins).
UNWATCHED_LIMIT_S = 360.0


class ControllerGone(Exception):
    """The controller has not read the progress for a while: the play or the connection has ended."""


class ProgressFile:
    """Keeps the newest progress line in a file.

    The action plugin touches the file C(path + ".seen") at every poll. With C(watched=True) a module detects by its age
    that the controller is gone, and stops.
    """

    def __init__(self, path: str | None, interval_s: float = 5.0, watched: bool = False) -> None:
        self._path = path
        self._interval_s = interval_s
        self._watched = watched
        self._written_at = 0.0

    def report(self, line: str, force: bool = False) -> None:
        """Write C(line), at most once per interval unless C(force) is set.

        Raises ControllerGone if C(watched) and not polled for C(UNWATCHED_LIMIT_S).
        """
        if self._path is None:
            return
        if self._watched:
            self._require_controller()
        now = time.monotonic()
        if not force and now - self._written_at < self._interval_s:
            return
        self._written_at = now
        replace_text(self._path, " ".join(line.split()) + "\n")

    def _require_controller(self) -> None:
        try:
            unseen_s = time.time() - os.stat(f"{self._path}.seen").st_mtime
        except OSError:
            return
        if unseen_s > UNWATCHED_LIMIT_S:
            raise ControllerGone(f"Nobody has watched this task for {unseen_s:.0f} s; it was stopped.")
