#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(prometheus_info)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: prometheus_info
short_description: Ask a Prometheus server
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Evaluates expressions now and for each day, and returns the firing alarms.
  - A value that is not finite is left out.
options:
  url:
    description: Address of Prometheus, as seen by the target.
    type: str
    default: http://127.0.0.1:9090
  queries:
    description: Expressions to evaluate now, by name.
    type: dict
    default: {}
  daily:
    description: Expressions to evaluate now and at the same time of the days before, by name.
    type: dict
    default: {}
  days:
    description: How many days.
    type: int
    default: 7
extends_documentation_fragment: [hgx.inference._attributes.info]
"""

EXAMPLES = r"""
- name: Ask for the running requests
  hgx.inference.prometheus_info:
    queries:
      running: sum(vllm:num_requests_running)
"""

RETURN = r"""
now:
  description: The time of the evaluation, in seconds since 1970.
  returned: success
  type: float
results:
  description: For each of O(queries) a list of C(labels) and C(value).
  returned: success
  type: dict
daily:
  description: For each of O(daily) a list of C(labels) and C(days), a value for each date.
  returned: success
  type: dict
alarms:
  description: The firing alarms, each with C(labels), C(annotations) and C(activeAt). Null without alarm rules.
  returned: success
  type: list
  elements: dict
"""

import time

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._monitoring.prometheus import Prometheus, PrometheusError


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:9090"},
            "queries": {"type": "dict", "default": {}},
            "daily": {"type": "dict", "default": {}},
            "days": {"type": "int", "default": 7},
        },
        supports_check_mode=True,
    )
    params = module.params
    server, now = Prometheus(params["url"]), time.time()
    try:
        module.exit_json(
            changed=False,
            now=now,
            results={name: server.query(asked, now) for name, asked in params["queries"].items()},
            daily={name: server.daily(asked, now, params["days"]) for name, asked in params["daily"].items()},
            alarms=server.alarms(),
        )
    except PrometheusError as exc:
        module.fail_json(msg=str(exc))


if __name__ == "__main__":
    main()
