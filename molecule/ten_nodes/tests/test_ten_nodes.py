# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ten nodes behind two gateways, under load: a plan, a release, lost nodes, a bad release. The tests run in order.

A node that is replaced is killed at once. So a request that a gateway still has on it, or sends to it, fails.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ansible_collections.hgx.inference.tests.support import plays
from ansible_collections.hgx.inference.tests.support.plays import changed

ROLES = Path(__file__).parents[1] / "roles"
FIRST, SECOND = GATEWAYS = ("hgx-ten-gateway1", "hgx-ten-gateway2")
NODES = [f"hgx-ten-node{number}" for number in range(10)]
FOLDER = "/etc/hgx-inference/gateway"
ALICE, BOB, CAROL = "alice-key-0123456789", "bob-key-0123456789012", "carol-key-0123456789"
# 10 s on a quiet machine.
EJECTED_S = 15
# TCP gives up a node that answers no packet after 20 s.
CUT_S = 45


def on(container: str, script: str, content: str = "") -> str:
    """Run a script in a container, with C(content) as its input, and return its output."""
    command = ["docker", "exec", "--interactive", container, "sh", "-euc", script]
    done = subprocess.run(command, input=content, capture_output=True, text=True)
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


def client(body: dict[str, Any], key: str, seconds: float, workers: int, *headers: str) -> str:
    """Return the command of the client."""
    words = [json.dumps(body), f"Authorization: Bearer {key}", *headers]
    return " ".join(["gateway_client.py", str(seconds), str(workers), *(f"'{word}'" for word in words)])


def ask(gateway: str, body: dict[str, Any], key: str = ALICE, *headers: str, workers: int = 1) -> list[dict[str, Any]]:
    """Send a request on each of some connections and return the outcomes."""
    outcomes: list[dict[str, Any]] = json.loads(on(gateway, client(body, key, 0, workers, *headers)))
    return outcomes


def admin(gateway: str, call: str) -> str:
    """Return what a call of the gateway's own program returns."""
    program = (
        f"import sys; sys.path.insert(0, '{FOLDER}'); from haproxy import Admin;"
        f" print(Admin('/run/hgx-inference-gateway/admin.sock').{call})"
    )
    return on(gateway, "python3 -B -", program)


def states(gateway: str) -> dict[str, str]:
    """Return the status of each node at a gateway, which is C(UP 1/2) for a moment on a busy machine."""
    rows = [line.split(",") for line in admin(gateway, "ask('show stat')").splitlines()]
    return {row[1]: row[17].split()[0] for row in rows if row[0] == "vllm" and row[1] in NODES}


def running(gateway: str, node: str) -> int:
    """Return how many requests run on a node."""
    return int(admin(gateway, f"servers('vllm')['{node}'].sessions"))


def everywhere(node: str, status: str) -> Callable[[], bool]:
    """Return whether a node has this status at both gateways, for C(wait_for)."""
    return lambda: all(states(gateway)[node].startswith(status) for gateway in GATEWAYS)


def wait_for(done: Callable[[], bool], seconds: float) -> float:
    """Wait until that is so, and return how long it took."""
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < seconds, [states(gateway) for gateway in GATEWAYS]
        time.sleep(0.3)
    return time.monotonic() - began


def servers() -> dict[str, tuple[str, str]]:
    """Return the release of each node and the process of its server."""
    process = "$(systemctl show $node --property=MainPID --value)"
    show = f"for node in {' '.join(NODES)}; do echo $node $(cat /var/lib/$node.release) {process}; done"
    lines = on(FIRST, show).splitlines()
    return {node: (release, process) for node, release, process in map(str.split, lines)}


def files(gateway: str) -> str:
    """Return what a plan must not change on a gateway: its files, and its process."""
    return on(
        gateway,
        f"find {FOLDER} -type f | sort | xargs sha256sum; systemctl show hgx-inference-gateway --property=MainPID",
    )


