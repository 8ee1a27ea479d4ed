# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts belong together: a play works on all hosts of a server at once, and asks its head only. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .topology import PREFIX


class BatchError(Exception):
    """The order of the hosts divides a server."""


def followers(groups: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the hosts that run a part of a server whose API is on another host."""
    return {host for name, members in groups.items() if name.startswith(PREFIX) for host in list(members)[1:]}


def batches(hosts: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[int]:
    """Return the sizes of batches that have one server each, for C(serial). Raises BatchError.

    C(hosts) are those of the play in their order. The hosts of a server must follow each other in it.
    """
    owner = {host: name for name, members in groups.items() if name.startswith(PREFIX) for host in members}
    sizes: list[int] = []
    seen: list[str] = []
    for host in hosts:
        name = owner.get(host, f"host {host}")
        if seen and seen[-1] == name:
            sizes[-1] += 1
            continue
        if name in seen:
            raise BatchError(
                f"The hosts of {name} do not follow each other in the group inference, so one batch of the play cannot"
                f" have them all. Make {name} a child group of inference, or list its hosts one after another."
            )
        seen.append(name)
        sizes.append(1)
    return sizes or [1]
