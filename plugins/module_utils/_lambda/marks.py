# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Marks in the account for launches without an answer, so that no other machine launches in the meantime.

The journal is a file of one machine. A mark is kept by the API: a firewall rule set without rules that is attached to
nothing, and whose name holds a hash of the instance's name and the token of the launch. It costs nothing.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from urllib.parse import quote

from .client import ApiError, Client
from .records import Identity

PREFIX = "hgx-uncertain-"
WITH_ID = "-known"  # the API had given the ID of the instance


class Marks:
    """The marks of an account."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def known(self, identity: Identity) -> dict[str, bool]:
        """Return the tokens of the open launches, oldest first, and whether an ID is known. Raises LambdaError."""
        found = sorted(self._ids(identity))
        return {suffix.removesuffix(WITH_ID): suffix.endswith(WITH_ID) for suffix in found}

    def add(self, identity: Identity, token: str, region: str, has_id: bool) -> None:
        """Mark a launch. Raises LambdaError."""
        suffix = f"{token}{WITH_ID if has_id else ''}"
        try:
            body = {"name": f"{prefix(identity)}{suffix}", "region": region, "rules": []}
            self._client.call("POST", "/firewall-rulesets", body)
        except ApiError:
            if suffix not in self._ids(identity):  # a first try, whose answer was lost, may have made it
                raise

    def remove(self, identity: Identity) -> None:
        """Remove the marks of all launches. Raises LambdaError."""
        self._delete(self._ids(identity).values())

    def forget(self, token: str) -> None:
        """Remove the mark of a launch, whatever its instance was to be called. Raises LambdaError."""
        self._delete(ids for name, ids in self._names().items() if name.removesuffix(WITH_ID).endswith(f"-{token}"))

    def _delete(self, found: Iterable[list[str]]) -> None:
        for id_ in itertools.chain.from_iterable(found):
            self._client.call("DELETE", f"/firewall-rulesets/{quote(id_, safe='')}")

    def _ids(self, identity: Identity) -> dict[str, list[str]]:
        """Return the end of the name of each mark of an instance -> IDs of its rule sets."""
        start = prefix(identity)
        return {name[len(start) :]: ids for name, ids in self._names().items() if name.startswith(start)}

    def _names(self) -> dict[str, list[str]]:
        """Return the name of each mark in the account -> IDs of its rule sets."""
        try:
            listed = self._client.get_list("/firewall-rulesets")
        except ApiError as exc:
            if exc.status == 404:  # no such path: an API without firewalls keeps no marks
                return {}
            raise
        found: dict[str, list[str]] = {}
        for entry in listed:
            name, id_ = entry.get("name"), entry.get("id")
            if isinstance(name, str) and name.startswith(PREFIX) and isinstance(id_, str):
                found.setdefault(name, []).append(id_)
        return found


def prefix(identity: Identity) -> str:
    return f"{PREFIX}{hashlib.sha256((identity.name or str(identity)).encode()).hexdigest()[:12]}-"
