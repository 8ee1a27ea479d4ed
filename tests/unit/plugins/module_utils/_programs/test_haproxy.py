# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A running HAProxy's socket: servers and old workers, and the reload that leaves no file behind."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs import haproxy
from ansible_collections.hgx.inference.plugins.module_utils._programs.haproxy import Admin, HaproxyError, Server
from ansible_collections.hgx.inference.plugins.modules.haproxy_server import ensure

STAT = """\
# pxname,svname,qcur,qmax,scur,smax,slim,status,weight,check_status,
clients,FRONTEND,,,2,,4096,OPEN,,,
vllm,node1,0,0,{one},3,240,{state},1,L7OK,
vllm,node2,0,0,0,0,240,UP 1/2,1,* L7TOUT,
vllm,BACKEND,0,0,1,3,410,UP,2,,
alive,node1,0,0,0,0,,UP,1,L7OK,
"""
PROC = """\
#<PID>          <type>          <reloads>       <uptime>        <version>
745             master          1 [failed: 0]   0d00h15m23s     2.6.12-1+deb12u4
# workers
1031            worker          0               0d00h12m05s     2.6.12-1+deb12u4
{old}# programs

"""
OLD = "# old workers\n747             worker          1               0d00h15m23s     2.6.12-1+deb12u4\n"


