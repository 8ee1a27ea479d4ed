# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a start compiles and tunes, kept for the next one: a folder for each image, kind of GPU and driver.

The variables belong to the host and not to a release: a server that was started without them need not be replaced.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from .._core.units import GIB

# Mounted from vllm_state_dir/cache. Below it each kind of hardware has a folder.
_INSIDE = "/root/.cache/vllm"
# The code of the models' repositories, which is the same on every kind of hardware.
_CODE = "hf_modules"
# vLLM puts its graphs and DeepGEMM's kernels below its own root. The others do not know it.
_VARIABLES = {
    "VLLM_CACHE_ROOT": "",
    "TRITON_CACHE_DIR": "triton",
    "CUDA_CACHE_PATH": "cuda",
    "FLASHINFER_WORKSPACE_BASE": "flashinfer",
    "TVM_FFI_CACHE_DIR": "tvm-ffi",
    "TILELANG_CACHE_DIR": "tilelang",
}
# The driver forgets the oldest kernels beyond 1 GiB, its default; one start of a large model compiles more.
_CUDA_CACHE_BYTES = 4 * GIB
# The folder of the release that runs, and that of the one before it, which a rollback starts again.
_KEPT = 2
# The causes, by their keys, for which a start without what earlier ones have compiled is worth the time.
AT_FAULT = ("compile-cache",)
_ASIDE = ".aside"


def folder_name(image_id: str, gpus: Collection[Mapping[str, Any]], driver: str | None) -> str:
    """Return the name of the folder: V(NVIDIA-B200_580.95.05_1a2b3c4d5e6f), or V(cpu_1a2b3c4d5e6f).

    C(gpus) are as the module nvidia_gpu_info documents them.
    """
    kinds = sorted({str(gpu["name"]) for gpu in gpus})
    words = [*kinds, str(driver)] if kinds else ["cpu"]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "_".join([*words, image_id.rpartition(":")[2][:12]]))


def variables(folder: str, mounts: Collection[str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a server that keeps its caches in the folder; without what its own settings say."""
    if not any(mount.split(":")[1] == _INSIDE for mount in mounts):
        return {}
    paths = {name: os.path.join(_INSIDE, folder, part).rstrip("/") for name, part in _VARIABLES.items()}
    ours = {**paths, "CUDA_CACHE_MAXSIZE": str(_CUDA_CACHE_BYTES)}
    return {name: value for name, value in ours.items() if name not in given}


def is_ours(entry: str) -> bool:
    """Return whether C(NAME=value) is a variable that C(variables) gives to a container."""
    name, _equals, value = entry.partition("=")
    return value.startswith(f"{_INSIDE}/") if name in _VARIABLES else entry == f"CUDA_CACHE_MAXSIZE={_CUDA_CACHE_BYTES}"


def make_room(cache_dir: str, folder: str, limit_bytes: float) -> list[str]:
    """Make the folder of the next server, remove what no release needs any more, and return the names of that.

    No server may run. The folders that were used last stay, as long as all together are no larger than the limit; one
    that is larger by itself is emptied.
    """
    path = os.path.join(cache_dir, folder)
    os.makedirs(path, mode=0o755, exist_ok=True)
    os.utime(path)
    with os.scandir(cache_dir) as entries:
        used = {entry.name: entry.stat().st_mtime for entry in entries if _is_cache(entry)}
    newest = sorted(used, key=lambda name: (name == folder, used[name]), reverse=True)
    totals = itertools.accumulate(_size(os.path.join(cache_dir, name)) for name in newest)
    removed = [
        name for count, (name, total) in enumerate(zip(newest, totals), 1) if count > _KEPT or total > limit_bytes
    ]
    for name in removed:
        shutil.rmtree(os.path.join(cache_dir, name), ignore_errors=True)
        shutil.rmtree(os.path.join(cache_dir, name + _ASIDE), ignore_errors=True)
    os.makedirs(path, mode=0o755, exist_ok=True)
    return removed


def _is_cache(entry: os.DirEntry[str]) -> bool:
    return entry.name != _CODE and not entry.name.endswith(_ASIDE) and entry.is_dir()


def folder_of(container: Mapping[str, Any]) -> str:
    """Return the folder on the host where a container keeps what it compiles; nothing if it keeps nothing there."""
    given = dict(entry.partition("=")[::2] for entry in container["Config"].get("Env") or ())
    root = given.get("VLLM_CACHE_ROOT", "")
    for mount in container.get("Mounts") or ():
        if mount.get("Destination") == _INSIDE and root.startswith(f"{_INSIDE}/"):
            return os.path.join(str(mount["Source"]), os.path.basename(root))
    return ""


def set_aside(folder: str, started_at: float) -> str:
    """Move a folder out of the way of the next start, and return where it is then. No server may run.

    Returns nothing, and moves nothing, if the folder has nothing from before C(started_at), in seconds since 1970, or
    if no start has succeeded since one was set aside: then it is not the cache.
    """
    aside = folder + _ASIDE
    if not folder or os.path.exists(aside) or not any(made < started_at for made in _times(folder)):
        return ""
    os.rename(folder, aside)
    os.makedirs(folder, mode=0o755)
    return aside


def succeeded(folder: str) -> None:
    """Remove what was set aside, since a server has started with what it compiled in its place."""
    if folder:
        shutil.rmtree(folder + _ASIDE, ignore_errors=True)


def _times(path: str) -> Iterator[float]:
    """Yield when each file was written, in seconds since 1970."""
    for folder, _folders, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                yield os.lstat(os.path.join(folder, name)).st_mtime


def _size(path: str) -> int:
    files = (os.path.join(folder, name) for folder, _folders, names in os.walk(path) for name in names)
    return sum(os.lstat(file).st_size for file in files if os.path.lexists(file))
