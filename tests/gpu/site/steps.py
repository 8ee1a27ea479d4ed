#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the site on a GPU machine in steps, and hold each against what it must show.

    machine.sh steps OUT STEP...            STEP is one of those below, in this order
    LIMIT=540 machine.sh steps OUT STEP...  begins no step that may not end in time, and says which are left

A step prints one line with its seconds and its verdict. The record of all steps so far is in $K, and in OUT as
site.json, site.txt and logs.tgz after each step; a step that is run again replaces its entry. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SITE = ROOT / "tests/gpu/site"
K = Path(os.environ.get("K", "/opt/hgx-gpu-site"))
LOGS = K / "logs"
RECORD = K / "site.json"
RELEASES = Path("/var/lib/hgx-inference/vllm/releases")
RESULTS = Path("/var/lib/hgx-inference/results")
NODES = K / "nodes"
SYSTEMD = Path("/run/systemd/system")
HEALTH = "http://127.0.0.1:8001/health"
MANY_SEQUENCES = '{"vllm_engine_args_extra": {"max-num-seqs": 64}}'
# What the unit of the service would run, with the settings that the role gives it.
SUPERVISE = """
import os, sys
from ansible_collections.hgx.inference.plugins.module_utils._vllm.supervisor import Service, Supervision
service = Service("vllm", sys.argv[1])
service.install()
path = os.path.join(service.folder, "settings.json")
with open(path, "w") as stream:
    stream.write(service.settings(Supervision(restart_limit=3, restart_interval=7200, gpus=True)))
os.execv(sys.executable, [sys.executable, os.path.join(service.folder, "supervise.py"), path])
"""
_WORDS_OF_FAILURE = 12


@dataclass
class Play:
    """A playbook's run: its exit code, its output and its recap."""

    rc: int
    output: str
    seconds: float

    @property
    def changed(self) -> int:
        return sum(int(count) for count in re.findall(r"ok=\d+\s+changed=(\d+)", self.output))

    def says(self, *words: str) -> bool:
        """Return whether the output has all the words, wherever its lines break."""
        text = " ".join(self.output.split()).lower()
        return all(word.lower() in text for word in words)


@dataclass
class Outcome:
    """What a step has shown: claims that must hold, and facts."""

    claims: dict[str, bool]
    facts: dict[str, Any] = field(default_factory=dict)


def command(*argv: str, limit_s: float = 120) -> str:
    """Return what a command prints, and nothing if it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=limit_s, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def play(name: str, playbook: str, *arguments: str, inventory: str = "hosts.yml") -> Play:
    """Run a playbook, as a user would."""
    began = time.monotonic()
    argv = [sys.executable, "-m", "ansible", "playbook", "-i", str(SITE / inventory), playbook, *arguments]
    environment = {**os.environ, "ANSIBLE_CONNECTION_PLUGINS": str(SITE / "connection")}
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    (LOGS / f"{name}.txt").write_text(done.stdout, encoding="utf-8")
    return Play(done.returncode, done.stdout, time.monotonic() - began)


def container() -> dict[str, Any]:
    """Return what the engine says of the server's container, nothing if there is none."""
    found = command("docker", "inspect", "vllm")
    return dict(json.loads(found)[0]) if found else {}


def identity() -> str:
    """Return what tells one start of the server from another."""
    found = container()
    return f"{found['Id']} {found['State']['StartedAt']} {found['State']['Running']}" if found else ""


def release() -> str:
    return str((container().get("Config") or {}).get("Labels", {}).get("hgx.inference.release", ""))


def healthy() -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(HEALTH, timeout=2) as answer:
        return bool(answer.status == 200)
    return False


def gpu_memory() -> list[int]:
    """Return the used memory of each GPU, in MiB."""
    said = command("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits")
    return [int(line) for line in said.split()]


def result(results: Path = RESULTS) -> dict[str, Any]:
    """Return the verdict and the figures of the newest benchmark."""
    newest = sorted(results.glob("2*.json"))[-1:]
    if not newest:
        return {}
    found = json.loads(newest[0].read_text(encoding="utf-8"))
    names = ("steady_output_throughput", "mean_ttft_ms", "mean_tpot_ms", "acceptance_length", "completed", "failed")
    return {"verdict": found["verdict"], "file": newest[0].name} | {name: found["metrics"].get(name) for name in names}


