# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watch beside a stand-in server: what it sends, what it records, and what it leaves alone."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs import stacks, turns, watch
from ansible_collections.hgx.inference.tests.support import inference_server
from ansible_collections.hgx.inference.tests.support.serving import serving

XID = "NVRM: Xid (PCI:0000:17:00): 79, pid='<unknown>', GPU has fallen off the bus."
OTHER_XID = "NVRM: Xid (PCI:0000:18:00): 31, pid=9, MMU Fault"
GPUS = "0, 00000000:17:00.0, 5, 1, 2, 40, 200, 1000, 1965, 0" + ", Not Active" * 5 + ", Completed, Success\n"
PY_SPY = """#!/bin/sh
echo 'Thread 7 (idle): "MainThread"'
echo '    wait (threading.py:355)'
echo '    execute_model (vllm/v1/worker/gpu_worker.py:12)'
"""


class Hanging(http.server.BaseHTTPRequestHandler):
    """Answers nothing but /metrics, with a request under way, until it is let go on."""

    goes_on = threading.Event()

    def do_GET(self) -> None:
        text = "vllm:num_requests_running 1.0\nvllm:generation_tokens_total 7.0\nprocess_start_time_seconds 5\n"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_POST(self) -> None:
        Hanging.goes_on.wait(10)


class Bench:
    """A watch whose clock is turned by hand."""

    def __init__(self, folder: Path, base_url: str, mode: str = "observe") -> None:
        self.folder = folder
        self.now = 0.0
        self.state: dict[str, Any] = {"Running": True, "StartedAt": "2026-11-30T10:00:00Z"}
        self.shown: list[str] = []
        self.restarted: list[tuple[str, str]] = []
        self.refusal = ""
        (folder / "key").write_text(f"{inference_server.KEY}\n")
        (folder / "py-spy").write_text(PY_SPY)
        (folder / "py-spy").chmod(0o755)
        os.mkfifo(folder / "kmsg")
        self.settings: dict[str, Any] = {
            "container": "vllm",
            "watch": {
                "mode": mode,
                "limit_s": 60,
                "interval_s": 30,
                "base_url": base_url,
                "served_model_name": inference_server.MODEL,
                "key_file": str(folder / "key"),
                "py_spy": str(folder / "py-spy"),
            },
        }
        self.kernel = os.open(folder / "kmsg", os.O_RDWR)
        lock, kernel_log = str(folder / "run" / "lock"), str(folder / "kmsg")
        self.textfiles = folder / "textfiles"
        self.textfiles.mkdir(exist_ok=True)
        host = watch.Host(
            self.docker, self.restart, self.shown.append, lock, kernel_log, str(self.textfiles), lambda: GPUS
        )
        (folder / "supervisor").mkdir(exist_ok=True)
        self.watch = watch.Watch(str(folder / "supervisor"), lambda: self.settings, host, lambda: self.now)

    def docker(self, *words: str) -> subprocess.CompletedProcess[str]:
        output = "PID\n7\n" if words[0] == "top" else json.dumps({"Id": "9c", "State": self.state})
        return subprocess.CompletedProcess(words, 0, output, "")

    def restart(self, container: str, why: str) -> str:
        self.restarted.append((container, why))
        return self.refusal

    def run(self, seconds: float, answers: bool = True) -> dict[str, Any]:
        """Let time pass, and wait for answers in between."""
        until = self.now + seconds
        while self.now < until:
            self.now += 5
            self.watch.turn()
            question = self.watch._question
            deadline = time.monotonic() + 5
            while answers and question and question.answer() is None and time.monotonic() < deadline:
                time.sleep(0.002)
        record: dict[str, Any] = json.loads((self.folder / "supervisor" / "watch.json").read_text(encoding="utf-8"))
        return record


def kinds(record: dict[str, Any]) -> list[str]:
    return [event["kind"] for event in record["events"]]


@pytest.fixture
def hanging() -> Iterator[str]:
    Hanging.goes_on.clear()
    with serving(Hanging) as base_url:
        yield base_url
        Hanging.goes_on.set()


def test_a_server_that_answers(tmp_path: Path) -> None:
    with inference_server.serving() as server:
        bench = Bench(tmp_path, server.base_url)
        record = bench.run(120)
    assert (record["mode"], record["state"], record["words"], record["events"]) == (
        "observe",
        "healthy",
        "it answers",
        [],
    )
    asked = [(headers["Authorization"], body["max_tokens"]) for path, headers, body in server.requests if body]
    assert asked == [(f"Bearer {inference_server.KEY}", 48)] * len(asked)
    assert 2 <= len(asked) <= 4
    everything = json.dumps([record, bench.shown, bench.settings])
    assert inference_server.KEY not in everything


