# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What clients get through the gateway, and what becomes of a server that fails. The tests run in their order."""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from ansible_collections.hgx.inference.tests.support import plays, report_sample

UNIT = "hgx-inference-gateway.service"
FOLDER = "/etc/hgx-inference/gateway"
RUN = "/run/hgx-inference-gateway"
ALICE = "alice-key-0123456789"
BOB = "bob-key-0123456789012"
CAROL = "carol-key-0123456789"
WORKER = "worker-key-0123456789"
GET_MODELS = {"method": "GET", "path": "/v1/models"}


@pytest.fixture
def name(host: Host) -> str:
    return str(host.backend.get_hostname())


def client(body: dict[str, Any], key: str = ALICE, *headers: str, seconds: float = 0, workers: int = 1) -> str:
    """Return the command of the client."""
    lines = [f"Authorization: Bearer {key}"] if key else []
    words = " ".join(f"'{word}'" for word in (json.dumps(body), *lines, *headers))
    return f"gateway_client.py {seconds} {workers} {words}"


def ask(host: Host, body: dict[str, Any], key: str = ALICE, *headers: str, **load: Any) -> list[dict[str, Any]]:
    """Send requests and return their outcomes."""
    outcomes: list[dict[str, Any]] = json.loads(host.check_output(client(body, key, *headers, **load)))
    return outcomes


def one(host: Host, body: dict[str, Any], key: str = ALICE, *headers: str) -> dict[str, Any]:
    (outcome,) = ask(host, body, key, *headers)
    return outcome


class Load:
    """Streams that run meanwhile, one after the other on each connection."""

    def __init__(self, host: Host, seconds: float, workers: int = 6, **body: Any) -> None:
        self._host = host
        self._seconds = seconds
        command = client({"stream": True, "max_tokens": 10, **body}, seconds=seconds, workers=workers)
        run = "rm -f /tmp/load; systemd-run --quiet --collect --unit=load sh -c %s"
        host.check_output(run, f"{command} >/tmp/load")

    def outcomes(self) -> list[dict[str, Any]]:
        """Wait for the end and return the outcomes."""
        wait_for(lambda: not self._host.service("load").is_running, self._seconds + 60)
        found: list[dict[str, Any]] = json.loads(self._host.file("/tmp/load").content_string)
        return found


def statuses(outcomes: list[dict[str, Any]]) -> Counter[int]:
    return Counter(outcome["status"] for outcome in outcomes)


def wait_for(done: Callable[[], bool], seconds: float) -> float:
    """Wait until that is so, and return how long it took."""
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < seconds
        time.sleep(0.3)
    return time.monotonic() - began


def admin(host: Host, call: str) -> str:
    """Return what a call of the gateway's own program returns."""
    script = (
        f"import sys; sys.path.insert(0, '{FOLDER}'); from haproxy import Admin;"
        f" print(Admin('{RUN}/admin.sock').{call})"
    )
    return str(host.check_output("python3 -B -c %s", script))


def server(host: Host, name: str) -> str:
    """Return the status of a server in the gateway."""
    return admin(host, f"servers('vllm')['{name}'].status")


def set_state(host: Host, name: str, state: str) -> None:
    admin(host, f"set_state('vllm', '{name}', '{state}')")


def pid(host: Host, unit: str) -> str:
    return str(host.check_output(f"systemctl show {unit} --property=MainPID --value"))


def play(playbook: str, name: str, rc: int | None = 0, **settings: Any) -> str:
    """Run a playbook of the scenario for this host, require its exit code if one is given, and return its output."""
    code, output = plays.play("gateway", f"molecule/gateway/{playbook}.yml", "--limit", name, **settings)
    assert rc in (None, code), output
    return output


@pytest.fixture
def fault(host: Host) -> Iterator[Callable[[str, str], None]]:
    """Give a server a fault, which ends with the test."""

    def give(name: str, what: str) -> None:
        host.check_output(f"echo {what} >/tmp/{name}.fault")

    yield give
    host.check_output("rm -f /tmp/*.fault")
    wait_for(lambda: server(host, "server1") == "UP" and server(host, "server2") == "UP", 60)


