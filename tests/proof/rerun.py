#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show, with figures, how long site.yml takes on nodes that serve already, over SSH with a long round trip:

- seconds and number of tasks of the re-run, on one node and on all of --nodes; with --measure also with a new benchmark
- the seconds of the processors, on this machine's side and on a node's
- how long all nodes would take if they had processors of their own: here the controller shares its with all of them

A node is one of Molecule's targets with sshd, stubs of eight GPUs, Docker and the real vLLM with the demo's tiny model.
The round trip is a link of two TUN devices: each packet waits for half of --rtt, so TCP starts slowly as it does on a
real path. Needs root, Docker and the demo's image (`make demo`).

A node needs 1.3 GB of memory and minutes for its first run, so --servers of them are set up; the others are further
addresses of these, each over a link of its own. Ansible cannot tell the difference.

Exits with 1 if the median of one node is not below 30 s, or that of all nodes more than 1.5 times as long.
"""

from __future__ import annotations

import argparse
import fcntl
import heapq
import json
import os
import re
import resource
import select
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
TARGETS = ROOT / "molecule/targets"
LIMIT_S = 30.0
LIMIT_RATIO = 1.5
MAX_CORES = 4
IMAGE = "hgx-inference/vllm-cpu:0.32.0"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
NODE = {
    "target_engine": True,
    "target_image": IMAGE,
    "stub_machine": {"gpus": 8, "nvswitch": "nvlink5"},
    "stub_driver": "580.95.05",
    "stub_fabric_manager": "580.95.05",
    "stub_toolkit": "1.20.0",
}
SITE: dict[str, Any] = {
    "hf_cache_endpoint": "http://127.0.0.1:18080",
    "hf_cache_disk_reserve_gb": 1,
    "nvidia_container_toolkit_probe_image": IMAGE,
    "preflight_warn": ["gpu_clocks", "packages", "persistence", "reachability"],
    "smoke_benchmark_size": "quick",
    # The nodes share a server, which all would measure again at once if another node's figure could not decide.
    "smoke_benchmark_sibling_tolerance": "90%",
}
PREPARE = r"""
set -eu
install -d -m 700 -o ubuntu /home/ubuntu/.ssh
cat >/home/ubuntu/.ssh/authorized_keys
systemctl enable --quiet --now ssh
systemctl is-active --quiet hub && exit
systemd-run --quiet --unit=hub python3 /srv/support/hub_server.py --root /srv/hub --port 18080
"""


def node_name(number: int) -> str:
    return f"hgx-rerun-{number}"


def address(number: int, end: int) -> str:
    return f"10.213.{number}.{end}"


class Link(threading.Thread):
    """Point-to-point links from this machine to the nodes, on which each packet waits for half of the round trip."""

    def __init__(self, nodes: int, servers: int, rtt_s: float) -> None:
        super().__init__(daemon=True)
        self._delay_s = rtt_s / 2
        self._peer: dict[int, int] = {}
        for number in range(1, nodes + 1):
            device, server = f"hgxrerun{number}", node_name((number - 1) % servers + 1)
            here = _tun(device, address(number, 1), address(number, 2))
            there = _in_network_of(server, device, address(number, 2), address(number, 1))
            self._peer.update({here: there, there: here})

    def run(self) -> None:
        waiting: list[tuple[float, int, int, bytes]] = []
        count = 0
        while True:
            timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
            for source in select.select(list(self._peer), [], [], timeout)[0]:
                count += 1
                packet = os.read(source, 65536)
                heapq.heappush(waiting, (time.monotonic() + self._delay_s, count, self._peer[source], packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _due, _count, target, packet = heapq.heappop(waiting)
                os.write(target, packet)


def _tun(name: str, local: str, peer: str) -> int:
    """Create a TUN device in the network of this thread; it ends with the returned descriptor."""
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "address", "add", local, "peer", peer, "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    return device


def _in_network_of(container: str, name: str, local: str, peer: str) -> int:
    """Create a TUN device in the network of a container."""
    process = run(["docker", "inspect", "--format", "{{.State.Pid}}", container]).strip()
    with open("/proc/thread-self/ns/net") as own, open(f"/proc/{process}/ns/net") as theirs:
        os.setns(theirs.fileno(), os.CLONE_NEWNET)
        try:
            return _tun(name, local, peer)
        finally:
            os.setns(own.fileno(), os.CLONE_NEWNET)


def run(command: list[str], stdin: str | None = None, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, input=stdin, capture_output=True, text=True, env={**os.environ, **environment}
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}")
    return done.stdout


class Nodes:
    """The nodes of this proof. C(folder) is for its keys and inventories."""

    def __init__(self, servers: int, folder: Path) -> None:
        self.names = [node_name(number) for number in range(1, servers + 1)]
        self._folder = folder
        (folder / "recipe.yml").write_text(self._recipe(), encoding="utf-8")
        hosts = {"inference": {"hosts": dict.fromkeys(self.names), "vars": NODE}}
        (folder / "targets.yml").write_text(json.dumps(hosts), encoding="utf-8")

    @staticmethod
    def _recipe() -> str:
        recipe = yaml.safe_load((ROOT / "recipes/tiny_kimi_cpu.yml").read_text(encoding="utf-8"))
        recipe["hardware"].update({"gpu_count": 8, "gpu_name": "B200", "driver_min": "580", "fabric": True})
        recipe["container"]["gpus"] = "all"
        recipe["engine"]["args"].update({"kv-cache-memory-bytes": "128M", "max-model-len": 20000})  # for memory
        return yaml.safe_dump(recipe)

    def _molecule(self, playbook: str) -> None:
        run(
            [
                "ansible-playbook",
                "-i",
                str(self._folder / "targets.yml"),
                "-i",
                str(TARGETS / "inventory.yml"),
                playbook,
            ],
            MOLECULE_PROJECT_DIRECTORY=str(ROOT),
        )

    def create(self) -> None:
        run([sys.executable, str(ROOT / "demo/tiny_kimi.py"), str(ROOT / ".cache/hgx/hub")])
        self._molecule(str(TARGETS / "create.yml"))
        key = self._folder / "key"
        if not key.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
        public = key.with_suffix(".pub").read_text(encoding="utf-8")
        for name in self.names:
            run(["docker", "exec", "--interactive", name, "sh", "-c", PREPARE], stdin=public)

    def destroy(self) -> None:
        self._molecule(str(TARGETS / "destroy.yml"))

    def inventory(self, count: int) -> Path:
        """Return the inventory of so many nodes, as a person would have it."""
        variables = {
            **SITE,
            "recipe_file": str(self._folder / "recipe.yml"),
            "smoke_benchmark_fetch_dir": str(self._folder / "results"),
            "ansible_user": "ubuntu",
            "ansible_ssh_private_key_file": str(self._folder / "key"),
            "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={self._folder / 'known_hosts'}",
        }
        hosts = {node_name(number): {"ansible_host": address(number, 2)} for number in range(1, count + 1)}
        path = self._folder / f"{count}.yml"
        path.write_text(json.dumps({"inference": {"hosts": hosts, "vars": variables}}), encoding="utf-8")
        return path

    def processor_s(self) -> float:
        """Return the seconds of the processors that the nodes have used, with the servers that run on them."""
        total = 0.0
        for name in self.names:
            stat = run(["docker", "exec", name, "cat", "/sys/fs/cgroup/cpuacct/cpuacct.usage"])
            total += int(stat) / 1e9
        return total


def children_s() -> float:
    """Return the seconds of the processors that the processes of this one have used."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Site(NamedTuple):
    """One run of site.yml. C(tasks) and C(skipped) are those of one node."""

    seconds: float
    tasks: int
    skipped: int
    changed: int
    controller_cpu_s: float
    node_cpu_s: float


