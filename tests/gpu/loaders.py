#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time how long vLLM's loaders take to bring real bytes to a GPU, from the disk and from the page cache.

    python3 tests/gpu/loaders.py WHEELS [GIB]

Needs Docker with an image of vLLM (IMAGE) and a CDI specification: tests/gpu/site/machine.sh makes such a machine.
WHEELS holds the wheels that the image lacks, such as runai_model_streamer and humanize. Files of 4 GiB, GIB in all
(default 24), are read by the iterators that vLLM itself uses, and each tensor is copied to the first GPU. Standard
library only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

IMAGE = os.environ.get("IMAGE", "vllm/vllm-openai:v0.26.0")
LOADERS = {
    "safetensors": "safetensors_weights_iterator",
    "fastsafetensors": "fastsafetensors_weights_iterator",
    "runai_streamer": "runai_safetensors_weights_iterator",
}
FILE_GIB = 4
TENSOR_MIB = 256
# fastsafetensors asks for libcudart.so by this name, which packages of Python do not have.
LIBRARIES = "/tmp/libraries"
LINK = (
    f"mkdir -p {LIBRARIES}; for name in libcudart libcufile; do"
    f' ln -s "$(find / -xdev -path "*/nvidia/cu13/*" -name "$name.so.*" | head -1)" {LIBRARIES}/$name.so; done'
)
WRITE = """
import sys, torch
from safetensors.torch import save_file
folder, files, tensors, size = sys.argv[1], *map(int, sys.argv[2:])
for file in range(files):
    weights = {f"{file}.{index}": torch.randint(0, 256, (size,), dtype=torch.uint8, device="cuda").cpu()
               for index in range(tensors)}
    save_file(weights, f"{folder}/model-{file:05}.safetensors")
"""
LOAD = """
import glob, json, re, sys, time, torch
from vllm.model_executor.model_loader import weight_utils
files = sorted(glob.glob(f"{sys.argv[1]}/*.safetensors"))
torch.ones(1, device="cuda").sum().item()
def read_bytes():
    with open("/proc/self/io") as stream:
        return int(re.search(r"^read_bytes: (\\d+)", stream.read(), re.M)[1])
before, began, size = read_bytes(), time.monotonic(), 0
for name, tensor in getattr(weight_utils, sys.argv[2])(files, False):
    size += tensor.numel() * tensor.element_size()
    kept = tensor.to("cuda", copy=True)
torch.cuda.synchronize()
print(json.dumps({"seconds": time.monotonic() - began, "bytes": size, "from_disk": read_bytes() - before}))
"""


def contained(folder: Path, packages: Path, program: str, *arguments: str) -> str:
    """Run a Python program in a container with the GPUs; return the last line that it prints."""
    argv = ["docker", "run", "--rm", "--network", "none", "--device", "nvidia.com/gpu=all", "--ipc", "host"]
    argv += ["--volume", f"{folder}:/weights", "--volume", f"{packages}:/packages:ro"]
    argv += ["--env", "PYTHONPATH=/opt/vllm:/packages", "--env", f"LD_LIBRARY_PATH={LIBRARIES}", "--entrypoint", "sh"]
    shell = [IMAGE, "-c", f'{LINK}; exec python3 "$@"', "sh", "-c", program, "/weights", *arguments]
    done = subprocess.run([*argv, *shell], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError("\n".join(done.stderr.strip().splitlines()[-3:]))
    return (done.stdout.strip().splitlines() or [""])[-1]


def forget(files: Iterable[Path]) -> None:
    """Drop the files from the page cache."""
    os.sync()
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def remember(files: Iterable[Path]) -> None:
    """Read the files into the page cache."""
    subprocess.run(["cat", *map(str, files)], stdout=subprocess.DEVNULL, check=True)


def main() -> int:
    wheels, gib = Path(sys.argv[1]), int((sys.argv[2:] or ["24"])[0])
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        weights, packages = Path(name, "weights"), Path(name, "packages")
        weights.mkdir()
        packages.mkdir()
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(packages)]
        if found := list(map(str, wheels.glob("*.whl"))):
            subprocess.run([*pip, *found], check=True)
        contained(
            weights, packages, WRITE, str(gib // FILE_GIB), str(FILE_GIB * 1024 // TENSOR_MIB), str(TENSOR_MIB << 20)
        )
        files = sorted(weights.glob("*.safetensors"))
        print(f"{sum(path.stat().st_size for path in files) / 1e9:.1f} GB in {len(files)} files", flush=True)
        default: dict[str, float] = {}
        for loader, iterator in LOADERS.items():
            for cache, prepare in (("disk", forget), ("page cache", remember)):
                prepare(files)
                try:
                    took = json.loads(contained(weights, packages, LOAD, iterator))
                except RuntimeError as exc:
                    print(f"{loader:16} {cache:10} failed: {exc}", flush=True)
                    continue
                default.setdefault(cache, took["seconds"])
                print(
                    f"{loader:16} {cache:10} {took['seconds']:6.1f} s {took['bytes'] / took['seconds'] / 1e9:6.2f} GB/s"
                    f"  {took['seconds'] / default[cache]:.2f} of {next(iter(LOADERS))}"
                    f"  ({took['from_disk'] / 1e9:.1f} GB from the disk)",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
