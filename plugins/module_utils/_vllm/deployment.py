# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who deploys on a host at the moment, so that two plays do not replace each other's server.

STATE/deployment.json is there from the moment that a release is recorded until its server has answered or failed. Its
time stamp is the last sign of life: a play may be killed without a chance to remove it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from .._core.files import replace_text
from .._core.units import human_duration
from .._programs.turns import ANNOUNCEMENT, SILENT_AFTER_S


class Deployment(NamedTuple):
    """A deployment under way. C(run), who runs the play and a random word, tells plays apart; C(since) is an epoch."""

    run: str
    release: str
    since: float


class DeploymentError(Exception):
    """Another deployment is under way."""


def announce(state_dir: str, mine: Deployment) -> None:
    """Announce a deployment. Raises DeploymentError if one of another release is under way, and OSError."""
    with _locked(state_dir):
        other, silent_s = _current(state_dir)
        is_alive = other is not None and silent_s < SILENT_AFTER_S
        if other and is_alive and other.run != mine.run and other.release != mine.release:
            for_s, left_s = max(0.0, mine.since - other.since), max(0.0, SILENT_AFTER_S - silent_s)
            raise DeploymentError(
                f"{other.run.partition(' ')[0]} is deploying release {other.release} on this host, for"
                f" {human_duration(for_s)} now. Nothing was changed. Run this play again when that has ended."
                f" If it was killed, remove {_path(state_dir)}, or wait: without a sign of life it no longer counts in"
                f" {human_duration(left_s)}."
            )
        replace_text(_path(state_dir), json.dumps(mine._asdict()))


def give_sign_of_life(state_dir: str, run: str) -> None:
    """Keep the deployment of a play announced, if it is."""
    with suppress(OSError):
        if _is_of(state_dir, run):
            os.utime(_path(state_dir))


def finish(state_dir: str, run: str) -> None:
    """Withdraw the announcement of a play. One of another play stays."""
    with suppress(OSError), _locked(state_dir):
        if _is_of(state_dir, run):
            os.unlink(_path(state_dir))


def conclude(state_dir: str, release: str) -> None:
    """Withdraw the announcement of a release whose server answers, whoever made it: that play may have been killed."""
    with suppress(OSError), _locked(state_dir):
        announced, _silent_s = _current(state_dir)
        if announced is not None and announced.release == release:
            os.unlink(_path(state_dir))


def _is_of(state_dir: str, run: str) -> bool:
    other, _silent_s = _current(state_dir)
    return other is not None and other.run == run


def _current(state_dir: str) -> tuple[Deployment | None, float]:
    """Return the announced deployment, and for how many seconds it has given no sign of life."""
    try:
        with open(_path(state_dir), encoding="utf-8") as stream:
            silent_s = time.time() - os.fstat(stream.fileno()).st_mtime
            return Deployment(**json.load(stream)), silent_s
    except (OSError, ValueError, TypeError):
        return None, 0.0


@contextmanager
def _locked(state_dir: str) -> Iterator[None]:
    os.makedirs(state_dir, mode=0o755, exist_ok=True)
    with open(os.path.join(state_dir, "deployment.lock"), "w", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _path(state_dir: str) -> str:
    return os.path.join(state_dir, ANNOUNCEMENT)
