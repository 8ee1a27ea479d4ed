# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The driver's error reports on GPUs (Xid) and NVSwitches (SXid) in the kernel log. Pure.

Sources of the meanings: NVIDIA's Xid catalog, and the Fabric Manager User Guide for the switches.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_RESET = "Reset the GPU or reboot. If it comes again, give the node back."
_RETURN = "Reboot once. If it comes again, give the node back: the provider must repair it."
_LINK = ("NVLink error", _RETURN)
# Faults of the machine, by number: meaning and fix.
_FAULTS = {
    46: ("the GPU stopped processing", _RESET),
    48: ("uncorrectable memory error", _RESET),
    62: ("the GPU's microcontroller halted", _RESET),
    64: ("memory rows could not be remapped", _RETURN),
    74: _LINK,
    79: ("the GPU has fallen off the bus", _RETURN),
    95: ("uncontained memory error", _RESET),
    110: ("security fault", _RESET),
    119: ("the GPU's system processor does not answer", _RESET),
    120: ("the GPU's system processor failed", _RESET),
    136: ("an NVLink could not be trained", _RETURN),
    140: ("unrecovered memory error", _RESET),
    143: ("the GPU could not be initialized", _RETURN),
    **dict.fromkeys(range(144, 151), _LINK),
    151: ("the keys of confidential computing could not be renewed", "Restart the virtual machine."),
    155: _LINK,
    156: ("a part of the GPU is to be retired at its next reset", _RESET),
    158: ("the GPU ran into a fatal timeout", _RESET),
}
# What the catalog leaves to other reports, or to support.
_NOTED = {
    109: "the GPU could not switch between programs",
    157: "a part of the GPU could not be retired",
    160: "a memory channel was retired",
    161: "a memory channel could not be retired",
    167: "fatal PCIe timeout",
    168: "the GPU has less memory than it had",
    169: "the GPU's security processor halted",
    171: "uncorrectable error in the DRAM",
    172: "uncorrectable error in the SRAM",
}
# Programs cause them, or they inform of what the driver has dealt with.
HARMLESS = {11, 13, 25, 31, 32, 37, 43, 45, 63, 68, 69, 80, 92, 94, 106, 107, 108, 137}
_RECOVERY = 154  # its words tell what must be done, and later that it has been done
_SWITCH_RESET = "Reboot, which resets GPUs and NVSwitches. If it comes again, give the node back."
# Those of the nonfatal ones for which the guide asks more than to watch them.
_NOTED_SWITCH = {11004, 12028, 19084, 20012}

_GPU = re.compile(r"NVRM: Xid \(PCI:([0-9a-fA-F:.]+)[^)]*\): (\d+)")  # with MIG, an instance follows the address
_SWITCH = re.compile(r"SXid \(PCI:([0-9a-fA-F:.]+)\): (\d+), (Fatal|Non-fatal)")


class Xid(NamedTuple):
    """A kind of report of one device: how often it came, its last line, and its fix where it is known to be a fault."""

    bus_id: str
    number: int
    times: int
    meaning: str
    fix: str
    line: str
    name: str = "Xid"


def find_xids(kernel_log: str) -> list[Xid]:
    """Return the reports that tell something about the machine, one for each device and number, in order.

    Those that a program causes are left out. A number that is not known has no C(fix).
    """
    lines: dict[tuple[str, str, int], list[str]] = {}
    for line in kernel_log.splitlines():
        gpu, switch = _GPU.search(line), _SWITCH.search(line)
        if gpu and int(gpu.group(2)) not in HARMLESS:
            lines.setdefault(("Xid", gpu.group(1).lower(), int(gpu.group(2))), []).append(line.strip())
        elif switch and (switch.group(3) == "Fatal" or int(switch.group(2)) in _NOTED_SWITCH):
            lines.setdefault(("SXid", switch.group(1).lower(), int(switch.group(2))), []).append(line.strip())
    found = []
    for (name, bus_id, number), reports in lines.items():
        meaning, fix = _meaning(number, reports) if name == "Xid" else _meaning_of_switch(reports)
        if number != _RECOVERY or fix:
            found.append(Xid(bus_id, number, len(reports), meaning, fix, reports[-1], name))
    return found


def _meaning(number: int, lines: list[str]) -> tuple[str, str]:
    if number == _RECOVERY:
        action = re.search(r"changed from .* to \w+ \((.+)\)", lines[-1])
        asked = action.group(1) if action else "a recovery"
        return ("", "") if asked.lower() == "none" else (f"the driver asks for '{asked}'", _RESET)
    meaning, fix = _FAULTS.get(number, (_NOTED.get(number, ""), ""))
    # Links recover from what their reports call nonfatal.
    return meaning, "" if all("nonfatal" in line.lower() for line in lines) else fix


def _meaning_of_switch(lines: list[str]) -> tuple[str, str]:
    is_fatal = any(", Fatal" in line for line in lines)
    return ("fatal error of an NVSwitch", _SWITCH_RESET) if is_fatal else ("error of an NVSwitch", "")
