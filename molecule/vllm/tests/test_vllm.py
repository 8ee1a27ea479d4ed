# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server goes through. The tests build on each other, in their order."""

from __future__ import annotations

import functools
import itertools
import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from ansible_collections.hgx.inference.tests.support import plays
from ansible_collections.hgx.inference.tests.support.plays import changed

ROOT = Path(__file__).parents[3]
STATE = "/var/lib/hgx-inference/vllm"
UNIT = "hgx-inference-vllm.service"
HUB = "/var/lib/huggingface/hub/models--moonshotai--Kimi-K2.6"
# The brackets keep it from finding the shell that runs it.
KILL = "pkill --signal KILL --full '[v]llm.entrypoints'"
BAD_FLAG = {"vllm_engine_args_extra": {"tensor-paralel-size": 1}}
OTHER = {"vllm_engine_args_extra": {"max-num-seqs": 8}}
FASTER = {"metric": "steady_output_throughput", "op": ">=", "value": 1000000, "source": "no server is that fast"}
# The server reads it well, and then has no room for one token.
NEVER_READY = {"vllm_engine_args_extra": {"kv-cache-memory-bytes": "1K"}}
start = functools.partial(plays.start, "vllm")
play = functools.partial(plays.play, "vllm")


def inspect(host: Host, name: str = "vllm") -> dict[str, Any]:
    details: dict[str, Any] = json.loads(host.check_output(f"docker inspect {name}"))[0]
    return details


def pointed(host: Host, name: str) -> str:
    return str(host.check_output(f"basename $(readlink {STATE}/{name})"))


def answers(host: Host) -> bool:
    return bool(host.run("request_loop.py 4").stdout.strip().endswith(" 200"))


def wait_for(host: Host, seconds: float = 150) -> float:
    """Wait until the server answers, and return how long it took."""
    began = time.monotonic()
    while not answers(host):
        assert time.monotonic() - began < seconds, host.run("docker logs --tail 20 vllm 2>&1").stdout
        time.sleep(1)
    return time.monotonic() - began


@pytest.fixture
def requests(host: Host) -> Iterator[Path]:
    """Keep asking the server meanwhile; C(asked) tells what came of it."""
    host.check_output("systemd-run --unit=loop sh -c 'exec request_loop.py >/var/tmp/loop'")
    yield Path("/var/tmp/loop")
    host.check_output("systemctl stop loop")


def asked(host: Host, log: Path) -> list[tuple[float, float, int]]:
    lines = host.file(str(log)).content_string.splitlines()
    rows = [line.split() for line in lines if line.count(" ") == 2]
    return [(float(began), float(ended), int(status)) for began, ended, status in rows]


def test_what_the_container_may_do(host: Host) -> None:
    configuration = inspect(host)["HostConfig"]
    assert configuration["CapDrop"] == ["ALL"]
    assert configuration["CapAdd"] == ["DAC_OVERRIDE"]
    assert "no-new-privileges" in configuration["SecurityOpt"]
    assert f"{HUB.partition('/hub/')[0]}:/root/.cache/huggingface:ro" in configuration["Binds"]


def test_the_generated_key_is_nowhere_but_in_its_file(host: Host) -> None:
    file = host.file(f"{STATE}/secrets/vllm_api_key")
    assert (file.mode, file.user) == (0o600, "root")
    found = host.run(f"grep -rlFe {file.content_string} {STATE} /var/lib/docker/containers /var/log /etc")
    assert found.stdout.split() == [file.path]


