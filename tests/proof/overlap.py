#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show, with figures, how long the image and the weights take together, and each alone.

A hub and an image registry on loopback give each so many MB/s, and this machine's Docker engine pulls the image.
Exits with 1 if both together take longer than 1.05 times the longer of the two, in the median of --rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import shutil
import socket
import socketserver
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "collections"))

from ansible_collections.hgx.inference.tests.proof.weights import REPO, ROOT, hub, publish

LIMIT = 1.05
NAME = "hgx-proof/overlap"
LAYERS = 4
MB = 10**6
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
# What the role vllm does first: it pulls the image, or the rest of it.
FINISH = """
- name: Pull the image
  hosts: inference
  gather_facts: false
  roles: [hgx.inference.recipe]
  tasks:
    - name: Pull the image
      ansible.builtin.include_role: {name: hgx.inference.vllm, tasks_from: image}
"""


class Throttle(socketserver.ThreadingTCPServer):
    """Passes connections on to another port, and answers at so many bytes per second for all of them together."""

    daemon_threads = True

    def __init__(self, port: int, bytes_per_s: float) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.behind = ("127.0.0.1", port)
        self._bytes_per_s = bytes_per_s
        self._lock = threading.Lock()
        self._free_at = 0.0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def wait(self, count: int) -> None:
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + count / self._bytes_per_s
        time.sleep(self._free_at - now)


class Connection(socketserver.BaseRequestHandler):
    server: Throttle

    def handle(self) -> None:
        with contextlib.suppress(OSError), socket.create_connection(self.server.behind) as behind:
            threading.Thread(target=self._ask, args=[behind], daemon=True).start()
            while data := behind.recv(65536):
                self.server.wait(len(data))
                self.request.sendall(data)
            self.request.shutdown(socket.SHUT_WR)

    def _ask(self, behind: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                behind.sendall(data)
            behind.shutdown(socket.SHUT_WR)


class Registry(ThreadingHTTPServer):
    """An image registry with one image, whose layers nothing can compress."""

    daemon_threads = True

    def __init__(self, size: int) -> None:
        super().__init__(("127.0.0.1", 0), RegistryHandler)
        self.files: dict[str, tuple[bytes, str]] = {"/v2/": (b"{}", "application/json")}
        layers = [_layer(f"file{number}", os.urandom(size // LAYERS)) for number in range(LAYERS)]
        history = {"type": "layers", "diff_ids": list(map(_digest, layers))}
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": history}).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob(config, "application/vnd.docker.container.image.v1+json"),
            "layers": [self._blob(layer, "application/vnd.docker.image.rootfs.diff.tar") for layer in layers],
        }
        body = json.dumps(manifest).encode()
        for name in ("latest", _digest(body)):
            self.files[f"/v2/{NAME}/manifests/{name}"] = (body, MANIFEST)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def _blob(self, body: bytes, kind: str) -> dict[str, object]:
        self.files[f"/v2/{NAME}/blobs/{_digest(body)}"] = (body, "application/octet-stream")
        return {"mediaType": kind, "size": len(body), "digest": _digest(body)}


class RegistryHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def do_GET(self) -> None:
        body, kind = self.server.files.get(self.path, (b"", ""))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", _digest(body))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_args: object) -> None:
        pass


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _layer(name: str, body: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(body)
        archive.addfile(entry, io.BytesIO(body))
    return stream.getvalue()


def run(folder: Path, *words: str) -> float:
    """Run playbooks and return the seconds that they took."""
    started = time.monotonic()
    done = subprocess.run(
        ["ansible-playbook", "-i", str(folder / "hosts.yml"), *words], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.monotonic() - started


def forget(*things: Path | str) -> None:
    """Remove folders and images."""
    for thing in things:
        if isinstance(thing, Path):
            shutil.rmtree(thing, ignore_errors=True)
        else:
            subprocess.run(["docker", "image", "rm", thing], capture_output=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image-mb", type=int, default=150, help="size of the image (default: %(default)s)")
    parser.add_argument("--weights-mb", type=int, default=200, help="size of the weights (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=5, help="MB/s of each of the two (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = folder / "cache"
        publish(folder / "hub", options.weights_mb * MB, 4)
        registry = Throttle(Registry(options.image_mb * MB).server_address[1], options.rate * MB)
        with hub(folder / "hub") as endpoint:
            hub_port = Throttle(int(endpoint.rpartition(":")[2]), options.rate * MB).server_address[1]
            variables = {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "recipe_file": str(ROOT / "recipes" / "tiny_kimi_cpu.yml"),
                "vllm_image_name": f"127.0.0.1:{registry.server_address[1]}/{NAME}",
                "vllm_image_tag": "latest",
                "hf_cache_models": [{"repo": REPO, "revision": "main", "role": "model"}],
                "hf_cache_endpoint": f"http://127.0.0.1:{hub_port}",
                "hf_cache_home": str(cache),
                "hf_cache_venv": str(folder / "venv"),
                "hf_cache_disk_reserve_gb": 0,
            }
            hosts = {"inference": {"hosts": {"here": variables}}}
            (folder / "hosts.yml").write_text(json.dumps(hosts), encoding="utf-8")
            finish = folder / "finish.yml"
            finish.write_text(FINISH, encoding="utf-8")
            image = f"{variables['vllm_image_name']}:latest"
            ratios = []
            run(folder, "playbooks/cache.yml", str(finish))  # installs the environment of the download
            for number in range(1, options.rounds + 1):
                took = {}
                for part, gone in (("both", (image, cache)), ("weights", (cache,)), ("image", (image,))):
                    forget(*gone)
                    took[part] = run(folder, "playbooks/cache.yml", str(finish))
                longer_s, sum_s = max(took["weights"], took["image"]), took["weights"] + took["image"]
                ratios.append(took["both"] / longer_s)
                print(
                    f"round {number}: weights {took['weights']:.1f} s, image {took['image']:.1f} s, both"
                    f" {took['both']:.1f} s: {ratios[-1]:.2f} of the longer, {took['both'] / sum_s:.2f} of the sum",
                    flush=True,
                )
            forget(image)
    ratio = statistics.median(ratios)
    print(f"median {ratio:.2f} of the longer one, at most {LIMIT}")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
