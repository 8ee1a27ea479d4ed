# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two plays on one host: the second is refused while the first gives signs of life."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm.deployment import (
    SILENT_AFTER_S,
    Deployment,
    DeploymentError,
    announce,
    conclude,
    finish,
    give_sign_of_life,
)

OURS = Deployment("alice@one 12ab", "a" * 12, time.time() - 90)
THEIRS = Deployment("bob@two 34cd", "b" * 12, time.time())


def announced(state_dir: Path) -> str:
    return str(json.loads((state_dir / "deployment.json").read_text())["run"])


def silence(state_dir: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(state_dir / "deployment.json", (then, then))


def test_the_second_is_refused_with_who_since_and_what(tmp_path: Path) -> None:
    announce(str(tmp_path), OURS)
    words = "alice@one is deploying release aaaaaaaaaaaa on this host, for 2 min now. Nothing was changed."
    with pytest.raises(DeploymentError, match=words):
        announce(str(tmp_path), THEIRS)
    assert announced(tmp_path) == OURS.run
    finish(str(tmp_path), OURS.run)
    announce(str(tmp_path), THEIRS)
    assert announced(tmp_path) == THEIRS.run


def test_the_same_play_and_the_same_release_go_on(tmp_path: Path) -> None:
    announce(str(tmp_path), OURS)
    announce(str(tmp_path), OURS._replace(release="c" * 12))
    announce(str(tmp_path), THEIRS._replace(release="c" * 12))
    assert announced(tmp_path) == THEIRS.run


def test_a_play_that_was_killed_does_not_count_for_long(tmp_path: Path) -> None:
    announce(str(tmp_path), OURS)
    silence(tmp_path, SILENT_AFTER_S - 60)
    with pytest.raises(
        DeploymentError, match=r"deployment\.json, or wait: without a sign of life it no longer counts in 60 s"
    ):
        announce(str(tmp_path), THEIRS)
    give_sign_of_life(str(tmp_path), THEIRS.run)  # of another play
    silence(tmp_path, SILENT_AFTER_S + 1)
    announce(str(tmp_path), THEIRS)


def test_signs_of_life(tmp_path: Path) -> None:
    give_sign_of_life(str(tmp_path), OURS.run)  # nothing is announced
    announce(str(tmp_path), OURS)
    silence(tmp_path, 1000)
    give_sign_of_life(str(tmp_path), OURS.run)
    with pytest.raises(DeploymentError):
        announce(str(tmp_path), THEIRS)


def test_only_its_own_announcement_is_withdrawn(tmp_path: Path) -> None:
    finish(str(tmp_path), OURS.run)
    announce(str(tmp_path), OURS)
    finish(str(tmp_path), THEIRS.run)
    assert announced(tmp_path) == OURS.run


def test_a_release_that_answers_is_deployed_whoever_announced_it(tmp_path: Path) -> None:
    conclude(str(tmp_path), OURS.release)  # nothing is announced
    announce(str(tmp_path), OURS)
    conclude(str(tmp_path), THEIRS.release)
    assert announced(tmp_path) == OURS.run
    conclude(str(tmp_path), OURS.release)
    announce(str(tmp_path), THEIRS)
    assert announced(tmp_path) == THEIRS.run


def test_a_damaged_announcement_is_none(tmp_path: Path) -> None:
    (tmp_path / "deployment.json").write_text("{")
    announce(str(tmp_path), OURS)
    assert announced(tmp_path) == OURS.run
