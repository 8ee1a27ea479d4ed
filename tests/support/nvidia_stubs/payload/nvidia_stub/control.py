# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests' own program: C(nvidia-stub). It moves the machine and tells what happened to it.

boot               what the boot service runs
set KEY=JSON ...   change the hardware; all but nouveau at once
load VERSION       have another kernel module loaded than the installed one
mark               count from now on
events             print {"boots": N, "reloads": N} since the mark, the reloads being those of systemd
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from . import kernel, state

BOOTS = Path("/var/lib/nvidia-stub/boots")
CURSOR = Path("/var/lib/nvidia-stub/cursor")


def main(_program: str, args: list[str]) -> int:
    command, *rest = args or ["help"]
    if command == "boot":
        BOOTS.parent.mkdir(parents=True, exist_ok=True)
        with BOOTS.open("a") as boots:
            boots.write("boot\n")
        kernel.boot()
    elif command == "set":
        data = json.loads(state.MACHINE.read_text()) if state.MACHINE.exists() else {}
        data.update({key: json.loads(value) for key, _equals, value in (item.partition("=") for item in rest)})
        state.Machine.from_dict(data)
        state.MACHINE.write_text(json.dumps(data, indent=2) + "\n")
        kernel.place_devices()
    elif command == "load":
        kernel.unload("nvidia")
        kernel.load("nvidia", rest[0])
    elif command == "mark":
        BOOTS.write_text("")
        journal("--sync")
        CURSOR.write_text(json.loads(journal("--lines=1", "--output=json"))["__CURSOR"])
    elif command == "events":
        journal("--sync")
        after = [f"--after-cursor={CURSOR.read_text()}"] if CURSOR.exists() else []
        lines = journal("--output=cat", "_PID=1", *after).splitlines()
        # "Reloading." or, since systemd 255, "Reloading..."
        reloads = sum(line.rstrip(".") == "Reloading" for line in lines)
        print(json.dumps({"boots": len(BOOTS.read_text().splitlines()), "reloads": reloads}))
    else:
        print(__doc__)
        return 2
    return 0


def journal(*args: str) -> str:
    return subprocess.run(
        ["journalctl", "--quiet", *args], check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    ).stdout
