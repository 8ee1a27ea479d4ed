# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Marks in the account for launches without an answer, so that no other machine launches in the meantime.

The journal is a file of one machine. A mark is kept by the API: a firewall rule set without rules that is attached to
nothing, and whose name holds a hash of the instance's name and the token of the launch. It costs nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

from .client import ApiError, Client

if TYPE_CHECKING:
    from .account import Identity

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

    def remove(self, identity: Identity, tokens: Iterable[str | None] | None = None) -> None:
        """Remove the marks of these launches, or of all. Raises LambdaError."""
        for suffix, ids in self._ids(identity).items():
            if tokens is None or suffix.removesuffix(WITH_ID) in tokens:
                for id_ in ids:
                    self._client.call("DELETE", f"/firewall-rulesets/{quote(id_, safe='')}")

    def _ids(self, identity: Identity) -> dict[str, list[str]]:
        """Return the end of each mark's name -> IDs of its rule sets."""
        try:
            listed = self._client.get_list("/firewall-rulesets")
        except ApiError as exc:
            if exc.status == 404:  # no such path: an API without firewalls keeps no marks
                return {}
            raise
        start = prefix(identity)
        known: dict[str, list[str]] = {}
        for entry in listed:
            name, id_ = entry.get("name"), entry.get("id")
            if isinstance(name, str) and name.startswith(start) and isinstance(id_, str):
                known.setdefault(name[len(start) :], []).append(id_)
        return known


def prefix(identity: Identity) -> str:
    return f"{PREFIX}{hashlib.sha256((identity.name or str(identity)).encode()).hexdigest()[:12]}-"
