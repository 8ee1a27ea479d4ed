# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter C(gateway_backends): the servers behind a gateway, from the variables of the hosts that serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils._gateway.backends import BackendError, backends
from ..module_utils._span.batches import followers


def gateway_backends(
    hosts: Sequence[str], variables: Mapping[str, Mapping[str, Any]], gateway: str
) -> list[dict[str, Any]]:
    """Return the servers; see the filter's own documentation."""
    apart = followers(variables[hosts[0]].get("groups") or {}) if hosts else set()
    try:
        return backends([host for host in hosts if host not in apart], variables, gateway)
    except BackendError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The collection's filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"gateway_backends": gateway_backends}