class Haproxy:
    """Both sockets of an HAProxy. C(answers) are by command; each command is kept in C(sent)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sent: list[str] = []
        self.state, self.sessions, self.old_sessions, self.pid, self.refuses = "UP", 0, 0, 7, ""
        self._servers = [self._listen(name) for name in ("admin.sock", "master.sock")]

    @property
    def path(self) -> str:
        return str(self.folder / "admin.sock")

    def answer(self, command: str) -> str:
        self.sent.append(command)
        if command.startswith("set server vllm/node1 state "):
            if not self.refuses:
                self.state = {"maint": "MAINT", "ready": "UP"}[command.split()[-1]]
            return self.refuses
        if command == "show stat":
            return STAT.format(one=self.sessions, state=self.state)
        if command == "@!747 show stat":
            return STAT.format(one=self.old_sessions, state="UP")
        known = {
            "show proc": PROC.format(old=OLD if self.old_sessions else ""),
            "show info": f"Name: HAProxy\nPid: {self.pid}\n",
            "show servers state": "1\n# be_id be_name",
        }
        return known.get(command, "")

    def _listen(self, name: str) -> socketserver.ThreadingUnixStreamServer:
        haproxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                command = self.rfile.readline().decode().strip()
                self.wfile.write(f"{haproxy.answer(command)}\n".encode())

        server = socketserver.ThreadingUnixStreamServer(str(self.folder / name), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Haproxy]:
    haproxy = Haproxy(tmp_path)
    yield haproxy
    haproxy.close()


def params(running: Haproxy, state: str = "maint", **changes: object) -> dict[str, object]:
    return {
        "name": "node1",
        "backend": "vllm",
        "state": state,
        "socket": running.path,
        "timeout": 10,
        "keep_one": False,
        **changes,
    }


def test_servers_of_a_backend() -> None:
    found = haproxy.read_servers(STAT.format(one=3, state="DOWN"), "vllm")
    assert found == {"node1": Server("DOWN", 3, "L7OK"), "node2": Server("UP 1/2", 0, "* L7TOUT")}
    assert [server.up for server in found.values()] == [False, True]
    with pytest.raises(HaproxyError, match="answers no statistics: Permission denied"):
        haproxy.read_servers("Permission denied", "vllm")


def test_requests_of_replaced_workers_count(running: Haproxy) -> None:
    running.sessions, running.old_sessions = 1, 2
    admin = Admin(running.path)
    assert admin.servers("vllm")["node1"].sessions == 3
    admin.set_state("vllm", "node1", "maint")
    assert running.sent[-1] == "@!747 set server vllm/node1 state maint"


def test_a_reload_keeps_the_states_and_leaves_no_file(running: Haproxy, tmp_path: Path) -> None:
    file = tmp_path / "servers.state"
    seen = []

    def send() -> None:
        seen.append((file.read_text(encoding="utf-8"), file.stat().st_mode & 0o777))
        running.pid = 8

    haproxy.reload(Admin(running.path), str(file), send, lambda _: None)
    assert seen == [("1\n# be_id be_name\n", 0o600)]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("servers")] == []


def test_a_reload_that_does_not_happen_fails_and_leaves_no_file(running: Haproxy, tmp_path: Path) -> None:
    with pytest.raises(HaproxyError, match="still runs its old configuration after 60 s"):
        haproxy.reload(Admin(running.path), str(tmp_path / "servers.state"), lambda: None, lambda _: None)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("servers")] == []


def test_a_server_is_taken_out_once_its_requests_have_ended(running: Haproxy) -> None:
    running.sessions = 2

    def sleep(_seconds: float) -> None:
        running.sessions -= 1

    found = ensure(dict(params(running)), sleep=sleep)
    assert (found["changed"], found["status"], found["sessions"]) == (True, "MAINT", 0)
    assert ensure(dict(params(running)))["changed"] is False
    assert ensure(dict(params(running, "ready")))["status"] == "UP"


def test_an_haproxy_that_was_started_again_has_forgotten_the_state(running: Haproxy) -> None:
    running.sessions = 1

    def restart(_seconds: float) -> None:
        running.sessions, running.state, running.old_sessions = 0, "UP", 0

    found = ensure(dict(params(running)), sleep=restart)
    assert (found["changed"], found["status"], running.state) == (True, "MAINT", "MAINT")


def test_a_server_that_is_configured_away_meanwhile_takes_nothing(running: Haproxy) -> None:
    running.sessions, answer = 1, running.answer

    def gone(_seconds: float) -> None:
        running.answer = lambda command: answer(command).replace("node1", "node3")  # type: ignore[method-assign]

    assert ensure(dict(params(running)), sleep=gone)["known"] is False


def test_check_mode_predicts(running: Haproxy) -> None:
    found = ensure(dict(params(running)), check_mode=True)
    assert (found["changed"], found["diff"]) == (True, {"before": "node1 is UP\n", "after": "node1 is MAINT\n"})
    found = ensure(dict(params(running, "ready")), check_mode=True)
    assert (found["changed"], "diff" in found) == (False, False)
    assert [command for command in running.sent if command.startswith("set")] == []


def clock() -> Callable[[], float]:
    times = iter(range(0, 1000, 6))
    return lambda: float(next(times))


def test_requests_that_do_not_end_and_checks_that_do_not_pass(running: Haproxy) -> None:
    running.sessions = 2
    with pytest.raises(HaproxyError, match=r"2 requests still run on node1 after 10 s. It takes no new ones"):
        ensure(dict(params(running)), clock=clock(), sleep=lambda _: None)
    running.state, running.refuses = "DOWN", ""
    with pytest.raises(HaproxyError, match=r"node1 is DOWN after 10 s: .* completion of one token.* \(L7OK\)"):
        ensure(dict(params(running, "ready")), clock=clock(), sleep=lambda _: None)


def test_the_last_server_stays_if_asked(running: Haproxy) -> None:
    assert ensure(dict(params(running, keep_one=True)))["changed"] is True
    with pytest.raises(HaproxyError, match=r"node2 was not taken out, because no other .*: node1 is MAINT"):
        ensure(dict(params(running, name="node2", keep_one=True)))
    running.state = "DOWN"
    assert ensure(dict(params(running, keep_one=True)))["changed"] is True, "a server that is down can only get better"


def test_a_refused_command_is_shown(running: Haproxy) -> None:
    running.refuses = "Permission denied"
    with pytest.raises(HaproxyError, match="refuses 'set server vllm/node1 state maint': Permission denied"):
        ensure(dict(params(running)))


def test_without_a_gateway_or_a_server_there_is_nothing_to_do(running: Haproxy) -> None:
    found = ensure(dict(params(running, name="node9")))
    assert (found["changed"], found["known"]) == (False, False)
    found = ensure(dict(params(running, socket=str(running.folder / "none.sock"))))
    assert (found["changed"], found["known"]) == (False, False)


def test_a_gateway_that_does_not_answer_is_a_failure(running: Haproxy) -> None:
    running.close()
    with pytest.raises(HaproxyError, match=r"does not answer at .*admin.sock"):
        ensure(dict(params(running)))


def test_the_program_says_what_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert haproxy.main(["reload", str(tmp_path / "admin.sock"), str(tmp_path / "state"), "1"]) == 1
    assert "does not answer" in capsys.readouterr().err
