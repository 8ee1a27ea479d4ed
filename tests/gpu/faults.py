#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break real vLLM servers in many ways, and show which cause the collection names from their logs.

    PYTHONPATH=collections LIMIT=540 python3 tests/gpu/faults.py FOLDER [FAULT...]

Needs root, Docker with an image of vLLM (IMAGE), a CDI specification, and two GPUs of at least 70 GiB, on which nothing
else runs: tests/gpu/site/machine.sh makes such a machine. With one GPU, name faults that need no second rank; the
servers then have tensor parallelism 1. Some of the faults run at a time; those that must be alone on the GPUs run after
the others. No fault begins that may not end within LIMIT seconds. FOLDER then holds the logs and the table faults.txt.
Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.hgx.inference.plugins.module_utils._nvidia.gpu_request import REQUESTS
from ansible_collections.hgx.inference.plugins.module_utils._vllm import stall
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log import watch
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.diagnose import diagnose
from ansible_collections.hgx.inference.tests.gpu import kimi_shaped

IMAGE = os.environ.get("IMAGE", "vllm/vllm-openai:v0.26.0")
LIMIT_S = 240.0
_BEGUN_AT = time.monotonic()
_ALL_S = float(os.environ.get("LIMIT", "86400"))
# What a fault takes at most as a rule: a start, and what follows.
_ONE_S = 150.0
# So many starts are as fast as one with 32 processors; with 28 of them each takes three times as long.
SIDE_BY_SIDE = 8
FIRST_PORT = 18001
LOADING = "Starting to load model"
RANKS = min(2, len(subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=True).stdout.splitlines()))
WORKER = "Worker_TP1" if RANKS > 1 else "Worker"
# Nothing may move for so long where the role waits; its own default is longer.
STALL_S = 30.0
# NVLink's multicast must stay off where GPUs of a host are shared with others.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_USE_FLASHINFER_SAMPLER": "0",
    "NCCL_NVLS_ENABLE": "0",
    "TORCH_SYMM_MEM_DISABLE_MULTICAST": "1",
    "NVSHMEM_DISABLE_NVLS": "1",
    "VLLM_ALLREDUCE_USE_SYMM_MEM": "0",
    "VLLM_WORKER_MULTIPROC_METHOD": "fork",
}
HOLD_MEMORY = """
import sys, time, torch
blocks = []
for index in range(torch.cuda.device_count()):
    free, _total = torch.cuda.mem_get_info(index)
    blocks.append(torch.empty(free - (64 << 20), dtype=torch.uint8, device=index))
print("held", flush=True)
time.sleep(600)
"""