def kill_worker() -> str:
    """Kill the last worker of the server without a word, and return its name."""
    listed = command("docker", "top", "vllm", "-eo", "pid,args").splitlines()
    named = [line.split(None, 1) for line in listed if re.search(r"Worker_TP\d+|EngineCore", line)]
    pid, name = sorted(named, key=lambda words: words[1])[-1]
    os.kill(int(pid), signal.SIGKILL)
    return name


def seconds_until(reached: Callable[[], bool], limit_s: float) -> float | None:
    """Return after how many seconds something was so, None if it was not within C(limit_s)."""
    began = time.monotonic()
    while not reached():
        if time.monotonic() - began > limit_s:
            return None
        time.sleep(0.2)
    return round(time.monotonic() - began, 1)


@contextlib.contextmanager
def outage() -> Iterator[list[float]]:
    """Ask /health meanwhile; the list then has the seconds for which it did not answer, the longest time in a row."""
    ended, longest = threading.Event(), [0.0]

    def watch() -> None:
        since = None
        while not ended.wait(0.25):
            now = time.monotonic()
            since = None if healthy() else since or now
            longest[0] = max(longest[0], 0.0 if since is None else round(now - since, 1))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield longest
    finally:
        ended.set()
        watcher.join()


def last_message(found: Play) -> list[str]:
    """Return the first lines of what a failed play says at its end."""
    failures = found.output.split("fatal: ")[1:] or re.split(r"^FAILED|\bfailed\b", found.output)[-1:]
    lines = [line.strip() for line in failures[-1].splitlines() if line.strip()] if failures else []
    return [line[:300] for line in lines[:_WORDS_OF_FAILURE]]


# ---- the steps -------------------------------------------------------------------------------------------------------


def bare() -> Outcome:
    """From a machine with an engine and an image to a verdict."""
    found, figures = play("bare", "site.yml"), result()
    claims = {"the play succeeds": found.rc == 0, "the verdict is pass": figures.get("verdict") == "pass"}
    kept = {"benchmark": figures, "release": release(), "supervision": _supervision(found)}
    return Outcome(claims, {**_recap(found), **kept, **({} if found.rc == 0 else {"message": last_message(found)})})


def again() -> Outcome:
    """The same play again changes nothing."""
    before, found = identity(), play("again", "site.yml")
    claims = {
        "the play succeeds": found.rc == 0,
        "nothing changed": found.changed == 0,
        "the server was not touched": identity() == before,
    }
    return Outcome(claims, _recap(found))


def check() -> Outcome:
    """Check mode with another option shows the one difference and touches nothing."""
    before, found = identity(), play("check", "site.yml", "--check", "--diff", "-e", MANY_SEQUENCES)
    claims = {
        "the play succeeds": found.rc == 0,
        "it would restart the server": found.says("would restart the server"),
        "the difference is shown": found.says("--max-num-seqs 64"),
        "the server was not touched": identity() == before,
    }
    return Outcome(claims, _recap(found))


def flag() -> Outcome:
    """An option that vLLM does not have is refused while the server serves."""
    return _refused("flag", '{"vllm_engine_args_extra": {"kv-cache-typ": "fp8"}}', "--kv-cache-dtype")


def value() -> Outcome:
    """A value that vLLM's configuration of the model refuses is refused while the server serves."""
    return _refused("value", '{"vllm_engine_args_extra": {"max-model-len": 9999999}}', "9999999", "max_model_len")


def late() -> Outcome:
    """A value that only the start on the GPUs refuses: the last good release serves again."""
    good, began = (RELEASES.parent / "last_good").readlink().name, time.time()
    with outage() as down:
        found = play("late", "site.yml", "-e", '{"vllm_engine_args_extra": {"kv-cache-memory-bytes": "2M"}}')
    kept = [path for path in RELEASES.glob("*/ended.log") if path.stat().st_mtime > began]
    failed = [path.parent.name for path in kept if "KV cache is needed" in path.read_text(encoding="utf-8")]
    claims = {
        "the play fails": found.rc != 0,
        "the cause is told": found.says("KV cache"),
        "it is rolled back": found.says(f"the node serves release {good} again"),
        "the good release runs": release() == good and healthy(),
        "the log of the failed server is kept": bool(failed),
    }
    return Outcome(claims, {**_recap(found), "outage_s": down[0], "message": last_message(found), "logs_of": failed})


