# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wait for a server, against a stand-in of the docker command and a loopback HTTP server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.progress import ProgressFile
from ansible_collections.hgx.inference.plugins.module_utils._vllm import ready as _vllm_server
from ansible_collections.hgx.inference.plugins.module_utils._vllm.companions import RankFailed
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log import watch
from ansible_collections.hgx.inference.plugins.module_utils._vllm.ready import (
    Limits,
    NotReady,
    Replaced,
    Server,
    answers,
    wait_until_ready,
)
from ansible_collections.hgx.inference.plugins.module_utils._vllm.release import LABEL

RUNNING = {
    "Running": True,
    "Status": "running",
    "ExitCode": 0,
    "OOMKilled": False,
    "Error": "",
    "StartedAt": "2026-11-23T10:00:00.5Z",
}
EXITED = {**RUNNING, "Running": False, "Status": "exited", "ExitCode": 2}
KEY = "k3y {{ with braces }}"
STARTED_AT = 1795428000.5  # as RUNNING says
KERNEL_LOG = [
    "eth0: link becomes ready",
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=0f3a,mems_allowed=0,oom_memcg=/docker/0f3a,"
    "task_memcg=/docker/0f3a,task=python3,pid=32621,uid=0",
]
DOOM = (
    "(EngineCore pid=22) ERROR 11-23 20:29:10 [core.py:1108] EngineCore failed to start.\n"
    "(EngineCore pid=22) ERROR 11-23 20:29:10 [core.py:1108] Traceback (most recent call last):\n"
    "(EngineCore pid=22) ERROR 11-23 20:29:10 [core.py:1108] RuntimeError: NCCL error: unhandled system error\n"
)


