#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file holds the documentation only: the action plugin of the same name does the work, on the controller.

DOCUMENTATION = r"""
module: check_settings
short_description: Check the variables of all roles before any of them works
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Checks every variable that is set for the host against the argument specification of its role, the schema of recipes
    and the other variables. For example, it finds a size that the benchmark's workload does not have.
  - Fails with all problems in one message.
  - Warns of a name that looks like a variable of a role but is none, with the nearest variable.
  - With the fact C(recipe) it also checks what the roles derive from them, such as the server's command.
options:
  contact_host:
    description:
      - Whether the host may be contacted. That happens only if the settings need an API key and name none, to find out
        whether the host has one.
      - With V(false) such a host counts as one that has a key.
    type: bool
    default: true
extends_documentation_fragment: [hgx.inference._attributes.info, hgx.inference._attributes.controller]
"""

EXAMPLES = r"""
- name: Check the settings of all roles
  hgx.inference.check_settings:
"""

RETURN = r"""
problems:
  description: A sentence for each problem.
  returned: always
  type: list
  elements: str
  sample: ["vllm_port: 99999 is not a port number."]
"""
