#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(gateway_probe)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_probe
short_description: Measure what a gateway costs
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Sends the same streamed requests to one server, directly and through the gateway that the role
    P(hgx.inference.gateway#role) runs on this host, in alternation. Compares the times to first token and the tokens
    per second.
  - Runs on the gateway, with a key that HAProxy knows only meanwhile. It is no file's content, and nobody's.
  - The connections are open before the clock starts, so the handshake of TLS is not part of the difference.
options:
  server:
    description: Name of the server to measure. Without it the gateway chooses one.
    type: str
  servers:
    description: The servers behind the gateway.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {type: str, required: true, description: Name of the server in the gateway.}
      address: {type: str, required: true, description: Address or name of its host.}
      port: {type: int, required: true, description: Its port.}
      tls: {type: bool, default: false, description: Whether it speaks TLS.}
  served_model_name:
    description: Name of the model.
    type: str
    required: true
  address:
    description: Address of the gateway.
    type: str
    default: 127.0.0.1
  port:
    description: Port of the gateway.
    type: int
    default: 8443
  tls:
    description: Whether the gateway speaks TLS. Its certificate is not verified, as the connection stays on the host.
    type: bool
    default: true
  ca_file:
    description: File with the authorities that the certificates of the servers must come from.
    type: path
    default: /etc/ssl/certs/ca-certificates.crt
  directory:
    description: Directory of the gateway's configuration.
    type: path
    default: /etc/hgx-inference/gateway
  socket:
    description: Path of the administrative socket.
    type: path
    default: /run/hgx-inference-gateway/admin.sock
  rounds:
    description: Number of rounds. In each, all streams run once directly and once through the gateway.
    type: int
    default: 12
  streams:
    description: Number of streams at once.
    type: int
    default: 4
  output_len:
    description: Tokens of an answer.
    type: int
    default: 32
  ttft_ms_max:
    description: Highest time to first token that the gateway may add, in milliseconds.
    type: float
    default: 10
  throughput_loss_max:
    description: Highest share of the throughput that the gateway may cost.
    type: float
    default: 0.05
  severity:
    description:
      - What it is if three of four rounds exceed a limit, of at least four. A median beyond its limit is a warning in
        any case, also while more processes want to run on the host than it has processors.
      - It is also what a measurement that cannot be made is.
    type: str
    choices: [warn, fail]
    default: fail
extends_documentation_fragment: [hgx.inference._attributes]
attributes:
  check_mode:
    support: full
    details: Sends nothing in check mode.
  diff_mode:
    support: N/A
    details: Changes nothing.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Measure what the gateway costs
  hgx.inference.gateway_probe:
    servers: "{{ gateway_backends }}"
    served_model_name: kimi-k2.6
  register: cost

- name: Show it
  ansible.builtin.debug:
    msg: "{{ cost.summary }}"
"""

RETURN = r"""
measured:
  description: Whether the cost was measured. It is not if the server, or any, takes no requests.
  returned: always
  type: bool
summary:
  description: The outcome in one line for people.
  returned: always
  type: str
  sample: "gateway: +0.4 ms TTFT, -0.2 % throughput (± 0.3 ms, ± 0.5 %)"
server:
  description: Name of the measured server.
  returned: when measured
  type: str
ttft_ms:
  description: What the gateway adds to the time to first token, in milliseconds; the median of the rounds.
  returned: when measured
  type: float
throughput_loss:
  description: The share of the throughput that the gateway costs; the median of the rounds. Negative if it was faster.
  returned: when measured
  type: float
direct_ttft_ms:
  description: Time to first token without the gateway, in milliseconds.
  returned: when measured
  type: float
direct_throughput:
  description: Tokens per second of all streams without the gateway.
  returned: when measured
  type: float
checks:
  description: >-
    The checks, each with its name, its status (V(pass), V(warn) or V(fail)), its value, half the distance between the
    quartiles of the rounds, and its limit.
  returned: when measured
  type: list
  elements: dict
  sample: [{name: gateway_ttft_ms, status: pass, value: 0.4, spread: 0.3, limit: 10}]
measured_at:
  description: Time of the measurement, in UTC.
  returned: when measured
  type: str
  sample: "2026-11-30T16:00:00Z"
"""

import hashlib
import os
import re
import secrets
import ssl
import time
from collections.abc import Iterator
from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.secrets import KNOWN
from ..module_utils._core.verdict import FAIL, WARN
from ..module_utils._gateway import cost
from ..module_utils._programs.haproxy import Admin, HaproxyError
from ..module_utils._programs.turns import measuring

USER = "hgx-measurement"
_BACKEND = "vllm"
# Conversations that are begun for each server until one is on the wanted server. They go to idle servers in turn.
_TRIES = 4


def servers_key(directory: str) -> str:
    """Return the key of the servers from the gateway's configuration, or an empty text. Raises OSError."""
    with open(os.path.join(directory, "key.cfg"), encoding="utf-8") as stream:
        found = re.search(r"^\s*setenv GATEWAY_BACKEND_KEY '([^']*)'", stream.read(), re.MULTILINE)
    key = found[1] if found else ""
    KNOWN.add(key)
    return key


def measure(params: dict[str, Any]) -> dict[str, Any]:
    """Measure, and return the outcome. Raises CostError, HaproxyError and OSError."""
    admin = Admin(params["socket"])
    if not os.path.exists(params["socket"]):
        return {"measured": False, "summary": "gateway: not measured, because no HAProxy runs here"}
    wanted, seen = params["server"], admin.servers(_BACKEND)
    if not any(server.up for name, server in seen.items() if wanted in (None, name)):
        which = f"{wanted} takes no" if wanted else "no server takes"
        return {"measured": False, "summary": f"gateway: not measured, because {which} requests"}
    key = secrets.token_hex(32)
    KNOWN.add(key)
    context = ssl.create_default_context() if params["tls"] else None
    if context:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sides = (
        cost.Side(params["address"], params["port"], {"Authorization": f"Bearer {key}", "X-Session-Id": each}, context)
        for each in iter(lambda: secrets.token_hex(16), "")
    )
    body, streams = cost.question(params["served_model_name"], params["output_len"]), params["streams"]
    users, hashed = os.path.join(params["directory"], "users.map"), hashlib.sha256(key.encode()).hexdigest().upper()
    _order(admin, f"add map {users} {hashed} {USER}")
    try:
        with measuring():
            through, name = _conversation(admin, sides, params["served_model_name"], wanted, _TRIES * len(seen))
            direct = _direct(params, name)
            for side in (direct, through):
                cost.burst(side, streams, body)  # not counted
            rounds = cost.alternate(
                lambda: cost.burst(direct, streams, body), lambda: cost.burst(through, streams, body), params["rounds"]
            )
            if _server(admin, through) != name:
                raise cost.CostError(f"the gateway has taken {name} out meanwhile. Run the play again.")
    finally:
        _order(admin, f"del map {users} {hashed}")
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    busy = load > processors
    found = cost.judge(rounds, params["ttft_ms_max"], params["throughput_loss_max"], params["severity"], busy)
    if busy:
        found["summary"] += f", on a busy host: load {load:.1f}, {processors} processors"
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"measured": True, "measured_at": now, "server": name, **found}


