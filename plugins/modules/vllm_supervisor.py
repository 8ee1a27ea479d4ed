#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(vllm_supervisor)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_supervisor
short_description: Keep the container of a vLLM server running with a systemd service
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Installs and starts a systemd service that starts the container after a boot and after it has ended by itself, a
    limited number of times. A container that is stopped on purpose stays down until the next boot.
  - Never reloads systemd, which can take the GPUs away from running containers. The unit holds no setting, so that it
    never changes.
  - On a host without systemd the module does nothing, and warns of it.
options:
  name:
    description: Name of the container.
    type: str
    required: true
  state:
    description: Whether the service exists. The container itself is not changed.
    type: str
    choices: [present, absent]
    default: present
  state_dir:
    description: Folder on the target for the program, its settings and its state.
    type: path
    required: true
  gpus:
    description: Whether the start waits until the GPUs have joined their fabric.
    type: bool
    default: false
  restart_limit:
    description: How often a container that ended by itself is started again within O(restart_interval).
    type: int
    default: 3
  restart_interval:
    description: The period in which starts are counted, in seconds. Must be longer than O(restart_limit) starts take.
    type: int
    default: 7200
extends_documentation_fragment: [hgx.inference._attributes]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Keep the server running
  hgx.inference.vllm_supervisor:
    name: vllm
    state_dir: /var/lib/hgx-inference/vllm
    gpus: true
"""

RETURN = r"""
unit:
  description: Name of the service; empty on a host without systemd.
  returned: success
  type: str
  sample: hgx-inference-vllm.service
"""


from ..module_utils._core.edge import Module, at_edge
from ..module_utils._vllm.supervisor import Service, SupervisorError


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "state_dir": {"type": "path", "required": True},
            "gpus": {"type": "bool", "default": False},
            "restart_limit": {"type": "int", "default": 3},
            "restart_interval": {"type": "int", "default": 7200},
        },
        supports_check_mode=True,
    )
    params = module.params
    service = Service(params["name"], params["state_dir"], module.check_mode)
    try:
        if not service.possible:
            if params["state"] == "present":
                module.warn(
                    f"This host has no systemd, so nothing restarts the server {params['name']} after it has ended, or"
                    " after a boot. Run playbooks/serve.yml again then, or use your own supervisor."
                )
            module.exit_json(changed=False, unit="")
        if params["state"] == "absent":
            module.exit_json(changed=service.remove(), unit=service.unit)
        changed = service.ensure(params["restart_limit"], params["restart_interval"], params["gpus"])
        module.exit_json(changed=changed, unit=service.unit)
    except (SupervisorError, OSError) as exc:
        module.fail_json(msg=str(exc))


if __name__ == "__main__":
    main()
