# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the gateway costs: the same requests directly and through it, in alternation. By hand, as root; a minute.

It runs the distribution's HAProxy (C(apt-get install haproxy)) with the configuration of the role before two stand-ins
for servers, or before the server at C(--server), for example that of C(make demo). It prints ratios, because a busy
machine makes both sides slower.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
PORT = 19443
KEY = "proof-key-0123456789"
WORKER_KEY = "proof-worker-key"
STAND_INS = (19101, 19102)


class Target(NamedTuple):
    """Where requests go. With two ports, connections are divided among them."""

    ports: Sequence[int]
    key: str
    context: ssl.SSLContext | None


class Outcome(NamedTuple):
    """What a load measured: requests per second, times to first token in ms, and failed requests."""

    rate: float
    ttft_ms: list[float]
    failed: int

    def percentile(self, share: float) -> float:
        return sorted(self.ttft_ms)[min(int(len(self.ttft_ms) * share), len(self.ttft_ms) - 1)]


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str, body: bytes) -> float:
    """Send a request, read its whole answer, and return the seconds to its first token. Raises ValueError."""
    began = time.perf_counter()
    lines = ["POST /v1/completions HTTP/1.1", "Host: proof", f"Authorization: Bearer {key}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    if " 200 " not in answer.partition("\r\n")[0]:
        raise ValueError(answer)
    if "content-length:" in answer:
        await reader.readexactly(int(answer.partition("content-length:")[2].split()[0]))
        return time.perf_counter() - began
    first = 0.0
    while size := int(await reader.readline(), 16):
        await reader.readexactly(size + 2)
        first = first or time.perf_counter() - began
    await reader.readline()
    return first


async def load(target: Target, seconds: float, connections: int, body: bytes) -> Outcome:
    """Send one request after the other on each connection until the time is over."""
    times: list[float] = []
    failed = 0
    end = time.perf_counter() + seconds

    async def work(number: int) -> None:
        nonlocal failed
        port = target.ports[number % len(target.ports)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=target.context)
        while time.perf_counter() < end:
            try:
                times.append(1000 * await ask(reader, writer, target.key, body))
            except (ValueError, OSError, asyncio.IncompleteReadError):
                failed += 1
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=target.context)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(work(number) for number in range(connections)))
    return Outcome(len(times) / (time.perf_counter() - began), times, failed)


@contextmanager
def stand_ins() -> Iterator[list[int]]:
    """Run the stand-ins for servers and yield their ports."""
    program = str(ROOT / "tests" / "support" / "stream_server.py")
    argv = [[sys.executable, program, str(port), f"proof{port}", WORKER_KEY] for port in STAND_INS]
    processes = [subprocess.Popen(each) for each in argv]
    try:
        time.sleep(1)
        yield list(STAND_INS)
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def gateway(ports: Sequence[int], worker_key: str, model: str, folder: str) -> Iterator[None]:
    """Run HAProxy with the configuration of the role."""
    settings: dict[str, Any] = {
        "ansible_python_interpreter": sys.executable,
        "__gateway_dir": folder,
        "__gateway_socket": f"{folder}/admin.sock",
        "gateway_tls": "self_signed",
        "gateway_certificate_names": ["localhost"],
        "gateway_port": PORT,
        "gateway_peer_port": PORT + 1,
        "gateway_metrics_port": PORT + 2,
        "gateway_backends": [{"name": f"server{port}", "address": "127.0.0.1", "port": port} for port in ports],
        "gateway_backend_key": worker_key,
        "gateway_served_model_name": model,
        "gateway_users": {"proof": {"key": KEY}},
    }
    tasks = [
        {
            "ansible.builtin.include_role": {"name": "hgx.inference.gateway", "tasks_from": each},
            "vars": {"__gateway_started": {"changed": True}},
        }
        for each in ("certificate", "configure")
    ]
    play = Path(folder, "play.json")
    play.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", str(play), "-e", json.dumps(settings)],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    argv = ["/usr/sbin/haproxy", "-W", "-f", f"{folder}/key.cfg", "-f", f"{folder}/haproxy.cfg"]
    with open(os.path.join(folder, "log"), "wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT)
        try:
            time.sleep(3)
            yield
        finally:
            process.terminate()
            process.wait()


def show(name: str, direct: list[Outcome], through: list[Outcome]) -> None:
    """Print the medians of the rounds of both sides and their ratios."""
    values = {
        "requests/s": lambda outcome: outcome.rate,
        "TTFT p50 ms": lambda outcome: outcome.percentile(0.5),
        "TTFT p99 ms": lambda outcome: outcome.percentile(0.99),
    }
    for what, value in values.items():
        one, other = (statistics.median(map(value, side)) for side in (direct, through))
        print(f"{name:<34} {what:<12} direct {one:9.1f}  gateway {other:9.1f}  ratio {other / one:.3f}", flush=True)
    failed = sum(outcome.failed for outcome in [*direct, *through])
    print(f"{name:<34} {sum(len(each.ttft_ms) for each in through)} requests through the gateway, {failed} failed")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", help="http://127.0.0.1:PORT of a running server; its key is in VLLM_API_KEY")
    parser.add_argument("--model", default="kimi-k2.6")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    worker_key = os.environ.get("VLLM_API_KEY", "") if options.server else WORKER_KEY
    question = {"model": options.model, "prompt": "Hello", "max_tokens": 16}
    bodies = {"streams of 16 tokens": {**question, "stream": True}, "whole answers": question}
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with tempfile.TemporaryDirectory(prefix="hgx-gateway-") as folder, stand_ins() as ports:
        ports = [urlsplit(options.server).port or 80] if options.server else ports
        sides = (Target(ports, worker_key, None), Target([PORT], KEY, context))
        with gateway(ports, worker_key, options.model, folder):
            for name, body in bodies.items():
                found: tuple[list[Outcome], list[Outcome]] = ([], [])
                for number in range(options.rounds):
                    for side in (0, 1) if number % 2 == 0 else (1, 0):
                        data = json.dumps(body).encode()
                        found[side].append(asyncio.run(load(sides[side], options.seconds, options.connections, data)))
                show(f"{name}, {options.connections} connections", *found)


if __name__ == "__main__":
    main()
