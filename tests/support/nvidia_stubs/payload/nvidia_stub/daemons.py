# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services: Fabric Manager and persistence daemon."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from . import kernel, state


def main(program: str, args: list[str]) -> int:
    if program == "nvidia-persistenced":
        return persistenced()
    version = state.read(state.VERSIONS / "fabricmanager") or "?"
    if {"-v", "--version"} & set(args):
        print(f"Fabric Manager version is : {version}")
        return 0
    return fabric_manager(version)


def persistenced() -> int:
    if state.loaded_module() is None:
        return say(
            "Failed to query NVIDIA devices. Please ensure that the NVIDIA device files (/dev/nvidia*) exist, "
            "and that user 0 has read and write permissions for those files."
        )
    return serve(state.PERSISTENCED, "")


def fabric_manager(version: str) -> int:
    """Start as the real one does through its start script; its words for what prevents it."""
    machine, module = state.Machine.load(), state.loaded_module()
    say(f"Detected {'NVL5+' if machine.nvswitch == 'nvlink5' else 'Pre-NVL5'} system")
    if machine.nvswitch == "nvlink5":
        if "ib_umad" not in kernel.loaded():
            return say('Kernel module "ib_umad" has not been loaded, fabric manager cannot be started')
        if not state.NVLSM.exists():
            return say(f'"{state.NVLSM}" does not exist. Please install "Nvidia NVLink Subnet Manager" (nvlsm) package')
    if module is None or machine.nvswitch == "none":
        return say(
            "request to query NVSwitch device information from NVSwitch driver failed with error:"
            "WARNING Nothing to do [NV_WARN_NOTHING_TO_DO]"
        )
    if version != module:
        return say(
            f"fabric manager NVIDIA GPU driver interface version {version} don't match with driver version {module}. "
            "Please update with matching NVIDIA driver package."
        )
    say("Successfully configured all the available GPUs and NVSwitches to route NVLink traffic.")
    return serve(state.FABRIC_MANAGER, version)


def serve(path: Path, text: str) -> int:
    """Leave the sign of a running service, tell systemd, and wait to be stopped."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{text}\n")
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", address.replace("@", "\0", 1) if address.startswith("@") else address)
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    signal.sigwait(stop)
    path.unlink(missing_ok=True)
    return 0


def say(line: str) -> int:
    """Print for the journal. Returns the exit code of those who cannot go on."""
    print(line, file=sys.stderr, flush=True)
    return 1
