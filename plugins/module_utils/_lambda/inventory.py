# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turn instances into inventory hosts. Data of the API is never a template and never part of a command line."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from typing import Any, NamedTuple

from .records import Instance

PREFIX = "lambda_"
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
ADDRESS = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9.:_%\[\]-]*")
# Neither a template nor a call can be written with these characters.
PLAIN = re.compile(r"[A-Za-z0-9 .:_/@+=-]*")
# Plays for the controller would run on a node with such a name.
RESERVED = frozenset(["all", "ungrouped", "localhost", "127.0.0.1", "::1"])


class Filters(NamedTuple):
    """An empty filter lets everything pass. Names may be shell patterns."""

    regions: list[str]
    types: list[str]
    names: list[str]
    statuses: list[str]
    tags: dict[str, str]

    def pass_(self, instance: Instance) -> bool:
        return (
            instance["region"] in (self.regions or [instance["region"]])
            and instance["type"] in (self.types or [instance["type"]])
            and instance["status"] in (self.statuses or [instance["status"]])
            and (not self.names or any(fnmatch.fnmatchcase(instance["name"] or "", name) for name in self.names))
            and self.tags.items() <= instance["tags"].items()
        )


def host_vars(instance: Instance) -> dict[str, Any]:
    """Return the host variables of an instance, without the connection variables."""
    return {f"{PREFIX}{key}": value for key, value in instance.items()}


def is_selected(instance: Instance, wanted: str) -> bool:
    """Return whether C(wanted), an address, a name or an ID, matches this instance."""
    return wanted in (instance["id"], instance["name"], instance["ip"], instance["private_ip"])


def host_names(instances: list[Instance], proposed: list[str | None], taken: set[str]) -> list[str]:
    """Return the inventory name of each instance: the proposed one, or its ID if that is not usable.

    A name that several instances share would make them one host, and some names have a meaning in Ansible.
    """
    counts = Counter(proposed)
    return [
        name if name and counts[name] == 1 and name not in taken | RESERVED and HOST_NAME.fullmatch(name) else one["id"]
        for one, name in zip(instances, proposed)
    ]