def kill() -> Outcome:
    """A killed worker: status names it, the site tells it and repairs the server."""
    before, name = release(), kill_worker()
    ended_s = seconds_until(lambda: not container()["State"]["Running"], 60)
    freed_s = seconds_until(lambda: max(gpu_memory()) < 2048, 60)
    code = container()["State"]["ExitCode"]
    status = play("kill-status", "playbooks/status.yml")
    with outage() as down:
        found = play("kill-repair", "site.yml")
    log = RELEASES / before / "ended.log"
    claims = {
        "the container ends": ended_s is not None,
        "status names the cause": status.rc == 0 and status.says("DOWN", "died"),
        "the site tells the cause": found.says("died"),
        "the log is kept": log.is_file() and "died" in log.read_text(encoding="utf-8"),
        "the release is not recorded again": "Record the release" not in _changed_tasks(found),
        "it serves again": found.rc == 0 and healthy(),
        "the verdict is pass": result().get("verdict") == "pass",
    }
    facts = {"killed": name, "ended_after_s": ended_s, "gpus_free_after_s": freed_s, "exit_code": code}
    causes = [line.strip()[:300] for line in status.output.splitlines() if " has ended with exit code" in line][:1]
    return Outcome(claims, {**_recap(found), **facts, "cause": causes, "outage_s": down[0], "benchmark": result()})


def second() -> Outcome:
    """Another release replaces the first one and passes."""
    first = release()
    with outage() as down:
        found = play("second", "site.yml", "-e", MANY_SEQUENCES)
    claims = {
        "the play succeeds": found.rc == 0,
        "another release runs": release() not in ("", first),
        "the verdict is pass": result().get("verdict") == "pass",
    }
    return Outcome(claims, {**_recap(found), "outage_s": down[0], "releases": [first, release()]})


def rollback() -> Outcome:
    """A rollback to what runs is refused with the other release; by its name, that one serves again."""
    running, before = release(), identity()
    proven = [path.parent.name for path in RELEASES.glob("*/benchmark.json") if path.parent.name != running]
    plain = play("rollback-plain", "playbooks/rollback.yml")
    untouched = identity() == before
    with outage() as down:
        found = play("rollback-to", "playbooks/rollback.yml", "-e", f"vllm_rollback_to={(proven or ['none'])[0]}")
    claims = {
        "to what runs is refused": plain.rc != 0 and plain.says(running, "already", *proven),
        "nothing was touched then": untouched,
        "the other release serves": found.rc == 0 and release() in proven and healthy(),
    }
    facts = {"refused_in_s": round(plain.seconds, 1), "outage_s": down[0], "message": last_message(plain)}
    return Outcome(claims, {**_recap(found), **facts})


