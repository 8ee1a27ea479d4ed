# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service on disk: its program runs alone, its settings have no key, and systemd reads a changed unit in time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm import supervisor
from ansible_collections.hgx.inference.plugins.module_utils._vllm.supervisor import Service, Supervision

# It knows the unit as it was when it was started or when systemd was reloaded.
SYSTEMCTL = """\
#!/bin/sh
folder=$(dirname "$0")/..
echo "$*" >>"$folder/calls"
case $1 in
start | daemon-reload) cp "$folder"/units/hgx-inference-vllm.service "$folder/known" ;;
show)
  echo ActiveState=$(test -e "$folder/known" && echo active || echo inactive)
  cmp -s "$folder"/units/hgx-inference-vllm.service "$folder/known" && changed=no || changed=yes
  echo NeedDaemonReload=$changed ;;
esac
"""
DOCKER = """\
#!/bin/sh
folder=$(dirname "$0")/..
case $1 in
ps) if test -e "$folder/container.json"; then echo 1a; fi ;;
container) cat "$folder/container.json" ;;
esac
"""
PLAIN = {"DeviceRequests": None, "Runtime": "runc"}
BY_GPUS = {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}], "Runtime": "runc"}
BY_CDI = {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}]}
BY_RUNTIME = {"DeviceRequests": None, "Runtime": "nvidia"}
WANTED = Supervision(3, 7200, True, "restart", 300, 600, "http://127.0.0.1:8001", "kimi-k2.6", "/venv/bin/py-spy")


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
    text = Service("vllm", str(tmp_path)).settings(WANTED)
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


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    for name, text in (("systemctl", SYSTEMCTL), ("docker", DOCKER)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setattr(supervisor, "UNITS", str(tmp_path / "units"))
    monkeypatch.setattr(supervisor, "SYSTEMD", str(tmp_path))
    return tmp_path


def runs(host: Path, settings: dict[str, Any]) -> None:
    (host / "container.json").write_text(json.dumps([{"Name": "/vllm", "HostConfig": settings}]))


def acts(host: Path) -> list[str]:
    """Return what systemd was told since the last time."""
    calls = (host / "calls").read_text().splitlines()
    (host / "calls").unlink()
    return [words.split()[0] for words in calls if not words.startswith("show")]


@pytest.mark.parametrize(
    ("settings", "waits_for"),
    [(None, []), (PLAIN, []), (BY_CDI, []), (BY_GPUS, ["vllm"]), (BY_RUNTIME, ["vllm"])],
)
def test_a_changed_unit(
    settings: dict[str, Any] | None, waits_for: list[str], host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service("vllm", str(host / "state"))
    assert service.ensure(WANTED)
    assert acts(host) == ["reset-failed", "start"]
    assert not service.ensure(WANTED)
    assert acts(host) == []

    if settings is not None:
        runs(host, settings)
    monkeypatch.setattr(supervisor, "_UNIT", supervisor._UNIT + "# a later version\n")
    assert service.ensure(WANTED)
    assert service.waits_for() == waits_for
    assert service.needs_reload() is bool(waits_for)
    assert acts(host) == ([] if waits_for else ["daemon-reload", "kill"])

    # The server is stopped to be replaced.
    (host / "container.json").unlink(missing_ok=True)
    assert service.reload() is bool(waits_for)
    assert acts(host) == (["daemon-reload", "kill"] if waits_for else [])
    assert not service.needs_reload()


def test_an_engine_that_does_not_answer(host: Path) -> None:
    service = Service("vllm", str(host / "state"))
    (host / "bin" / "docker").write_text("#!/bin/sh\nexit 1\n")
    assert service.waits_for() == ["unknown ones: the engine does not answer"]


def test_a_host_without_docker(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert Service("vllm", str(host / "state")).waits_for() == []