class Engine:
    """Says through the docker command on PATH what a container's state and log are.

    A log that is followed ends when the container does.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "docker").write_text(
            "#!/bin/sh\n"
            f"case $1 in logs) before=$(cat '{folder}/log'); echo \"$before\"\n"
            f"  running() {{ grep -q 'Running.: true' '{folder}/state' && ! rm '{folder}/cut' 2>/dev/null; }}\n"
            "  case $* in *--follow*) while running; do sleep 0.1; done;; esac\n"
            f"  [ \"$before\" = \"$(cat '{folder}/log')\" ] || cat '{folder}/log';;\n"
            f"container) cat '{folder}/state' 2>/dev/null && exit\n"
            "  echo 'Error: No such container: vllm' >&2; exit 1;;\n"
            "esac\n"
        )
        (folder / "docker").chmod(0o755)

    def cut_the_log(self) -> None:
        """What an engine does that is started again while its containers run on."""
        (self.folder / "cut").touch()

    def says(self, state: dict[str, Any], log: str = "", **details: Any) -> None:
        (self.folder / "log").write_text(log)
        (self.folder / "new").write_text(
            json.dumps([{"Id": "9c1e", "Config": {"Labels": {LABEL: "a" * 12}}, "State": state, **details}])
        )
        (self.folder / "new").rename(self.folder / "state")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(_vllm_server, "POLL_INTERVAL_S", 0.01)
    monkeypatch.setattr(_vllm_server, "DOOMED_GRACE_S", 0.3)
    monkeypatch.setattr(watch, "SETTLE_S", 0.2)
    monkeypatch.setattr(watch, "_kernel_log", lambda: ((STARTED_AT + 60, line) for line in KERNEL_LOG))
    return Engine(tmp_path)


class Http:
    """A server that is healthy at the third look and answers a completion to whoever has the key."""

    def __init__(self) -> None:
        self.message: Any = {"content": None, "reasoning": "The user greets me"}
        self.status = 200
        self.delay_s = 0.0
        looks = iter(range(100000))
        http = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(200 if next(looks) >= 2 else 503, {})

            def do_POST(self) -> None:
                if self.headers["Authorization"] != f"Bearer {KEY}":
                    self._send(401, {"error": "Unauthorized"})
                    return
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if body["model"] != "kimi-k2.6":
                    self._send(404, {"error": f"The model {body['model']} does not exist."})
                    return
                time.sleep(http.delay_s)
                self._send(http.status, {"choices": [{"message": http.message}]})

            def _send(self, status: int, body: dict[str, Any]) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def http() -> Iterator[Http]:
    http = Http()
    threading.Thread(target=http.server.serve_forever, args=[0.05], daemon=True).start()
    yield http
    http.server.shutdown()
    http.server.server_close()


@pytest.fixture
def base_url(http: Http) -> str:
    return http.url


def wait(
    base_url: str,
    name: str = "kimi-k2.6",
    key: str | None = KEY,
    timeout_s: float = 30,
    progress: ProgressFile | None = None,
) -> dict[str, Any]:
    return wait_until_ready(
        Server("vllm", base_url, name, key), Limits(timeout_s), (progress or ProgressFile(None)).report, {}
    )


def failure(base_url: str = "http://127.0.0.1:1", **options: Any) -> str:
    with pytest.raises(NotReady) as caught:
        wait(base_url, **options)
    assert KEY not in str(caught.value)
    assert len(str(caught.value).splitlines()) < 20
    return str(caught.value)


class Acting(ProgressFile):
    """Does something as soon as these words are reported."""

    def __init__(self, words: str, act: Callable[[], None]) -> None:
        super().__init__(None)
        self._words = words
        self._acts = [act]

    def report(self, line: str, force: bool = False) -> None:
        if self._words in line and self._acts:
            self._acts.pop()()


def while_waiting(act: Callable[[], None], words: str = "") -> ProgressFile:
    return Acting(words, act)


def test_ready_means_that_a_completion_was_answered(engine: Engine, base_url: str) -> None:
    engine.says(RUNNING, "2026-11-23T10:00:04.5Z (APIServer pid=1) INFO 11-23 10:00:04 [x.py:1] non-default args: {}\n")
    ready = wait(base_url)
    assert ready["completion"] == "The user greets me"
    assert [phase["name"] for phase in ready["startup"]["phases"]] == ["process", "configuration"]
    assert ready["startup"]["phases"][0]["seconds"] == 4.0


class Ranks:
    """The other rank of a server: the head is ready at the third look."""

    def __init__(self, is_head: bool, failure: str = "") -> None:
        self.is_head = is_head
        self.failure = failure
        self.looks = 0
        self.told: list[str] = []
        self.ended = False

    def tell(self, words: str) -> None:
        self.told.append(words)
        if self.failure:
            raise RankFailed(self.failure)

    def head_answers(self) -> bool:
        self.looks += 1
        return self.looks > 2

    def fail(self, cause: str) -> str:
        return f"Rank 1 on node-b: {cause}"

    def end(self) -> None:
        self.ended = True


def start_of_rank(base_url: str, ranks: Ranks) -> dict[str, Any]:
    server = Server("vllm", base_url, "kimi-k2.6", KEY)
    return wait_until_ready(server, Limits(30), ProgressFile(None).report, {}, cast(Any, ranks))


def test_a_follower_is_ready_when_the_head_answers(engine: Engine) -> None:
    engine.says(RUNNING, "2026-11-23T10:00:04.5Z (APIServer pid=1) INFO 11-23 10:00:04 [x.py:1] non-default args: {}\n")
    ranks = Ranks(is_head=False)
    ready = start_of_rank("http://127.0.0.1:1", ranks)
    assert (ready["completion"], ranks.looks, ranks.ended) == ("", 3, True)
    assert [phase["name"] for phase in ready["startup"]["phases"]] == ["process", "configuration"]


def test_the_head_of_a_server_tells_that_it_answers(engine: Engine, base_url: str) -> None:
    engine.says(RUNNING)
    ranks = Ranks(is_head=True)
    assert start_of_rank(base_url, ranks)["completion"] == "The user greets me"
    assert ranks.ended


def test_a_rank_that_ends_is_blamed_with_its_cause(engine: Engine) -> None:
    engine.says(EXITED, "error: argument --x: expected one argument\n")
    with pytest.raises(NotReady, match=r"Rank 1 on node-b: The server's container vllm has ended with exit code 2"):
        start_of_rank("http://127.0.0.1:1", Ranks(is_head=False))


def test_the_failure_of_another_rank_ends_the_wait(engine: Engine) -> None:
    engine.says(RUNNING)
    ranks = Ranks(is_head=True, failure="Rank 1 on node-b: out of memory")
    with pytest.raises(NotReady, match=r"^Rank 1 on node-b: out of memory$"):
        start_of_rank("http://127.0.0.1:1", ranks)
    assert not ranks.ended


def test_whether_a_server_answers_at_once(http: Http) -> None:
    server = Server("vllm", http.url, "kimi-k2.6", KEY)
    assert [answers(server, 10) for _look in range(3)] == [False, False, True]
    http.delay_s = 0.5
    assert not answers(server, 0.05)
    http.delay_s, http.status = 0, 500
    assert not answers(server, 10)


@pytest.mark.parametrize(
    ("name", "key", "words"),
    [
        ("kimi-k2.6", None, "HTTP 401. Another program"),
        ("kimi-k9", KEY, "The model kimi-k9 does not exist."),
    ],
)
def test_healthy_but_refusing(engine: Engine, base_url: str, name: str, key: str | None, words: str) -> None:
    engine.says(RUNNING)
    assert words in failure(base_url, name=name, key=key)


@pytest.mark.parametrize("message", [{"content": ""}, {"content": " \n", "reasoning": None}, None, []])
def test_an_empty_answer_is_not_ready(engine: Engine, http: Http, message: Any) -> None:
    engine.says(RUNNING)
    http.message = message
    assert "is healthy but does not answer a chat completion" in failure(http.url)


def test_a_first_request_that_kills_the_engine(engine: Engine, http: Http) -> None:
    engine.says(RUNNING)
    http.status = 500
    log = DOOM.replace("failed to start", "encountered a fatal error")
    kill = while_waiting(lambda: engine.says({**EXITED, "ExitCode": 0}, log), "the first completion")
    message = failure(http.url, progress=kill)
    assert "The GPUs cannot talk to each other through NCCL." in message
    assert "Exit code 0 is no success" in message


def test_an_engine_that_dies_while_a_request_hangs(engine: Engine, http: Http) -> None:
    engine.says(RUNNING, DOOM)
    http.delay_s = 30
    started = time.monotonic()
    assert "though its container still runs: The GPUs cannot talk" in failure(http.url)
    assert time.monotonic() - started < 15


def test_an_engine_that_failed_while_the_server_hangs(engine: Engine) -> None:
    engine.says(RUNNING, DOOM)
    started = time.monotonic()
    message = failure()
    assert "failed while starting the process, though its container still runs: The GPUs cannot talk" in message
    assert "  EngineCore: RuntimeError: NCCL error: unhandled system error" in message
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING"])
def test_what_is_logged_of_a_request_dooms_nobody(engine: Engine, base_url: str, level: str) -> None:
    request = "Received request chatcmpl-1: prompt: 'Why does it say Engine core initialization failed?'"
    line = f"(APIServer pid=1) {level} 11-23 20:29:10 [logger.py:39] {request}\n"
    engine.says(RUNNING, line)
    assert wait(base_url)["completion"] == "The user greets me"
    assert not _vllm_server.is_doomed([f"2026-11-23T20:29:10.5Z {line}"])


@pytest.mark.parametrize("line", ["RuntimeError: Engine core initialization failed.", *DOOM.splitlines()[:1]])
def test_what_a_process_says_of_its_own_end(line: str) -> None:
    assert _vllm_server.is_doomed(["INFO 11-23 20:29:10 [x.py:1] going on", f"2026-11-23T20:29:10.5Z {line}"])


def test_an_engine_that_is_started_again_under_the_container(engine: Engine) -> None:
    engine.says(RUNNING)

    def cut() -> None:
        engine.cut_the_log()
        (engine.folder / "log").write_text(DOOM)

    message = failure(progress=while_waiting(cut))
    assert "though its container still runs: The GPUs cannot talk" in message


def test_the_damaged_file_is_named(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "cache/hub/models--acme--large/snapshots/abc"
    folder.mkdir(parents=True)
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"\x02" + b"\0" * 7 + b"{}")
    (folder / "model-00002-of-00002.safetensors").write_bytes(b"\x02" + b"\0" * 7)
    log = (
        "(APIServer pid=1) INFO 11-23 20:00:00 [arg_utils.py:916] replace model_id [acme/large] to"
        " model_path [/root/.cache/huggingface/hub/models--acme--large/snapshots/abc]\n"
        "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata\n"
    )
    mount = {"Source": str(tmp_path / "cache"), "Destination": "/root/.cache/huggingface"}
    engine.says(EXITED, log, Mounts=[mount])
    message = failure()
    assert f"  {folder}/model-00002-of-00002.safetensors has no header (8 bytes)" in message
    assert "model-00001" not in message


def test_a_path_from_a_log_stays_in_its_mount(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "model.safetensors").write_bytes(b"")
    log = (
        "(APIServer pid=1) INFO 11-23 20:00:00 [arg_utils.py:916] replace model_id [acme/large] to"
        " model_path [/root/.cache/huggingface/../secret]\n"
        "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata\n"
    )
    (tmp_path / "cache").mkdir()
    engine.says(EXITED, log, Mounts=[{"Source": str(tmp_path / "cache"), "Destination": "/root/.cache/huggingface"}])
    assert str(tmp_path) not in failure()


def test_an_ended_container_fails_at_once_with_cause_evidence_and_fix(engine: Engine) -> None:
    engine.says(
        EXITED, f"usage: --such-flag\nkey {KEY}\napi_server.py: error: unrecognized arguments: --no-such-flag\n"
    )
    first, evidence, fix, last = failure().splitlines()
    assert first.startswith("The server's container vllm has ended with exit code 2: The command line has an option")
    assert evidence == "  api_server.py: error: unrecognized arguments: --no-such-flag"
    assert fix.startswith("Fix: Correct the option")
    assert fix.endswith("Nearest known: --such-flag.")
    assert last == "The whole log: docker logs vllm"


def test_a_container_that_ends_is_seen_within_seconds(engine: Engine) -> None:
    engine.says(RUNNING)
    ends: list[float] = []

    def end() -> None:
        engine.says(EXITED, "error: argument --x: expected one argument\n")
        ends.append(time.monotonic())

    assert "vLLM does not accept its command line" in failure(progress=while_waiting(end))
    assert time.monotonic() - ends[0] < 10


@pytest.mark.parametrize("log", ["", "INFO 11-23 20:00:03 [loader.py:1] Loading weights\n"])
def test_killed_without_a_word(engine: Engine, log: str) -> None:
    engine.says({**EXITED, "ExitCode": 137}, log, Id="99aa")
    assert "was killed from outside" in failure()


def test_killed_by_the_kernel(engine: Engine) -> None:
    engine.says({**EXITED, "ExitCode": 137}, Id="0f3a", HostConfig={"Memory": 2 << 30})
    message = failure()
    assert "The kernel killed the server" in message
    assert "task=python3,pid=32621,uid=0 (limit of the container: 2.0 GiB)" in message


def test_an_earlier_run_was_killed_by_the_kernel(engine: Engine) -> None:
    engine.says({**EXITED, "StartedAt": "2026-11-23T12:00:00Z"}, DOOM, Id="0f3a")
    assert "The GPUs cannot talk to each other through NCCL." in failure()


def test_killed_by_the_kernel_as_the_engine_knows(engine: Engine) -> None:
    engine.says({**EXITED, "ExitCode": 137, "OOMKilled": True}, Id="99aa")
    assert "The kernel killed the server" in failure()


def test_a_container_that_never_started_says_why(engine: Engine) -> None:
    why = "Bind for 127.0.0.1:8001 failed: port is already allocated"
    engine.says({**EXITED, "Status": "created", "ExitCode": 128, "StartedAt": "0001-01-01T00:00:00Z", "Error": why})
    message = failure()
    assert message.startswith(
        "The server's container vllm was never started: Another program or container holds the port"
    )
    assert f"  {why}" in message


def test_the_layers_below_are_told_with_their_versions(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "info", lambda: {"ServerVersion": "28.5.2"})
    why = "OCI runtime create failed: runc create failed: can't get final child's PID from pipe: EOF: unknown"
    engine.says({**EXITED, "Status": "created", "ExitCode": 128, "StartedAt": "0001-01-01T00:00:00Z", "Error": why})
    message = failure()
    assert "The container's first process ended before runc had set it up." in message
    assert "  versions: Docker 28.5.2" in message


@pytest.mark.parametrize(
    ("library", "told"), [("580.159.04", "A reboot changes nothing."), ("580.181.01", "Reboot the host")]
)
def test_the_versions_of_the_driver_decide(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str, told: str
) -> None:
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build\nGCC version: gcc 13.3.0\n"
    )
    for name in ("1", library):
        (tmp_path / f"libnvidia-ml.so.{name}").touch()
    monkeypatch.setattr(watch, "_DRIVER_MODULE", str(tmp_path / "version"))
    monkeypatch.setattr(watch, "libraries", lambda: [path.name for path in tmp_path.glob("libnvidia-ml.so.*")])
    engine.says(EXITED, "RuntimeError: Error 803: system has unsupported display driver / cuda driver combination\n")
    message = failure()
    assert told in message
    assert "Test:" not in message


@pytest.mark.parametrize(
    ("settings", "decided"),
    [
        ({"IpcMode": "private", "ShmSize": 64 << 20}, True),
        ({"IpcMode": "private", "ShmSize": 32 << 30}, False),
        ({"IpcMode": "host", "ShmSize": 64 << 20}, False),
        ({}, False),
    ],
)
def test_the_size_of_the_shared_memory_decides(engine: Engine, settings: dict[str, Any], decided: bool) -> None:
    engine.says({**EXITED, "ExitCode": 135}, "Fatal Python error: Bus error\n", HostConfig=settings)
    assert ("Test:" not in failure()) is decided


def test_a_container_that_is_restarted_over_and_over(engine: Engine) -> None:
    engine.says(RUNNING)
    again = {**EXITED, "Restarting": True, "Status": "restarting"}
    restart = while_waiting(lambda: engine.says(again, "api_server.py: error: unrecognized arguments: --x\n"))
    message = failure(progress=restart)
    assert "is restarting (exit code 2) while starting the process, and was started again: The command" in message


def test_a_paused_container(engine: Engine) -> None:
    engine.says({**RUNNING, "Paused": True, "Status": "paused"})
    assert "is paused. Let it go on with 'docker unpause vllm'." in failure()


def test_no_container(engine: Engine) -> None:
    assert "There is no container vllm" in failure()


def test_time_out_says_how_far_it_got(engine: Engine) -> None:
    stamp = "2026-11-23T10:00:04.5Z "
    bar = "Loading safetensors checkpoint shards:  50% Completed | 32/64 [06:10<06:09, 11.5s/it]"
    engine.says(RUNNING, f"{stamp}Starting to load model x\n{stamp}{bar}\n")
    message = failure(timeout_s=0.2)
    assert "not ready after 0 s; it is loading weights 32/64 (50 %), 11.5s/it, 06:09 left. Its newest" in message
    assert f"  {bar}" in message


def test_a_server_that_was_ready_and_hangs(engine: Engine) -> None:
    stamp = "2026-11-23T10:00:04.5Z "
    served = '172.17.0.1:40482 - "POST /v1/chat/completions HTTP/1.1" 200 OK'
    engine.says(RUNNING, f"{stamp}INFO:     Application startup complete.\n{stamp}INFO:     {served}\n")
    message = failure(timeout_s=0.2)
    assert "it is no longer answering /health, though it was ready. Its newest lines" in message
    assert (
        "Fix: see the end of the log (docker logs --tail 100 vllm), then start it again: docker restart vllm" in message
    )
    assert "vllm_ready_timeout" not in message
    words = watch.start_words("vllm", str(RUNNING["StartedAt"]))
    assert words.startswith("no longer answering /health, though it was ready; see the end of the log")
    assert words.endswith("docker restart vllm")


def test_the_words_of_a_start_that_goes_on(engine: Engine) -> None:
    engine.says(RUNNING, "2026-11-23T10:00:04.5Z INFO:     Application startup complete.\n")
    assert watch.start_words("vllm", str(RUNNING["StartedAt"])) == "waiting for the first completion"


def test_a_server_that_is_replaced_has_no_fault(engine: Engine) -> None:
    engine.says(RUNNING)
    other: dict[str, Any] = {"Id": "8d2f" * 16, "Config": {"Labels": {LABEL: "b" * 12}}}
    again = {**RUNNING, "StartedAt": "2026-11-23T10:05:00Z"}
    threading.Timer(0.3, lambda: engine.says(again, **other)).start()
    with pytest.raises(Replaced) as caught:
        wait("http://127.0.0.1:1")
    assert f"was replaced while its server was waited for, by release {'b' * 12}." in str(caught.value)
    assert not caught.value.at_fault


def test_a_server_that_is_removed_has_no_fault(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_vllm_server, "REPLACEMENT_S", 0.1)
    engine.says(RUNNING)
    threading.Timer(0.3, (engine.folder / "state").unlink).start()
    with pytest.raises(Replaced, match="was removed while its server was waited for"):
        wait("http://127.0.0.1:1")


def test_progress(engine: Engine, base_url: str, tmp_path: Path) -> None:
    engine.says(RUNNING)
    progress = tmp_path / "progress"
    wait_until_ready(Server("vllm", base_url, "kimi-k2.6", KEY), Limits(30), ProgressFile(str(progress)).report, {})
    assert progress.read_text().endswith(" s, waiting for the first completion\n")
