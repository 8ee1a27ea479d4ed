#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file holds the documentation only: the action plugin of the same name does the work, on the controller.

DOCUMENTATION = r"""
module: gateway_usage_report
short_description: Add up the use of each person at all gateways, as text and as a page
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Adds up what M(hgx.inference.gateway_usage_info) has counted at each gateway of the same servers, and shares the
    price of the servers out by the time of the answers.
  - Writes C(usage.json) and the page C(usage.html), and the page of all runs, which refers to it. What is unknown is
    shown as unknown.
options:
  dest:
    description: Folder on the controller that holds the results. If empty, no page is written.
    type: str
    default: ""
  gateways:
    description: What M(hgx.inference.gateway_usage_info) has returned for each gateway, by the gateway's name.
    type: dict
    required: true
  price_usd_per_hour:
    description: Price of all servers behind the gateways, in USD per hour.
    type: float
extends_documentation_fragment: [hgx.inference._attributes, hgx.inference._attributes.controller]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details: The page is an observation, so it never counts as a change.
"""

EXAMPLES = r"""
- name: Count the use
  hgx.inference.gateway_usage_info:
  register: usage

- name: Write the page
  hgx.inference.gateway_usage_report:
    dest: results
    gateways: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'usage'))) }}"
    price_usd_per_hour: 53.52
  run_once: true
"""

RETURN = r"""
text:
  description: The use as lines of text.
  returned: success
  type: list
  elements: str
users:
  description: The people, as in M(hgx.inference.gateway_usage_info), most used first.
  returned: success
  type: list
  elements: dict
path:
  description: The page, on the controller.
  returned: if O(dest) is not empty
  type: str
"""
