# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main job on this machine, with the real Docker and the real vLLM, as a newcomer runs it, and its failures.

The tests build on each other, in their order: what one leaves serving the next one uses.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from ansible_collections.hgx.inference.examples.runner.run import Lines, run_site
from ansible_collections.hgx.inference.plugins.module_utils._vllm.supervisor import Service, Supervision
from ansible_collections.hgx.inference.plugins.module_utils._vllm.versions import is_within
from ansible_collections.hgx.inference.tests.support import claude_code, recipe_args

ROOT = Path(__file__).parents[2]
SERVER = "hgx-demo-vllm"
INVENTORY = ["-i", "inventories/local"]
KEY_FILE = ROOT / ".cache/hgx/state/vllm/secrets/vllm_api_key"
# A machine that is busy with something else serves half of the requests so slowly that the benchmark warns.
THRESHOLDS_MET = re.compile(r"(PASS|WARN): 2 of 2 thresholds met")
SECRETS = {"VLLM_API_KEY": "s3cret-endpoint-key", "HF_TOKEN": "hf_s3cretHubToken"}


def run(*command: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository; both its streams are in stdout."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def changed(output: str) -> list[int]:
    """Return the number of changes in each play recap."""
    return [int(count) for count in re.findall(r"ok=\d+\s+changed=(\d+)", output)]


def chat(output: str, environment: dict[str, str] | None = None) -> dict[str, str]:
    """Run the curl line that a play has printed and return the answer's message."""
    lines = output[output.rindex("curl -s ") :].split("\n")
    line = lines[0].rstrip("\\ ") + " " + lines[1].strip()
    done = run("bash", "-c", line, environment=environment)
    message: dict[str, str] = json.loads(done.stdout)["choices"][0]["message"]
    return message


def status(host: str, path: str, *options: str) -> str:
    """Return the HTTP status of a request to the server."""
    return run("curl", "-s", "-o", os.devnull, "-w", "%{http_code}", f"http://{host}:8001{path}", *options).stdout


def started_at() -> str:
    return run("docker", "inspect", "-f", "{{.State.StartedAt}}", SERVER).stdout


def test_demo_ends_with_a_pass_and_a_line_that_works(first_demo: str) -> None:
    assert THRESHOLDS_MET.search(first_demo)
    message = chat(first_demo)
    assert message["content"].startswith("Hello from a tiny Kimi-shaped model")
    assert message["reasoning"] == "The user greets me, so I will answer briefly."


def test_a_second_demo_is_quick_and_changes_nothing(first_demo: str) -> None:
    started = time.monotonic()
    done = run("make", "demo")
    assert done.returncode == 0, done.stdout[-5000:]
    assert set(changed(done.stdout)) == {0}
    assert THRESHOLDS_MET.search(done.stdout)
    assert time.monotonic() - started < 90


def test_the_plan_of_a_serving_host_is_to_change_nothing(first_demo: str) -> None:
    done = run("ansible-playbook", "site.yml", *INVENTORY, "--check", "--diff")
    assert done.returncode == 0, done.stdout[-5000:]
    assert changed(done.stdout) == [0]


def test_the_installed_collection_works_without_the_checkout(first_demo: str, tmp_path: Path) -> None:
    run("ansible-galaxy", "collection", "build", "--output-path", str(tmp_path))
    (artifact,) = tmp_path.glob("*.tar.gz")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path), "PWD": str(tmp_path)}
    del environment["ANSIBLE_CONFIG"]
    for command in (
        ["ansible-galaxy", "collection", "install", str(artifact), "--offline", "-p", str(tmp_path)],
        ["ansible-playbook", "hgx.inference.site", "-i", str(ROOT / "inventories" / "local")],
    ):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert changed(done.stdout) == [0]
    (result,) = (tmp_path / "results" / "localhost").glob("*.json")
    assert json.loads(result.read_text(encoding="utf-8"))["verdict"] in ("pass", "warn")