def play(playbook: str, *options: str, **settings: Any) -> tuple[int, str]:
    """Run a play of the collection for all hosts and return its exit code and its output."""
    stand_in = {"vllm_server_role": "stand_in", "vllm_server_tasks": "main.yml", **settings}
    environment = {"ANSIBLE_ROLES_PATH": str(ROLES)}
    if playbook == "deploy":
        # What takes most of the time and is not needed: the facts of ten nodes.
        environment["ANSIBLE_GATHERING"] = "explicit"
    return plays.play("ten_nodes", playbook, *options, environment=environment, **stand_in)


class Load:
    """Streams of conversations, and whole answers, through both gateways meanwhile; C(outcomes) are there after it."""

    KINDS: ClassVar[dict[str, tuple[dict[str, Any], int]]] = {
        "streams": ({"stream": True, "max_tokens": 10}, 4),
        "answers": ({"stream": False, "max_tokens": 4}, 2),
    }

    def __init__(self) -> None:
        self.outcomes: list[dict[str, Any]] = []

    def __enter__(self) -> Load:
        for gateway in GATEWAYS:
            for kind, (body, workers) in self.KINDS.items():
                headers = [f"x-session-id: {gateway}-WORKER"] if kind == "streams" else []
                command = client(body, ALICE, 1800, workers, *headers)
                on(gateway, f"cat >/var/tmp/{kind}.sh", f"exec {command} >/var/tmp/{kind}.json\n")
                on(gateway, f"systemd-run --quiet --unit=load-{kind} sh /var/tmp/{kind}.sh")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        for gateway in GATEWAYS:  # a stop waits for the requests that run
            on(gateway, f"systemctl stop {' '.join(f'load-{name}' for name in self.KINDS)}")
        if kind is None:
            for gateway in GATEWAYS:
                for name in self.KINDS:
                    self.outcomes += json.loads(on(gateway, f"cat /var/tmp/{name}.json"))

    def statuses(self) -> Counter[int]:
        return Counter(outcome["status"] for outcome in self.outcomes)


@pytest.fixture(autouse=True)
def all_nodes_up() -> Iterator[None]:
    """Begin and end with ten nodes that both gateways send requests to."""

    def up() -> bool:
        return all(status.startswith("UP") for gateway in GATEWAYS for status in states(gateway).values())

    wait_for(up, 60)
    yield
    wait_for(up, 60)


def test_a_plan_tells_what_a_release_does_and_changes_nothing() -> None:
    before = servers(), [files(gateway) for gateway in GATEWAYS]
    with Load() as load:
        rc, output = play("deploy", "--check", "--diff", stand_in_release="2")
    assert rc == 0, output
    # Of each node: the release, and that both gateways would send it nothing meanwhile.
    assert changed(output).keys() == set(NODES)
    assert output.count("-1\n+2\n") == len(NODES), output
    for node in NODES:
        assert len(re.findall(rf"^\+{node} is MAINT$", output, re.MULTILINE)) == len(GATEWAYS), output
    assert (servers(), [files(gateway) for gateway in GATEWAYS]) == before
    assert set(load.statuses()) == {200}

    rc, output = play("gateway", "--check", "--diff")
    assert (rc, changed(output)) == (0, {}), output


def test_all_ten_get_a_release_without_a_failed_request() -> None:
    before = servers()
    with Load() as load:
        rc, output = play("deploy", stand_in_release="2")
    assert rc == 0, output
    after = servers()
    assert {release for release, _process in after.values()} == {"2"}
    assert all(after[node][1] != before[node][1] for node in NODES)
    found = load.statuses()
    print(f"{found.total()} requests through two gateways while ten nodes were replaced: {dict(found)}")
    assert set(found) == {200}
    assert found[200] > 100
    assert len({outcome["by"] for outcome in load.outcomes}) > len(NODES) / 2

    # The plan agrees that nothing is left to do.
    rc, output = play("deploy", "--check", "--diff", "--limit", f"{NODES[0]},{NODES[9]}", stand_in_release="2")
    assert (rc, changed(output)) == (0, {}), output


