#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lambda_instance
short_description: Launch, restart or release an instance at Lambda
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Ensures the state of one instance. It is found by O(id), O(name) or O(match_tags); a second one is never bought.
  - A launch is written to a journal before it is sent. If its answer is lost, no other is launched until its instance
    has appeared in the list, or O(force) is set. Other machines see this by a firewall rule set C(hgx-uncertain-...)
    without rules, which the module removes again.
  - Of concurrent runs, even on different machines, only one instance stays. Two can bill at the same time only if they
    were launched on different machines, and one of these was cut off from the API or killed while it launched.
  - Every launched instance has the tags C(hgx-managed-by), C(hgx-launched-at) and C(hgx-launch), and with
    O(owner) and O(lifetime_hours) C(hgx-owner) and C(hgx-expires-at). The expiry is a note for people and for
    P(hgx.inference.lambda_node#role); Lambda itself does not act on it.
  - An instance is billed from the launch until it is terminated, even while idle. There is no stopped state.
options:
  state:
    description:
      - V(present) ensures that one such instance exists, is active and answers SSH.
      - V(absent) terminates it and waits until it is gone. Its local disks are wiped.
      - V(restarted) restarts the existing instance.
    type: str
    choices: [present, absent, restarted]
    default: present
  id:
    description: ID of an existing instance.
    type: str
  name:
    description: Name of the instance, at most 64 characters.
    type: str
  match_tags:
    description: Tags that the instance must have. A new instance gets them.
    type: dict
    default: {}
  instance_type:
    description: What to launch, such as V(gpu_8x_b200_sxm6). An instance of another type is an error.
    type: str
  regions:
    description:
      - Regions to launch in, the preferred one first. By default any region with capacity except V(us-south-1).
      - Lambda applies no firewall rules in V(us-south-1); the module warns about an instance there.
    type: list
    elements: str
    default: []
  image_family:
    description: Family of the image. Lambda's own default is another one, with more preinstalled software.
    type: str
    default: gpu-base-24-04
  image_id:
    description: An exact image, instead of O(image_family).
    type: str
  ssh_key:
    description: Name of the SSH key to log in with. Can be left out if the account has only one key.
    type: str
  file_systems:
    description: Names of file systems to attach. They restrict the launch to their region.
    type: list
    elements: str
    default: []
  firewall_rulesets:
    description: Names of firewall rule sets of the region, see M(hgx.inference.lambda_firewall_ruleset).
    type: list
    elements: str
    default: []
  tags:
    description:
      - Further tags of a new instance. Lambda documents no change of tags after the launch. For an existing instance
        the module tries it, keeps other tags, and fails if the tags have not changed.
      - The tag C(hgx-expires-at) sets the expiry instead of O(lifetime_hours). It is a time with its zone such as
        V(2026-11-25T14:00:00Z), and is stored in UTC; anything else is refused.
    type: dict
    default: {}
  owner:
    description:
      - Who answers for the bill; a tag of a new instance.
      - An instance with the tag of another owner is not adopted, restarted or released.
    type: str
  lifetime_hours:
    description: Hours until a new instance expires; stored as a tag. Not used if O(tags) sets the expiry.
    type: float
  hostname:
    description: Host name of a new instance.
    type: str
  user_data:
    description: Configuration for cloud-init of a new instance.
    type: str
  max_price_per_hour:
    description:
      - USD an hour. A type that costs more is not launched.
      - An instance that turns out to cost more, new or old, is an error.
    type: float
  capacity_timeout:
    description: Seconds to wait for capacity if there is none.
    type: int
    default: 0
  wait_timeout:
    description: Seconds within which the instance must be active and answer SSH, or be gone.
    type: int
    default: 1800
  ssh_port:
    description: Port on which SSH must answer; V(0) does not wait for it.
    type: int
    default: 22
  terminate_on_failure:
    description: Terminate an instance that this task has launched if it does not get ready. An earlier one stays.
    type: bool
    default: false
  terminate_on_mismatch:
    description:
      - Terminate an instance that this task has launched if it is not what was asked for. Its type, region, price,
        image, name, SSH key, file systems, firewall rule sets and tags are compared, as far as the API tells them.
      - Otherwise the task fails, and the instance bills until it is released.
    type: bool
    default: false
  force:
    description:
      - Also release or restart an instance that this collection did not launch, or that has another O(owner).
      - With O(state=present), launch although an earlier launch of this name may still create an instance, because its
        answer was lost, or although the journal cannot be read. Check the Lambda console first, and set it for one run
        only.
    type: bool
    default: false
extends_documentation_fragment: [hgx.inference.lambda_cloud, hgx.inference._attributes, hgx.inference._progress]
attributes:
  check_mode:
    support: full
    details: Looks up prices and capacity, and buys nothing.
  diff_mode:
    support: full
    details: Shows the instance.
  idempotent:
    support: partial
    details: With O(state=restarted), the instance is always restarted.
"""

EXAMPLES = r"""
- name: Launch one node for at most 60 USD an hour, marked to expire in 4 hours
  hgx.inference.lambda_instance:
    name: kimi
    instance_type: gpu_8x_b200_sxm6
    regions: [us-east-1, us-west-1]
    max_price_per_hour: 60
    owner: eve@example.com
    lifetime_hours: 4
    capacity_timeout: 3600
  delegate_to: localhost
  register: node

- name: Launch one that expires at a given time
  hgx.inference.lambda_instance:
    name: kimi
    instance_type: gpu_8x_b200_sxm6
    owner: eve@example.com
    tags:
      hgx-expires-at: "2026-11-25T14:00:00Z"
  delegate_to: localhost

- name: Release it
  hgx.inference.lambda_instance:
    name: kimi
    state: absent
  delegate_to: localhost

- name: Release an instance that was launched by hand, by its ID
  hgx.inference.lambda_instance:
    id: 0920582c7ff041399e34823a0be62549
    state: absent
    force: true
  delegate_to: localhost
"""

RETURN = r"""
msg:
  description: What was done, or in check mode would be done, with the price.
  returned: always
  type: str
  sample: "Launched kimi (0920582c7ff041399e34823a0be62549, gpu_8x_b200_sxm6 in us-east-1) for 45.92 USD an hour."
instance:
  description:
    - The instance. Its fields are the host variables of P(hgx.inference.lambda_cloud#inventory), without prefix.
    - Empty if there is none, as in check mode before a launch.
  returned: success
  type: dict
  sample:
    id: 0920582c7ff041399e34823a0be62549
    name: kimi
    status: active
    ip: 203.0.113.7
    region: us-east-1
    type: gpu_8x_b200_sxm6
    price_usd_per_hour: 45.92
    launched_at: "2026-11-25T10:00:00Z"
    expires_at: "2026-11-25T14:00:00Z"
price_usd_per_hour:
  description: Price of the instance or, in check mode before a launch, of its type.
  returned: success
  type: float
  sample: 45.92
journal:
  description: The file on the controller that records each launch and release before it is requested.
  returned: success
  type: str
  sample: /home/eve/.local/state/hgx-inference/lambda/journal.jsonl
"""

from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.progress import ControllerGone, ProgressFile
from ..module_utils._lambda import records
from ..module_utils._lambda.account import Account
from ..module_utils._lambda.client import LambdaError
from ..module_utils._lambda.instance import Limits, Manager
from ..module_utils._lambda.launch import Wanted
from ..module_utils._lambda.options import OPTIONS, make_client, state_dir


def wanted(params: dict[str, Any]) -> Wanted:
    """Return what to launch if there is no instance yet."""
    given = {name: params[name] for name in Wanted.__dataclass_fields__ if name in params}
    tags = records.with_utc_expiry(texts(params["tags"]))
    return Wanted(**{**given, "type": params["instance_type"], "tags": tags})


def texts(tags: dict[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in tags.items()}


@at_edge
def main() -> None:
    module = Module(
        argument_spec={
            **OPTIONS,
            "state": {"type": "str", "choices": ["present", "absent", "restarted"], "default": "present"},
            "id": {"type": "str"},
            "name": {"type": "str"},
            "match_tags": {"type": "dict", "default": {}},
            "instance_type": {"type": "str"},
            "regions": {"type": "list", "elements": "str", "default": []},
            "image_family": {"type": "str", "default": "gpu-base-24-04"},
            "image_id": {"type": "str"},
            "ssh_key": {"type": "str", "no_log": False},
            "file_systems": {"type": "list", "elements": "str", "default": []},
            "firewall_rulesets": {"type": "list", "elements": "str", "default": []},
            "tags": {"type": "dict", "default": {}},
            "owner": {"type": "str"},
            "lifetime_hours": {"type": "float"},
            "hostname": {"type": "str"},
            "user_data": {"type": "str", "no_log": True},
            "max_price_per_hour": {"type": "float"},
            "capacity_timeout": {"type": "int", "default": 0},
            "wait_timeout": {"type": "int", "default": 1800},
            "ssh_port": {"type": "int", "default": 22},
            "terminate_on_failure": {"type": "bool", "default": False},
            "terminate_on_mismatch": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            "progress_file": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = module.params
    identity = records.Identity(params["id"] or None, params["name"] or None, texts(params["match_tags"]))
    if not str(identity):
        module.fail_json(msg="Give name, id or match_tags to identify the instance.")
    limits = Limits(params["wait_timeout"], params["capacity_timeout"], params["ssh_port"])
    progress = ProgressFile(params["progress_file"], watched=True)
    try:
        account = Account(make_client(params), state_dir(params), progress.report)
    except LambdaError as exc:
        module.fail_json(msg=str(exc))
    try:
        ends = params["terminate_on_failure"], params["terminate_on_mismatch"]
        manager = Manager(account, limits, module.check_mode, *ends)
        if params["state"] == "present":
            result = manager.present(identity, wanted(params), params["force"])
        elif params["state"] == "absent":
            result = manager.absent(identity, params["force"], params["owner"])
        else:
            result = manager.restarted(identity, params["force"], params["owner"])
    except (LambdaError, ControllerGone, OSError) as exc:
        for warning in account.warnings:
            module.warn(warning)
        module.fail_json(msg=str(exc))
    for warning in account.warnings:
        module.warn(warning)
    region = (result["instance"] or result["diff"]["after"]).get("region")
    if params["state"] == "present" and region in records.OPEN_REGIONS:
        module.warn(records.open_region_warning(region))
    module.exit_json(**result, journal=account.journal.path)


if __name__ == "__main__":
    main()