def run_site(nodes: Nodes, count: int, *words: str) -> Site:
    # The connections of the last run would spare this one its handshakes.
    inventory = nodes.inventory(count)
    control = inventory.parent / "control"
    shutil.rmtree(control, ignore_errors=True)
    before, own_before, started = nodes.processor_s(), children_s(), time.monotonic()
    output = run(
        ["ansible-playbook", "site.yml", "-i", str(inventory), *words],
        ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"),
        ANSIBLE_SSH_CONTROL_PATH_DIR=str(control),
    )
    seconds = time.monotonic() - started
    recap = [
        tuple(map(int, found))
        for found in re.findall(r"hgx-rerun-\d+ .*?ok=(\d+) +changed=(\d+) .*skipped=(\d+)", output)
    ]
    assert len(recap) == count, output
    return Site(
        seconds=seconds,
        tasks=max(ok for ok, _changed, _skipped in recap),
        skipped=max(skipped for _ok, _changed, skipped in recap),
        changed=sum(changed for _ok, changed, _skipped in recap),
        controller_cpu_s=children_s() - own_before,
        node_cpu_s=nodes.processor_s() - before,
    )


def measure(nodes: Nodes, count: int, rounds: int, *words: str) -> Site:
    """Run the site again and again on so many nodes, print what it took, and return the medians."""
    sites = []
    for number in range(1, rounds + 1):
        site = run_site(nodes, count, *words)
        sites.append(site)
        print(
            f"{' '.join(['site.yml', *words])} on {count} node(s), round {number}: {site.seconds:.1f} s,"
            f" {site.tasks} tasks and {site.skipped} skipped on a node, changed={site.changed},"
            f" processors: {site.controller_cpu_s:.1f} s here, {site.node_cpu_s / count:.1f} s on a node",
            flush=True,
        )
    return Site(*(statistics.median(figures) for figures in zip(*sites, strict=True)))


