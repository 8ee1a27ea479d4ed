# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two servers on one host. What is done to one leaves the other alone. The tests build on each other, in order."""

from __future__ import annotations

import json
import os
import re
import shlex
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from testinfra.host import Host

from ansible_collections.hgx.inference.tests.support import claude_code, plays
from ansible_collections.hgx.inference.tests.support.plays import changed

LIBRARY = "/var/lib/hgx-inference"
A, B = {"name": "a", "port": 8001}, {"name": "b", "port": 8002}
KEY = "alice-key-0123456789"
WRONG_KEY = "wrong-key-0123456789"
ANSWER = "Hello from a tiny Kimi-shaped model"
BOTH_UP = {"hgx-fleet-node-a": "UP", "hgx-fleet-node-b": "UP"}
# The server reads it well, and then has no room for one token.
NEVER_READY = {"kv-cache-memory-bytes": "1K"}


def play(playbook: str, *instances: dict[str, Any], **settings: Any) -> tuple[int, str]:
    """Run a play with these instances and return its exit code and its output."""
    return plays.play("fleet", playbook, **settings, **({"vllm_instances": instances} if instances else {}))


def started(host: Host, name: str) -> str:
    return str(host.check_output(f"docker inspect --format '{{{{.State.StartedAt}}}}' vllm-{name}"))


def pointed(host: Host, name: str, link: str) -> str:
    return str(host.check_output(f"basename $(readlink {LIBRARY}/vllm-{name}/{link})"))


def latest(host: Host, name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(host.file(f"{LIBRARY}/results/{name}/latest.json").content_string)
    return result


def cost_in_report(name: str) -> dict[str, Any]:
    """Return what the gateway costs from the newest report of a server, or an empty dictionary."""
    results = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "results", f"hgx-fleet-node-{name}")
    report = json.loads(max(results.glob("[0-9]*/report.json")).read_text(encoding="utf-8"))
    cost: dict[str, Any] = (report["gateways"] or {}).get("hgx-fleet-node", {})
    return cost


def words(output: str) -> str:
    return " ".join(output.split())


def admin(host: Host, command: str) -> str:
    """Return the answer of HAProxy."""
    program = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/hgx-inference-gateway/admin.sock');"
        f" s.sendall(b'{command}\\n'); print(s.makefile().read())"
    )
    return str(host.check_output(f'python3 -c "{program}"'))


def seen_by_the_gateway(host: Host) -> dict[str, str]:
    """Return server -> its status in HAProxy, which is C(UP 1/2) for a moment on a busy machine."""
    rows = [line.split(",") for line in admin(host, "show stat").splitlines()]
    return {row[1]: row[17].split()[0] for row in rows if row[0] == "vllm" and row[1].startswith("hgx-fleet-node-")}


def requests_of_claude_code(host: Host) -> list[dict[str, Any]]:
    """Return the gateway's log of the messages that were answered."""
    log = host.check_output("journalctl --unit=hgx-inference-gateway --output=cat --quiet")
    entries = [json.loads(line) for line in log.splitlines() if line.startswith('{"at":')]
    return [entry for entry in entries if (entry["path"], entry["status"]) == ("/v1/messages", 200)]


@pytest.fixture
def address(host: Host) -> str:
    """Return the address of the gateway as it is from this machine."""
    words = host.check_output("ip -4 -oneline address show dev eth0").split()
    return f"https://{words[words.index('inet') + 1].partition('/')[0]}:8443"


@pytest.fixture
def certificate(host: Host, tmp_path: Path) -> Path:
    """Return a copy of the gateway's certificate, without its key."""
    path = tmp_path / "gateway.crt"
    path.write_text(host.check_output("openssl x509 -in /etc/hgx-inference/gateway/self_signed.pem") + "\n")
    return path


