# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything about a server that helps to find a fault, without its secrets, in one archive."""

from __future__ import annotations

import glob
import io
import json
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .._core.files import read_text
from .._core.process import run
from .._core.secrets import scrub, scrubbed
from .._programs.stacks import dump
from .._programs.watch import RECORD
from .supervisor import Service

_TIMEOUT_S = 60.0
_LOG_LINES = 20000
_RESULTS = 5
_MOST_BYTES = 32 * 2**20  # of one file
_KERNEL_WORDS = ("nvrm", "xid", "nvidia", "oom", "killed process", "mlx5", "nvswitch", "i/o error", "ext4-fs error")


def collect(container: str, state_dir: str, results_dir: str, py_spy: str) -> dict[str, str]:
    """Return name and content of each file. A program that is missing or fails leaves its message as the content."""
    service = Service(container, state_dir)
    unit = service.unit
    commands = {
        "docker/info.txt": ["docker", "info"],
        "docker/version.txt": ["docker", "version"],
        "docker/containers.txt": ["docker", "ps", "--all", "--no-trunc"],
        "docker/inspect.json": ["docker", "inspect", container],
        "log.txt": ["docker", "logs", "--timestamps", "--tail", str(_LOG_LINES), container],
        "supervisor/status.txt": ["systemctl", "status", "--no-pager", "--full", unit],
        "supervisor/journal.txt": ["journalctl", "--no-pager", "--lines=500", f"--unit={unit}"],
        "nvidia/smi.txt": ["nvidia-smi"],
        "nvidia/smi-q.txt": ["nvidia-smi", "-q"],
        "nvidia/nvlink.txt": ["nvidia-smi", "nvlink", "--status"],
        "nvidia/topology.txt": ["nvidia-smi", "topo", "-m"],
        "nvidia/toolkit.txt": ["nvidia-ctk", "--version"],
        "nvidia/fabric-manager.txt": ["journalctl", "--no-pager", "--lines=200", "--unit=nvidia-fabricmanager"],
        "host/kernel.txt": ["uname", "-a"],
        "host/memory.txt": ["free", "--mega"],
        "host/disks.txt": ["df", "-hT"],
        "host/processes.txt": ["ps", "-eo", "pid,ppid,user,state,rss,etime,comm", "--sort=-rss"],
    }
    with ThreadPoolExecutor(8) as pool:
        answers = {name: pool.submit(run, argv, _TIMEOUT_S) for name, argv in commands.items()}
        kernel = pool.submit(run, ["dmesg", "--ctime"], _TIMEOUT_S)
        files = {name: _said(answer.result().output, answer.result().missing) for name, answer in answers.items()}
    files["host/kernel-log.txt"] = _only(kernel.result().output, _KERNEL_WORDS)
    files["host/os-release.txt"] = read_text("/etc/os-release")
    files["docker/inspect.json"] = _changed(files["docker/inspect.json"], scrubbed)
    files["supervisor/watch.json"] = read_text(os.path.join(service.folder, RECORD)) or "(it was not watched)\n"
    files["supervisor/state.json"] = read_text(os.path.join(service.folder, "state.json"))
    files["dumps.txt"] = _dumps(container, py_spy)
    for path in sorted(glob.glob(f"{glob.escape(state_dir)}/releases/*/release.json")):
        files[f"releases/{os.path.basename(os.path.dirname(path))}.json"] = _changed(read_text(path), scrubbed)
    for path in sorted(glob.glob(f"{glob.escape(state_dir)}/releases/*/ended.log")):
        files[f"releases/{os.path.basename(os.path.dirname(path))}-ended.log"] = read_text(path)
    newest = sorted(glob.glob(f"{glob.escape(results_dir)}/2*.json"))[-_RESULTS:]
    files.update({f"results/{os.path.basename(path)}": _without_texts(read_text(path)) for path in newest})
    return files


def pack(files: Mapping[str, str], folder: str) -> tuple[bytes, list[str]]:
    """Return a gzipped tar archive of the files without what is secret of them, and their names.

    All is below C(folder) in the archive.
    """
    buffer = io.BytesIO()
    names = []
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in sorted(files.items()):
            content = scrub(text)[-_MOST_BYTES:].encode()
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
            names.append(name)
    return buffer.getvalue(), names


def _said(output: str, missing: bool) -> str:
    return "(the program is not on this host)\n" if missing else output


def _only(text: str, words: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in text.splitlines() if any(word in line.lower() for word in words))


def _dumps(container: str, py_spy: str) -> str:
    """Return where each process of the server is, if py-spy is there."""
    pids = run(["docker", "top", container, "-eo", "pid"], _TIMEOUT_S).output.split()
    if not py_spy:
        return "(py-spy is not on this host)\n"
    return "\n".join(
        f"process {pid}\n" + "".join(f"  {frame}\n" for frame in dump(py_spy, int(pid)))
        for pid in pids
        if pid.isdigit()
    )


def _without_texts(text: str) -> str:
    """Return a result without what clients and model have said."""

    def shortened(result: Any) -> Any:
        for part in (result, result.get("client") or {}):
            for name in ("generated_texts", "texts"):
                if name in part:
                    part[name] = f"({len(part[name])} texts)"
        return scrubbed(result)

    return _changed(text, shortened)


def _changed(text: str, change: Callable[[Any], Any]) -> str:
    """Return a JSON text with a change; what is no JSON stays as it is."""
    try:
        return json.dumps(change(json.loads(text)), indent=1)
    except (ValueError, AttributeError, TypeError):
        return text