class Server:
    """A vLLM server in a container with the GPUs, as the role starts it."""

    def __init__(self, fault: Fault, port: int, folder: Path, models: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / f"{fault.name}.log"
        self.name = f"hgx-fault-{fault.name}"
        self.acted_at = time.monotonic()
        self.stall = ""
        speculation = {"method": "eagle3", "model": "/models/draft", "num_speculative_tokens": 3}
        argv = [
            *("python3", "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", "/models/model", "--served-model-name", "kimi-k2.6", "--host", "0.0.0.0"),
            *("--port", "8001", "--tensor-parallel-size", str(RANKS), "--mm-encoder-tp-mode", "data"),
            *("--distributed-executor-backend", "mp"),
            *("--tool-call-parser", "kimi_k2", "--reasoning-parser", "kimi_k2", "--enable-auto-tool-choice"),
            *("--trust-remote-code", "--kv-cache-dtype", "fp8", "--no-enable-prefix-caching", "--load-format", "dummy"),
            *("--speculative-config", json.dumps(speculation), "--max-model-len", "32768", "--enforce-eager"),
            *("--gpu-memory-utilization", "0.1", *fault.kv_cache, *fault.arguments),
        ]
        # A mount in the container hides devices and makes small disks, for which it needs a capability.
        options = ["--cap-drop", "ALL", "--cap-add", "DAC_OVERRIDE", "--security-opt", "no-new-privileges"]
        options += ["--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined"] if fault.before else []
        options += REQUESTS["cdi"] if fault.gpus else []
        options += [word for key, value in ENVIRONMENT.items() for word in ("--env", f"{key}={value}")]
        options += ["--volume", f"{models}:/models:ro", "--publish", f"127.0.0.1:{port}:8001", *fault.docker]
        exports = [f"export {name}={shlex.quote(value)}" for name, value in fault.environment.items()]
        shell = "; ".join([*fault.before, *exports, f"exec {shlex.join(argv)}"])
        docker("rm", "--force", self.name)
        self.started = docker(
            "run", "--detach", "--name", self.name, *options, "--entrypoint", "sh", IMAGE, "-c", shell
        )
        self.process = subprocess.Popen(["docker", "wait", self.name], stdout=subprocess.DEVNULL)

    def text(self) -> str:
        self.log.write_text(docker("logs", self.name), encoding="utf-8")
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, reached: Callable[[], bool], limit_s: float = LIMIT_S) -> bool:
        deadline = time.monotonic() + limit_s
        while not reached():
            if self.process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True

    def healthy(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
            return bool(answer.status == 200)
        return False

    def ask(self, words: int, limit_s: float) -> None:
        """Send one request; that it fails is what these tests are about."""
        body = {"model": "kimi-k2.6", "max_tokens": 8, "messages": [{"role": "user", "content": "word " * words}]}
        request = urllib.request.Request(
            f"{self.url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=limit_s) as answer:
            answer.read()

    def signal(self, process: str, number: signal.Signals) -> None:
        """Send a signal to the processes of this server with that name, such as C(Worker_TP1)."""
        self.acted_at = time.monotonic()
        for line in docker("top", self.name, "-eo", "pid,args").splitlines()[1:]:
            pid, _blank, title = line.strip().partition(" ")
            if process in title:
                with contextlib.suppress(OSError):
                    os.kill(int(pid), number)

    def end(self) -> tuple[dict[str, Any], int | None]:
        """Remove the server; return what the engine said of it, and its exit code if it ended by itself."""
        ended = self.process.poll() is not None
        self.text()
        said = docker("container", "inspect", self.name)
        # Where the engine refuses the container, what it said is all there is.
        refused: dict[str, Any] = {"Error": self.started, "ExitCode": 125}
        details: dict[str, Any] = json.loads(said)[0] if said.startswith("[\n") else {"State": refused}
        docker("rm", "--force", self.name)
        self.process.wait()
        return details, int(details["State"]["ExitCode"]) if ended else None


def docker(*words: str) -> str:
    """Return what a command of the engine prints, on both streams."""
    done = subprocess.run(["docker", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.stdout.decode(errors="replace")


@dataclass
class Fault:
    """What is done to a server, and the keys of the causes of which one is to be named."""

    name: str
    expected: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    # A size given is not measured, which servers beside it would disturb.
    kv_cache: tuple[str, ...] = ("--kv-cache-memory-bytes", "1G")
    environment: dict[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()  # shell commands, in the container
    docker: tuple[str, ...] = ("--ipc", "host")
    gpus: bool = True
    during: Callable[[Server], None] = lambda server: None
    around: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    layers: int = 4
    experts: int = 16
    hidden: int = 2048
    alone: bool = False


def loading(process: str, number: signal.Signals) -> Callable[[Server], None]:
    """Send a signal to a process of the server while it loads the model."""

    def act(server: Server) -> None:
        if server.wait_for(lambda: LOADING in server.text()):
            server.signal(process, number)

    return act


def stopped_while_loading(server: Server) -> None:
    """Stop a worker that loads the model, which vLLM waits for without end, and wait as the role does."""
    loading(WORKER, signal.SIGSTOP)(server)
    movement = stall.Movement(
        STALL_S, lambda: stall.take_sample(server.name, server.text().split("\n"), has_gpus=True), time.monotonic
    )
    if server.wait_for(lambda: movement.still_s() >= STALL_S):
        server.stall = stall.explain(server.name, "loading weights", movement.still_s(), movement.last, "", [])
        print(server.stall, flush=True)


def serving(process: str, number: signal.Signals) -> Callable[[Server], None]:
    """Send a signal to a process of the server that serves, then a request."""

    def act(server: Server) -> None:
        if server.wait_for(server.healthy):
            server.signal(process, number)
            server.ask(words=10, limit_s=60)

    return act


@contextlib.contextmanager
def held_memory() -> Iterator[None]:
    """Hold all free memory of the GPUs, as a process of somebody else would."""
    with subprocess.Popen([sys.executable, "-c", HOLD_MEMORY], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        holder.stdout.readline()
        yield
        holder.kill()


def memory_gone(server: Server) -> None:
    """Take all free memory of the GPUs, then ask for much."""
    if not server.wait_for(server.healthy):
        return
    with held_memory():
        server.acted_at = time.monotonic()
        server.ask(words=6000, limit_s=60)
        server.wait_for(lambda: False, limit_s=10)


def hidden(path: str) -> tuple[str, ...]:
    return (f"mount --bind /dev/null {path}",)


def small(path: str, size: str, options: str = "") -> tuple[str, ...]:
    return (f"mkdir -p {path}", f"mount -t tmpfs -o size={size}{options} none {path}")


CACHES = {"HOME": "/tmp/hgx-home", "XDG_CACHE_HOME": "/tmp/hgx-home", "TRITON_CACHE_DIR": "/tmp/hgx-home/triton"}
FAULTS = [
    Fault("gpu-memory-taken--two-gpus", ("gpu-memory-taken",), ("--gpu-memory-utilization", "0.9999")),
    Fault(
        "kv-cache-too-small--none-left-two-gpus",
        ("kv-cache-too-small",),
        ("--gpu-memory-utilization", "0.015"),
        kv_cache=(),
    ),
    Fault("kv-cache-too-small--one-request", ("kv-cache-too-small",), ("--kv-cache-memory-bytes", "2M")),
    Fault("too-few-gpus--four-of-two", ("too-few-gpus",), ("--tensor-parallel-size", "4")),
    Fault("too-few-gpus--one-visible", ("too-few-gpus",), environment={"CUDA_VISIBLE_DEVICES": "0"}),
    Fault("no-gpu--none-visible", ("no-gpu", "too-few-gpus"), environment={"CUDA_VISIBLE_DEVICES": ""}),
    Fault("no-gpu--uvm-hidden", ("no-gpu",), before=hidden("/dev/nvidia-uvm")),
    Fault("no-gpu--control-hidden", ("no-gpu", "driver-not-loaded"), before=hidden("/dev/nvidiactl")),
    Fault("too-few-gpus--second-hidden", ("too-few-gpus", "no-gpu", "cuda-error"), before=hidden("/dev/nvidia1")),
    Fault("nccl-error--interface", ("nccl-error",), environment={"NCCL_SOCKET_IFNAME": "nosuch0"}),
    Fault("network-interface--gloo-two-gpus", ("network-interface",), environment={"GLOO_SOCKET_IFNAME": "nosuch0"}),
    Fault("none--shared-memory-of-8m", (), docker=("--shm-size", "8m"), during=serving("", signal.SIGCONT)),
    Fault("no-gpu--container-without", ("no-gpu", "driver-not-loaded", "too-few-gpus"), gpus=False),
    Fault("disk-full--caches", ("disk-full",), environment=CACHES, before=small("/tmp/hgx-home", "64k")),
    Fault(
        "read-only--caches",
        ("read-only", "permission-denied"),
        environment=CACHES,
        before=small("/tmp/hgx-home", "64k", ",ro"),
    ),
    Fault(
        "kernel-compile--no-compiler",
        ("kernel-compile",),
        environment={**CACHES, "PATH": f"{Path(sys.executable).parent}:/bin-without-compiler"},
        before=(*small("/tmp/hgx-home", "1g"), "unset CC CXX"),
    ),
    Fault("attention-backend--blackwell-only", ("attention-backend",), ("--attention-backend", "FLASHINFER_MLA")),
    Fault("kv-cache-dtype--e5m2", ("kv-cache-dtype", "attention-backend"), ("--kv-cache-dtype", "fp8_e5m2")),
    Fault("moe-backend--trtllm", ("moe-backend",), ("--moe-backend", "flashinfer_trtllm")),
    Fault("killed--worker-loading", ("killed", "worker-died"), during=loading(WORKER, signal.SIGKILL)),
    Fault("worker-died--killed-serving", ("killed", "worker-died"), during=serving(WORKER, signal.SIGKILL)),
    Fault("segfault--worker-serving", ("segfault",), during=serving(WORKER, signal.SIGSEGV)),
    Fault("engine-died--killed-serving", ("engine-died", "killed"), during=serving("EngineCore", signal.SIGKILL)),
    Fault(
        "engine-hung--worker-stopped",
        ("engine-hung",),
        environment={"VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS": "20"},
        during=serving(WORKER, signal.SIGSTOP),
    ),
    Fault("none--healthy-two-gpus", (), during=serving("", signal.SIGCONT)),
    Fault("stall--worker-stopped-loading", ("stall",), during=stopped_while_loading, alone=True),
    Fault(
        "gpu-memory-taken--by-somebody-else",
        ("gpu-memory-taken", "cuda-out-of-memory"),
        ("--gpu-memory-utilization", "0.9"),
        kv_cache=(),
        around=held_memory,
        alone=True,
    ),
    Fault("cuda-out-of-memory--serving", ("cuda-out-of-memory",), during=memory_gone, alone=True),
    Fault(
        "cuda-out-of-memory--loading",
        ("cuda-out-of-memory",),
        ("--gpu-memory-utilization", "0.9"),
        kv_cache=(),
        layers=40,
        experts=384,
        hidden=7168,
        alone=True,
    ),
]


@dataclass
class Found:
    """The key of the cause that is named, the exit code, and the seconds from the fault to the end."""

    fault: Fault
    key: str | None
    code: int | None
    seconds: float

    @property
    def right(self) -> bool:
        return self.key in self.fault.expected if self.fault.expected else self.key is None

    def line(self) -> str:
        verdict = "right" if self.right else "WRONG"
        return f"{verdict}  {self.fault.name:42} {self.key}  (exit code {self.code}, {self.seconds:.0f} s)"


def provoke(fault: Fault, port: int, folder: Path) -> Found | None:
    """Break a server; return what is found, or None where no time is left for it."""
    if time.monotonic() - _BEGUN_AT + _ONE_S > _ALL_S:
        return None
    models = Path("/tmp/hgx-gpu-faults") / fault.name
    kimi_shaped.write(models, fault.layers, fault.experts, fault.hidden)
    with fault.around():
        server = Server(fault, port, folder, models)
        began = time.monotonic()
        try:
            fault.during(server)
            if fault.expected and not server.stall:
                left_s = min(LIMIT_S, _ALL_S - (time.monotonic() - _BEGUN_AT) - 10)
                server.wait_for(lambda: False, max(10.0, left_s - (time.monotonic() - began)))
        finally:
            seconds = time.monotonic() - server.acted_at
            details, code = server.end()
    lines = server.log.read_text(encoding="utf-8").split("\n")
    diagnosis = watch._from_outside(details) or diagnose(lines, code, watch._facts(details))
    key = "stall" if "A signal has stopped the processes" in server.stall else diagnosis.key if diagnosis else None
    return Found(fault, key, code, seconds)


def report(found: Iterable[Found | None], table: Path) -> list[Found]:
    """Print a line for each fault as it ends, and add it to the table."""
    known = []
    for each in found:
        if each is not None:
            known.append(each)
            print(each.line(), flush=True)
            with table.open("a", encoding="utf-8") as stream:
                stream.write(f"{each.line()}\n")
    return known


def main() -> int:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [fault for fault in FAULTS if not sys.argv[2:] or fault.name in sys.argv[2:]]
    together = [fault for fault in chosen if not fault.alone]
    table = folder / "faults.txt"
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        jobs = [pool.submit(provoke, fault, FIRST_PORT + index, folder) for index, fault in enumerate(together)]
        found = report((job.result() for job in jobs), table)
    found += report((provoke(fault, FIRST_PORT - 1, folder) for fault in chosen if fault.alone), table)
    right = sum(each.right for each in found)
    named = sum(each.key is not None and not each.right for each in found)
    print(f"{right} of {len(found)} causes right, {named} wrong; {len(chosen) - len(found)} faults not run")
    return 0 if right == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
