# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A docker command whose containers are plain processes, for code of our own only, and solutions of the code tasks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

CONTAINER = "vllm"
IMAGE = "sha256:5e7"
SOLUTIONS = {
    "merged": """\
def merged(spans):
    found = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
""",
    "run_lengths": """\
from itertools import groupby

def run_lengths(text):
    return [(character, len(list(run))) for character, run in groupby(text)]
""",
    "duration": """\
def duration(seconds: int) -> str:
    parts = [(seconds // 3600, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s")]
    return " ".join(f"{count}{unit}" for count, unit in parts if count) or "0s"

print(duration(7503))
if __name__ == "__main__":
    input()
""",
    "depth": """\
def depth(text):
    now = most = 0
    for character in text:
        now += (character == "(") - (character == ")")
        if now < 0:
            return -1
        most = max(most, now)
    return most if now == 0 else -1
""",
}
_SCRIPT = """\
#!/bin/sh
echo "$@" >> {log}
case "$1 $3" in
container\\ {container}) echo '[{{"Image": "{image}"}}]' ;;
container*) echo "Error: No such container: $3" >&2; exit 1 ;;
run*) {run} ;;
esac
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, run: str = "") -> Path:
    """Put the command first on the PATH, and return the file with the arguments of each call.

    C(run) replaces what C(docker run) does: execute the program on stdin.
    """
    log = folder / "calls"
    program = run or f"exec {sys.executable} -I -S -"
    script = _SCRIPT.format(log=log, container=CONTAINER, image=IMAGE, run=program)
    (folder / "docker").write_text(script, encoding="utf-8")
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return log
