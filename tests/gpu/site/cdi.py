#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print a CDI specification of this machine's GPUs. It stands in for nvidia-ctk, without hooks.  cdi.py DRIVER_ROOT"""

from __future__ import annotations

import json
import sys
from pathlib import Path

LIBRARIES, PROGRAMS = "/usr/lib/x86_64-linux-gnu", "/usr/bin"


def specification(root: Path, devices: Path = Path("/dev")) -> dict[str, object]:
    """Return the specification for a driver whose libraries and programs are in C(root/lib64) and C(root/bin)."""
    control = [devices / name for name in ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")]
    shared = [path for path in control if path.exists()] + sorted(devices.glob("nvidia-caps/*"))
    gpus = sorted(devices.glob("nvidia[0-9]*"))
    mounts = [(path, LIBRARIES) for path in sorted(root.glob("lib64/*.so*")) if path.is_file()]
    mounts += [(path, PROGRAMS) for path in sorted(root.glob("bin/nvidia-*")) if path.is_file()]
    named = [(path.name.removeprefix("nvidia"), [path]) for path in gpus] + [("all", gpus)]
    return {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "devices": [{"name": name, "containerEdits": {"deviceNodes": _nodes(paths)}} for name, paths in named],
        "containerEdits": {
            "deviceNodes": _nodes(shared),
            "mounts": [
                {
                    "hostPath": str(path),
                    "containerPath": f"{target}/{path.name}",
                    "options": ["ro", "nosuid", "nodev", "bind"],
                }
                for path, target in mounts
            ],
            "env": ["NVIDIA_VISIBLE_DEVICES=void"],
        },
    }


def _nodes(paths: list[Path]) -> list[dict[str, str]]:
    return [{"path": str(path)} for path in paths]


if __name__ == "__main__":
    print(json.dumps(specification(Path(sys.argv[1])), indent=1))
