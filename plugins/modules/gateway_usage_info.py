#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(gateway_usage_info)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_usage_info
short_description: Return the use of each person of a gateway
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Counts the requests in the log of the gateway that the role P(hgx.inference.gateway#role) runs. The log is in the
    systemd journal, so the count reaches back as far as that.
  - Token counts are those that the server writes at the end of its answer. An answer without them, such as an OpenAI
    stream without C(include_usage) or an answer that was cut, is counted in RV(users[].uncounted).
options:
  since:
    description: Start of the period, as for C(journalctl --since).
    type: str
    default: 30 days ago
  unit:
    description: Unit of the gateway.
    type: str
    default: hgx-inference-gateway.service
  price_usd_per_hour:
    description: Price of all servers behind the gateway, in USD per hour.
    type: float
extends_documentation_fragment: [hgx.inference._attributes.info]
"""

EXAMPLES = r"""
- name: Count the use of this week
  hgx.inference.gateway_usage_info:
    since: 7 days ago
  register: usage

- name: Show it
  ansible.builtin.debug:
    msg: "{{ usage.text }}"
"""

RETURN = r"""
since:
  description: Unix time of the oldest counted request. Null if there is none.
  returned: success
  type: float
unknown_keys:
  description: The number of requests without a known key.
  returned: success
  type: int
text:
  description: The use as lines of text.
  returned: success
  type: list
  elements: str
users:
  description: The people with at least one request, most used first.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Name of the person., type: str}
    requests: {description: Number of requests., type: int}
    limited: {description: Number of requests beyond a limit., type: int}
    failed: {description: Number of requests that ended with a status of 500 or more., type: int}
    seconds: {description: Sum of the durations of the requests., type: float}
    bytes: {description: Bytes of the answers., type: int}
    tokens_in: {description: Tokens of the prompts. Null if no answer had counts., type: int}
    tokens_out: {description: Tokens of the answers. Null if no answer had counts., type: int}
    counted: {description: Number of answers with token counts., type: int}
    uncounted: {description: Number of answers without token counts., type: int}
    share: {description: "Share of all seconds, 0 to 1.", type: float}
    usd: {description: That share of the price since RV(since). Null without a price., type: float}
"""

import time

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.process import output_lines
from ..module_utils._gateway.usage import count, render

_TIMEOUT_S = 300


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "since": {"type": "str", "default": "30 days ago"},
            "unit": {"type": "str", "default": "hgx-inference-gateway.service"},
            "price_usd_per_hour": {"type": "float"},
        },
        supports_check_mode=True,
    )
    params = module.params
    argv = ["journalctl", f"--unit={params['unit']}", f"--since={params['since']}", "--output=cat", "--quiet"]
    now = time.time()
    try:
        found = count(output_lines(argv, _TIMEOUT_S), now, params["price_usd_per_hour"])
    except OSError as exc:
        module.fail_json(msg=f"The log of the gateway cannot be read: {exc}")
    module.exit_json(changed=False, **found, text=render(found, now))


if __name__ == "__main__":
    main()
