#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(haproxy_server)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_server
short_description: Take a server out of a running HAProxy, or put it back
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - V(maint) sends new requests to other servers, and waits until the running ones have ended. V(ready) waits until
    HAProxy's own check has passed.
  - The state lasts until it is changed, or until HAProxy is restarted. The unit of the role
    P(hgx.inference.gateway#role) keeps it over a reload.
  - If HAProxy does not run or does not know the server, no request can reach the server through it. The module then
    changes nothing.
options:
  name:
    description: Name of the server in HAProxy's configuration.
    type: str
    required: true
  backend:
    description: Name of the backend.
    type: str
    default: vllm
  state:
    description: The state to ensure.
    type: str
    choices: [maint, ready]
    required: true
  socket:
    description: Path of the administrative socket.
    type: path
    default: /run/hgx-inference-gateway/admin.sock
  timeout:
    description: Maximum time until running requests have ended, or until the check has passed, in seconds.
    type: int
    default: 600
  keep_one:
    description: Whether V(maint) is refused for the only one of several servers that takes traffic.
    type: bool
    default: false
extends_documentation_fragment: [hgx.inference._attributes]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
"""

EXAMPLES = r"""
- name: Take node1 out
  hgx.inference.haproxy_server:
    name: node1
    state: maint

- name: Put it back, at most two minutes after it is ready
  hgx.inference.haproxy_server:
    name: node1
    state: ready
    timeout: 120
"""

RETURN = r"""
msg:
  description: The outcome in words.
  returned: success
  type: str
known:
  description: Whether a running HAProxy has this server.
  returned: success
  type: bool
status:
  description: The status of the server in HAProxy, such as V(UP), V(DOWN) or V(MAINT). Empty if it has none.
  returned: success
  type: str
sessions:
  description: The number of requests that run on the server through HAProxy.
  returned: success
  type: int
"""

import os
import time
from collections.abc import Callable
from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._programs.haproxy import Admin, HaproxyError, Server

_POLL_S = 0.5


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "name": {"type": "str", "required": True},
            "backend": {"type": "str", "default": "vllm"},
            "state": {"type": "str", "required": True, "choices": ["maint", "ready"]},
            "socket": {"type": "path", "default": "/run/hgx-inference-gateway/admin.sock"},
            "timeout": {"type": "int", "default": 600},
            "keep_one": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**ensure(module.params, module.check_mode))
    except HaproxyError as exc:
        module.fail_json(msg=str(exc))


def ensure(
    params: dict[str, Any],
    check_mode: bool = False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Ensure the state and return the result of the module. Raises HaproxyError."""
    name, backend = params["name"], params["backend"]
    if not os.path.exists(params["socket"]):
        return _result(None, False, "No HAProxy runs here, so no request reaches the server through it.")
    admin = Admin(params["socket"])
    servers = admin.servers(backend)
    server = servers.get(name)
    unknown = f"HAProxy has no server {name}, so no request reaches it that way."
    if server is None:
        return _result(None, False, unknown)
    out = params["state"] == "maint"
    others = [other for other, seen in servers.items() if seen.up and other != name]
    if out and params["keep_one"] and server.up and len(servers) > 1 and not others:
        raise HaproxyError(
            f"{name} was not taken out, because no other server takes traffic: {_told(servers)}. Repair the others"
            " first, or accept that clients get 503 meanwhile."
        )
    changed = server.maint != out
    difference = _difference(name, server.status, "MAINT" if out else "UP") if changed else {}
    if check_mode:
        told = f"{name} would be {'taken out' if out else 'put back'}." if changed else ""
        return {**_result(server, changed, told), **difference}
    end = clock() + params["timeout"]
    while True:
        if server.maint != out:  # the first time, or HAProxy was started again and has forgotten it
            admin.set_state(backend, name, params["state"])
        server = admin.servers(backend).get(name)
        if server is None:
            return _result(None, changed, unknown)
        if server.maint == out and (server.sessions == 0 if out else server.up):
            words = "takes no requests" if out else "takes requests"
            return {**_result(server, changed, f"{name} {words}."), **difference}
        if clock() > end:
            raise HaproxyError(_late(name, server, params["timeout"], out))
        sleep(_POLL_S)


def _late(name: str, server: Server, timeout: int, out: bool) -> str:
    if out:
        return (
            f"{server.sessions} requests still run on {name} after {timeout} s. It takes no new ones. Run the play"
            " again, or raise the time-out."
        )
    return (
        f"{name} is {server.status} after {timeout} s: HAProxy's check, a completion of one token, does not pass"
        f" ({server.check or 'no result'})."
    )


def _told(servers: dict[str, Server]) -> str:
    return ", ".join(f"{name} is {server.status}" for name, server in servers.items())


def _difference(name: str, before: str, after: str) -> dict[str, Any]:
    return {"diff": {"before": f"{name} is {before}\n", "after": f"{name} is {after}\n"}}


def _result(server: Server | None, changed: bool, msg: str) -> dict[str, Any]:
    return {
        "changed": changed,
        "msg": msg,
        "known": server is not None,
        "status": server.status if server else "",
        "sessions": server.sessions if server else 0,
    }


if __name__ == "__main__":
    main()
