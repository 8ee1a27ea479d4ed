#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a real vLLM server in a container in many ways and show what vllm_ready makes of it:

- the cause that it names, and whether that is the one that was provoked
- how long the play's task takes to fail from the end of the container, or from the line that says that the engine has
  failed if that was earlier (limit: 5 s)

Needs the image of the demo (`make demo`), Docker and root. All faults take about 8 minutes on two cores; name some
to see only those. Exits with 1 if a cause is wrong or a failure comes late.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[2] / "collections"))

from ansible_collections.hgx.inference.plugins.module_utils._core.timestamp import epoch
from ansible_collections.hgx.inference.plugins.module_utils._vllm.args import render_args
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.diagnose import SIGNATURES
from ansible_collections.hgx.inference.plugins.module_utils._vllm.ready import DOOMED

ROOT = Path(__file__).parents[2]
RECIPE: dict[str, Any] = yaml.safe_load((ROOT / "recipes/tiny_kimi_cpu.yml").read_text(encoding="utf-8"))
IMAGE = f"{RECIPE['image']['name']}:{RECIPE['image']['tag']}"
CONTAINER = "hgx-proof-vllm"
BLOCKER = "hgx-proof-blocker"
PORT = 18911
MODEL, DRAFT = "/models/moonshotai/Kimi-K2.6", "/models/lightseekorg/kimi-k2.6-eagle3"
API_KEY = "s3cret-proof-key"
LIMIT_S = 5.0


@dataclass
class Fault:
    """What is wrong with a server, and the key of the signature that is to be named; of several one will do.

    C(prepare) changes the models; C(during) is done once the server runs, given its container.
    """

    expected: str
    args: dict[str, Any] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)
    prepare: Callable[[Path], None] | None = None
    during: Callable[[], None] | None = None


def docker(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *args], capture_output=True, text=True, check=False)


