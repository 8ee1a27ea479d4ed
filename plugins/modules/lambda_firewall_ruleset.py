#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lambda_firewall_ruleset
short_description: Manage a firewall rule set at Lambda
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Ensures that a region has a rule set of this name with exactly the given rules, or none.
  - If there are several of this name, each of them gets the rules, or is removed.
  - A rule set is attached to an instance at its launch, see O(hgx.inference.lambda_instance#module:firewall_rulesets).
  - An existing rule set is only widened with O(allow_widening=true), since it may protect other people's instances.
  - Without a rule set, Lambda lets in TCP port 22, ICMP and what the account's global rules allow. The module does not
    read the global rules (Lambda console, Firewall).
options:
  state:
    description:
      - V(present) creates the rule set or replaces its rules, also while instances use it.
      - V(absent) removes the rule set. It fails while instances use it.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: Name of the rule set.
    type: str
    required: true
  region:
    description: Region of the rule set. In V(us-south-1) Lambda does not apply firewall rules; the module warns.
    type: str
    required: true
  rules:
    description:
      - All traffic that is admitted. Required if O(state=present).
      - An empty list admits nothing.
    type: list
    elements: dict
    suboptions:
      protocol:
        description: The protocol.
        type: str
        choices: [tcp, udp, icmp, all]
        default: tcp
      ports:
        description: A port such as V(8001) or a range such as V(8001-8010); for all protocols but V(icmp).
        type: str
      source_networks:
        description: The IPv4 networks that are admitted, such as V(203.0.113.0/24).
        type: list
        elements: str
        required: true
      description:
        description: A comment on the rule.
        type: str
        default: ""
  allow_widening:
    description: Allow an existing rule set to admit more than it does now.
    type: bool
    default: false
  allow_world:
    description:
      - Accept rules that together admit the whole internet on a port, such as V(0.0.0.0/0).
      - That is all public addresses, or more than half of all.
    type: bool
    default: false
extends_documentation_fragment: [hgx.inference.lambda_cloud, hgx.inference._attributes]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the rules.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Let the office reach the API port
  hgx.inference.lambda_firewall_ruleset:
    name: kimi-api
    region: us-east-1
    rules:
      - ports: "8001"
        source_networks: [203.0.113.0/24]
        description: office
  delegate_to: localhost

- name: Close the API port again, also on running instances
  hgx.inference.lambda_firewall_ruleset:
    name: kimi-api
    region: us-east-1
    rules: []
  delegate_to: localhost

- name: Remove the rule set
  hgx.inference.lambda_firewall_ruleset:
    name: kimi-api
    region: us-east-1
    state: absent
  delegate_to: localhost
"""

RETURN = r"""
msg:
  description: What was done, or in check mode would be done.
  returned: always
  type: str
  sample: Created the rule set kimi-api in us-east-1.
id:
  description: ID of the rule set. Empty where there is none, as in check mode before it is created.
  returned: success
  type: str
  sample: c4d291f47f9d436fa39f58493ce3b50d
"""


from ..module_utils._core.edge import Module, at_edge
from ..module_utils._lambda.client import LambdaError
from ..module_utils._lambda.firewall import PROTOCOLS, RulesetManager, wanted_rule
from ..module_utils._lambda.options import OPTIONS, make_client
from ..module_utils._lambda.records import OPEN_REGIONS, open_region_warning


@at_edge
def main() -> None:
    rule_options = {
        "protocol": {"type": "str", "choices": list(PROTOCOLS), "default": "tcp"},
        "ports": {"type": "str"},
        "source_networks": {"type": "list", "elements": "str", "required": True},
        "description": {"type": "str", "default": ""},
    }
    module = Module(
        argument_spec={
            **OPTIONS,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "name": {"type": "str", "required": True},
            "region": {"type": "str", "required": True},
            "rules": {"type": "list", "elements": "dict", "options": rule_options},
            "allow_widening": {"type": "bool", "default": False},
            "allow_world": {"type": "bool", "default": False},
        },
        required_if=[("state", "present", ["rules"])],
        supports_check_mode=True,
    )
    params = module.params
    name, region = params["name"], params["region"]
    if params["state"] == "present" and region in OPEN_REGIONS:
        module.warn(open_region_warning(region))
    try:
        rules = [
            wanted_rule(rule["protocol"], network, rule["ports"], rule["description"])
            for rule in params["rules"] or []
            for network in rule["source_networks"]
        ]
        manager = RulesetManager(make_client(params), module.check_mode)
        if params["state"] == "present":
            result = manager.present(name, region, rules, params["allow_widening"], params["allow_world"])
        else:
            result = manager.absent(name, region)
    except LambdaError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
