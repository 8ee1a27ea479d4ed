# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers behind a gateway, from the variables of the hosts that serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_PORT = 8001
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_EVERY = ("0.0.0.0", "::", "*")


class BackendError(Exception):
    """A gateway cannot reach a server."""


def backends(hosts: Sequence[str], variables: Mapping[str, Mapping[str, Any]], gateway: str) -> list[dict[str, Any]]:
    """Return C(name), C(address) and C(port) of each server on these hosts, as seen from the gateway.

    A host with C(vllm_instances) has a server for each, named C(HOST-INSTANCE). Any other has one with the name of the
    host. Raises BackendError for hosts whose servers listen on loopback only.
    """
    found, closed = [], []
    for host in hosts:
        settings = variables[host]
        bind = str(settings.get("vllm_bind_address", _LOOPBACK[0]))
        if host == gateway:
            address = _LOOPBACK[0] if bind in _EVERY else bind
        elif bind in _LOOPBACK:
            closed.append(host)
            continue
        else:
            address = str(settings.get("ansible_host", host)) if bind in _EVERY else bind
        for instance, port in ports(settings):
            found.append(
                {"name": f"{host}-{instance}" if instance else host, "address": address, "port": port or _PORT}
            )
    if closed:
        raise BackendError(
            f"The servers of {', '.join(closed)} listen on loopback only, so the gateway on {gateway} cannot reach"
            " them. Set vllm_bind_address of each to its address on the private network."
        )
    return found


def ports(settings: Mapping[str, Any]) -> list[tuple[str, int | None]]:
    """Return the instances of a host by name with their ports, or its only server without a name; None is unknown."""
    instances = settings.get("vllm_instances") or []
    if instances:
        return [(str(instance["name"]), int(instance["port"])) for instance in instances]
    engine = (settings.get("recipe") or {}).get("engine") or {}
    port = settings.get("vllm_port") or settings.get("vllm_container_port") or engine.get("port")
    return [("", int(port) if port else None)]
