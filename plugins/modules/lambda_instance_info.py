#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lambda_instance_info
short_description: List the instances of a Lambda account with their age and cost
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Lists the running instances with price, age and cost so far. Age and cost are known only for those that
    M(hgx.inference.lambda_instance) has launched, because the API does not return the launch time.
  - On request also returns the price of an instance type and the regions with capacity.
options:
  id:
    description: Only the instance with this ID.
    type: str
  name:
    description: Only instances with this name.
    type: str
  match_tags:
    description: Only instances with these tags.
    type: dict
    default: {}
  expired:
    description: V(true) returns only expired instances, V(false) only those that have not expired or have no expiry.
    type: bool
  instance_type:
    description: Return also the price of this type and the regions with capacity, as RV(offer).
    type: str
extends_documentation_fragment: [hgx.inference.lambda_cloud, hgx.inference._attributes.info]
"""

EXAMPLES = r"""
- name: List my instances
  hgx.inference.lambda_instance_info:
    match_tags:
      hgx-owner: eve@example.com
  delegate_to: localhost
  register: nodes

- name: Show the cost so far
  ansible.builtin.debug:
    msg: "{{ nodes.instances | map(attribute='cost_usd') | select | sum }} USD"

- name: Get the price of a node and the regions with capacity
  hgx.inference.lambda_instance_info:
    instance_type: gpu_8x_b200_sxm6
  delegate_to: localhost
"""

RETURN = r"""
instances:
  description:
    - The instances. Their fields are the host variables of P(hgx.inference.lambda_cloud#inventory), without prefix, and
      C(age_hours), C(cost_usd) and C(expired). Both numbers are empty if the launch time is unknown.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 0920582c7ff041399e34823a0be62549
      name: kimi
      status: active
      ip: 203.0.113.7
      price_usd_per_hour: 45.92
      age_hours: 1.5
      cost_usd: 68.88
      expired: false
offer:
  description: The type O(instance_type), its price in USD an hour, and the regions with capacity.
  returned: with O(instance_type)
  type: dict
  sample:
    name: gpu_8x_b200_sxm6
    description: 8x B200
    price_usd_per_hour: 45.92
    regions: [us-east-1]
"""

from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._lambda import records
from ..module_utils._lambda.account import Account
from ..module_utils._lambda.client import LambdaError
from ..module_utils._lambda.options import OPTIONS, make_client, state_dir


def with_cost(instance: records.Instance, now: float) -> dict[str, Any]:
    return {
        **instance,
        "age_hours": records.age_hours(instance, now),
        "cost_usd": records.cost_usd(instance, now),
        "expired": records.is_expired(instance, now),
    }


@at_edge
def main() -> None:
    module = Module(
        argument_spec={
            **OPTIONS,
            "id": {"type": "str"},
            "name": {"type": "str"},
            "match_tags": {"type": "dict", "default": {}},
            "expired": {"type": "bool"},
            "instance_type": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    tags = {str(key): str(value) for key, value in params["match_tags"].items()}
    result: dict[str, Any] = {}
    try:
        account = Account(make_client(params), state_dir(params))
        found = account.find(records.Identity(params["id"], params["name"], tags))
        if params["instance_type"]:
            types = account.client.get("/instance-types")
            result["offer"] = records.parse_offer(types, params["instance_type"])._asdict()
    except LambdaError as exc:
        module.fail_json(msg=str(exc))
    told = [with_cost(instance, account.clock.time()) for instance in found]
    wanted = [instance for instance in told if params["expired"] in (None, instance["expired"])]
    module.exit_json(changed=False, instances=wanted, **result)


if __name__ == "__main__":
    main()