def supervision() -> Outcome:
    """The server that lost a worker is started again by its service, or by the service's program where none runs it."""
    program, folder = None, K / "supervision"
    if not SYSTEMD.is_dir():
        folder.mkdir(exist_ok=True)
        with (LOGS / "supervisor.txt").open("wb") as output:
            argv = [sys.executable, "-c", SUPERVISE, str(folder)]
            environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'collections'}:{os.environ.get('PYTHONPATH', '')}"}
            program = subprocess.Popen(
                argv, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        time.sleep(5)
    name, began = kill_worker(), time.monotonic()
    down_s = seconds_until(lambda: not healthy(), 60)
    up_s = seconds_until(healthy, 300)
    seconds = round(time.monotonic() - began, 1)
    if program:
        program.kill()
        program.wait()
    claims = {"the server goes down": down_s is not None, "it serves again": up_s is not None}
    return Outcome(claims, {"killed": name, "serves_again_after_s": seconds})


def full() -> Outcome:
    """K2.6 at its real size, with the published load, replaces the running release."""
    return _without_weights("full")


def wide() -> Outcome:
    """The profile of K2.6's own widths replaces the running release."""
    return _without_weights("wide")


def _without_weights(profile: str) -> Outcome:
    with outage() as down:
        found = play(profile, "site.yml", "-e", f"recipe_profile={profile}")
    # A warning says that the weights are random.
    claims = {"the play succeeds": found.rc == 0, "the verdict is warn": result().get("verdict") == "warn"}
    facts = {"outage_s": down[0], "gpu_memory_mib": gpu_memory(), "benchmark": result()}
    return Outcome(claims, {**_recap(found), **facts, **({} if found.rc == 0 else {"message": last_message(found)})})


def wide_again() -> Outcome:
    """The second start of that release, with the kept caches."""
    command("docker", "stop", "-t", "10", "vllm")
    found = play("wide-again", "playbooks/serve.yml", "-e", "recipe_profile=wide")
    return Outcome({"the play succeeds": found.rc == 0}, _recap(found))


def teardown() -> Outcome:
    """The server and its state are gone, the memory of the GPUs is free."""
    found = play("teardown", "playbooks/teardown.yml")
    claims = {
        "the play succeeds": found.rc == 0,
        "there is no container": not container(),
        "the releases are gone": not RELEASES.exists(),
        "the GPUs are free": seconds_until(lambda: max(gpu_memory()) < 2048, 30) is not None,
    }
    return Outcome(claims, {**_recap(found), "gpu_memory_mib": gpu_memory()})


def node(name: str, *argv: str) -> str:
    """Return what a command prints on a node of nodes.sh, and nothing if it fails."""
    return command("bash", str(SITE / "nodes.sh"), "enter", name, *argv)


def _start_nodes() -> None:
    """Start two nodes instead of the machine's engine, and a hub in their network."""
    images = command("docker", "info", "--format", "{{.DockerRootDir}}")
    os.kill(int(Path("/run/docker.pid").read_text()), signal.SIGTERM)
    seconds_until(lambda: not Path("/run/docker.pid").exists(), 30)
    start = ["bash", str(SITE / "nodes.sh"), "start", images]
    made = subprocess.run(start, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if made.returncode:
        raise RuntimeError(made.stdout)
    hub = [sys.executable, str(ROOT / "tests/support/hub_server.py"), "--root", str(K / "hub")]
    with (LOGS / "nodes-hub.log").open("wb") as output:
        subprocess.Popen(
            [*hub, "--bind", "10.231.0.254", "--port", os.environ["HUB_PORT"]],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def nodes() -> Outcome:
    """One server across two nodes, tensor parallel across them."""
    return _across_nodes("nodes")


def nodes_stages() -> Outcome:
    """Pipeline stages across the nodes instead of tensor parallelism, as for Kimi K3."""
    return _across_nodes("nodes_stages", "-e", f"@{_stages()}")


def nodes_kill() -> Outcome:
    """A killed worker of the follower: status names rank, node and cause, the site repairs the server as one."""
    rows = [row.split(None, 1) for row in node("b", "docker", "top", "vllm", "-eo", "pid,args").splitlines()]
    pid, name = next(row for row in rows if "VLLM::Worker" in row[1])
    before = {each: node(each, *_STARTED) for each in "ab"}
    node("b", "kill", "-KILL", pid)
    time.sleep(5)
    ended = {each: node(each, *_STATE) for each in "ab"}
    status = play("nodes-kill-status", "playbooks/status.yml", inventory="nodes.yml")
    found = _across_nodes("nodes_kill", "-e", f"@{_stages()}")
    found.claims["status names the follower"] = status.says("hgx-node-b", "died")
    again = {each: node(each, *_STARTED) for each in "ab"}
    found.claims["both ranks were started again"] = all(again[each] not in ("", before[each]) for each in "ab")
    found.facts.update(killed=name, after_5_s=ended)
    return found


_STARTED = ("docker", "inspect", "--format", "{{.State.StartedAt}} {{.State.Running}}", "vllm")
_STATE = ("docker", "inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "vllm")


def _stages() -> Path:
    """Write the settings of a server with a pipeline stage on each node."""
    stages = {"tensor-parallel-size": machine()["gpus"], "pipeline-parallel-size": 2, "speculative-config": None}
    answers = {"metric": "steady_output_throughput", "op": ">=", "value": 1, "severity": "fail", "source": "it answers"}
    settings = {"vllm_engine_args_extra": stages, "smoke_benchmark_thresholds": [answers]}
    (K / "stages.json").write_text(json.dumps(settings), encoding="utf-8")
    return K / "stages.json"


def _across_nodes(name: str, *arguments: str) -> Outcome:
    """Run the site on both nodes."""
    if not Path("/proc", _pid("b")).exists():
        _start_nodes()
    found = play(name, "site.yml", *arguments, inventory="nodes.yml")
    figures = result(NODES / "a/var/lib/hgx-inference/results")
    for each in "ab":
        said = subprocess.run(
            ["bash", str(SITE / "nodes.sh"), "enter", each, "docker", "logs", "vllm"], capture_output=True, check=False
        )
        (LOGS / f"node-{each}.log").write_bytes(said.stdout + said.stderr)
    claims = {"the play succeeds": found.rc == 0, "the verdict is pass": figures.get("verdict") == "pass"}
    bandwidth = re.findall(r"all_reduce\s+(\S+ GB/s)", found.output)
    kept = {"all_reduce": bandwidth, "benchmark": figures, "gpu_memory_mib": gpu_memory()}
    return Outcome(claims, {**_recap(found), **kept, **({} if found.rc == 0 else {"message": last_message(found)})})


def _pid(name: str) -> str:
    file = NODES / name / "pid"
    return file.read_text(encoding="utf-8").strip() if file.exists() else "none"


def nodes_end() -> Outcome:
    """The nodes end, and the engine of the machine runs again."""
    subprocess.run(["bash", str(SITE / "nodes.sh"), "stop"], check=True)
    time.sleep(2)
    with Path("/var/log/dockerd.log").open("ab") as output:
        subprocess.Popen(["dockerd"], stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    runs = seconds_until(lambda: bool(command("docker", "version")), 30) is not None
    free = seconds_until(lambda: max(gpu_memory()) < 2048, 30) is not None
    return Outcome({"the engine runs": runs, "the GPUs are free": free})


# Name, function, and the longest time in seconds that it is given before the limit.
STEPS: dict[str, tuple[Callable[[], Outcome], float]] = {
    "bare": (bare, 330),
    "again": (again, 60),
    "check": (check, 90),
    "flag": (flag, 90),
    "value": (value, 100),
    "late": (late, 200),
    "kill": (kill, 240),
    "second": (second, 220),
    "rollback": (rollback, 160),
    "supervision": (supervision, 130),
    "wide": (wide, 420),
    "wide_again": (wide_again, 300),
    "full": (full, 1500),
    "teardown": (teardown, 60),
    "nodes": (nodes, 380),
    "nodes_stages": (nodes_stages, 360),
    "nodes_kill": (nodes_kill, 240),
    "nodes_end": (nodes_end, 60),
}


def _refused(name: str, settings: str, *words: str) -> Outcome:
    before = identity()
    with outage() as down:
        found = play(name, "playbooks/serve.yml", "-e", settings)
    claims = {
        "the play fails": found.rc != 0,
        "nothing was stopped": identity() == before and down[0] == 0,
        "the message helps": found.says("Nothing was stopped or started", *words),
    }
    return Outcome(claims, {**_recap(found), "outage_s": down[0], "message": last_message(found)})


def _recap(found: Play) -> dict[str, Any]:
    return {"rc": found.rc, "changed": found.changed, "play_s": round(found.seconds, 1)}


def _changed_tasks(found: Play) -> str:
    """Return the names of the tasks that changed something, which the callback shows with a banner."""
    tasks = re.split(r"^TASK \[", found.output, flags=re.MULTILINE)[1:]
    return "\n".join(task.partition("]")[0] for task in tasks if re.search(r"^changed: ", task, re.MULTILINE))


def _supervision(found: Play) -> str:
    return "said to be missing" if found.says("no systemd, so nothing restarts the server") else "by systemd"


# ---- the record ------------------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """Return what this machine is, without names and serial numbers."""
    columns = "name,memory.total,driver_version,fabric.state"
    rows = command("nvidia-smi", f"--query-gpu={columns}", "--format=csv,noheader,nounits").splitlines()
    gpus = [[cell.strip() for cell in row.split(",")] for row in rows]
    release_name = re.search(r'PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text(encoding="utf-8"))
    return {
        "gpus": len(gpus),
        "gpu": gpus[0][0] if gpus else "",
        "gpu_memory_mib": min((int(row[1]) for row in gpus), default=0),
        "driver": gpus[0][2] if gpus else "",
        "fabric": sorted({row[3] for row in gpus}),
        "processors": os.cpu_count(),
        "system": release_name[1] if release_name else "",
        "kernel": os.uname().release,
        "docker": command("docker", "version", "--format", "{{.Server.Version}}"),
        "vllm": os.environ.get("IMAGE", ""),
        "commit": command("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
    }


def stand_ins() -> list[str]:
    """Return what is not as on a user's node."""
    ctk = command("nvidia-ctk", "--version").partition("\n")[0]
    built = f"nvidia-ctk and nvidia-cdi-hook are built from their sources ({ctk})"
    toolkit = built if ctk else "cdi.py writes the CDI specification"
    return [
        f"toolkit: {toolkit}; no package, no hook for --gpus",
        "image: this machine's Python with torch, and vLLM's wheel without the kernels of other GPUs; no registry",
        "hub: tests/support/hub_server.py on loopback; pip takes carried wheels",
        *(["environment of huggingface_hub: made by uv, since this Python has no ensurepip"] if _uv() else []),
        *([] if SYSTEMD.is_dir() else ["systemd: none; the engine is started by hand, the supervisor's program too"]),
        "models: scripted weights of 30 MB, or none",
        "NVLink's multicast is off in every container, and fuse_allreduce_rms above one GPU",
        *(
            ["the two nodes: namespaces of this machine that share its GPUs, so no speed is shown"]
            if NODES.exists()
            else []
        ),
    ]


def _uv() -> bool:
    return (K / "uv.used").exists()


def write_recipe(found: dict[str, Any]) -> None:
    """Write the recipe for the GPUs of this machine."""
    words = {
        "GPU_COUNT": found["gpus"],
        "GPU_NAME": found["gpu"].removeprefix("NVIDIA ").split()[0],
        "GPU_MEMORY": found["gpu_memory_mib"] * 93 // 100 // 1024,
        "GPU_FABRIC": json.dumps(found["fabric"] == ["Completed"]),
        "GPU_FUSED": json.dumps(found["gpus"] == 1),
        "GPU_RANKS": 2 * found["gpus"],
    }
    text = (SITE / "recipe.yml").read_text(encoding="utf-8")
    for word, new in words.items():
        text = text.replace(word, str(new))
    (K / "recipe.yml").write_text(text, encoding="utf-8")


def line(name: str, step: dict[str, Any]) -> str:
    """Return a step in one line."""
    wrong = [claim for claim, holds in step["claims"].items() if not holds]
    shown = {key: step["facts"][key] for key in ("changed", "outage_s", "ended_after_s") if key in step["facts"]}
    figures = step["facts"].get("benchmark") or {}
    if figures.get("steady_output_throughput"):
        shown["tok/s"] = round(figures["steady_output_throughput"])
    details = ", ".join(f"{key} {number}" for key, number in shown.items())
    verdict = "as expected" if not wrong else f"WRONG: not so that {'; '.join(wrong)}"
    return f"{name:12} {step['seconds']:6.1f} s  {verdict}{f' ({details})' if details else ''}"


def text(record: dict[str, Any]) -> str:
    """Return the record as a page of text."""
    rows = [line(name, record["steps"][name]) for name in STEPS if name in record["steps"]]
    about = [f"{key}: {found}" for key, found in record["machine"].items()]
    return "\n".join([*about, "", "Stood in:", *(f"- {words}" for words in record["stand_ins"]), "", *rows]) + "\n"


def bring(out: Path, record: dict[str, Any]) -> None:
    """Write the record and the logs to the folder that goes back."""
    out.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (out / "site.json").write_text(RECORD.read_text(encoding="utf-8"), encoding="utf-8")
    (out / "site.txt").write_text(text(record), encoding="utf-8")
    for name, argv in {"vllm.log": ["docker", "logs", "vllm"], "inspect.json": ["docker", "inspect", "vllm"]}.items():
        with (LOGS / name).open("wb") as output:
            subprocess.run(argv, stdout=output, stderr=subprocess.STDOUT, check=False)
    with tarfile.open(out / "logs.tgz", "w:gz") as archive:
        for folder, name in ((LOGS, "logs"), (RELEASES, "releases"), (RESULTS, "results")):
            if folder.exists():
                archive.add(folder, name)


def main(out: Path, names: list[str]) -> int:
    unknown = [name for name in names if name not in STEPS]
    if unknown or not names:
        sys.exit(f"steps: {' '.join(STEPS)}")
    limit = time.monotonic() + float(os.environ.get("LIMIT", "86400"))
    LOGS.mkdir(parents=True, exist_ok=True)
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {"steps": {}}
    record["machine"], record["stand_ins"] = machine(), stand_ins()
    write_recipe(record["machine"])
    wrong = 0
    for name in names:
        step, most_s = STEPS[name]
        if time.monotonic() + most_s > limit:
            print(f"{name:12} no time left for it and those after it", flush=True)
            break
        began = time.monotonic()
        try:
            outcome = step()
        except Exception as exc:  # a step that breaks must not cost the record of the others
            outcome = Outcome({f"the step runs ({type(exc).__name__}: {exc})": False})
        took = {"seconds": round(time.monotonic() - began, 1), "claims": outcome.claims, "facts": outcome.facts}
        record["steps"][name] = took
        wrong += not all(outcome.claims.values())
        print(line(name, took), flush=True)
        bring(out, record)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
