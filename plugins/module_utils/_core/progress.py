# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's side of progress: one line, in a file that the action plugin reads and shows."""

from __future__ import annotations

import os
import time
from collections import deque

from .files import replace_text
from .secrets import scrub
from .units import human_bytes, human_duration

# Longer than the controller continues without a connection (LOST_CONNECTION_LIMIT_S of the action plugins).
UNWATCHED_LIMIT_S = 360.0
# The rate is an average over this time, so that the ETA follows the network and does not jump.
_RATE_WINDOW_S = 30.0
# A poll before this time, in seconds since 1970, is the action plugins' sign (LONG_AGO) that the play has ended.
NEVER = 1e9


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
        replace_text(self._path, " ".join(scrub(line).split()) + "\n")

    def unseen_s(self) -> float:
        """Return for how long the controller has not read the progress; 0 if nobody is to read it."""
        try:
            return time.time() - os.stat(f"{self._path}.seen").st_mtime
        except OSError:
            return 0.0

    def _require_controller(self) -> None:
        unseen_s = self.unseen_s()
        if unseen_s > time.time() - NEVER:
            raise ControllerGone("The play has ended; this task was stopped.")
        if unseen_s > UNWATCHED_LIMIT_S:
            raise ControllerGone(f"Nobody has watched this task for {unseen_s:.0f} s; it was stopped.")


class Meter:
    """Turns byte counts over time into a line with percentage, rate and time to go."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def line(self, now: float, done: int, total: int) -> str:
        """Return the progress line. C(done) and C(total) are bytes, C(now) is any steady clock in seconds."""
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _RATE_WINDOW_S:
            self._samples.popleft()
        since, before = self._samples[0]
        pace = ""
        if done < total and now > since:
            # The count goes down when a useless partial download is deleted.
            rate = max(0.0, (done - before) / (now - since))
            pace = f", {human_bytes(rate)}/s"
            if rate:
                pace += f", {human_duration((total - done) / rate)} to go"
        return f"{human_bytes(done)} of {human_bytes(total)} ({100 * done // (total or 1)} %){pace}"
