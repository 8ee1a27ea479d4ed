# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the connection to a target as long, and as unreliable, as the one to a node in a data centre.

road.py session COMMAND...: run a server of one connection, such as C(sshd -i). Each byte takes half of the round trip,
and none passes while the connection is cut.
road.py cuts FOLDER: cut all connections in the middle of the download and of the start, and make a file for each.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import glob
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROUND_TRIP_S = 0.03
CUT = Path("/run/hgx-road-is-cut")
# Longer than an SSH client waits for a sign of life (9 to 12 s in the scenario) and for a new connection (10 s).
CUT_S = 20.0
LONGEST_S = 1800.0
# What the progress says while the job runs, by the name of the cut.
MOMENTS = {"download": r"moonshotai/", "start": r"\d+ s, "}
PROGRESS = "/root/.ansible_async/hgx-*.progress"
# The server of a recorded release, which would be ready before anybody waits for it where the play is slow.
RELEASE = Path("/var/lib/hgx-inference/vllm/current")
SERVER = b"\0--served-model-name\0"
CLIENT = b"docker\0"  # creates the container with the same words, and answers only if it is not stopped


def session(command: list[str]) -> None:
    """Run the server, pass on what it reads and writes, and end with it."""
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin and server.stdout
    pass_on(0, server.stdin.fileno())
    pass_on(server.stdout.fileno(), 1).join()
    os._exit(server.wait())  # the other direction waits for a client that may be gone


def pass_on(source: int, target: int) -> threading.Thread:
    """Pass bytes on, each later by half of the round trip; return the thread that ends with the last."""
    passing: queue.Queue[tuple[float, bytes | None]] = queue.Queue()

    def read() -> None:
        data = b"first"
        while data:
            data = os.read(source, 65536)
            passing.put((time.monotonic() + ROUND_TRIP_S / 2, data))

    def write() -> None:
        while True:
            due, data = passing.get()
            time.sleep(max(0.0, due - time.monotonic()))
            while CUT.exists():
                time.sleep(0.1)
            try:
                if not data:
                    os.close(target)
                    return
                while data:
                    data = data[os.write(target, data) :]
            except OSError:
                return

    threading.Thread(target=read, daemon=True).start()
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    return writer


def cuts(folder: Path) -> None:
    """Cut the connections once at each of MOMENTS. Nothing but a job whose progress somebody reads is interrupted."""
    deadline = time.monotonic() + LONGEST_S
    for name, words in MOMENTS.items():
        held: set[int] = set()
        while not is_under_way(words) and time.monotonic() < deadline:
            if RELEASE.exists():
                held |= signalled(signal.SIGSTOP)
            time.sleep(0.1)
        if time.monotonic() >= deadline:
            signalled(signal.SIGCONT)
            return
        CUT.touch()
        (folder / name).touch()
        if held:
            signalled(signal.SIGCONT)
        time.sleep(CUT_S)
        CUT.unlink()


def signalled(number: int, proc: Path = Path("/proc")) -> set[int]:
    """Send a signal to the processes of a server that starts, and return their numbers."""
    found = set()
    for path in proc.glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
            if SERVER in words and not words.startswith(CLIENT):
                found.add(int(path.parent.name))
                os.kill(int(path.parent.name), number)
        except OSError:
            pass  # it has just ended
    return found


def is_under_way(words: str) -> bool:
    """Return whether a job runs that reports such progress, and somebody has read it."""
    for path in glob.glob(PROGRESS):
        try:
            if os.path.exists(f"{path}.seen") and re.match(words, Path(path).read_text(encoding="utf-8")):
                return True
        except OSError:
            pass  # it has just ended
    return False


if __name__ == "__main__":
    if sys.argv[1] == "session":
        session(sys.argv[2:])
    cuts(Path(sys.argv[2]))
