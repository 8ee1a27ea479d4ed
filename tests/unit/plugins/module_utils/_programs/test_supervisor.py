# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service that counts: what it takes for a wish and what for a crash. Molecule runs it for real."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs import supervisor as program

SETTINGS: dict[str, Any] = {
    "container": "vllm",
    "gpus": True,
    "restart_limit": 2,
    "restart_interval_s": 3600,
    "stop_timeout_s": 1,
}


def event(signal: str) -> str:
    return json.dumps({"Action": "kill", "Actor": {"Attributes": {"signal": signal}}})


@pytest.mark.parametrize(
    ("events", "asked"),
    [("", False), (event("15"), True), (f"{event('1')}\n{event('9')}\n", True), (event("1"), False), ("{}\nx", False)],
)
def test_who_stopped_it(events: str, asked: bool) -> None:
    assert program.was_asked(events) is asked


def test_restarts_are_counted_in_their_time() -> None:
    assert not program.too_many([], 100, 1, 50)
    assert program.too_many([60], 100, 1, 50)
    assert not program.too_many([40], 100, 1, 50)
    assert program.too_many([], 100, 0, 50)
    assert not program.too_many([900], 100, 1, 50), "the clock was set back"


@pytest.mark.parametrize(
    ("csv", "settled"),
    [("Completed\nCompleted\n", True), ("[N/A]\n", True), ("Completed\nIn Progress\n", False), ("", False)],
)
def test_the_fabric(csv: str, settled: bool) -> None:
    assert program.fabric_settled(csv) is settled


class Engine:
    """Stands in for docker, systemctl and nvidia-smi. Each follow ends as the next of C(ends) says."""

    def __init__(self, ends: list[str]) -> None:
        self.running = False
        self.ends = ends
        self.events = ""
        self.started = 0
        self.run = 1
        self.down = 0  # for how many more looks the engine does not answer
        self.host: program.Host | None = None  # what the watch can do
        self.told: list[str] = []
        self.stops = True

    def command(self, *argv: str, timeout_s: float | None = None) -> subprocess.CompletedProcess[str]:
        words, output, rc = argv[1:], "", 0
        if words[0] == "start":
            self.running, self.started = True, self.started + 1
        elif words[0] == "wait":
            end = self.ends.pop(0)
            if end == "unwell":
                self.told.append(self.host.restart("9c", "the watch has found it hanging") if self.host else "")
                end = "crashed" if self.told[-1] == "" else self.ends.pop(0)
            self.down = 2 if end == "engine" else 0
            self.run += end in ("engine", "another engine")
            self.running = end == "restarted"
            self.events = event("15") if end in ("stopped", "restarted", "another engine") else ""
        elif words[0] == "stop":
            output, rc = "", int(not self.stops)
        elif words[0] == "container":
            state = {"Running": self.running, "Status": "exited", "ExitCode": 0, "StartedAt": "2026-11-25T18:00:00Z"}
            output = json.dumps(state)
        elif words[0] == "events":
            output = self.events
        elif words[0] == "version":
            self.down, rc = max(0, self.down - 1), int(self.down > 0)
        elif words[0] == "show":
            output = "active" if "ActiveState" in argv[3] else f"run {self.run}"
        elif argv[0] == "nvidia-smi":
            assert timeout_s, "it hangs for good when a GPU is lost"
            output = "Completed"
        return subprocess.CompletedProcess(argv, rc, output, "")


def supervise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: list[str], stops: bool = True
) -> tuple[int, Engine, dict[str, Any]]:
    engine = Engine(ends)
    engine.stops = stops
    clock = iter(range(10**9))

    class NoWatch:
        def __init__(self, folder: str, settings: Any, host: program.Host) -> None:
            assert (folder, settings()["container"]) == (str(tmp_path), "vllm")
            engine.host = host

        def run(self) -> None:
            pass

    monkeypatch.setattr(program, "Watch", NoWatch)
    monkeypatch.setattr(program, "command", engine.command)
    monkeypatch.setattr(program.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(program.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(program.signal, "signal", lambda *args: None)
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    rc = program.Supervisor(str(tmp_path / "settings.json")).run()
    return rc, engine, json.loads((tmp_path / "state.json").read_text(encoding="utf-8"))


def test_a_person_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rc, engine, state = supervise(tmp_path, monkeypatch, ["restarted", "stopped"])
    assert (rc, engine.started) == (0, 1), "started at boot, and docker restart needs no help"
    assert state == {"restarts": [], "gave_up": ""}


def test_a_play_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "paused", True)
    rc, engine, state = supervise(tmp_path, monkeypatch, ["crashed"])
    assert (rc, engine.started) == (0, 1), "at a boot it is started all the same"
    assert state["gave_up"] == ""


def test_an_engine_that_took_its_containers_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rc, engine, state = supervise(tmp_path, monkeypatch, ["engine", "another engine", "stopped"])
    assert (rc, engine.started) == (0, 3)
    assert state["restarts"] == []


def test_a_crash_loop_has_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rc, engine, state = supervise(tmp_path, monkeypatch, ["crashed"] * 3)
    assert (rc, engine.started) == (program.GAVE_UP, 3)
    assert state["gave_up"] == "the server ended again (exit code 0) after 2 restarts in 60 minutes"
    assert "it stays down. See docker logs vllm" in capsys.readouterr().out


def test_a_server_that_the_watch_has_stopped_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rc, engine, state = supervise(tmp_path, monkeypatch, ["unwell", "crashed", "unwell", "stopped"])
    assert (rc, engine.started, len(state["restarts"])) == (0, 3, 2)
    assert "the watch has found it hanging, starting it again" in capsys.readouterr().out
    assert engine.told == ["", "not restarted: the watch has found it hanging after 2 restarts in 60 minutes"]
    assert state["gave_up"] == "", "it still runs"


def test_a_container_that_docker_cannot_stop_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rc, engine, state = supervise(tmp_path, monkeypatch, ["unwell", "stopped"], stops=False)
    assert (rc, engine.started, state["restarts"]) == (0, 1, [])
    assert engine.told == ["not restarted: docker stop: "]


def test_the_watch_does_not_meddle_with_a_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "paused", True)
    _rc, engine, state = supervise(tmp_path, monkeypatch, ["unwell", "crashed"])
    assert (engine.told, state["restarts"]) == (["not restarted: a play replaces the server"], [])