@pytest.mark.parametrize(("mode", "refusal"), [("observe", ""), ("restart", ""), ("restart", "not restarted: enough")])
def test_a_server_that_answers_rubbish(tmp_path: Path, mode: str, refusal: str) -> None:
    with inference_server.serving(inference_server.KEY, "nan") as server:
        bench = Bench(tmp_path, server.base_url, mode)
        bench.refusal = refusal
        record = bench.run(100)
    assert kinds(record)[0] == "rubbish"
    assert "it repeats '!'" in record["events"][0]["words"]
    if mode == "observe":
        assert (bench.restarted, kinds(record)) == ([], ["rubbish"])
    else:
        assert bench.restarted[0] == ("9c", "the watch has found it rubbish")
        assert kinds(record) == ["rubbish", "restart"]
        assert record["events"][1]["words"].startswith(refusal or "the server was restarted: 3 answers")


def test_a_hang_is_recorded_with_where_the_processes_wait(tmp_path: Path, hanging: str) -> None:
    bench = Bench(tmp_path, hanging)
    record = bench.run(150, answers=False)
    assert record["state"] == "hanging"
    (event,) = record["events"]
    assert "no token for 1" in event["words"]
    assert event["dump"][0] == "process 7 waits in execute_model:"
    assert any("the watch has found: hanging" in line for line in bench.shown)


def test_a_program_that_hangs_is_not_waited_for_by_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def hang(*_argv: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
        now[0] += timeout_s
        return subprocess.CompletedProcess([], 127, "", "")

    monkeypatch.setattr(stacks, "command", hang)
    monkeypatch.setattr(stacks.time, "monotonic", lambda: now[0])
    assert stacks.dump_all("py-spy", range(16)) == {}
    assert now[0] == 30


def test_it_is_off(tmp_path: Path) -> None:
    with inference_server.serving() as server:
        record = Bench(tmp_path, server.base_url, "off").run(60)
    assert (record["state"], server.requests) == ("off", [])


def test_a_play_or_a_measurement_comes_first(tmp_path: Path) -> None:
    with inference_server.serving() as server:
        bench = Bench(tmp_path, server.base_url)
        with turns.measuring(str(tmp_path / "run" / "lock")):
            assert bench.run(100)["words"] == "a benchmark or a check runs"
        (tmp_path / turns.ANNOUNCEMENT).write_text("{}")
        assert bench.run(100)["words"] == "a play deploys"
        (tmp_path / turns.ANNOUNCEMENT).unlink()
        bench.settings["paused"] = True
        assert bench.run(100)["words"] == "a play deploys"
        assert [body for _path, _headers, body in server.requests if body] == []
        del bench.settings["paused"]
        assert bench.run(100)["state"] == "healthy"


def test_an_announcement_ends_also_where_the_clock_was_set_back(tmp_path: Path) -> None:
    (tmp_path / turns.ANNOUNCEMENT).write_text("{}")
    now = os.stat(tmp_path / turns.ANNOUNCEMENT).st_mtime
    assert turns.deployment_under_way(str(tmp_path), now + 200)
    assert not turns.deployment_under_way(str(tmp_path), now + 400)
    assert not turns.deployment_under_way(str(tmp_path), now - 86400)


def test_a_measurement_waits_for_a_request_of_the_watch(tmp_path: Path) -> None:
    lock = str(tmp_path / "lock")
    turn = turns.Turn(lock)
    assert turn.take()
    waited: list[float] = []
    started = time.monotonic()

    def measure() -> None:
        with turns.measuring(lock, limit_s=5):
            waited.append(time.monotonic() - started)

    measuring = threading.Thread(target=measure)
    measuring.start()
    time.sleep(0.05)
    assert waited == []
    turn.give_back()
    measuring.join()
    assert waited[0] < 1
    with contextlib.ExitStack() as several:
        for _number in range(2):
            several.enter_context(turns.measuring(lock))
        assert not turn.take()
    assert turn.take()


def test_without_a_lock_everybody_goes_on() -> None:
    with turns.measuring("/proc/nowhere/lock"):
        assert turns.Turn("/proc/nowhere/lock").take()


def test_a_container_that_does_not_run(tmp_path: Path) -> None:
    with inference_server.serving() as server:
        bench = Bench(tmp_path, server.base_url)
        bench.state["Running"] = False
        assert bench.run(60)["words"] == "the server does not run"


def test_new_reports_of_the_driver_are_recorded_and_bounded(tmp_path: Path) -> None:
    with inference_server.serving() as server:
        bench = Bench(tmp_path, server.base_url, "restart")
        os.write(bench.kernel, f"4,1,12000000,-;{XID}\n KEY=value\n6,2,12000001,-;eth0: up\n".encode())
        (event,) = bench.run(5)["events"]
        assert (event["kind"], event["words"], event["times"]) == ("xid", XID, 1)
        again = XID.replace("pid='<unknown>'", "pid=7")
        os.write(bench.kernel, f"4,3,13000000,-;{OTHER_XID}\n4,4,13000000,-;{again}\n".encode())
        other, event = bench.run(5)["events"]
        assert (other["words"], event["words"], event["times"]) == (OTHER_XID, again, 2)
        for number in range(watch.EVENTS + 9):
            os.write(bench.kernel, f"4,3,13000000,-;NVRM: Xid (PCI:0): {number}\n".encode())
        assert len(bench.run(5)["events"]) == watch.EVENTS
        text = (bench.textfiles / "hgx_watch_vllm.prom").read_text(encoding="utf-8")
        assert 'hgx_xid_total{server="vllm",bus_id="0000:17:00",xid="79"} 2\n' in text, "a counter does not go down"
    assert bench.restarted == []
    os.unlink(tmp_path / "kmsg")
    record = Bench(tmp_path, "http://127.0.0.1:1").run(5)
    assert len(record["events"]) == watch.EVENTS, "kept over its own restart"
    assert record["counts"]["xid 0000:17:00 79"]["times"] == 2
    del record["counts"]
    (tmp_path / "supervisor" / "watch.json").write_text(json.dumps(record), encoding="utf-8")
    os.unlink(tmp_path / "kmsg")
    older = Bench(tmp_path, "http://127.0.0.1:1").run(5)
    assert older["counts"]["xid 0000 58"]["times"] == 1, "an earlier version recorded no counts"


def test_at_a_follower_only_the_hardware_is_watched(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "")
    os.write(bench.kernel, f"4,1,7,-;{XID}\n".encode())
    record = bench.run(100)
    assert (record["state"], kinds(record)) == ("follower", ["xid"])
    assert "hgx_xid_total" in (bench.textfiles / "hgx_watch_vllm.prom").read_text()


def test_what_goes_wrong_in_it_does_not_end_the_supervision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, "http://127.0.0.1:1")
    del bench.settings["watch"]["limit_s"]

    def stop(_seconds: float) -> None:
        raise SystemExit

    monkeypatch.setattr(watch.time, "sleep", stop)
    with pytest.raises(SystemExit):
        bench.watch.run()
    assert bench.shown == ["the watch failed: KeyError('limit_s')"]


