# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The driver's error reports (Xid) in the kernel log. Pure.

Source of the meanings: NVIDIA's Xid catalog.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_RESET = "Reset the GPU or reboot. If it comes again, give the node back."
_RETURN = "Reboot once. If it comes again, give the node back: the provider must repair it."
_LINK = ("NVLink error", _RETURN)
# Faults of the machine, by number: meaning and fix.
_FAULTS = {
    48: ("uncorrectable memory error", _RESET),
    62: ("the GPU's microcontroller halted", _RESET),
    64: ("memory rows could not be remapped", _RETURN),
    74: _LINK,
    79: ("the GPU has fallen off the bus", _RETURN),
    95: ("uncontained memory error", _RESET),
    119: ("the GPU's system processor does not answer", _RESET),
    120: ("the GPU's system processor failed", _RESET),
    140: ("unrecovered memory error", _RESET),
    143: ("the GPU could not be initialized", _RETURN),
    **dict.fromkeys(range(144, 151), _LINK),
}
# Programs cause them, or they inform of what the driver has dealt with.
_HARMLESS = {13, 31, 32, 43, 45, 63, 68, 69, 92, 94, 137}


class Xid(NamedTuple):
    """A kind of report of one GPU: how often it came, its last line, and its fix where it is known to be a fault."""

    bus_id: str
    number: int
    times: int
    meaning: str
    fix: str
    line: str


def find_xids(kernel_log: str) -> list[Xid]:
    """Return the reports that tell something about the machine, one for each GPU and number, in order.

    Those that a program causes are left out. A number that is not known has no C(fix).
    """
    lines: dict[tuple[str, int], list[str]] = {}
    for line in kernel_log.splitlines():
        found = re.search(r"NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+)", line)
        if found and int(found.group(2)) not in _HARMLESS:
            lines.setdefault((found.group(1).lower(), int(found.group(2))), []).append(line.strip())
    return [
        Xid(bus_id, number, len(found), *_meaning(number, found), found[-1])
        for (bus_id, number), found in lines.items()
    ]


def _meaning(number: int, lines: list[str]) -> tuple[str, str]:
    meaning, fix = _FAULTS.get(number, ("", ""))
    # Links recover from what their reports call nonfatal.
    return meaning, "" if all("nonfatal" in line.lower() for line in lines) else fix