def test_nobody_notices_what_does_not_replace_the_server(host: Host, requests: Path) -> None:
    """A play without a change, and one for each thing that would keep a new server from starting."""
    began = time.monotonic()
    rc, output = play("serve")
    assert (rc, changed(output)) == (0, {}), output
    print(f"a play without a change: {time.monotonic() - began:.1f} s")

    shard = host.check_output(f"readlink -f {HUB}/snapshots/*/model-00001-of-000002.safetensors")
    host.check_output(f"mv {shard} {shard}.good && head --bytes 1000 {shard}.good >{shard}")
    host.check_output("systemd-run --unit=squatter python3 -m http.server --bind 127.0.0.1 8002")
    rc, output = play("serve", **BAD_FLAG, vllm_port=8002, vllm_api_key_generate=False)
    host.check_output(f"mv {shard}.good {shard} && systemctl stop squatter")
    assert rc != 0
    for words in (
        "unrecognized arguments: --tensor-paralel-size",
        "model-00001-of-000002.safetensors is missing from, or of a wrong size in,",
        "127.0.0.1:8002 is taken by python3 (pid ",
    ):
        assert words in output, output

    # A disk that is full: the record is written before anything is stopped.
    host.check_output(f"mount -t tmpfs -o size=64k tmpfs {STATE}/releases")
    host.run(f"dd if=/dev/zero of={STATE}/releases/full bs=1k")
    rc, output = play("serve", **OTHER)
    host.check_output(f"umount {STATE}/releases")
    assert rc != 0
    assert "No space left on device" in output
    assert host.file(f"{STATE}/current/release.json").exists

    # The plan names each flag and variable that differs, old and new, and nothing else.
    arguments = {"max-num-seqs": 8, "kv-cache-memory-bytes": "600M"}
    rc, output = play("serve", "--check", "--diff", vllm_engine_args_extra=arguments, vllm_env_extra={"SOME": "1"})
    assert (rc, list(changed(output).values())) == (0, [1]), output
    assert sorted(re.findall(r"^[+-] .*$", output, re.MULTILINE)) == [
        "+ --kv-cache-memory-bytes 600M",
        "+ --max-num-seqs 8",
        "+ env SOME=1",
        "- --kv-cache-memory-bytes 512M",
    ], output
    assert "would restart the server" in output

    statuses = [status for _began, _ended, status in asked(host, requests)]
    assert len(statuses) > 20
    assert set(statuses) == {200}


def test_pruned_weights_are_those_that_no_release_needs(host: Host) -> None:
    needed, waste = "c" * 40, "d" * 40
    record = f"{STATE}/releases/{'c' * 12}/release.json"
    host.check_output(f"mkdir -p {HUB}/snapshots/{needed} {HUB}/snapshots/{waste} $(dirname {record})")
    commit = host.check_output(f"cat {HUB}/refs/main")
    host.check_output(f"sed 's/{commit}/{needed}/' {STATE}/current/release.json >{record}")
    rc, output = play("cache", hf_cache_prune=True)
    host.check_output(f"rm -r $(dirname {record})")
    assert rc == 0, output
    assert host.file(f"{HUB}/snapshots/{needed}").exists
    assert not host.file(f"{HUB}/snapshots/{waste}").exists


def test_a_play_that_is_killed_in_the_middle_of_a_replacement(host: Host, requests: Path) -> None:
    """Requests end first; the next play finds the work done. The downtime is what vLLM itself takes."""
    before = pointed(host, "current")
    process = start("serve", "-v", **OTHER)
    assert process.stdout
    for line in process.stdout:
        # Some seconds before the server is to be stopped: on a busy machine it does not count a request at once.
        if "Create the next container" in line:
            host.check_output("systemd-run --unit=long sh -c 'exec request_loop.py 4000 >/var/tmp/long'")
        if "requests are under way" in line:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    rc, output = play("serve", **OTHER)
    assert rc == 0, output
    assert host.file("/var/tmp/long").content_string.strip().endswith(" 200"), "it was not cut off"
    assert pointed(host, "current") != before
    assert inspect(host)["Config"]["Labels"]["hgx.inference.release"] == pointed(host, "current")

    wait_for(host)
    good = [(began, ended) for began, ended, status in asked(host, requests) if status == 200]
    down_s = max(following[0] - previous[1] for previous, following in itertools.pairwise(good))
    state = inspect(host)["State"]
    log = host.check_output("docker logs --timestamps vllm 2>&1 | grep -m1 'Application startup complete'")
    started, complete = (seconds(host, moment) for moment in (state["StartedAt"], log.split()[0]))
    print(f"downtime {down_s:.1f} s, of which vLLM's own start {complete - started:.1f} s")
    assert down_s < complete - started + 10


def seconds(host: Host, moment: str) -> float:
    return float(host.check_output(f"date -d {moment} +%s.%N"))


def test_a_release_that_is_too_slow_is_taken_back(host: Host) -> None:
    slow, good = pointed(host, "current"), pointed(host, "last_good")
    settings = {
        "smoke_benchmark_size": "quick",
        "smoke_benchmark_functional_checks": ["models"],
        "smoke_benchmark_fetch_dir": "",
    }
    rc, output = play("verify", **OTHER, **settings, smoke_benchmark_real_text={}, smoke_benchmark_thresholds=[FASTER])
    assert rc != 0
    assert "FAIL: 1 of 1 thresholds missed" in output, output
    assert re.search(r"fail +steady_output_throughput +\d+(\.\d+)? tok/s +>= 1000000 tok/s", output), output
    assert f"the node serves release {good} again, and it answers" in " ".join(output.split()), output
    assert answers(host)
    assert (pointed(host, "current"), pointed(host, "last_good")) == (good, good)

    rc, output = play("rollback", vllm_rollback_to=slow)
    assert rc == 0, output
    assert answers(host)
    assert inspect(host)["Config"]["Labels"]["hgx.inference.release"] == pointed(host, "current") == slow