def test_the_service_is_its_own_and_systemd_was_not_reloaded(host: Host) -> None:
    assert host.service(UNIT).is_running
    assert host.service(UNIT).is_enabled
    assert not host.service("haproxy").is_running
    assert not host.service("haproxy").is_enabled
    told = host.check_output("journalctl --boot --identifier=systemd --output=cat")
    reloads = re.findall(r"^Reloading(?:\.| requested)", told, re.MULTILINE)
    assert len(reloads) == int(host.file("/var/tmp/reloads").content_string)
    assert host.check_output(f"systemctl show {UNIT} --property=NeedDaemonReload --value") == "no"
    hardening = {"NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateDevices=yes"}
    names = ",".join(each.partition("=")[0] for each in hardening)
    assert set(host.check_output(f"systemctl show {UNIT} --property={names}").splitlines()) == hardening


def test_keys_of_people_do_not_reach_the_servers(host: Host) -> None:
    for key, headers in ((ALICE, ()), ("", (f"x-api-key: {ALICE}",))):
        answer = one(host, {"max_tokens": 1}, key, *headers)
        assert answer["status"] == 200
        port = 8100 + int(answer["by"][-1])
        seen = json.loads(host.check_output(f"curl -s http://127.0.0.1:{port}/seen"))[-1]
        assert seen["authorization"] == f"Bearer {WORKER}"
        assert ALICE not in json.dumps(seen)
        assert seen["x-request-id"] == answer["headers"]["x-request-id"]
    for key in ("", "wrong", WORKER, ALICE.upper()):
        assert one(host, GET_MODELS, key)["status"] == 401


def test_only_what_clients_need_is_open(host: Host) -> None:
    assert one(host, GET_MODELS)["status"] == 200
    for method, path in (
        ("GET", "/metrics"),
        ("GET", "/health"),
        ("POST", "/tokenize"),
        ("POST", "/v1/models"),
        ("DELETE", "/v1/models"),
        ("GET", "/v1/../metrics"),
        ("GET", "//v1/models"),
        ("POST", "/v1/load_lora_adapter"),
    ):
        assert one(host, {"method": method, "path": path})["status"] == 404, path
    healthy = f"curl -s --cacert {FOLDER}/self_signed.pem https://localhost:8443/healthz"
    assert "200" in host.check_output(f"{healthy} -o /dev/null -w '%{{http_code}} %{{http_version}}'")


def test_limits(host: Host) -> None:
    answers = [one(host, GET_MODELS, BOB) for _ in range(5)]
    assert [answer["status"] for answer in answers] == [200, 200, 200, 429, 429]
    assert int(answers[-1]["headers"]["retry-after"]) > 0
    assert json.loads(answers[-1]["text"])["error"]["type"] == "rate_limit_error"
    at_once = ask(host, {"max_tokens": 30, "stream": True}, CAROL, workers=3)
    assert statuses(at_once) == {200: 1, 429: 2}
    assert one(host, GET_MODELS, CAROL)["status"] == 200, "the limit counts what runs"
    assert one(host, GET_MODELS)["status"] == 200, "another person's limit"


def test_tokens_do_not_come_in_lumps(host: Host) -> None:
    """Without http-no-delay, 20 tokens, 30 ms apart, come as 3 lumps without TLS. So it is tried without, too."""
    edits = (
        r"s/bind .*:8443 .*/bind 127.0.0.1:8444/",
        "s/:10024/:10025/",
        "s/:9405/:9406/",
        f"s|{RUN}/admin.sock|/run/plain.sock|",
    )
    script = " ".join(f"-e '{edit}'" for edit in edits)
    host.check_output(f"sed {script} {FOLDER}/haproxy.cfg >/tmp/plain.cfg")
    host.check_output(f"systemd-run --collect --unit=plain haproxy -f {FOLDER}/key.cfg -f /tmp/plain.cfg")
    stream = client({"stream": True, "max_tokens": 20})
    try:
        wait_for(lambda: host.socket("tcp://127.0.0.1:8444").is_listening, 30)
        for port in (8443, 8444):
            answers = [json.loads(host.check_output(f"GATEWAY_PORT={port} {stream}"))[0] for _ in range(3)]
            assert max(answer["arrivals"] for answer in answers) >= 10, port
    finally:
        host.check_output("systemctl stop plain")


def test_a_conversation_stays_on_its_server(host: Host) -> None:
    for header in ("X-Claude-Code-Session-Id", "x-session-id"):
        body = {"max_tokens": 1, "stream": True}
        answers = ask(host, body, ALICE, f"{header}: talk-WORKER", seconds=1.5, workers=6)
        servers = {worker: {each["by"] for each in answers if each["worker"] == worker} for worker in range(6)}
        assert all(len(by) == 1 for by in servers.values()), servers
        assert set.union(*servers.values()) == {"server1", "server2"}