@pytest.fixture
def requests(host: Host) -> Iterator[Callable[[], list[str]]]:
    """Keep asking the gateway meanwhile, and yield a function that returns the statuses so far."""
    body = {"model": "kimi-k2.6", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
    ask = (
        f"curl -sk --max-time 120 -o /dev/null -w '%{{http_code}}\\n' -H 'Authorization: Bearer {KEY}'"
        f" -H 'Content-Type: application/json' -d '{json.dumps(body)}' https://127.0.0.1:8443/v1/chat/completions"
    )
    host.check_output(f"printf %s {shlex.quote(f'while sleep 0.2; do {ask}; done >/var/tmp/loop')} >/var/tmp/ask.sh")
    host.check_output("systemd-run --unit=loop sh /var/tmp/ask.sh")
    yield lambda: host.file("/var/tmp/loop").content_string.split()
    host.check_output("systemctl stop loop")


def test_each_has_its_own(host: Host) -> None:
    assert host.check_output("docker ps --all --format '{{.Names}}'").split() == ["vllm-b", "vllm-a"]
    assert not host.file(f"{LIBRARY}/vllm").exists
    for name, port in (("a", 8001), ("b", 8002)):
        assert host.service(f"hgx-inference-vllm-{name}").is_running
        (details,) = json.loads(host.check_output(f"docker inspect vllm-{name}"))
        assert details["HostConfig"]["PortBindings"]["8001/tcp"][0]["HostPort"] == str(port)
        assert host.file(f"{LIBRARY}/vllm-{name}/secrets/vllm_api_key").content_string == "fleet-endpoint-key"
        result = latest(host, name)
        assert result["verdict"] in ("pass", "warn")
        assert result["metadata"]["instance"] == name
        assert pointed(host, name, "last_good") == pointed(host, name, "current")
    assert pointed(host, "a", "current") != pointed(host, "b", "current")


def test_claude_code_runs_a_tool_through_tls(host: Host, address: str, certificate: Path, tmp_path: Path) -> None:
    program = claude_code.installed()
    refused = claude_code.ask(
        program, address, WRONG_KEY, "Say hello", tmp_path, "--tools", "", certificate=certificate
    )
    assert refused.text.startswith("Failed to authenticate. API Error: 401"), refused
    assert requests_of_claude_code(host) == []

    outcome = claude_code.ask(program, address, KEY, "What is in this folder?", tmp_path, certificate=certificate)
    assert (outcome.exit_code, outcome.is_error, outcome.turns) == (0, False, 2), outcome
    assert outcome.calls == ("Bash {'command': 'ls', 'description': 'List the files'}",)
    assert outcome.results == ("hello.py",)
    assert outcome.text.startswith(ANSWER)
    # A conversation stays on its server, and its tokens are those of the person.
    answered = requests_of_claude_code(host)
    assert len(answered) >= 2
    assert len({entry["server"] for entry in answered}) == 1, answered
    assert {entry["user"] for entry in answered} == {"alice"}
    assert all(int(entry["tokens_in"]) > int(entry["tokens_out"]) > 0 for entry in answered), answered


def test_the_openai_sdk_streams_through_tls(address: str, certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=certificate)

    def stream(key: str, verify: ssl.SSLContext) -> list[str]:
        # The proxies of this machine do not know the target.
        http_client = openai.DefaultHttpxClient(verify=verify, trust_env=False)
        with openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0, http_client=http_client) as client:
            chunks = client.chat.completions.create(
                model="kimi-k2.6", messages=[{"role": "user", "content": "Hello"}], stream=True
            )
            return [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]

    pieces = stream(KEY, trusting)
    assert len(pieces) > 2
    assert "".join(pieces).startswith(ANSWER)
    with pytest.raises(openai.AuthenticationError, match="Missing or unknown API key"):
        stream(WRONG_KEY, trusting)
    with pytest.raises(openai.APIConnectionError) as untrusted:
        stream(KEY, ssl.create_default_context())
    assert "CERTIFICATE_VERIFY_FAILED" in str(untrusted.value.__cause__)