def apart_s(one: Site, all_nodes: Site, cores: int) -> float:
    """Estimate the seconds of all nodes if only the controller's work had to share the controller's cores.

    What a node and its network take is the same for one and for all, since they take it at the same time. A quarter of
    the controller's work is that of the main process of ansible-playbook, so more than MAX_CORES do not help.
    """
    controller_s = max(one.controller_cpu_s, all_nodes.controller_cpu_s / min(cores, MAX_CORES))
    return one.seconds - one.controller_cpu_s + controller_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=8, help="(default: %(default)s)")
    parser.add_argument("--servers", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--rtt", type=float, default=60, help="round trip in milliseconds (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--measure", action="store_true", help="also without the stored results of the verification")
    parser.add_argument("--keep", type=Path, help="a folder; nodes that are there are used again, and kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        nodes = Nodes(options.servers, options.keep or Path(temporary))
        try:
            nodes.create()
            Link(options.nodes, options.servers, options.rtt / 1000).start()
            first = run_site(nodes, options.servers)
            print(f"first run: {first.seconds:.0f} s, {first.tasks} tasks on a node", flush=True)
            one = measure(nodes, 1, options.rounds)
            every = measure(nodes, options.nodes, options.rounds) if options.nodes > 1 else one
            if options.measure:
                measure(nodes, 1, 1, "-e", "smoke_benchmark_reuse=never")
        finally:
            if not options.keep:
                nodes.destroy()
    ratio = every.seconds / one.seconds
    cores = len(os.sched_getaffinity(0))
    print(
        f"round trip {options.rtt:.0f} ms: one node {one.seconds:.1f} s (limit {LIMIT_S:.0f}), {options.nodes} nodes"
        f" {every.seconds:.1f} s, {ratio:.2f} times as long (limit {LIMIT_RATIO})"
    )
    print(
        f"processors: the controller {one.controller_cpu_s:.1f} s for one node and {every.controller_cpu_s:.1f} s for"
        f" {options.nodes}, the nodes {one.node_cpu_s:.1f} and {every.node_cpu_s:.1f} s, on the same {cores} cores"
    )
    for number in sorted({min(cores, MAX_CORES), MAX_CORES}):
        seconds = apart_s(one, every, number)
        print(
            f"estimate for nodes with processors of their own and {number} cores for the controller:"
            f" {seconds:.1f} s, {seconds / one.seconds:.2f} times as long"
        )
    return int(one.seconds >= LIMIT_S or ratio > LIMIT_RATIO)


if __name__ == "__main__":
    sys.exit(main())
