# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What NCCL itself says of processes that wait for each other.

From 2.24 on its service RAS answers on a port of loopback, in the container, once a communicator is set up: which ranks
are behind, and which do not answer. Before that, only its log (NCCL_DEBUG=INFO) tells which ranks have come. torch's
flight recorder writes files, where it is switched on. The texts are those of NCCL 2.28.9.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable

# Run by the Python of the container, which prints the answer.
RAS_PROGRAM = """\
import socket
with socket.create_connection(("localhost", 28028), 5) as service:
    service.settimeout(20)
    service.sendall(b"verbose status\\n")
    while True:
        part = service.recv(65536)
        if not part:
            break
        print(part.decode("utf-8", "replace"), end="")
"""
_LINES = 16
_INIT = re.compile(
    r"NCCL INFO ncclCommInitRank\w* comm \S+ rank (?P<rank>\d+) nranks (?P<all>\d+) .*commId (?P<comm>0x[0-9a-f]+)"
    r" .*- Init (?P<what>START|COMPLETE)"
)


def ras_words(answer: str) -> list[str]:
    """Return what the service finds wrong, in its own lines; nothing if it finds nothing or did not answer."""
    _head, found, told = answer.partition("\nErrors\n")
    if not found:
        return []
    lines = [line.rstrip() for line in told.splitlines()]
    return [line for line in lines if line.strip(" =") and line not in ("Errors", "Warnings")][:_LINES]


def init_words(lines: Iterable[str]) -> list[str]:
    """Return which ranks have not come, or have not got through, by the log of NCCL; nothing if it does not say."""
    groups: dict[str, tuple[int, set[int], set[int]]] = {}
    for line in lines:
        match = _INIT.search(line)
        if match:
            _all, begun, done = groups.setdefault(match["comm"], (int(match["all"]), set(), set()))
            (done if match["what"] == "COMPLETE" else begun).add(int(match["rank"]))
    words = []
    for comm, (size, begun, done) in groups.items():
        missing = sorted(set(range(size)) - begun - done)
        stuck = sorted(begun - done)
        if missing:
            words.append(f"communicator {comm}: of {size} ranks these have not come: {_listed(missing)}")
        elif stuck:
            words.append(f"communicator {comm}: of {size} ranks these do not get through: {_listed(stuck)}")
    return words[-_LINES:]


def recordings(pids: Iterable[int], proc: str = "/proc") -> list[str]:
    """Return the files of torch's flight recorder in the container of these processes."""
    for pid in sorted(pids):
        found = glob.glob(f"{proc}/{pid}/root/tmp/nccl_trace_rank_*")
        if found:
            return sorted(f"/tmp/{os.path.basename(path)}" for path in found)
    return []


def _listed(ranks: Iterable[int]) -> str:
    return ", ".join(map(str, ranks))