def test_a_conversation_is_on_one_node_whichever_gateway_it_asks() -> None:
    body = {"max_tokens": 1}
    talks = [f"x-session-id: talk-{number}" for number in range(7)]
    one, other = GATEWAYS
    nodes = set()
    for talk in talks:
        first = ask(one, body, ALICE, talk)[0]["by"]
        nodes.add(first)
        time.sleep(0.3)
        assert ask(other, body, ALICE, talk)[0]["by"] == first
        one, other = other, one
    assert len(nodes) > 1


def test_the_limit_per_minute_is_shared_and_that_of_requests_at_once_is_not() -> None:
    body = {"max_tokens": 1}
    found = []
    for gateway in (FIRST, SECOND) * 4:
        found.append(ask(gateway, body, BOB)[0]["status"])
        time.sleep(0.3)
    assert found == [200] * 4 + [429] * 4

    long = client({"max_tokens": 60, "stream": True}, CAROL, 0, 1)
    on(FIRST, "cat >/var/tmp/carol.sh", f"exec {long} >/var/tmp/carol.json\n")
    on(FIRST, "systemd-run --quiet --collect --unit=carol sh /var/tmp/carol.sh")
    time.sleep(0.7)
    assert [ask(gateway, body, CAROL)[0]["status"] for gateway in GATEWAYS] == [429, 200]


def test_a_node_that_the_network_loses_is_left_out_and_comes_back() -> None:
    lost = NODES[3]
    with Load() as load:
        time.sleep(2)
        on(FIRST, "ip link set cable3 down")
        try:
            seconds = wait_for(everywhere(lost, "DOWN"), 60)
            ejected = time.time()
            time.sleep(3)
            # What ran on it ends, though nobody has said so to the gateway.
            cut = wait_for(lambda: all(running(gateway, lost) == 0 for gateway in GATEWAYS), CUT_S)
        finally:
            on(FIRST, "ip link set cable3 up")
    print(f"left out after {seconds:.1f} s, its requests ended {cut:.1f} s later: {dict(load.statuses())}")
    assert seconds < EJECTED_S
    later = [outcome for outcome in load.outcomes if outcome["began"] > ejected]
    assert len(later) > 20
    assert {outcome["status"] for outcome in later} == {200}
    # At most what ran on it: nothing that came after.
    failed = [outcome for outcome in load.outcomes if outcome["status"] != 200]
    assert len(failed) <= sum(workers for _body, workers in Load.KINDS.values()) * len(GATEWAYS)
    assert {outcome["by"] for outcome in failed} <= {lost, ""}


def test_a_stopped_node_is_left_out_and_its_streams_go_on_with_it() -> None:
    stopped = NODES[4]
    with Load() as load:
        time.sleep(2)
        on(FIRST, f"systemctl kill --signal=STOP {stopped}")
        try:
            seconds = wait_for(everywhere(stopped, "DOWN"), 60)
            ejected = time.time()
            time.sleep(3)
        finally:
            on(FIRST, f"systemctl kill --signal=CONT {stopped}")
    print(f"left out after {seconds:.1f} s")
    assert seconds < EJECTED_S
    later = [outcome for outcome in load.outcomes if outcome["began"] > ejected]
    assert len(later) > 20
    assert set(load.statuses()) == {200}


def test_a_bad_second_node_stops_the_release_and_stays_out_alone() -> None:
    before = servers()
    with Load() as load:
        rc, output = play("deploy", stand_in_release="{{ 'bad' if inventory_hostname == 'hgx-ten-node1' else '3' }}")
    assert rc != 0
    assert f"fatal: [{NODES[1]}]" in output
    assert NODES[2] not in output
    after = servers()
    assert [after[node][0] for node in NODES] == ["3", "bad", *["2"] * 8]
    assert {node: after[node] for node in NODES[2:]} == {node: before[node] for node in NODES[2:]}
    for gateway in GATEWAYS:
        assert states(gateway) == {node: "MAINT" if node == NODES[1] else "UP" for node in NODES}
    assert set(load.statuses()) == {200}

    # A good release for it goes on where the other has stopped, and puts it back.
    rc, output = play("deploy", "--limit", f"{NODES[0]},{NODES[1]}", stand_in_release="3")
    assert (rc, set(changed(output))) == (0, {NODES[1]}), output