def test_what_the_gateway_costs_is_measured_and_held_to_a_limit(host: Host) -> None:
    rc, output = play("gateway")
    assert (rc, changed(output)) == (0, {}), output
    told = re.search(r"gateway: [+-]\d+\.\d ms TTFT, [+-]\d+\.\d % throughput", output)
    assert told, output
    print(told[0])
    assert KEY not in output
    # It is part of the verdict of the server.
    costs = [cost for name in "ab" if (cost := cost_in_report(name))]
    assert costs
    assert {check["status"] for cost in costs for check in cost["checks"]} == {"pass"}
    # Nobody has the key of the measurement after it.
    log = host.check_output("journalctl --unit=hgx-inference-gateway --output=cat --quiet").splitlines()
    assert len([line for line in log if '"user":"hgx-measurement"' in line and '"status":200' in line]) > 16
    assert "hgx-measurement" not in admin(host, "show map /etc/hgx-inference/gateway/users.map")


def test_the_status_tells_of_both_and_a_second_run_changes_nothing(host: Host) -> None:
    rc, output = play("status")
    assert rc == 0, output
    assert "serving kimi-k2.6 at http://127.0.0.1:8001, in vllm-a" in output
    assert "serving kimi-k2.6 at http://127.0.0.1:8002, in vllm-b" in output
    assert "drift" not in output, output
    rc, output = play("deploy")
    assert (rc, changed(output)) == (0, {}), output
    assert seen_by_the_gateway(host) == BOTH_UP


def test_a_release_for_one_of_them_leaves_the_other_alone(host: Host, requests: Callable[[], list[str]]) -> None:
    before, old = started(host, "a"), pointed(host, "b", "current")
    rc, output = play("deploy", A, {**B, "engine_args": {"max-num-seqs": 8}})
    assert rc == 0, output
    assert started(host, "a") == before
    assert pointed(host, "b", "current") != old
    assert pointed(host, "b", "last_good") == pointed(host, "b", "current")
    assert seen_by_the_gateway(host) == BOTH_UP

    # While it was measured, neither requests nor the checks of the gateway, one every two seconds, have reached it.
    checks = {check["name"]: check["status"] for check in latest(host, "b")["checks"]}
    assert checks["no_other_traffic"] == "pass"
    # What the gateway costs was measured after it, with the server behind it again.
    assert cost_in_report("b")["measured_at"] > latest(host, "b")["finished_at"]

    statuses = requests()
    print(f"{len(statuses)} requests while one server was replaced and measured")
    assert len(statuses) > 20
    assert set(statuses) == {"200"}


def test_one_that_fails_is_rolled_back_alone(host: Host, requests: Callable[[], list[str]]) -> None:
    before, good = started(host, "a"), pointed(host, "b", "last_good")
    rc, output = play("deploy", A, {**B, "engine_args": NEVER_READY})
    assert rc != 0
    assert f"the node serves release {good} again, and it answers" in words(output), output
    assert pointed(host, "b", "current") == good
    assert started(host, "a") == before
    assert seen_by_the_gateway(host) == BOTH_UP
    assert set(requests()) == {"200"}


def test_what_comes_after_a_failure_is_left_alone(host: Host) -> None:
    before = [started(host, name) for name in "ab"]
    rc, output = play("deploy", {**A, "engine_args": {"max-model-len": "many"}}, {**B, "engine_args": NEVER_READY})
    assert rc != 0
    assert "Nothing was stopped or started" in output, output
    assert [started(host, name) for name in "ab"] == before
    assert seen_by_the_gateway(host) == BOTH_UP


def test_one_of_them_is_named(host: Host) -> None:
    rc, output = play("rollback", vllm_instance="c")
    assert rc != 0
    assert "this host has no instance 'c'; it has a, b." in words(output), output
    rc, output = play("deploy", vllm_port=8005)
    assert rc != 0
    assert "The host has several servers" in words(output), output

    before = started(host, "a")
    rc, output = play("teardown", vllm_instance="b")
    assert rc == 0, output
    assert host.check_output("docker ps --all --format '{{.Names}}'") == "vllm-a"
    assert started(host, "a") == before
    assert not host.file(f"{LIBRARY}/vllm-b").exists
    assert host.file(f"{LIBRARY}/vllm-a").exists
