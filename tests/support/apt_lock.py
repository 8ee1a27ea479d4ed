# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold apt's locks as the first boot of a cloud's machine does, until somebody has waited for them for a while.

python3 apt_lock.py MARKER: the file MARKER is made once somebody waits.
"""

from __future__ import annotations

import fcntl
import glob
import sys
import time
from contextlib import ExitStack
from pathlib import Path

LOCKS = ("/var/lib/apt/lists/lock", "/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock")
LONGEST_S = 180.0
HELD_S = 4.0
# Those that only read need no lock.
COMMANDS = (b"apt-get\0update", b"apt-get\0install", b"apt-mark\0")
LIBRARY = b"/apt_pkg."  # in the memory of Ansible's module apt


def main() -> None:
    """Hold the locks."""
    with ExitStack() as stack:
        for path in LOCKS:
            # As apt does; a lock of flock() would be another one.
            fcntl.lockf(stack.enter_context(open(path, "w", encoding="utf-8")), fcntl.LOCK_EX)
        deadline = time.monotonic() + LONGEST_S
        while not somebody_waits() and time.monotonic() < deadline:
            time.sleep(0.2)
        if somebody_waits():
            Path(sys.argv[1]).touch()
            time.sleep(HELD_S)


def somebody_waits() -> bool:
    """Return whether a program runs that needs one of the locks."""
    commands, maps = (map(_content, glob.glob(f"/proc/[0-9]*/{name}")) for name in ("cmdline", "maps"))
    return any(word in command for command in commands for word in COMMANDS) or any(LIBRARY in text for text in maps)


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    main()
