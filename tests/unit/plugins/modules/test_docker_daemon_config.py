# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings on disk and an engine that takes them or does not, with stand-ins of docker, dockerd and systemctl.

The Molecule scenario does the same to real engines.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._docker import engine as _docker_engine
from ansible_collections.hgx.inference.plugins.modules import docker_daemon_config

INFO = {
    "ServerVersion": "26.1.5",
    "LiveRestoreEnabled": False,
    "LoggingDriver": "json-file",
    "Runtimes": {"runc": {}},
    "CDISpecDirs": [],
    "DockerRootDir": "/var/lib/docker",
    "Images": 3,
    "Containers": 1,
}


class Machine:
    """A folder with an engine's file, process and programs; what was done to the engine is in C(log)."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.file = folder / "etc" / "docker" / "daemon.json"
        self.signals: list[int] = []
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        monkeypatch.setattr(_docker_engine, "PID_FILE", str(folder / "docker.pid"))
        monkeypatch.setattr(_docker_engine, "PROC", str(folder / "proc"))
        monkeypatch.setattr(_docker_engine, "SYSTEMD", str(folder / "systemd"))
        monkeypatch.setattr(_docker_engine, "POLL_INTERVAL_S", 0.01)
        monkeypatch.setattr(_docker_engine, "RELOAD_TIMEOUT_S", 0.05)
        monkeypatch.setattr("os.kill", lambda _pid, number: self.signals.append(number))
        process = folder / "proc" / "77"
        (process / "fd").mkdir(parents=True)
        (process / "fd" / "2").symlink_to(folder / "dockerd.log")
        (process / "cmdline").write_text("/usr/sbin/dockerd\0-H\0fd://\0")
        (process / "environ").write_text("HOME=/root\0")
        (process / "stat").write_text("77 (a ) name) S " + " ".join(str(number) for number in range(4, 40)))
        (folder / "proc/sys/kernel/random").mkdir(parents=True)
        (folder / "proc/sys/kernel/random/boot_id").write_text("boot\n")
        (folder / "docker.pid").write_text("77")
        (folder / "systemd").mkdir()
        (folder / "events").touch()
        self.file.parent.mkdir(parents=True)
        self.program("dockerd", f"printf '%s\\n' \"$*\" >>{folder}/validated")
        self.program("systemctl", f'echo "$*" >>{folder}/systemctl.log')
        self.program("journalctl", "echo 'unable to configure the Docker daemon'")
        self.engine(INFO, running=[])

    def program(self, name: str, script: str) -> None:
        (self.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / name).chmod(0o755)

    def engine(self, info: dict[str, Any] | None, running: list[str], reloads: bool = True) -> None:
        """Set what docker says: info, the names of running containers, and the event of a reload."""
        (self.folder / "info").write_text(json.dumps(info) if info else "")
        (self.folder / "names").write_text("\n".join(running))
        event = "echo reload" if reloads else ":"
        self.program(
            "docker",
            f"case $1 in info) cat {self.folder}/info ;; ps) cat {self.folder}/names ;; events) {event} ;; esac",
        )

    def run(self, capsys: pytest.CaptureFixture[str], config: dict[str, Any], **options: Any) -> dict[str, Any]:
        args = {"config": config, "path": str(self.file), "timeout": 1, **options}
        with patch_module_args(args), pytest.raises(SystemExit):
            docker_daemon_config.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    def commands(self) -> list[str]:
        log = self.folder / "systemctl.log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


Capture = pytest.CaptureFixture[str]


def test_a_new_file_is_reloaded(machine: Machine, capsys: Capture) -> None:
    result = machine.run(capsys, {"live-restore": True})
    assert (result["changed"], result["action"], result["settings"]) == (True, "reload", ["live-restore"])
    assert json.loads(machine.file.read_text()) == {"live-restore": True}
    assert machine.file.stat().st_mode & 0o777 == 0o644
    assert "backup_file" not in result
    assert machine.signals == [1]
    assert machine.commands() == []
    assert "-H fd://" in (machine.folder / "validated").read_text(), "checked together with the engine's own flags"


def test_the_same_meaning_is_left_alone(machine: Machine, capsys: Capture) -> None:
    text = '{"debug":true, "live-restore" : false}'
    machine.file.write_text(text)
    result = machine.run(capsys, {"live-restore": False})
    assert (result["changed"], result["action"], result["settings"]) == (False, "none", [])
    assert machine.file.read_text() == text
    assert machine.signals == []


def test_what_an_engine_has_not_taken_over_yet_is_reloaded(machine: Machine, capsys: Capture) -> None:
    machine.file.write_text('{"live-restore": true}')
    result = machine.run(capsys, {"live-restore": True})
    assert (result["changed"], result["action"], result["settings"]) == (True, "reload", ["live-restore"])
    assert "diff" not in result
    assert machine.signals == [1]


def test_a_restart_keeps_a_backup_and_the_file_s_mode(machine: Machine, capsys: Capture) -> None:
    machine.file.write_text('{\n\t"bip": "10.1.0.1/16"\n}\n')
    machine.file.chmod(0o600)
    result = machine.run(capsys, {"data-root": "/data"})
    assert result["action"] == "restart"
    assert Path(result["backup_file"]).read_text() == '{\n\t"bip": "10.1.0.1/16"\n}\n'
    assert machine.file.read_text() == '{\n    "bip": "10.1.0.1/16",\n    "data-root": "/data"\n}\n'
    assert machine.file.stat().st_mode & 0o777 == 0o600
    assert machine.commands() == ["reset-failed docker", "restart docker"]
    assert "3 images and 1 containers stay behind in /var/lib/docker" in json.dumps(result["warnings"])
    assert result["diff"]["before"] == '{\n    "bip": "10.1.0.1/16"\n}\n'


def test_containers_are_not_restarted_unasked(machine: Machine, capsys: Capture) -> None:
    machine.engine(INFO, running=["vllm", "hub"])
    result = machine.run(capsys, {"mtu": 9000, "debug": True})
    assert result["failed"] is True
    assert f"changing mtu in {machine.file}, and containers run: hub, vllm. Nothing was changed." in result["msg"]
    assert not machine.file.exists()
    assert machine.run(capsys, {"debug": True})["action"] == "reload"
    assert machine.run(capsys, {"mtu": 9000}, restart_ok=True)["action"] == "restart"


def test_a_reason_of_its_own(machine: Machine, capsys: Capture) -> None:
    machine.engine(INFO, running=["vllm"])
    reason = {"restart_reason": "--gpus to work"}
    assert "must be restarted for --gpus to work" in machine.run(capsys, {}, **reason)["msg"]
    machine.engine(INFO, running=[])
    assert machine.run(capsys, {}, **reason)["changed"] is True
    assert not machine.file.exists()
    assert machine.commands() == ["reset-failed docker", "restart docker"]


def test_check_mode_foretells_and_does_nothing(machine: Machine, capsys: Capture) -> None:
    result = machine.run(capsys, {"mtu": 9000}, _ansible_check_mode=True)
    assert (result["changed"], result["action"]) == (True, "restart")
    assert result["diff"]["after"] == '{\n    "mtu": 9000\n}\n'
    assert not machine.file.exists()
    assert machine.commands() == []
    machine.engine(INFO, running=["vllm"])
    assert machine.run(capsys, {"mtu": 9000}, _ansible_check_mode=True)["failed"] is True


def test_a_host_without_an_engine_can_be_planned(
    machine: Machine, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.folder / "docker").unlink()
    monkeypatch.setenv("PATH", str(machine.folder))
    result = machine.run(capsys, {"mtu": 9000}, _ansible_check_mode=True)
    assert (result["changed"], result["action"]) == (True, "none")


def test_an_engine_that_does_not_run_reads_the_file_when_it_starts(machine: Machine, capsys: Capture) -> None:
    machine.engine(None, running=[])
    assert machine.run(capsys, {"mtu": 9000})["action"] == "none"
    assert json.loads(machine.file.read_text()) == {"mtu": 9000}
    assert machine.commands() == []


def test_settings_that_the_engine_refuses_are_not_written(machine: Machine, capsys: Capture) -> None:
    machine.program(
        "dockerd", 'echo "unable to configure the Docker daemon with file ${2#*=}: don\'t match: mtuu" >&2; exit 1'
    )
    result = machine.run(capsys, {"mtuu": 9000})
    assert f"The engine refuses the settings for {machine.file}, which is unchanged" in result["msg"]
    assert "with file the new settings: don't match: mtuu" in result["msg"]
    assert not machine.file.exists()


def test_an_engine_too_old_to_validate_is_tried(machine: Machine, capsys: Capture) -> None:
    machine.program("dockerd", "echo 'unknown flag: --validate'; exit 125")
    assert machine.run(capsys, {"debug": True})["action"] == "reload"


def test_the_old_file_comes_back_if_a_reload_fails(machine: Machine, capsys: Capture) -> None:
    machine.file.write_text("{}")
    machine.engine(INFO, running=[], reloads=False)
    result = machine.run(capsys, {"debug": True})
    assert "did not apply the settings. Its log says:\n  unable to configure the Docker daemon" in result["msg"]
    assert f"The old {machine.file} is back" in result["msg"]
    assert machine.file.read_text() == "{}"


def test_the_old_file_comes_back_if_the_engine_does_not_start(machine: Machine, capsys: Capture) -> None:
    # It starts only with the old settings, which is none.
    machine.program(
        "systemctl", f'echo "$*" >>{machine.folder}/systemctl.log; [ "$1" != restart ] || [ ! -e {machine.file} ]'
    )
    result = machine.run(capsys, {"mtu": 9000})
    assert "The engine did not start. Its log says:" in result["msg"]
    assert f"The old {machine.file} is back, and the engine runs with it." in result["msg"]
    assert not machine.file.exists()
    assert machine.commands() == ["reset-failed docker", "restart docker"] * 2


def test_an_engine_that_does_not_come_back_at_all(machine: Machine, capsys: Capture) -> None:
    machine.program("systemctl", '[ "$1" != restart ]')
    result = machine.run(capsys, {"mtu": 9000})
    assert f"The old {machine.file} is back, but the engine does not start with it either" in result["msg"]
    assert not machine.file.exists()


@pytest.mark.parametrize("dead", ["gone", "not reaped"])
def test_without_systemd_the_engine_is_started_as_it_was(machine: Machine, capsys: Capture, dead: str) -> None:
    (machine.folder / "systemd").rmdir()
    (machine.folder / "dockerd.log").write_text("old line\n")
    started = machine.folder / "started"
    (machine.folder / "proc/77/cmdline").write_text(f"{machine.folder}/dockerd\0--mtu\x009000\0")
    machine.program("dockerd", f'case "$*" in *--validate*) ;; *) echo "$HOME $*"; echo "$PWD" >{started} ;; esac')
    killed = machine.folder / "killed"
    machine.program(
        "docker", f"case $1 in info) [ ! -e {started} ] && [ -e {killed} ] || cat {machine.folder}/info ;; esac"
    )

    def kill(_pid: int, _number: int) -> None:
        killed.touch()
        if dead == "gone":
            (machine.folder / "proc/77").rename(machine.folder / "gone")
        else:
            (machine.folder / "proc/77/cmdline").write_text("")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.kill", kill)
        assert machine.run(capsys, {"data-root": "/data"})["action"] == "restart"
    assert started.read_text() == "/\n"
    assert (machine.folder / "dockerd.log").read_text() == "old line\n/root --mtu 9000\n"


def test_an_engine_whose_process_is_not_found_is_not_half_changed(machine: Machine, capsys: Capture) -> None:
    (machine.folder / "docker.pid").unlink()
    assert "does not lead to it" in machine.run(capsys, {"debug": True})["msg"]
    assert not machine.file.exists()


def test_the_file_that_the_engine_names_is_the_one(machine: Machine, capsys: Capture) -> None:
    other = machine.folder / "other.json"
    (machine.folder / "proc/77/cmdline").write_text(f"/usr/sbin/dockerd\0--config-file\0{other}\0")
    assert machine.run(capsys, {"debug": True})["path"] == str(other)
    assert json.loads(other.read_text()) == {"debug": True}
    assert not machine.file.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"{,}", "is not valid JSON: line 1, column 2"), (b'{"a": "\xff"}', "is not text in UTF-8")],
)
def test_a_file_that_cannot_be_read_is_refused(machine: Machine, capsys: Capture, content: bytes, words: str) -> None:
    machine.file.write_bytes(content)
    result = machine.run(capsys, {"debug": True})
    assert words in result["msg"]
    assert machine.file.read_bytes() == content
