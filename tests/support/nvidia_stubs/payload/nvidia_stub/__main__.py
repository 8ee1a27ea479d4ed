# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the stub program that the launcher was called as."""

from __future__ import annotations

import importlib
import signal
import sys

PROGRAMS = {
    "dkms": "kernel",
    "lsmod": "kernel",
    "modinfo": "kernel",
    "modprobe": "kernel",
    "nv-fabricmanager": "daemons",
    "nvidia-cdi-hook": "toolkit",
    "nvidia-container-cli": "toolkit",
    "nvidia-container-runtime": "toolkit",
    "nvidia-container-runtime-hook": "toolkit",
    "nvidia-ctk": "toolkit",
    "nvidia-persistenced": "daemons",
    "nvidia-smi": "smi",
    "nvidia-stub": "control",
}


def main() -> int:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `nvidia-smi | head` is no error
    program, *args = sys.argv[1:]
    module = importlib.import_module(f".{PROGRAMS[program]}", __package__)
    answer: int = module.main(program, args)
    return answer


if __name__ == "__main__":
    sys.exit(main())
