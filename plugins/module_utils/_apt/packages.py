# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse the output of dpkg and apt. Runs no program."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TypedDict

# The fields of dpkg-query -W --showformat that parse_dpkg_query() reads.
SHOW_FORMAT = "${Package}\t${Version}\t${db:Status-Want}\t${db:Status-Status}\t${db:Status-Eflag}\n"

_INSTALLED = {"installed", "triggers-awaited", "triggers-pending"}
_UNFINISHED = {"half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"}


class Package(TypedDict):
    """An installed package."""

    version: str
    upstream: str
    held: bool


def parse_dpkg_query(text: str, patterns: Iterable[str]) -> tuple[dict[str, Package], list[str]]:
    """Return the installed packages that match one of the shell patterns, and all unfinished packages.

    A package is unfinished if dpkg was interrupted while it unpacked or configured it.
    """
    wanted = list(patterns)
    installed: dict[str, Package] = {}
    unfinished = []
    for line in text.splitlines():
        name, version, want, status, flag = line.split("\t")
        if status in _UNFINISHED or flag == "reinstreq":
            unfinished.append(name)
        if status in _INSTALLED and any(fnmatchcase(name, pattern) for pattern in wanted):
            installed[name] = {"version": version, "upstream": upstream(version), "held": want == "hold"}
    return installed, unfinished


def parse_madison(text: str) -> dict[str, list[str]]:
    """Return the versions that C(apt-cache madison) lists for each package, the newest first."""
    available: dict[str, list[str]] = {}
    for line in text.splitlines():
        columns = [column.strip() for column in line.split("|")]
        if len(columns) == 3 and not columns[2].endswith("Sources"):
            versions = available.setdefault(columns[0], [])
            if columns[1] not in versions:  # a version may come from several repositories
                versions.append(columns[1])
    return available


def upstream(version: str) -> str:
    """Return the upstream part of a package's version: C(580.95.05) for C(2:580.95.05-0ubuntu1)."""
    return re.sub(r"-[^-]*$", "", re.sub(r"^\d+:", "", version))