def test_a_large_request_is_sent_again_after_a_503(host: Host, fault: Callable[[str, str], None]) -> None:
    """Claude Code's first request has 76 KB, which does not fit into the usual buffer."""
    command = client({"max_tokens": 1, "pad": 150_000}, workers=6)
    for _ in range(5):  # on a busy machine the check may be the first to see the fault
        fault("server1", "503")
        answers = json.loads(host.check_output(command))
        assert {(answer["status"], answer["by"]) for answer in answers} == {(200, "server2")}
        log = host.check_output(f"journalctl --unit={UNIT} --output=cat --lines=30")
        if '"retries":"+' in log:
            return
        host.check_output("rm /tmp/server1.fault")
        wait_for(lambda: server(host, "server1") == "UP", 60)
    pytest.fail("no request came to the server that answers 503")


def test_a_server_that_answers_500_while_its_health_is_good_gets_no_more_requests(
    host: Host, fault: Callable[[str, str], None]
) -> None:
    load = Load(host, 8)
    fault("server1", "500")
    wait_for(lambda: server(host, "server1") == "DOWN", 30)
    found = statuses(load.outcomes())
    assert 0 < found[500] <= 30, found
    assert set(found) == {200, 500}


def test_a_reload_keeps_requests_states_and_conversations(host: Host) -> None:
    talk = (ALICE, "x-session-id: kept")
    before = one(host, {"max_tokens": 1}, *talk)["by"]
    load = Load(host, 6)
    for _ in range(2):
        host.check_output(f"systemctl reload {UNIT}")
        time.sleep(1)
    found = statuses(load.outcomes())
    assert set(found) == {200}
    assert found[200] > 20
    time.sleep(2)
    assert one(host, {"max_tokens": 1}, *talk)["by"] == before
    set_state(host, "server2", "maint")
    host.check_output(f"systemctl reload {UNIT}")
    assert server(host, "server2") == "MAINT"
    assert not host.file(f"{RUN}/servers.state").exists
    set_state(host, "server2", "ready")


def test_a_stale_file_of_states_is_not_read(host: Host) -> None:
    set_state(host, "server2", "maint")
    states, old = admin(host, "ask('show servers state')"), pid(host, UNIT)
    host.check_output(f"echo %s >{RUN}/servers.state", states)
    assert server(host, "server2") == "MAINT"
    host.check_output(f"systemctl kill --signal=KILL {UNIT}")
    wait_for(lambda: pid(host, UNIT) not in ("0", old) and host.service(UNIT).is_running, 60)
    wait_for(lambda: server(host, "server2") == "UP", 30)


def test_a_configuration_that_cannot_be_loaded_changes_nothing(host: Host) -> None:
    before = pid(host, UNIT)
    host.check_output(f"cp {FOLDER}/haproxy.cfg /tmp/good.cfg; echo 'no such line' >>{FOLDER}/haproxy.cfg")
    assert host.run(f"systemctl reload {UNIT}").rc != 0
    host.check_output(f"cp /tmp/good.cfg {FOLDER}/haproxy.cfg")
    assert one(host, GET_MODELS)["status"] == 200
    assert pid(host, UNIT) == before
    assert not host.file(f"{RUN}/servers.state").exists


def test_a_killed_server_ends_its_own_streams_only(host: Host) -> None:
    load = Load(host, 5, max_tokens=100)
    wait_for(lambda: int(admin(host, "servers('vllm')['server1'].sessions")) > 0, 30)
    host.check_output("systemctl kill --signal=KILL server1")
    outcomes = load.outcomes()
    assert {outcome["by"] for outcome in outcomes if outcome["status"] != 200} == {"server1"}
    assert 0 < len([outcome for outcome in outcomes if outcome["status"] != 200]) <= 6
    wait_for(lambda: server(host, "server1") == "UP", 60)


def test_a_stopped_server_is_noticed_within_seconds(host: Host) -> None:
    host.check_output("systemctl kill --signal=STOP server1")
    try:
        seconds = wait_for(lambda: server(host, "server1") == "DOWN", 30)
        assert seconds < 15, "10 s on a quiet machine"
        assert {answer["by"] for answer in ask(host, {"max_tokens": 1}, workers=6)} == {"server2"}
    finally:
        host.check_output("systemctl kill --signal=CONT server1")
    wait_for(lambda: server(host, "server1") == "UP", 60)


