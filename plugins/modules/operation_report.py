#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file holds the documentation only: the action plugin of the same name does the work.

DOCUMENTATION = r"""
module: operation_report
short_description: Write a page about what servers do now and what they cost
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Asks Prometheus on the target, and writes C(HOST/operation.html) on the controller. It needs no Grafana.
  - The page has the firing alarms, each server's figures beside what it has proven, and the bill of each node.
options:
  dest:
    description: Folder on the controller that holds the results.
    type: path
    required: true
  host:
    description: Name of the host of Prometheus.
    type: str
    required: true
  url:
    description: Address of Prometheus, as seen by the target.
    type: str
    default: http://127.0.0.1:9090
  days:
    description: How many days the bill covers.
    type: int
    default: 7
  api_price:
    description: The price of an API to compare with, in USD for 1 million tokens. Without it none is compared.
    type: dict
    suboptions:
      output:
        description: The price of the answers.
        type: float
        required: true
      prompt:
        description: The price of the prompts.
        type: float
        required: true
  published_rate:
    description: The published output throughput, in tokens per second.
    type: float
  users:
    description: The users of the gateways, as M(hgx.inference.gateway_usage_report) returns them.
    type: list
    elements: dict
    default: []
extends_documentation_fragment: [hgx.inference._attributes, hgx.inference._attributes.controller]
attributes:
  action:
    details: Asks Prometheus on the target, the rest runs on the controller.
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details: The page is an observation, so it never counts as a change.
"""

EXAMPLES = r"""
- name: Write the bill of the last 30 days
  hgx.inference.operation_report:
    dest: results
    host: "{{ inventory_hostname }}"
    days: 30
    api_price: {output: 2.5, prompt: 0.6}
"""

RETURN = r"""
path:
  description: The page, on the controller.
  returned: success
  type: str
text:
  description: The bill, in lines.
  returned: success
  type: list
  elements: str
alarms:
  description: The firing alarms, in words.
  returned: success
  type: list
  elements: str
"""