def test_what_it_sees_is_told_as_metrics(tmp_path: Path) -> None:
    with inference_server.serving() as server:
        bench = Bench(tmp_path, server.base_url)
        bench.settings["gpus"] = True
        os.write(bench.kernel, f"4,1,12000000,-;{XID}\n".encode())
        bench.run(5)
        bench.watch._sampler.wait(5)
        text = (bench.textfiles / "hgx_watch_vllm.prom").read_text(encoding="utf-8")
        assert 'hgx_watch_state{server="vllm",state="starting"} 1\n' in text
        assert 'hgx_watch_state{server="vllm",state="hanging"} 0\n' in text
        assert 'hgx_xid_total{server="vllm",bus_id="0000:17:00",xid="79"} 1\n' in text
        assert "hgx_acceptance_length" not in text, "unknown is absent"
        gpus = (bench.textfiles / "hgx_gpus.prom").read_text(encoding="utf-8")
        assert 'hgx_gpu_throttled{gpu="0",bus_id="0000:17:00",reason="hw_thermal_slowdown"} 0\n' in gpus
        bench.settings["watch"]["mode"] = "off"
        (bench.textfiles / "hgx_gpus.prom").unlink()
        bench.watch.turn()
        assert not (bench.textfiles / "hgx_watch_vllm.prom").exists()
        bench.watch._sampler.wait(5)
        assert (bench.textfiles / "hgx_gpus.prom").exists(), "the GPUs are not the server's"


@pytest.mark.parametrize("events", [None, 7, [1, {"kind": "xid"}]])
def test_a_record_of_another_form_does_not_end_it(tmp_path: Path, events: Any) -> None:
    (tmp_path / "supervisor").mkdir()
    (tmp_path / "supervisor" / "watch.json").write_text(json.dumps({"events": events}), encoding="utf-8")
    assert Bench(tmp_path, "http://127.0.0.1:1").run(5)["events"] == []


def test_what_is_proven_is_read_again_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, "http://127.0.0.1:1")
    reads: list[str] = []
    read = watch.proven.read

    def counted(state_dir: str, server: str) -> list[watch.Family]:
        reads.append(server)
        return read(state_dir, server)

    monkeypatch.setattr(watch.proven, "read", counted)
    release = tmp_path / "releases" / ("a" * 12)
    release.mkdir(parents=True)
    (release / "release.json").write_text(json.dumps({"id": "a" * 12}))
    bench.run(15)
    text = bench.textfiles / "hgx_proof_vllm.prom"
    assert (len(reads), 'current="0"' in text.read_text(encoding="utf-8")) == (1, True)
    (tmp_path / "current").symlink_to(f"releases/{'a' * 12}")
    bench.run(15)
    assert (len(reads), 'current="1"' in text.read_text(encoding="utf-8")) == (2, True)
    text.unlink()
    bench.run(5)
    assert text.exists()


def test_the_acceptance_is_that_of_late(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "http://127.0.0.1:1")

    def at(now: float, drafts: float, accepted: float) -> float | None:
        bench.now = now
        return bench.watch._acceptance({watch._DRAFTS: drafts, watch._ACCEPTED: accepted})

    assert bench.watch._acceptance(None) is None
    assert at(0, 1000, 3000) is None, "what was before is not of late"
    assert at(10, 1099, 3099) is None
    assert at(20, 1200, 3400) == 3.0
    assert at(700, 2000, 3400) is None, "there is one look of the last 10 minutes"
    assert at(710, 2400, 3600) == 1.5
    assert at(720, 5, 5) is None, "another start"
