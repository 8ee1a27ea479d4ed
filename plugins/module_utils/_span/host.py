# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node has that all nodes of a server must have alike, and its devices for traffic between them."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .._core.files import read_text
from .._core.process import run

ROOT = "/"
PROGRAM_TIMEOUT_S = 30


def interfaces() -> list[dict[str, Any]]:
    """Return C(name), C(address) and C(mtu) for each IPv4 address of the host."""
    answer = run(["ip", "-json", "-4", "address"], PROGRAM_TIMEOUT_S, merge=False)
    try:
        links = json.loads(answer.output)
    except ValueError:
        return []
    return [
        {"name": str(link["ifname"]), "address": str(each["local"]), "mtu": int(link["mtu"])}
        for link in links
        for each in link.get("addr_info", [])
        if each.get("family") == "inet"
    ]


def rdma_devices() -> list[dict[str, Any]]:
    """Return C(name) of each RDMA device, and whether it has an C(active) port."""
    return [
        {
            "name": os.path.basename(folder),
            "active": any("ACTIVE" in read_text(port) for port in glob.glob(os.path.join(folder, "ports/*/state"))),
        }
        for folder in sorted(glob.glob(os.path.join(ROOT, "sys/class/infiniband/*")))
    ]


def gpudirect() -> str:
    """Return by what an RDMA device reaches the memory of GPUs: a module, or nothing."""
    modules = read_text(os.path.join(ROOT, "proc/modules"))
    if re.search(r"^(nvidia_peermem|nv_peer_mem) ", modules, re.MULTILINE):
        return "nvidia_peermem"
    if "Open Kernel Module" in read_text(os.path.join(ROOT, "proc/driver/nvidia/version")):
        return "DMA-BUF of the open kernel modules"
    return ""


def memory_lock_limit() -> int | None:
    """Return how many bytes a container may lock, -1 without a limit, None if that cannot be read.

    Containers get the limits of containerd, or of the engine that starts it.
    """
    found: dict[str, str] = {}
    for path in glob.glob(os.path.join(ROOT, "proc/[0-9]*/comm")):
        name = read_text(path).strip()
        if name in ("containerd", "dockerd"):
            found[name] = read_text(os.path.join(os.path.dirname(path), "limits"))
    limits = found.get("containerd") or found.get("dockerd") or ""
    limit = re.search(r"^Max locked memory\s+\S+\s+(\d+|unlimited)", limits, re.MULTILINE)
    if limit is None:
        return None
    return -1 if limit[1] == "unlimited" else int(limit[1])


def weights(cache_home: str, commits: Mapping[str, str]) -> dict[str, str]:
    """Return for each repository a digest of the files of its snapshot in the cache, empty without one.

    The cache names each file by its content, so that none has to be read.
    """
    return {repo: _digest(_snapshot(cache_home, repo, commit)) for repo, commit in commits.items()}


def _snapshot(cache_home: str, repo: str, commit: str) -> str:
    return os.path.join(cache_home, "hub", f"models--{repo.replace('/', '--')}", "snapshots", commit)


def _digest(folder: str) -> str:
    files = sorted(_files(folder))
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:12] if files else ""


def _files(folder: str) -> Iterable[tuple[str, str]]:
    for path, _folders, names in os.walk(folder):
        for name in names:
            file = os.path.join(path, name)
            yield os.path.relpath(file, folder), os.path.basename(os.path.realpath(file))
