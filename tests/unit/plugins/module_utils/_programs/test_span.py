# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service of a rank: what it does with its container, and what it says. Molecule runs two of them for real."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs import span as program
from ansible_collections.hgx.inference.plugins.module_utils._programs import supervisor
from ansible_collections.hgx.inference.plugins.module_utils._programs.group import Order, Report
from ansible_collections.hgx.inference.plugins.module_utils._programs.health import Answer
from ansible_collections.hgx.inference.plugins.module_utils._programs.link import SILENT_S, Heard

HOSTS = ["node-a", "node-b"]
Step = Callable[["Host"], None]


class Host:
    """Stands in for docker, systemctl, the other ranks and time. Each wait plays the next of the steps."""

    def __init__(self, folder: Path, rank: int, steps: list[Step]) -> None:
        self.file = folder / "settings.json"
        self.now = 1000.0
        self.steps = steps
        self.running = True
        self.code = 0
        self.calls: list[str] = []
        self.said: list[dict[str, Any]] = []
        self.messages: dict[int, Heard] = {}
        self.restart: Callable[[str, str], str] = lambda container, why: ""
        self.start_fails = False
        self.answer: Answer | None = None
        self.events = ""
        self.change(
            container="vllm",
            gpus=False,
            restart_limit=1,
            restart_interval_s=3600,
            stop_timeout_s=1,
            watch={"base_url": "http://127.0.0.1:8001", "served_model_name": "k", "key_file": str(folder / "none")},
            span={
                "rank": rank,
                "hosts": HOSTS,
                "head_address": "10.0.0.1",
                "link_port": 29502,
                "key_file": str(folder / "key"),
            },
        )

    def change(self, **settings: Any) -> None:
        old = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.file.write_text(json.dumps({**old, **settings}))

    def command(self, *argv: str, timeout_s: float | None = None) -> subprocess.CompletedProcess[str]:
        words, output, rc = argv[1:], "", 0
        if words[0] in ("start", "stop"):
            self.calls.append(words[0])
            rc = int(words[0] == "start" and self.start_fails)
            self.running = words[0] == "start" and not rc
        elif words[0] == "container":
            state = {
                "Running": self.running,
                "Status": "exited",
                "ExitCode": self.code,
                "StartedAt": "2026-11-30T18:00:00Z",
            }
            output = json.dumps(state)
        elif words[0] == "events":
            output = self.events
        elif words[0] == "show":
            output = "active" if "ActiveState" in argv[3] else "run"
        return subprocess.CompletedProcess(argv, rc, output, "no such image" if rc else "")

    # The link.
    problem = ""

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def say(self, message: dict[str, Any]) -> None:
        self.said.append(message)

    def heard(self) -> dict[int, Heard]:
        return self.messages

    def wait(self, limit_s: float) -> None:
        self.now += limit_s
        if self.steps:
            self.steps.pop(0)(self)
        else:
            self.change(paused=True)

    # A process that ends with the container, and a question.
    def poll(self) -> int | None:
        return None if self.running else 0


def serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: int, steps: list[Step], **initial: Any
) -> tuple[int, Host]:
    host = Host(tmp_path, rank, steps)
    for name, value in initial.items():
        setattr(host, name, value)

    class Watch:
        def __init__(self, folder: str, settings: Any, interface: supervisor.Host) -> None:
            host.restart = interface.restart

        def run(self) -> None:
            pass

    class Question:
        def __init__(self, *args: Any) -> None:
            pass

        def answer(self) -> Answer | None:
            return host.answer

    def tick() -> float:
        host.now += 0.001
        return host.now

    monkeypatch.setattr(program, "Link", lambda *args: host)
    monkeypatch.setattr(program, "Question", Question)
    monkeypatch.setattr(program, "ended", lambda container: host)
    monkeypatch.setattr(supervisor, "Watch", Watch)
    monkeypatch.setattr(supervisor, "command", host.command)
    monkeypatch.setattr(program.time, "monotonic", tick)
    monkeypatch.setattr(supervisor.time, "sleep", lambda seconds: setattr(host, "now", host.now + seconds))
    monkeypatch.setattr(program.signal, "signal", lambda *args: None)
    assert isinstance(program.make(str(host.file)), program.SpanSupervisor)
    return program.SpanSupervisor(str(host.file), str(tmp_path)).run(), host


def state(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / "state.json").read_text())
    return found


def nothing(host: Host) -> None:
    pass


def silence(host: Host) -> None:
    host.now += SILENT_S


def hangs(host: Host) -> None:
    assert host.restart("9c", "the watch has found it hanging") == ""


def ends(code: int) -> Step:
    def step(host: Host) -> None:
        host.running, host.code = False, code

    return step


def tells(rank: int, generation: int, run: bool, container: str, cause: str = "") -> Step:
    def step(host: Host) -> None:
        report = Report(HOSTS[rank], generation, run, container, cause)
        host.messages[rank] = Heard({**report._asdict(), "rank": rank}, host.now)

    return step


