# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One server across two hosts. The tests build on each other, in order."""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Callable
from typing import Any

import testinfra
from testinfra.host import Host

from ansible_collections.hgx.inference.tests.support import plays
from ansible_collections.hgx.inference.tests.support.plays import changed

STATE = "/var/lib/hgx-inference"
KEY = "span-endpoint-key"
ANSWER = "Hello from a tiny Kimi-shaped model"
HEAD: Host = testinfra.get_host("docker://hgx-span-a")
FOLLOWER: Host = testinfra.get_host("docker://hgx-span-b")
UNIT = "hgx-inference-vllm"
play = functools.partial(plays.play, "span")
KILLED = "rank 1 on hgx-span-b: the server ended by itself (exit code 137, killed)"


def words(output: str) -> str:
    return " ".join(output.split())


def pointed(host: Host, link: str) -> str:
    return str(host.check_output(f"basename $(readlink {STATE}/vllm/{link})"))


def started(host: Host) -> str:
    return str(host.check_output("docker inspect --format '{{.State.StartedAt}}' vllm"))


def state(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.file(f"{STATE}/vllm/supervisor/state.json").content_string)
    return found


def answer() -> str:
    """Return what the head answers, nothing if it does not."""
    body = {"model": "kimi-k2.6", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 64}
    data = f"-H 'Content-Type: application/json' -d '{json.dumps(body)}'"
    ask = f"curl -s --max-time 60 -H 'Authorization: Bearer {KEY}' {data} http://127.0.0.1:8001/v1/chat/completions"
    try:
        return str(json.loads(HEAD.run(ask).stdout)["choices"][0]["message"]["content"])
    except (ValueError, KeyError):
        return ""


def within(limit_s: float, ready: Callable[[], bool]) -> float:
    """Wait, and return for how long."""
    began_at = time.monotonic()
    while not ready():
        assert time.monotonic() - began_at < limit_s, (state(HEAD), state(FOLLOWER))
        time.sleep(0.5)
    return time.monotonic() - began_at


def test_one_server_has_one_release_and_a_verdict() -> None:
    assert answer().startswith(ANSWER)
    result = json.loads(HEAD.file(f"{STATE}/results/latest.json").content_string)
    assert result["verdict"] in ("pass", "warn"), "it looks odd on a busy machine"
    assert not FOLLOWER.file(f"{STATE}/results/latest.json").exists
    releases = {pointed(host, link) for host in (HEAD, FOLLOWER) for link in ("current", "last_good")}
    assert len(releases) == 1
    commands = [json.loads(host.check_output("docker inspect vllm"))[0]["Config"]["Cmd"] for host in (HEAD, FOLLOWER)]
    assert [words[words.index("--node-rank") + 1] for words in commands] == ["0", "1"]
    assert ["--headless" in words for words in commands] == [False, True]
    for host in (HEAD, FOLLOWER):
        assert host.service(UNIT).is_running
        assert host.file(f"{STATE}/vllm/span_key").mode == 0o600


def test_the_status_shows_the_ranks_and_a_second_run_changes_nothing() -> None:
    before = [started(HEAD), started(FOLLOWER)]
    rc, output = play("deploy")
    assert (rc, changed(output)) == (0, {}), output
    assert [started(HEAD), started(FOLLOWER)] == before
    rc, output = play("status")
    assert rc == 0, output
    assert "rank 0 on hgx-span-a: running" in output
    assert "rank 1 on hgx-span-b: running" in output
    assert "rank 1 of tiny, in vllm for" in output
    assert "drift" not in output, output


def test_a_part_of_the_server_is_refused() -> None:
    before = started(HEAD)
    rc, output = play("serve", "--limit", "hgx-span-a")
    assert rc == 2, output
    assert "hgx-span-a is rank 0 of tiny, and hgx-span-b of it failed before or is left out" in words(output)
    assert started(HEAD) == before


def test_a_rank_that_is_killed_while_nothing_runs_is_named_and_all_start_again() -> None:
    before = [started(HEAD), started(FOLLOWER)]
    FOLLOWER.check_output("kill -9 $(docker inspect --format '{{.State.Pid}}' vllm)")
    took_s = within(60, lambda: state(HEAD).get("why") == KILLED)
    print(f"named after {took_s:.1f} s")
    within(60, lambda: started(HEAD) != before[0] and started(FOLLOWER) != before[1])
    print(f"answers after {within(600, lambda: answer().startswith(ANSWER)):.0f} s")
    assert len(state(HEAD)["restarts"]) == 1
    assert state(FOLLOWER)["why"] == KILLED
    rc, output = play("status")
    assert rc == 0, output
    assert f"last stopped together: {KILLED}" in words(output)
    assert "rank 1 on hgx-span-b: running" in output


def test_a_rank_that_cannot_be_created_stops_no_other() -> None:
    before = [started(HEAD), started(FOLLOWER)]
    releases = [pointed(HEAD, "current"), pointed(FOLLOWER, "current")]
    caches = f"{STATE}/vllm/cache"
    FOLLOWER.check_output(f"mv {caches} {caches}.away && touch {caches}")
    try:
        rc, output = play("serve", vllm_engine_args_extra={"max-num-seqs": 3})
    finally:
        FOLLOWER.check_output(f"rm {caches} && mv {caches}.away {caches}")
    assert rc == 2, output
    assert f"File exists: '{caches}'" in words(output), output
    assert "cannot start together: hgx-span-b failed before. Nothing was stopped." in words(output), output
    assert [started(HEAD), started(FOLLOWER)] == before
    assert [pointed(HEAD, "current"), pointed(FOLLOWER, "current")] == releases
    assert answer().startswith(ANSWER)


def test_a_rank_that_cannot_start_fails_all_and_all_are_rolled_back() -> None:
    good = pointed(HEAD, "current")
    # The server reads it well, and then has no room for one token.
    rc, output = play("serve", vllm_engine_args_extra={"kv-cache-memory-bytes": "1K"})
    assert rc == 2, output
    assert re.search(r"Rank [01] on hgx-span-[ab]: ", output), output
    assert "was rolled back: the node serves release" in words(output)
    assert {pointed(host, "current") for host in (HEAD, FOLLOWER)} == {good}
    assert answer().startswith(ANSWER)


def test_the_supervisors_take_nothing_from_strangers() -> None:
    before = started(HEAD)
    command = json.loads(HEAD.check_output("docker inspect vllm"))[0]["Config"]["Cmd"]
    address = command[command.index("--master-addr") + 1]
    program = (
        f"import socket; s = socket.create_connection(('{address}', 29502), 60);"
        " s.sendall(b'x' * 32 + b'\\n0 1 {}\\n'); s.makefile('rb').read()"
    )
    FOLLOWER.check_output(f'python3 -c "{program}"')
    assert started(HEAD) == before
    assert {rank["state"] for rank in state(HEAD)["ranks"]} == {"running"}
