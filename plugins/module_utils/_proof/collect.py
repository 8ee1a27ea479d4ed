# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All that a proof rests on, read from the node that has given it."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from typing import Any

from .._core.files import read_text
from .._core.secrets import scrubbed
from .._hf.cache import CacheError, RepoCache, list_hash
from .._nvidia.fabric import judge_fabric
from .._vllm.store import CURRENT, Store, StoreError

# What of a GPU bears on its speed, or tells one from another.
_GPU = (
    "index",
    "name",
    "uuid",
    "compute_cap",
    "memory_total_mib",
    "persistence",
    "mig",
    "ecc",
    "compute_mode",
    "pcie_width",
    "recovery_action",
    "fabric",
    "nvlink",
    "faults",
)


class ProofError(Exception):
    """There is nothing to prove; the message says why."""


def collect(state_dir: str, cache_home: str, release: str, gpus: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a release was proven with, and the node; without C(release) the current one. Raises ProofError.

    C(gpus) is the result of the module nvidia_gpu_info. A part that cannot be read is V(null).
    """
    store = Store(state_dir)
    chosen = release or store.pointed(CURRENT)
    if not chosen:
        raise ProofError(f"No release is deployed here: there is none below {state_dir}.")
    try:
        record = store.read(chosen)
    except StoreError as exc:
        raise ProofError(str(exc)) from exc
    result = store.result(chosen)
    if not result or not result.get("verdict"):
        raise ProofError(f"The release {chosen} has not passed a benchmark here. Run playbooks/verify.yml first.")
    packages = read_text(os.path.join(state_dir, "releases", chosen, "packages.txt")).splitlines()
    found: dict[str, Any] = scrubbed(
        {
            "release": record,
            "benchmark": result,
            "packages": packages or None,
            "weights": [_weights(cache_home, repo, commit) for repo, commit in sorted(record["commits"].items())],
            "node": {**_host(), **_gpus(gpus)},
        }
    )
    return found


def _weights(cache_home: str, repo: str, commit: str) -> dict[str, Any]:
    """Return a repository's commit with the hash of its files' names, sizes and contents as the cache records them."""
    unknown = {"repo": repo, "commit": commit, "files": None, "bytes": None, "tree_sha256": None, "complete": None}
    try:
        cache = RepoCache(cache_home, repo)
        files = cache.recorded_files(commit)
        if files is None:
            return unknown
        complete = cache.state(commit, files).complete
    except CacheError:
        return unknown
    size = sum(file.size for file in files)
    return {**unknown, "files": len(files), "bytes": size, "tree_sha256": list_hash(files), "complete": complete}


def _host() -> dict[str, Any]:
    processors = re.findall(r"^model name\s*: (.*)$", read_text("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", read_text("/proc/meminfo"), re.MULTILINE)
    system = re.search(r'^PRETTY_NAME="?([^"\n]*)', read_text("/etc/os-release"), re.MULTILINE)
    return {
        "kernel": platform.release(),
        "system": system[1] if system else None,
        "cpu": processors[0] if processors else None,
        "cpus": len(processors) or None,
        "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
    }


def _gpus(info: Mapping[str, Any]) -> dict[str, Any]:
    listed = info.get("gpus") or []
    has_gpus = bool(listed or info.get("problem"))
    return {
        "driver": info.get("driver_version"),
        "cuda": info.get("cuda_version"),
        "module": (info.get("loaded_module") or {}).get("version"),
        "fabric": judge_fabric(info)._asdict() if has_gpus else None,
        "gpus": [
            {
                **{name: gpu.get(name) for name in _GPU},
                "sm_max_mhz": gpu["clocks"]["sm_max_mhz"],
                "slowed_by": gpu["clocks"]["event_reasons"],
                "power_limit_w": gpu["power"]["limit_w"],
                "power_default_limit_w": gpu["power"]["default_limit_w"],
            }
            for gpu in listed
        ],
    }