def orders(generation: int, run: bool, why: str = "", **more: Any) -> Step:
    def step(host: Host) -> None:
        order = Order(generation, run, why, **more)
        host.messages[0] = Heard({**Report(HOSTS[0])._asdict(), "rank": 0, "order": order._asdict()}, host.now)

    return step


def test_the_head_stops_and_starts_with_a_follower_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cause = "the server ended by itself (exit code 137, killed)"
    steps = [
        tells(1, 0, True, "running"),
        tells(1, 0, True, "ended", cause),
        tells(1, 1, False, "down"),
        tells(1, 1, True, "running"),
    ]
    rc, host = serve(tmp_path, monkeypatch, 0, steps)
    assert (rc, host.calls) == (0, ["stop", "start"])
    kept = state(tmp_path)
    assert (kept["why"], len(kept["restarts"]), kept["gave_up"]) == (f"rank 1 on node-b: {cause}", 1, "")
    assert [(rank["host"], rank["state"]) for rank in kept["ranks"]] == [("node-a", "running"), ("node-b", "running")]
    assert "all ranks stop, to start together" in capsys.readouterr().out
    told = (tmp_path / "hgx_span_vllm.prom").read_text()
    assert 'hgx_span_rank_up{server="vllm",rank="1",host="node-b"} 1' in told
    assert f'hgx_span_stopped_timestamp_seconds{{server="vllm",why="rank 1 on node-b: {cause}"}}' in told


def test_the_second_failure_is_one_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [
        tells(1, 0, True, "ended", "it died"),
        tells(1, 1, False, "down"),
        tells(1, 1, True, "ended", "it died"),
        tells(1, 2, False, "down"),
    ]
    rc, host = serve(tmp_path, monkeypatch, 0, steps)
    assert (rc, host.calls) == (supervisor.GAVE_UP, ["stop", "start", "stop"])
    assert state(tmp_path)["gave_up"] == "rank 1 on node-b: it died after 1 restarts in 60 minutes"


def test_a_follower_says_why_its_container_ended_and_waits_for_the_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, start = orders(4, False, "rank 1 on node-b: ..."), orders(4, True)
    steps = [orders(3, True), ends(137), stop, nothing, start, nothing]
    rc, host = serve(tmp_path, monkeypatch, 1, steps)
    assert (rc, host.calls) == (0, ["start"]), "there was nothing to stop"
    ended = next(each for each in host.said if each["state"] == "ended")
    assert (ended["generation"], ended["cause"]) == (3, "the server ended by itself (exit code 137, killed)")
    assert (host.said[-1]["generation"], host.said[-1]["state"]) == (4, "running")


def test_a_follower_stops_with_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = orders(1, False, "somebody stopped rank 0 on node-a", over=True)
    rc, host = serve(tmp_path, monkeypatch, 1, [over])
    assert (rc, host.calls) == (0, ["stop"])
    assert (host.said[-1]["generation"], host.said[-1]["state"]) == (1, "down")


def test_a_rank_that_was_down_when_its_service_began_waits_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [orders(1, True), orders(2, False, "rank 1 on node-b: it was not running"), orders(2, True)]
    _rc, host = serve(tmp_path, monkeypatch, 1, steps, running=False)
    assert host.calls == ["start"]
    assert "as after a start of its host" in host.said[0]["cause"]


def test_a_start_that_fails_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [orders(1, False, "x"), orders(1, True), nothing]
    _rc, host = serve(tmp_path, monkeypatch, 1, steps, start_fails=True)
    assert (host.said[-1]["state"], host.said[-1]["cause"]) == ("ended", "docker start: no such image")


def test_a_container_that_a_person_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = json.dumps({"Actor": {"Attributes": {"signal": "15"}}})
    _rc, host = serve(tmp_path, monkeypatch, 1, [ends(0), nothing], events=asked)
    assert host.said[-1]["state"] == "stopped"


def test_what_the_watch_has_found_restarts_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Step] = [
        tells(1, 0, True, "running"),
        hangs,
        *[nothing] * 5,
        tells(1, 1, False, "down"),
    ]
    _rc, host = serve(tmp_path, monkeypatch, 0, steps)
    assert host.calls == ["stop", "start"]
    assert state(tmp_path)["why"] == "rank 0 on node-a: the watch has found it hanging"


@pytest.mark.parametrize(("status", "calls"), [(200, []), (0, ["stop"]), (None, [])])
def test_a_rank_that_is_not_heard_makes_the_head_ask_for_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int | None, calls: list[str]
) -> None:
    steps = [tells(1, 0, True, "running"), silence, silence, nothing]
    _rc, host = serve(tmp_path, monkeypatch, 0, steps, answer=None if status is None else Answer(status))
    assert host.calls == calls
    assert state(tmp_path)["ranks"][1]["state"] == "unreachable"


def test_the_count_of_restarts_goes_on_in_the_next_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state.json").write_text(json.dumps({"generation": 8}))
    _rc, host = serve(tmp_path, monkeypatch, 0, [nothing])
    assert host.said[-1]["order"]["generation"] == 8


def test_a_server_on_one_host_has_the_plain_service(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"container": "vllm"}))
    assert type(program.make(str(tmp_path / "settings.json"))) is supervisor.Supervisor