def test_an_impossible_threshold_fails_and_says_how_far_off(first_demo: str, tmp_path: Path) -> None:
    recipe = (ROOT / "recipes" / "tiny_kimi_cpu.yml").read_text(encoding="utf-8")
    impossible = tmp_path / "impossible.yml"
    impossible.write_text(recipe.replace("    value: 5\n", "    value: 1000000\n"), encoding="utf-8")
    done = run("ansible-playbook", "playbooks/verify.yml", *INVENTORY, "-e", f"recipe_file={impossible}")
    assert done.returncode != 0
    assert re.search(r"FAIL: 1 of 2 thresholds missed", done.stdout)
    told = re.findall(r"fail +steady_output_throughput +\d+(?:\.\d+)? tok/s +>= 1000000 tok/s", done.stdout)
    assert len(told) == 1, "once, in the last message"
    assert "Nothing was rolled back, because this is the last good release." in done.stdout


def test_python_gets_the_verdict(first_demo: str) -> None:
    done = run("python", "examples/runner/run.py", "--inventory", "inventories/local")
    verdict = re.search(r"localhost +benchmark +(pass|warn)", done.stdout)
    assert verdict, done.stdout[-5000:]
    assert done.returncode == {"pass": 0, "warn": 2}[verdict[1]]


def clients() -> int:
    """Return how many benchmark clients run in the server's container."""
    command = "for each in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$each; echo; done 2>/dev/null"
    return len(re.findall(r"vllm bench serve", run("docker", "exec", SERVER, "sh", "-c", command).stdout))


def test_a_benchmark_that_is_canceled_leaves_no_client(first_demo: str) -> None:
    before = started_at()
    shown: list[str] = []
    workload = "{{ recipe.benchmark | combine({'output_len': 1000}) }}"
    result = run_site(
        ROOT / "inventories" / "local",
        ROOT / "playbooks" / "verify.yml",
        extra_vars={"smoke_benchmark_reuse": "never", "smoke_benchmark_workload": workload},
        display=Lines(shown.append),
        cancel=lambda: int("requests done" in "".join(shown)),
    )
    assert (result.status, result.exit_code) == ("canceled", 1), result.failures or shown[-5:]
    deadline = time.monotonic() + 15
    while clients() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert clients() == 0
    assert started_at() == before
    assert chat(first_demo)["content"]


def watched(state_dir: Path, condition: Callable[[dict[str, Any]], bool], limit_s: float = 180) -> dict[str, Any]:
    """Wait until the record of the watch meets a condition, and return it."""
    deadline, record = time.monotonic() + limit_s, {}
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            record = json.loads((state_dir / "supervisor" / "watch.json").read_text(encoding="utf-8"))
            if condition(record):
                return record
        time.sleep(0.5)
    raise AssertionError(record)