def test_a_server_is_replaced_without_a_lost_request(host: Host, name: str) -> None:
    load = Load(host, 20)
    play("roll", name)
    found = statuses(load.outcomes())
    assert set(found) == {200}
    assert server(host, "server1") == "UP"


def test_without_a_server_clients_are_told_when_to_come_again(host: Host) -> None:
    for each in ("server1", "server2"):
        set_state(host, each, "maint")
    try:
        answer = one(host, {"max_tokens": 1})
    finally:
        for each in ("server1", "server2"):
            set_state(host, each, "ready")
    assert answer["status"] == 503
    assert answer["headers"]["retry-after"] == "10"
    assert json.loads(answer["text"])["error"]["type"] == "overloaded_error"


def test_a_key_is_changed_without_touching_a_server(host: Host, name: str) -> None:
    servers = [pid(host, each) for each in ("server1", "server2", UNIT)]
    users = {"alice": {"key": "another-key-0123456789"}, "bob": {"key": BOB}, "carol": {"key": CAROL}}
    play("converge", name, gateway_users=users)
    assert one(host, GET_MODELS)["status"] == 401
    assert one(host, GET_MODELS, "another-key-0123456789")["status"] == 200
    assert [pid(host, each) for each in ("server1", "server2", UNIT)] == servers


def test_the_use_of_each_person_is_counted(host: Host, name: str) -> None:
    key = "another-key-0123456789"
    for body in ({"path": "/v1/messages"}, {"stream_options": {"include_usage": True}}, {}, {"stream": False}):
        assert one(host, {"stream": True, "max_tokens": 7, **body}, key)["status"] == 200
    log = host.check_output(f"journalctl --unit={UNIT} --output=cat --lines=4").splitlines()
    assert [(line["tokens_in"], line["tokens_out"]) for line in map(json.loads, log)] == [
        ("8", "7"),
        ("8", "7"),
        ("-", "-"),
        ("8", "7"),
    ]
    output = play("usage", name)
    assert "alice: " in output
    assert "tokens in and" in output
    page = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "results", "usage.html").read_text(encoding="utf-8")
    assert f"of <strong>{name}</strong>" in page
    assert re.search(r"alice</th>.*?at least [\d,]+<", page, re.DOTALL), page
    assert "beyond a limit" in output


def test_what_the_gateway_costs_is_part_of_the_report_of_a_server(name: str) -> None:
    results = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "results", name)
    (results / "server1").mkdir(parents=True)
    (results / "server1" / "20261125T163145Z-quick.json").write_text(json.dumps(report_sample.result("quick")))
    # A limit that is certain to be exceeded. On a busy machine that is a warning.
    limits = {"gateway_ttft_ms_max": -60000, "gateway_throughput_loss_max": 1, "gateway_measure_rounds": 4}
    where = {"gateway_measure_servers": ["server1"], "gateway_report_dir": str(results)}
    play("measure", name, None, **limits, **where)
    report = json.loads((results / "server1" / "20261125T163145Z-quick" / "report.json").read_text(encoding="utf-8"))
    checks = {check["name"]: check["status"] for check in report["gateways"][name]["checks"]}
    assert checks["gateway_ttft_ms"] == ("warn" if "on a busy host" in report["gateways"][name]["summary"] else "fail")
    assert checks["gateway_throughput_loss"] == "pass"


def test_no_key_is_where_others_could_read_it(host: Host) -> None:
    for key in (ALICE, BOB, CAROL):
        assert host.run(f"grep --recursive --quiet {key} {FOLDER} {RUN} /etc/systemd").rc == 1
        assert host.run(f"journalctl --output=cat --unit={UNIT} | grep --quiet {key}").rc == 1
        # The brackets keep the search from finding itself.
        assert host.run(f"cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep --quiet '[{key[0]}]{key[1:]}'").rc == 1
    found = host.check_output(f"grep --recursive --files-with-matches {WORKER} {FOLDER} {RUN} /etc/systemd")
    assert found == f"{FOLDER}/key.cfg"
    assert host.run(f"journalctl --output=cat --unit={UNIT} | grep --quiet {WORKER}").rc == 1
    for each in ("key.cfg", "users.map", "self_signed.pem"):
        assert host.file(f"{FOLDER}/{each}").mode == 0o600
