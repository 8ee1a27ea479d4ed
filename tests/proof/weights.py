#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show, with figures, what hf_snapshot does with a large repository on this machine's loopback hub:

- how long a fill takes, as a ratio to `hf download` of the same version (best of --rounds each, in turn; 0: not shown)
- what it costs to be killed at random ten times: all bytes that the hub sent, as a ratio to the repository
- how long a complete cache takes to be recognised with the hub gone, and how long one flipped byte takes to be found

Exits with 1 if a figure misses its limit. 8 GB need 25 GB of disk for a while.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
REPO = "acme/large"
BLOCK = 1 << 20
RUN = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.hgx.inference.plugins.modules import hf_snapshot
with patch_module_args(json.loads(sys.argv[1])):
    hf_snapshot.main()
"""


def publish(root: Path, size: int, files: int) -> None:
    """Write a repository of so many equally large files that nothing can compress."""
    folder = root / REPO
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}\n")
    for number in range(1, files + 1):
        left, block = size // files, os.urandom(BLOCK)
        with (folder / f"model-{number:05d}-of-{files:05d}.safetensors").open("wb") as stream:
            while left:
                part = hashlib.sha256(f"{number} {left}".encode()).digest() + block
                left -= stream.write(part[: min(left, BLOCK)])


@contextmanager
def hub(root: Path) -> Iterator[str]:
    """Run the loopback hub in a process of its own, and yield its address."""
    command = [sys.executable, str(ROOT / "tests/support/hub_server.py"), "--root", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        endpoint = server.stdout.readline().split()[0]
        with urllib.request.urlopen(f"{endpoint}/api/models/{REPO}", timeout=600):
            pass  # it has hashed the files now
        yield endpoint
        server.terminate()


def sent_bytes(endpoint: str) -> int:
    with urllib.request.urlopen(f"{endpoint}/stats", timeout=10) as answer:
        return sum(json.load(answer).values())


def start_module(home: Path, endpoint: str) -> subprocess.Popen[str]:
    arguments = {"models": [{"repo": REPO}], "cache_home": str(home), "endpoint": endpoint, "disk_reserve_gb": 0}
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    command = [sys.executable, "-c", RUN, json.dumps(arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)


def run_module(home: Path, endpoint: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(start_module(home, endpoint).communicate()[0])
    if result.get("failed"):
        sys.exit(result["msg"])
    return result


def hf_download(home: Path, endpoint: str) -> None:
    client = Path(sys.executable).parent / "hf"
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home)}
    subprocess.run([client, "download", REPO], check=True, capture_output=True, env=environment)


def timed_fill(fill: Any, home: Path, endpoint: str) -> float:
    """Return the seconds that it takes to fill an empty cache."""
    shutil.rmtree(home, ignore_errors=True)
    os.sync()  # the last round's pages are not written in this one
    started = time.monotonic()
    fill(home, endpoint)
    return time.monotonic() - started


def kill_at_random(home: Path, endpoint: str, kills: int, size: int) -> None:
    """Start a fill and kill it after so many more bytes, again and again; what it has started is to end with it."""
    for _kill in range(kills):
        goal = sent_bytes(endpoint) + random.uniform(0, size / (kills + 1))
        process = start_module(home, endpoint)
        while sent_bytes(endpoint) < goal and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()


class Report:
    def __init__(self) -> None:
        self.good = True

    def line(self, what: str, figure: str, good: bool) -> None:
        self.good &= good
        print(f"{'ok  ' if good else 'MISS'} {what:<58} {figure}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=8.0)
    parser.add_argument("--files", type=int, default=64)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the random points")
    args = parser.parse_args()
    random.seed(args.seed)
    report = Report()
    size = int(args.gigabytes * 1e9) // args.files * args.files
    with tempfile.TemporaryDirectory(prefix="hgx-weights-") as folder:
        home = Path(folder) / "home"
        publish(Path(folder) / "hub", size, args.files)
        with hub(Path(folder) / "hub") as endpoint:
            theirs, ours = [], []
            for _round in range(args.rounds):
                theirs.append(timed_fill(hf_download, home, endpoint))
                ours.append(timed_fill(run_module, home, endpoint))
            if ours:
                ratio = min(ours) / min(theirs)
                figure = f"{ratio:.2f} ({min(ours):.1f} s / {min(theirs):.1f} s)"
                report.line("time to fill, hashes checked, to `hf download` (<= 1.15)", figure, ratio <= 1.15)

            shutil.rmtree(home, ignore_errors=True)
            before = sent_bytes(endpoint)
            kill_at_random(home, endpoint, args.kills, size)
            result = run_module(home, endpoint)
            ratio = (sent_bytes(endpoint) - before) / size
            report.line(f"bytes sent with {args.kills} kills, to the size (<= 1.2)", f"{ratio:.3f}", ratio <= 1.2)
            report.line("bytes missing in the end", str(result["bytes_missing"]), result["bytes_missing"] == 0)

        again = run_module(home, endpoint)  # the hub is gone
        figure = f"{again['duration']:.3f} s, changed={again['changed']}"
        report.line("complete cache, hub gone (< 2 s)", figure, again["duration"] < 2 and not again["changed"])

        victim = next(home.rglob("snapshots/*/model-00007-of-*"))
        with victim.open("r+b") as stream:
            first = stream.read(1)
            stream.seek(0)
            stream.write(bytes([first[0] ^ 1]))
        with hub(Path(folder) / "hub") as endpoint:
            found = run_module(home, endpoint)
            sent = sent_bytes(endpoint)
        good = found["corrupt"] == [f"{REPO}/{victim.name}"] and sent == size // args.files
        report.line("one flipped byte: file named, fetched again alone", f"{found['corrupt']}, {sent} bytes", good)
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
