# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is installed runs with the system's Python alone, and knows where the key is, but not the key."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ansible_collections.hgx.inference.plugins.module_utils._vllm.supervisor import Service, Supervision


def test_the_installed_program_runs_without_the_collection(tmp_path: Path) -> None:
    service = Service("vllm", str(tmp_path))
    assert service.install()
    assert not service.install(), "nothing is new the second time"
    programs = Path(service.folder) / "programs"
    assert {path.name for path in programs.iterdir()} >= {"supervisor.py", "watch.py", "texts.py"}
    code = "import sys; sys.path.insert(0, sys.argv[1]); from programs import supervisor; print(supervisor.GAVE_UP)"
    command = [sys.executable, "-I", "-c", code, service.folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("3\n", "")


def test_check_mode_installs_nothing(tmp_path: Path) -> None:
    assert Service("vllm", str(tmp_path), check_mode=True).install()
    assert list(tmp_path.iterdir()) == []


def test_the_settings(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "vllm_api_key").write_text("s3cret")
    wanted = Supervision(3, 7200, True, "restart", 300, 600, "http://127.0.0.1:8001", "kimi-k2.6", "/venv/bin/py-spy")
    text = Service("vllm", str(tmp_path)).settings(wanted)
    assert "s3cret" not in text
    settings = json.loads(text)
    assert settings["watch"]["mode"] == "restart"
    assert settings["watch"]["key_file"] == f"{tmp_path}/secrets/vllm_api_key"
    assert (settings["restart_limit"], settings["gpus"]) == (3, True)


def test_the_state_has_what_the_watch_saw(tmp_path: Path) -> None:
    folder = tmp_path / "supervisor"
    folder.mkdir()
    (folder / "watch.json").write_text('{"state": "healthy"}')
    (folder / "state.json").write_text('{"restarts": [1.0]}')
    state = Service("vllm", str(tmp_path)).state()
    assert (state["watch"], state["restarts"]) == ({"state": "healthy"}, [1.0])
    (folder / "watch.json").write_text("[half")
    assert Service("vllm", str(tmp_path)).state()["watch"] == {}
