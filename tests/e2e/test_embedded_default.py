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
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

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
STATE = ROOT / ".cache/hgx/state/vllm"
KEY_FILE = STATE / "secrets/vllm_api_key"
ANNOUNCED = STATE / "deployment.json"
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


def processor_s() -> float:
    """Return the seconds of the processors that the commands have used. How busy this machine is does not matter."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_demo_ends_with_a_pass_and_a_line_that_works(first_demo: str) -> None:
    assert THRESHOLDS_MET.search(first_demo)
    message = chat(first_demo)
    assert message["content"].startswith("Hello from a tiny Kimi-shaped model")
    assert message["reasoning"] == "The user greets me, so I will answer briefly."


def test_a_second_run_is_quick_and_changes_nothing(first_demo: str, tmp_path: Path) -> None:
    """By the Python example as a project of its own, with the installed collection in place of the checkout."""
    prepared = run("ansible-playbook", "demo/prepare.yml", *INVENTORY)
    assert (prepared.returncode, changed(prepared.stdout)) == (0, [0]), prepared.stdout[-5000:]
    run("ansible-galaxy", "collection", "build", "--output-path", str(tmp_path))
    (artifact,) = tmp_path.glob("*.tar.gz")
    project, log = tmp_path / "runner", tmp_path / "ansible.log"
    shutil.copytree(ROOT / "examples" / "runner", project)
    (project / "env" / "envvars").write_text(f"ANSIBLE_LOG_PATH: {log}\n", encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path), "PWD": str(tmp_path)}
    del environment["ANSIBLE_CONFIG"]
    before_s = processor_s()
    for command in (
        ["ansible-galaxy", "collection", "install", str(artifact), "--offline", "-p", str(tmp_path)],
        [sys.executable, str(project / "run.py"), "--inventory", str(ROOT / "inventories" / "local")],
    ):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert processor_s() - before_s < 60, "no model is loaded, and nothing is measured"
    verdicts = dict(re.findall(r"localhost +(functions|benchmark) +(pass|warn)", done.stdout))
    assert verdicts.keys() == {"functions", "benchmark"}, done.stdout[-5000:] + done.stderr
    assert done.returncode == (2 if "warn" in verdicts.values() else 0), done.stdout[-5000:]
    assert changed(log.read_text(encoding="utf-8")) == [0]
    (result,) = (tmp_path / "results" / "localhost").glob("*.json")
    assert json.loads(result.read_text(encoding="utf-8"))["verdict"] == verdicts["benchmark"]


def test_the_plan_of_a_serving_host_is_to_change_nothing(first_demo: str) -> None:
    done = run("ansible-playbook", "site.yml", *INVENTORY, "--check", "--diff")
    assert done.returncode == 0, done.stdout[-5000:]
    assert changed(done.stdout) == [0]


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
        extra_vars={
            "smoke_benchmark_reuse": "never",
            "smoke_benchmark_functional_checks": [],
            "smoke_benchmark_workload": workload,
        },
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


class Guarded(NamedTuple):
    """A server with a key, the output of its play, and how another play ended that ran meanwhile."""

    address: str
    output: str
    refused: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def guarded(first_demo: str, tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    """Deploy a server with a key on an address that others reach, with full verbosity, and meanwhile another one."""
    subnet = run("docker", "network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Subnet}}").stdout.strip()
    bridge = str(ipaddress.ip_network(subnet)[1])  # some engines do not name the gateway
    command = ["ansible-playbook", "site.yml", *INVENTORY, "-vvv", "--diff", "-e", f"vllm_bind_address={bridge}"]
    log = tmp_path_factory.mktemp("guarded") / "output"
    with (
        log.open("w") as stream,
        subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **SECRETS}, stdout=stream, stderr=subprocess.STDOUT
        ) as play,
    ):
        while not ANNOUNCED.exists() and play.poll() is None:
            time.sleep(0.1)
        refused = run(
            "ansible-playbook", "playbooks/serve.yml", *INVENTORY, "-e", '{"vllm_env_extra": {"WHO": "other"}}'
        )
    output = log.read_text(encoding="utf-8")
    assert play.returncode == 0, output[-5000:]
    return Guarded(bridge, output, refused)


def test_of_two_plays_at_once_one_is_refused(guarded: Guarded) -> None:
    assert guarded.refused.returncode != 0
    assert "is deploying release" in guarded.refused.stdout
    assert "WHO" not in run("docker", "inspect", "-f", "{{.Config.Env}}", SERVER).stdout
    assert not ANNOUNCED.exists()


def test_secrets_stay_secret(guarded: Guarded) -> None:
    """Nothing but the file of mode 0600 holds the secrets."""
    results = sorted((ROOT / ".cache/hgx/state/results").glob("2*.json"))
    reports = sorted((ROOT / "results/localhost").glob("*/report.html"))
    exposed = {
        "the play's output": guarded.output,
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


def test_an_address_that_others_reach_is_guarded(guarded: Guarded) -> None:
    """vLLM's own check of the key leaves out paths that run the model."""
    question = {"model": "kimi-k2.6", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
    ask = ["-H", "Content-Type: application/json", "-d", json.dumps(question)]
    key = ["-H", f"Authorization: Bearer {SECRETS['VLLM_API_KEY']}"]
    for path in ("/invocations", "/v1/chat/completions"):
        assert (status(guarded.address, path, *ask), status(guarded.address, path, *ask, *key)) == ("401", "200"), path
    for path in ("/health", "/metrics", "/version"):
        assert status(guarded.address, path) == "200", path
    for path in ("/v1/models", "/tokenizer_info", "/docs"):
        assert status(guarded.address, path) == "401", path


def test_real_clients_tell_a_wrong_key_and_work_with_the_right_one(guarded: Guarded, tmp_path: Path) -> None:
    server, key, model = f"http://{guarded.address}:8001", SECRETS["VLLM_API_KEY"], "kimi-k2.6"
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


def test_only_who_removes_the_key_opens_the_endpoint(guarded: Guarded) -> None:
    before = started_at()
    serve = ["ansible-playbook", "playbooks/serve.yml", *INVENTORY]
    assert run(*serve, "-e", f"vllm_bind_address={guarded.address}").returncode == 0
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