def test_a_release_that_never_gets_ready_is_taken_back(host: Host) -> None:
    host.check_output(f"ln -sfn releases/{pointed(host, 'current')} {STATE}/last_good")
    good = pointed(host, "last_good")
    rc, output = play("serve", **NEVER_READY)
    assert rc != 0
    assert re.search(r"(?i)kv.cache", output), output
    assert f"the node serves release {good} again, and it answers" in " ".join(output.split()), output
    assert answers(host)
    assert pointed(host, "current") == good


def test_an_engine_that_dies_is_started_again_but_not_for_ever(host: Host) -> None:
    host.check_output(KILL)
    assert wait_for(host) > 5
    host.check_output(KILL)
    deadline = time.monotonic() + 20
    while host.run(f"systemctl is-failed {UNIT}").stdout.strip() != "failed":
        assert time.monotonic() < deadline, host.run(f"journalctl -u {UNIT}").stdout
        time.sleep(1)
    rc, output = play("status", **OTHER)
    assert (rc, changed(output)) == (0, {})
    assert "DOWN, vllm has ended" in output
    assert "GAVE UP: the server ended again" in output


def test_a_boot_brings_the_server_back(host: Host) -> None:
    booted = host.check_output("docker inspect --format '{{.Id}}' vllm")
    name = host.backend.get_hostname()
    subprocess.run(["docker", "exec", name, "systemctl", "reboot"], check=False)
    time.sleep(5)
    deadline = time.monotonic() + 60
    while host.run("docker inspect --format '{{.State.Running}}' vllm").stdout.strip() != "true":
        assert time.monotonic() < deadline
        time.sleep(1)
    wait_for(host)
    assert host.check_output("docker inspect --format '{{.Id}}' vllm") == booted
    assert host.check_output("systemctl show docker --property=NeedDaemonReload --value") == "no"


def test_a_restart_of_the_engine_leaves_it_alone(host: Host) -> None:
    before = inspect(host)["State"]["StartedAt"]
    host.check_output("systemctl restart docker")
    assert answers(host)
    time.sleep(5)
    assert inspect(host)["State"]["StartedAt"] == before
    assert host.service(UNIT).is_running


def test_docker_restart_and_a_stop_are_a_persons_wish(host: Host) -> None:
    """With a small container, since the service knows no model."""
    module = "ansible hgx-vllm-node -i molecule/vllm/inventory -m hgx.inference.vllm_supervisor -a"
    arguments = "name=small state_dir=/var/lib/small restart_limit=1"
    program = "import signal; signal.signal(15, lambda *_: exit()); signal.pause()"
    host.check_output(f"docker create --name small probe python3 -c '{program}'")
    subprocess.run([*module.split(), arguments], cwd=ROOT, check=True, capture_output=True)
    service = host.service("hgx-inference-small.service")

    host.check_output("docker restart --time 1 small")
    time.sleep(4)
    assert service.is_running
    assert inspect(host, "small")["State"]["Running"]

    host.check_output("docker stop --time 1 small")
    time.sleep(14)
    assert not service.is_running
    assert not inspect(host, "small")["State"]["Running"]

    host.check_output("systemctl start hgx-inference-small && sleep 2")
    assert inspect(host, "small")["State"]["Running"]
    host.check_output("systemctl stop hgx-inference-small")
    assert not inspect(host, "small")["State"]["Running"]


def test_rollback_and_teardown(host: Host) -> None:
    rc, output = play("rollback", vllm_rollback_to="0123456789ab")
    assert rc != 0
    assert "There is no release 0123456789ab on this host" in output
    assert f"{pointed(host, 'last_good')}  " in output

    assert changed(play("teardown", "--check")[1])
    assert answers(host)
    assert play("teardown")[0] == 0
    rc, output = play("teardown")
    assert (rc, changed(output)) == (0, {}), output
    assert host.run("docker inspect vllm").rc != 0
    assert not host.file(STATE).exists
    assert not host.file(f"/etc/systemd/system/{UNIT}").exists
    assert host.file(HUB).exists
    assert "nothing is deployed here" in play("status")[1]