def truncate_shard(models: Path) -> None:
    shard = models / "moonshotai/Kimi-K2.6/model-00001-of-000002.safetensors"
    os.truncate(shard, shard.stat().st_size // 2)


def remove(*names: str) -> Callable[[Path], None]:
    def act(models: Path) -> None:
        for name in names:
            for path in models.glob(name):
                path.unlink()

    return act


def edit_draft(**values: Any) -> Callable[[Path], None]:
    def act(models: Path) -> None:
        path = models / "lightseekorg/kimi-k2.6-eagle3/config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return act


def wait_for_log(words: str) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        done = docker("logs", CONTAINER)
        if words in done.stdout + done.stderr:
            return
        time.sleep(0.5)


def kill_while_loading() -> None:
    wait_for_log("Resolved architecture")
    docker("kill", CONTAINER)


def kill_engine() -> None:
    """SIGKILL for the engine's process, as the kernel would do it."""
    wait_for_log("Initializing a V1 LLM engine")
    docker("exec", CONTAINER, "python3", "-c", KILL_CHILDREN)


def freeze_server() -> None:
    """Let the server hang, so that its container runs on when the engine has failed."""
    wait_for_log("Initializing a V1 LLM engine")
    os.kill(int(docker("inspect", "--format", "{{.State.Pid}}", CONTAINER).stdout), signal.SIGSTOP)


KILL_CHILDREN = """
import os, signal
for name in filter(str.isdigit, os.listdir('/proc')):
    with open(f'/proc/{name}/cmdline') as stream:
        if 'EngineCore' in stream.read():
            os.kill(int(name), signal.SIGKILL)
"""
PROCESSES = ["--env", "VLLM_ENABLE_V1_MULTIPROCESSING=1"]
FAULTS = {
    "unknown-flag": Fault("unknown-flag", {"no-such-flag": True}),
    "bad-parser": Fault("unknown-parser", {"tool-call-parser": "kimi_k9"}),
    "bad-json": Fault("bad-json", {"speculative-config": "{method: eagle3}"}),
    "bad-choice": Fault("bad-choice", {"kv-cache-dtype": "fp9"}),
    "bad-key": Fault("bad-nested-key", {"compilation-config": {"no_such_key": 1}}),
    "no-model": Fault("model-not-cached", {"model": "moonshotai/Kimi-K2.6"}),
    "no-draft": Fault(
        "model-not-cached",
        {
            "speculative-config": {
                "method": "eagle3",
                "model": "lightseekorg/kimi-k2.6-eagle3",
                "num_speculative_tokens": 3,
            }
        },
    ),
    "no-tokenizer": Fault("tokenizer-missing", prepare=remove("moonshotai/Kimi-K2.6/token*")),
    "no-config": Fault("model-not-cached", prepare=remove("moonshotai/Kimi-K2.6/config.json")),
    "no-shard": Fault("shard-missing", prepare=remove("moonshotai/Kimi-K2.6/model-00002*")),
    "truncated-shard": Fault("corrupt-weights", prepare=truncate_shard),
    "long-context": Fault("model-len-beyond-model", {"max-model-len": 999999}),
    "small-kv-cache": Fault("kv-cache-too-small", {"kv-cache-memory-bytes": "1M"}),
    "much-memory": Fault("host-memory-taken", {"kv-cache-memory-bytes": None, "gpu-memory-utilization": 0.999}),
    "tp-does-not-divide": Fault("tp-does-not-divide", {"tensor-parallel-size": 3}),
    "draft-architecture": Fault("draft-mismatch", prepare=edit_draft(architectures=["Eagle3NoSuchModel"])),
    "draft-hidden-size": Fault("draft-mismatch", prepare=edit_draft(hidden_size=96)),
    "draft-vocabulary": Fault("draft-mismatch", prepare=edit_draft(vocab_size=100, draft_vocab_size=100)),
    "port-inside": Fault("port-taken", options=["--network", f"container:{BLOCKER}"]),
    "port-published": Fault("port-taken-host", options=["--publish", f"127.0.0.1:{PORT + 1}:8001"]),
    "read-only-cache": Fault("read-only", options=["--read-only", "--tmpfs", "/tmp"]),
    # The real model's attention; without it a CPU can do it.
    "fp8-on-cpu": Fault(
        "kv-cache-dtype",
        {"kv-cache-dtype": "fp8", "speculative-config": None},
        options=["--env", "VLLM_MLA_DISABLE=0"],
    ),
    "killed": Fault("killed", during=kill_while_loading),
    "memory-limit": Fault("oom-killed", options=["--memory", "300m", "--memory-swap", "300m"]),
    "engine-killed": Fault("killed worker-died", options=PROCESSES, during=kill_engine),
    "engine-fails": Fault("kv-cache-too-small", {"kv-cache-memory-bytes": "1M"}, options=PROCESSES),
    "engine-fails-server-hangs": Fault(
        "kv-cache-too-small", {"kv-cache-memory-bytes": "1M"}, options=PROCESSES, during=freeze_server
    ),
}


@contextmanager
def blocker() -> Iterator[None]:
    """Hold port 8001 of a network that a server can join, and one port of this host."""
    program = "import socket, time; s = socket.create_server(('0.0.0.0', 8001)); time.sleep(3600)"
    docker("rm", "--force", BLOCKER)
    publish = ["--publish", f"127.0.0.1:{PORT + 1}:8001"]
    docker("run", "--detach", "--name", BLOCKER, *publish, "--entrypoint", "python3", IMAGE, "-c", program)
    try:
        yield
    finally:
        docker("rm", "--force", BLOCKER)


def start(fault: Fault, models: Path, cache: Path) -> None:
    engine = RECIPE["engine"]
    options = {
        "model": MODEL,
        "served-model-name": engine["served_model_name"],
        "host": "0.0.0.0",
        "port": 8001,
        **engine["args"],
        "speculative-config": {**engine["args"]["speculative-config"], "model": DRAFT},
        **fault.args,
    }
    environment = {**engine["env"], "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_API_KEY": API_KEY}
    # No place to write is not the fault that is looked for, except where it is.
    writable = [] if "--read-only" in fault.options else ["--volume", f"{cache}:/root/.cache/vllm"]
    network = [] if "--network" in fault.options else ["--publish", f"127.0.0.1:{PORT}:8001"]
    command = [
        *("create", "--name", CONTAINER, "--ipc", "host", "--volume", f"{models}:/models:ro"),
        *writable,
        *(word for name, value in environment.items() for word in ("--env", f"{name}={value}")),
        *network,
        *fault.options,
        *("--entrypoint", engine["entrypoint"][0], IMAGE, *engine["entrypoint"][1:], *render_args(options)),
    ]
    done = docker(*command)
    if done.returncode:
        sys.exit(done.stderr)
    docker("start", CONTAINER)


def vllm_ready() -> str:
    """Run the module as a play does, through its action, and return what it says."""
    arguments = {
        "container": CONTAINER,
        "base_url": f"http://127.0.0.1:{PORT}",
        "served_model_name": RECIPE["engine"]["served_model_name"],
        "timeout": 240,
    }
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key"
        key.write_text(API_KEY)
        arguments["api_key_file"] = str(key)
        command = [
            str(Path(sys.executable).parent / "ansible"),
            "localhost",
            "-m",
            "hgx.inference.vllm_ready",
            "-a",
            json.dumps(arguments),
        ]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def ended_at() -> float:
    """Return when the engine has said that it failed or, if earlier, when the container ended; 0 if it never ran."""
    state = json.loads(docker("inspect", CONTAINER).stdout)[0]["State"]
    done = docker("logs", "--timestamps", CONTAINER)
    said = (line for line in (done.stderr + done.stdout).splitlines() if DOOMED.search(line))
    stamps = [*([] if state["Running"] else [state["FinishedAt"]]), *said]
    return min((epoch(stamp) or 0.0 for stamp in stamps), default=0.0)


def provoke(fault: Fault, models: Path, cache: Path) -> tuple[str, float, str]:
    """Return the key of the cause that is named, the seconds that it took to say so, and the whole message."""
    docker("rm", "--force", CONTAINER)
    started = time.time()
    try:
        start(fault, models, cache)
        if fault.during:
            threading.Thread(target=fault.during, daemon=True).start()
        output = vllm_ready()
        failed = time.time()
        since = max(ended_at(), started)
    finally:
        docker("rm", "--force", CONTAINER)
    named = next((signature.key for signature in SIGNATURES if signature.cause in output), "none")
    if API_KEY in output:
        named = "the API key is in the message"
    return named, failed - since, output


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="fault", help=f"of {', '.join(FAULTS)}")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for each name (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="show the messages, too")
    args = parser.parse_args()
    good = True
    print(f"     {'fault':<26} {'cause that is named':<24} s after the end", flush=True)
    with tempfile.TemporaryDirectory(prefix="hgx-diagnosis-") as folder, blocker():
        for name in args.faults or FAULTS:
            fault, models = FAULTS[name], Path(folder) / name
            subprocess.run([sys.executable, ROOT / "demo/tiny_kimi.py", models], check=True, capture_output=True)
            if fault.prepare:
                fault.prepare(models)
            named, seconds, output = provoke(fault, models, Path(folder) / "cache")
            right = named in fault.expected.split() and seconds <= args.limit
            good &= right
            print(f"{'ok  ' if right else 'MISS'} {name:<26} {named:<24} {seconds:.1f}", flush=True)
            if args.verbose or not right:
                print(output.replace("\\n", "\n"))
            shutil.rmtree(models)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
