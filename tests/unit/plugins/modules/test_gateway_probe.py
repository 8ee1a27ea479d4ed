# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module gateway_probe, with a stand-in for HAProxy that knows keys only while they are in its map."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._gateway import cost
from ansible_collections.hgx.inference.plugins.modules import gateway_probe
from ansible_collections.hgx.inference.tests.support.admin_socket import AdminSocket

WORKER_KEY = "worker-key-0123456789"


class Gateway(AdminSocket):
    """HAProxy with the servers a and b: what its socket answers, and the port on which clients reach server a."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "admin.sock", {"a": "UP", "b": "UP"})
        self.folder = folder
        self.users: dict[str, str] = {}
        self.stuck_on = ["1"]
        self.delay_s = 0.0
        self.asked: list[str] = []
        self.answer_of: Callable[[int], list[str]] = events

    def answer(self, command: str) -> str:
        words = command.split()
        if words[:2] == ["add", "map"]:
            self.users[words[3]] = words[4]
            return ""
        if words[:2] == ["del", "map"]:
            return "" if self.users.pop(words[3], None) else "Key not found."
        if words[:2] == ["show", "table"]:
            number = self.stuck_on.pop(0) if len(self.stuck_on) > 1 else self.stuck_on[0]
            return f"# table: vllm, used:1\n0x5: key={words[4]} use=0 exp=3599999 server_id={number} server_key=?"
        if words[:3] == ["show", "servers", "state"]:
            return "1\n# be_id be_name srv_id srv_name srv_addr\n4 vllm 1 a 127.0.0.1\n4 vllm 2 b 127.0.0.1\n"
        return super().answer(command)


def events(tokens: int) -> list[str]:
    texts = [json.dumps({"choices": [{"text": "word "}]})] * tokens
    return [*texts, json.dumps({"choices": [], "usage": {"completion_tokens": tokens}}), "[DONE]"]


def handler(gateway: Gateway, through: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            key = self.headers["Authorization"].partition("Bearer ")[2]
            hashed = hashlib.sha256(key.encode()).hexdigest().upper()
            if hashed not in gateway.users if through else key != WORKER_KEY:
                return self._send(401, b"Unauthorized")
            gateway.asked.append("through" if through else "direct")
            time.sleep(gateway.delay_s if through else 0)
            lines = gateway.answer_of(body["max_tokens"])
            return self._send(200, "".join(f"data: {line}\n\n" for line in lines).encode())

        def _send(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: Any) -> None:
            pass

    return Handler


class Bench:
    """The gateway, and a run of the module with it."""

    def __init__(self, gateway: Gateway, ports: tuple[int, int], capsys: pytest.CaptureFixture[str]) -> None:
        self.gateway = gateway
        self._ports = ports
        self._capsys = capsys

    def run(self, check: bool = False, **options: Any) -> dict[str, Any]:
        direct, through = self._ports
        server = {"name": "a", "address": "127.0.0.1", "port": direct}
        args = {
            "servers": [server],
            "served_model_name": "kimi-k2.6",
            "port": through,
            "tls": False,
            "directory": str(self.gateway.folder),
            "socket": str(self.gateway.folder / "admin.sock"),
            "rounds": 4,
            "streams": 2,
            "output_len": 3,
            "ttft_ms_max": 60000,
            "throughput_loss_max": 1,
            "_ansible_check_mode": check,
            **options,
        }
        with patch_module_args(args), pytest.raises(SystemExit):
            gateway_probe.main()
        result: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return result


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Bench]:
    (tmp_path / "key.cfg").write_text(f"global\n    setenv GATEWAY_BACKEND_KEY '{WORKER_KEY}'\n", encoding="utf-8")
    gateway = Gateway(tmp_path)
    sides = [ThreadingHTTPServer(("127.0.0.1", 0), handler(gateway, through)) for through in (False, True)]
    servers = [gateway, *sides]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield Bench(gateway, (sides[0].server_port, sides[1].server_port), capsys)
    for server in servers:
        server.shutdown()
        server.server_close()


def test_both_ways_are_measured_in_alternation(bench: Bench) -> None:
    result = bench.run()
    assert (result["measured"], result["server"], result["changed"]) == (True, "a", False)
    assert [check["status"] for check in result["checks"]] == ["pass", "pass"]
    assert result["summary"].startswith("gateway: ")
    # One to learn the server, a burst of both that is not counted, and the rounds.
    first, *rest = bench.gateway.asked
    assert first == "through"
    bursts = [set(rest[number : number + 2]) for number in range(0, len(rest), 2)]
    one, other = {"direct"}, {"through"}
    assert bursts == [one, other, one, other, other, one, one, other, other, one]
    assert bench.gateway.users == {}


def test_a_slow_gateway_is_a_warning_or_a_failure(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.gateway.delay_s = 0.03
    limits: dict[str, Any] = {"ttft_ms_max": 5, "throughput_loss_max": -1000}
    # The spread of a single round is unknown, and on a busy host every round is slow.
    for rounds, severity, load in ((4, "warn", 0.0), (1, "fail", 0.0), (4, "fail", 1e6)):
        monkeypatch.setattr("os.getloadavg", lambda load=load: (load, 0.0, 0.0))
        warned = bench.run(**limits, rounds=rounds, severity=severity)
        assert ("on a busy host: load 1000000.0" in warned["summary"]) == bool(load)
        assert not warned.get("failed")
        assert [check["status"] for check in warned["checks"]] == ["warn", "warn"]
        assert "ms) to the TTFT, more than 5 ms" in json.dumps(warned["warnings"], ensure_ascii=False)
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    failed = bench.run(**limits)
    assert failed["failed"]
    assert "of the throughput, more than -100000.0%" in failed["msg"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([json.dumps({"choices": []})], "without its last event"),
        ([json.dumps({"choices": []}), "[DONE]"], "without its usage"),
        ([json.dumps({"error": {"message": "EngineCore"}})], "ended with an error"),
        (["half an obj"], "of another form"),
    ],
)
def test_what_is_no_answer_is_not_measured(bench: Bench, answer: list[str], words: str) -> None:
    bench.gateway.answer_of = lambda _tokens: answer
    failed, warned = bench.run(), bench.run(severity="warn")
    assert words in failed["msg"]
    assert words in json.dumps(warned["warnings"])
    assert (warned["measured"], warned.get("failed", False)) == (False, False)
    assert bench.gateway.users == {}


def test_the_server_that_is_asked_for_is_measured(bench: Bench) -> None:
    bench.gateway.stuck_on = ["2", "2", "1"]
    assert bench.run(server="a")["server"] == "a"
    assert bench.gateway.asked[:4] == ["through", "through", "through", "direct"]
    bench.gateway.stuck_on = ["2"]
    assert "has sent 8 requests to other servers than a" in bench.run(server="a")["msg"]
    bench.gateway.servers["a"] = "MAINT"
    assert bench.run(server="a")["summary"] == "gateway: not measured, because a takes no requests"
    assert bench.gateway.users == {}


def test_another_server_meanwhile_is_no_measurement(bench: Bench) -> None:
    bench.gateway.stuck_on = ["1", "2"]
    assert "has taken a out meanwhile" in bench.run(severity="fail")["msg"]
    assert "which is none of the servers" in bench.run(severity="fail")["msg"]


def test_without_a_server_or_a_gateway_nothing_is_sent(bench: Bench, tmp_path: Path) -> None:
    bench.gateway.servers = {"a": "DOWN", "b": "MAINT"}
    result = bench.run(severity="fail")
    assert (result["measured"], result.get("failed", False)) == (False, False)
    assert "no server takes requests" in result["summary"]
    assert "no HAProxy runs here" in bench.run(socket=str(tmp_path / "none.sock"))["summary"]
    (tmp_path / "dead.sock").touch()
    assert "HAProxy does not answer" in bench.run(socket=str(tmp_path / "dead.sock"))["msg"]
    assert bench.run(check=True)["summary"].startswith("Would measure")
    assert bench.gateway.asked == []


def rounds(*pairs: tuple[float, float]) -> list[cost.Round]:
    """Return rounds with these times to first token, and rates of 1000 divided by them."""
    return [(cost.Burst(one, 1000 / one), cost.Burst(other, 1000 / other)) for one, other in pairs]


def test_a_difference_within_the_spread_is_a_warning() -> None:
    calm, slow = (20.0, 20.0), (20.0, 40.0)
    judged = cost.judge(rounds(slow, slow, slow, calm), 10, 0.05)
    assert [check["status"] for check in judged["checks"]] == ["fail", "fail"]
    assert judged["summary"] == "gateway: +20.0 ms TTFT, -50.0 % throughput (± 0.0 ms, ± 0.0 %)"
    assert (judged["direct_ttft_ms"], judged["direct_throughput"]) == (20, 50)
    judged = cost.judge(rounds(slow, slow, slow, calm, calm, slow, slow, calm), 10, 0.05)
    assert judged["summary"] == "gateway: +20.0 ms TTFT, -50.0 % throughput (± 10.0 ms, ± 25.0 %)"
    assert [check["status"] for check in judged["checks"]] == ["warn", "warn"]
    assert [check["spread"] for check in judged["checks"]] == [10, 0.25]
    assert cost.exceeded(judged, "fail") == []
    assert cost.exceeded(judged, "warn")[0] == "The gateway adds 20.0 ms (± 10.0 ms) to the TTFT, more than 10 ms."
    judged = cost.judge(rounds(slow, calm, calm, slow, calm), 10, 0.05)
    assert [check["status"] for check in judged["checks"]] == ["pass", "pass"]


def test_no_difference_has_no_sign_of_loss() -> None:
    assert (
        cost.judge(rounds((20, 20)), 10, 0.05)["summary"]
        == "gateway: +0.0 ms TTFT, +0.0 % throughput (± 0.0 ms, ± 0.0 %)"
    )