def test_an_engine_that_hangs_while_it_serves_is_recorded(first_demo: str, tmp_path: Path) -> None:
    """The demo has no systemd, so the service's program is run as it is; it only observes."""
    before, py_spy = started_at(), ROOT / ".cache/hgx/hf-venv/bin/py-spy"
    service = Service(SERVER, str(tmp_path))
    service.install()
    wanted = Supervision(0, 60, False, "observe", 10, 5, "http://127.0.0.1:8001", "kimi-k2.6", str(py_spy))
    settings = Path(service.folder) / "settings.json"
    settings.write_text(service.settings(wanted), encoding="utf-8")
    listed = run("docker", "top", SERVER, "-eo", "pid,args").stdout.splitlines()
    engines = [line.split()[0] for line in listed if "EngineCore" in line]
    assert engines, listed
    command = [sys.executable, f"{service.folder}/supervise.py", str(settings)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as program:
        try:
            assert watched(tmp_path, lambda record: record["state"] == "healthy")["events"] == []
            run("kill", "-STOP", *engines)
            record = watched(tmp_path, lambda record: record["state"] == "hanging")
            assert "none for its own request" in record["words"]
            assert any(line.startswith("process ") for line in record["events"][-1]["dump"])
            run("kill", "-CONT", *engines)
            record = watched(tmp_path, lambda record: record["state"] == "healthy")
            assert [event["kind"] for event in record["events"]] == ["hanging", "recovered"]
        finally:
            run("kill", "-CONT", *engines)
            os.killpg(program.pid, signal.SIGKILL)  # a stop would stop the server with it
    assert started_at() == before


FLAG = '{"vllm_engine_args_extra": {"tensor-paralel-size": 1}}'


def test_a_misspelt_flag_at_the_first_start_starts_nothing(first_demo: str) -> None:
    run("docker", "rm", "-f", SERVER)
    done = run("ansible-playbook", "playbooks/serve.yml", *INVENTORY, "-e", FLAG)
    assert done.returncode != 0
    assert "Nothing was stopped or started" in done.stdout
    assert "unrecognized arguments: --tensor-paralel-size" in done.stdout
    assert run("docker", "inspect", SERVER).returncode != 0
    status = run("ansible-playbook", "playbooks/status.yml", *INVENTORY)
    assert "nothing is deployed here" in status.stdout
    assert "last good" in status.stdout


def test_of_two_plays_at_once_one_is_refused(first_demo: str) -> None:
    serve = ["ansible-playbook", "playbooks/serve.yml", *INVENTORY, "-e"]
    ours, theirs = (json.dumps({"vllm_env_extra": {"WHO": name}}) for name in ("ours", "theirs"))
    with subprocess.Popen(
        [*serve, ours], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as first:
        announced = ROOT / ".cache/hgx/state/vllm/deployment.json"
        while not announced.exists() and first.poll() is None:
            time.sleep(0.1)
        refused = run(*serve, theirs)
        output = first.communicate()[0]
    assert first.returncode == 0, output[-5000:]
    assert refused.returncode != 0
    assert "is deploying release" in refused.stdout
    assert "WHO=ours" in run("docker", "inspect", "-f", "{{.Config.Env}}", SERVER).stdout
    assert not announced.exists()


def test_a_start_that_stands_still_is_told_with_where_it_waits(first_demo: str) -> None:
    settings = {"vllm_env_extra": {"WHO": "still"}, "vllm_stall_timeout": 20, "vllm_rollback": "never"}
    command = ["ansible-playbook", "playbooks/serve.yml", *INVENTORY, "-e", json.dumps(settings)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as play:
        processes: list[str] = []
        while len(processes) < 3 and play.poll() is None:  # shell, server and engine
            time.sleep(0.2)
            is_ours = "WHO=still" in run("docker", "inspect", "-f", "{{.Config.Env}}", SERVER).stdout
            processes = run("docker", "top", SERVER, "-eo", "pid").stdout.split()[1:] if is_ours else []
        run("kill", "-STOP", *processes)
        output = " ".join(play.communicate()[0].split())
    run("docker", "rm", "-f", SERVER)
    assert play.returncode != 0
    assert "does not move" in output
    assert "A signal has stopped the processes" in output
    assert re.search(r"process \d+ waits in \w+", output)


@pytest.fixture(scope="module")
def guarded(first_demo: str) -> tuple[str, str]:
    """Deploy a server with a key on an address that others reach, with full verbosity; return address and output."""
    subnet = run("docker", "network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Subnet}}").stdout.strip()
    bridge = str(ipaddress.ip_network(subnet)[1])  # some engines do not name the gateway
    address = ["-e", f"vllm_bind_address={bridge}"]
    done = run("ansible-playbook", "site.yml", *INVENTORY, "-vvv", "--diff", *address, environment=SECRETS)
    assert done.returncode == 0, done.stdout[-5000:]
    return bridge, done.stdout


def test_secrets_stay_secret(guarded: tuple[str, str]) -> None:
    """Nothing but the file of mode 0600 holds the secrets."""
    results = sorted((ROOT / ".cache/hgx/state/results").glob("2*.json"))
    reports = sorted((ROOT / "results/localhost").glob("*/report.html"))
    exposed = {
        "the play's output": guarded[1],
        "docker inspect": run("docker", "inspect", SERVER).stdout,
        "the server's log": run("docker", "logs", SERVER).stdout,
        "the process list": run("ps", "axww").stdout,
        "the result": results[-1].read_text(encoding="utf-8"),
        "the report": reports[-1].read_text(encoding="utf-8"),
    }
    for place, text in exposed.items():
        assert text, place
        for secret in SECRETS.values():
            assert secret not in text, place
    assert KEY_FILE.stat().st_mode & 0o777 == 0o600
    found = run("grep", "-rlF", "-e", SECRETS["VLLM_API_KEY"], "-e", SECRETS["HF_TOKEN"], ".cache/hgx/state").stdout
    assert found.split() == [".cache/hgx/state/vllm/secrets/vllm_api_key"]


def test_an_address_that_others_reach_is_guarded(guarded: tuple[str, str]) -> None:
    """vLLM's own check of the key leaves out paths that run the model."""
    question = {"model": "kimi-k2.6", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
    ask = ["-H", "Content-Type: application/json", "-d", json.dumps(question)]
    key = ["-H", f"Authorization: Bearer {SECRETS['VLLM_API_KEY']}"]
    for path in ("/invocations", "/v1/chat/completions"):
        assert (status(guarded[0], path, *ask), status(guarded[0], path, *ask, *key)) == ("401", "200"), path
    for path in ("/health", "/metrics", "/version"):
        assert status(guarded[0], path) == "200", path
    for path in ("/v1/models", "/tokenizer_info", "/docs"):
        assert status(guarded[0], path) == "401", path


def test_real_clients_tell_a_wrong_key_and_work_with_the_right_one(guarded: tuple[str, str], tmp_path: Path) -> None:
    server, key, model = f"http://{guarded[0]}:8001", SECRETS["VLLM_API_KEY"], "kimi-k2.6"
    messages: Any = [{"role": "user", "content": "Hello"}]

    def from_openai(key: str) -> str | None:
        client = openai.OpenAI(base_url=f"{server}/v1", api_key=key, max_retries=0)
        return client.chat.completions.create(model=model, messages=messages).choices[0].message.content

    def from_anthropic(key: str) -> str:
        client = anthropic.Anthropic(base_url=server, auth_token=key, max_retries=0)
        return client.messages.create(model=model, max_tokens=64, messages=messages).content[-1].to_json()

    def from_claude_code(key: str) -> str:
        return claude_code.ask(claude_code.installed(), server, key, "Say hello", tmp_path, "--tools", "").text

    with pytest.raises(openai.AuthenticationError):
        from_openai("wrong")
    with pytest.raises(anthropic.AuthenticationError):
        from_anthropic("wrong")
    assert from_claude_code("wrong").startswith("Failed to authenticate. API Error: 401")
    for ask in (from_openai, from_anthropic, from_claude_code):
        assert "Hello from a tiny Kimi-shaped model" in (ask(key) or "")


def test_only_who_removes_the_key_opens_the_endpoint(guarded: tuple[str, str]) -> None:
    before = started_at()
    serve = ["ansible-playbook", "playbooks/serve.yml", *INVENTORY]
    assert run(*serve, "-e", f"vllm_bind_address={guarded[0]}").returncode == 0
    assert started_at() == before, "a shell without the key does not open the endpoint"
    KEY_FILE.unlink()  # as documented
    assert run(*serve).returncode == 0
    assert status("127.0.0.1", "/v1/models") == "200"


def test_an_open_endpoint_is_refused(first_demo: str) -> None:
    before = started_at()
    done = run("ansible-playbook", "playbooks/serve.yml", *INVENTORY, "-e", "vllm_bind_address=0.0.0.0")
    assert done.returncode != 0
    assert "but there is no API key" in done.stdout
    assert started_at() == before


def test_the_newest_parser_reads_the_commands_of_the_recipes(first_demo: str) -> None:
    """Of those that are for this version. `make recipes` has each version read its own."""
    newest = recipe_args.versions()[-1]
    known = [one for one in recipe_args.deployments() if is_within(newest, one.data["image"]["vllm"])]
    wrong = [*known[0].argv, "--tensor-paralel-size", "1"]
    *answers, refused = recipe_args.parse(newest, [*(one.argv for one in known), wrong])
    found = {one.name: answer.get("problems") for one, answer in zip(known, answers, strict=True)}
    assert found == {name: [] for name in found}
    assert len(found) > 10
    assert refused["problems"] == ["unrecognized arguments: --tensor-paralel-size"]
