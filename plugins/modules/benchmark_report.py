#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file holds the documentation only: the action plugin of the same name does the work, on the controller.

DOCUMENTATION = r"""
module: benchmark_report
short_description: Write reports of benchmarks
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Writes a report of a run on the controller, as a page (C(report.html)), as Markdown (C(report.md)) and as the JSON
    document behind both (C(report.json)), in a folder named after the result.
  - Writes the page C(index.html), which compares all runs in O(dest).
  - A page is one file that needs neither network nor script, and can be sent to anybody. O(secrets), and anything that
    looks like a key or token, are masked.
  - Only runs of the same recipe, profile, load and size are compared with each other.
  - The same input gives the same files, byte for byte, except that the report of a new run tells where its minutes went
    and what they cost. The callback P(hgx.inference.phases#callback) has noted them; without it the report lacks them.
options:
  dest:
    description: Folder on the controller that holds the results, each as C(HOST/RUN.json).
    type: path
    required: true
  host:
    description:
      - Name of the host whose run is reported.
      - Without it the reports of all results in O(dest) are written again.
    type: str
  result:
    description:
      - File on the controller with the result of M(hgx.inference.smoke_benchmark) or the record of a sweep.
      - Without it the report says that nothing was measured, and why.
    type: path
  outcome:
    description:
      - The return value of M(hgx.inference.smoke_benchmark). If it judged an earlier result again, the report shows
        this judgement.
      - Without O(result) its C(msg) says why nothing was measured.
    type: dict
    default: {}
  functional:
    description: The functional checks, C(verdict) and C(checks).
    type: dict
  acceptance:
    description: Acceptance of drafts on real text, C(acceptance_length), C(per_position) and C(sets).
    type: dict
  startup:
    description: The start of the server, C(seconds), C(phases) and C(kv_cache_tokens).
    type: dict
  release:
    description: The record of what was deployed.
    type: dict
  node:
    description: The node, C(price_usd_per_hour), C(gpus), C(driver), C(cuda), and in C(problem) why its GPUs could not
      be read.
    type: dict
  gateway_cost:
    description:
      - What M(hgx.inference.gateway_probe) has returned for the server. It becomes part of the newest report of
        O(host), and its checks part of that verdict. Nothing else of the report changes.
      - If O(host) has no result, nothing is written.
    type: dict
  gateway:
    description: Name of the gateway of O(gateway_cost).
    type: str
  secrets:
    description: Texts that must not be in any report.
    type: list
    elements: str
    default: []
extends_documentation_fragment: [hgx.inference._attributes, hgx.inference._attributes.controller]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: A diff of pages is not readable.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Report a run
  hgx.inference.benchmark_report:
    dest: results
    host: "{{ inventory_hostname }}"
    result: "results/{{ inventory_hostname }}/20261125T163145Z-full.json"
    node:
      price_usd_per_hour: 53.52

- name: Say why there is nothing to report
  hgx.inference.benchmark_report:
    dest: results
    host: "{{ inventory_hostname }}"
    outcome: "{{ benchmark }}"

- name: Write all reports again
  hgx.inference.benchmark_report:
    dest: results
"""

RETURN = r"""
reports:
  description: The pages of the reports, on the controller.
  returned: success
  type: list
  elements: str
  sample: [/home/me/results/node1/20261125T163145Z-full/report.html]
index:
  description: The page that compares all runs, on the controller.
  returned: success
  type: str
  sample: /home/me/results/index.html
"""