def _conversation(
    admin: Admin, sides: Iterator[cost.Side], model: str, wanted: str | None, tries: int
) -> tuple[cost.Side, str]:
    """Return a conversation that is on the wanted server, or on any, and the server's name. Raises CostError."""
    for side, _number in zip(sides, range(tries)):
        cost.burst(side, 1, cost.question(model, 1))
        name = _server(admin, side)
        if wanted in (None, name):
            return side, name
    raise cost.CostError(f"the gateway has sent {tries} requests to other servers than {wanted}.")


def _server(admin: Admin, side: cost.Side) -> str:
    conversation = side.headers["X-Session-Id"]
    table = admin.ask(f"show table {_BACKEND} key {USER}/{conversation}")
    states = admin.ask(f"show servers state {_BACKEND}")
    return cost.server_of(f"{USER}/{conversation}", table, states, _BACKEND)


def _direct(params: dict[str, Any], name: str) -> cost.Side:
    servers = {server["name"]: server for server in params["servers"]}
    if name not in servers:
        raise cost.CostError(f"the gateway has sent a request to {name}, which is none of the servers.")
    server, key = servers[name], servers_key(params["directory"])
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    context = ssl.create_default_context(cafile=params["ca_file"]) if server["tls"] else None
    return cost.Side(server["address"], server["port"], headers, context)


def _order(admin: Admin, command: str) -> None:
    answer = admin.ask(command)
    if answer:
        raise HaproxyError(f"HAProxy refuses '{' '.join(command.split()[:2])}': {answer}")


@at_edge
def main() -> None:
    """Run the module."""
    server = {
        "name": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "port": {"type": "int", "required": True},
        "tls": {"type": "bool", "default": False},
    }
    module = Module(
        argument_spec={
            "server": {"type": "str"},
            "servers": {"type": "list", "elements": "dict", "required": True, "options": server},
            "served_model_name": {"type": "str", "required": True},
            "address": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 8443},
            "tls": {"type": "bool", "default": True},
            "ca_file": {"type": "path", "default": "/etc/ssl/certs/ca-certificates.crt"},
            "directory": {"type": "path", "default": "/etc/hgx-inference/gateway"},
            "socket": {"type": "path", "default": "/run/hgx-inference-gateway/admin.sock"},
            "rounds": {"type": "int", "default": 12},
            "streams": {"type": "int", "default": 4},
            "output_len": {"type": "int", "default": 32},
            "ttft_ms_max": {"type": "float", "default": 10},
            "throughput_loss_max": {"type": "float", "default": 0.05},
            "severity": {"type": "str", "choices": ["warn", "fail"], "default": "fail"},
        },
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=False, measured=False, summary="Would measure what the gateway costs.")
    try:
        found = measure(params)
    except (cost.CostError, HaproxyError, OSError) as exc:
        words = f"What the gateway costs could not be measured: {exc}"
        if params["severity"] == FAIL:
            module.fail_json(msg=words, measured=False)
        module.warn(words)
        module.exit_json(changed=False, measured=False, summary="gateway: not measured")
    if found["measured"]:
        for words in cost.exceeded(found, WARN):
            module.warn(words)
        beyond = cost.exceeded(found, FAIL)
        if beyond:
            module.fail_json(msg=" ".join(beyond), **found)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
