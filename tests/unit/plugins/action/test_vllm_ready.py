# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module and action vllm_ready through the real ansible command, against a stand-in of the docker command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.tests.support import ansible_command

ROOT = Path(__file__).parents[4]
STATE = {
    "Running": True,
    "Status": "running",
    "ExitCode": 0,
    "OOMKilled": False,
    "Error": "",
    "StartedAt": "2026-11-23T10:00:00.5Z",
}
LOADING = "2026-11-23T10:00:04.5Z Loading safetensors checkpoint shards:  50% Completed | 32/64 [06:10<06:09, 11.5s/it]"


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    (tmp_path / "state").write_text(json.dumps([{"Id": "1", "State": STATE}]))
    # The log of a container that runs does not end.
    script = (
        f"#!/bin/sh\ncase $1 in logs) echo '{LOADING}' >&2;; *) cat '{tmp_path}/state';; esac\n"
        'case "$*" in *--follow*) exec sleep 30;; esac\n'
    )
    (tmp_path / "docker").write_text(script)
    (tmp_path / "docker").chmod(0o755)
    return tmp_path


def ready(engine: Path, *options: str, more: str = "") -> tuple[int, str]:
    arguments = f"container=vllm base_url=http://127.0.0.1:1 served_model_name=kimi timeout=1 {more}"
    done = ansible_command.run(
        ["ansible", "localhost", "-m", "hgx.inference.vllm_ready", "-a", arguments, *options],
        env={**os.environ, "PATH": f"{engine}:{os.environ['PATH']}", "ANSIBLE_ASYNC_DIR": str(engine / "async")},
    )
    return done.returncode, done.stdout + done.stderr


def test_progress_is_shown_and_nothing_is_left_behind(engine: Path) -> None:
    rc, output = ready(engine)
    assert rc != 0
    assert "s, loading weights 32/64 (50 %), 11.5s/it, 06:09 left" in output
    assert "is not ready after 1 s; it is loading weights 32/64 (50 %)," in output
    assert "at_fault: true" in output
    assert list((engine / "async").iterdir()) == []


def test_check_mode_waits_for_nothing(engine: Path) -> None:
    rc, output = ready(engine, "--check")
    assert rc == 0
    assert "Would wait for vllm to answer at http://127.0.0.1:1." in output
