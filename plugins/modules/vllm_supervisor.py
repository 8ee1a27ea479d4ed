#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(vllm_supervisor)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_supervisor
short_description: Keep the container of a vLLM server running with a systemd service, and watch it
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Installs and starts a systemd service that starts the container after a boot and after it has ended by itself, a
    limited number of times. A container that is stopped on purpose stays down until the next boot.
  - A watch in the same service recognizes a server that hangs or answers rubbish, see O(watch). It records what it
    sees, and M(hgx.inference.vllm_status) returns it.
  - The unit holds no setting, so it only changes with the collection. systemd is reloaded for that if no running
    container can lose its GPUs by it, now or when the server is replaced next. Else the module warns.
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
  watch:
    description:
      - V(observe) records that the server hangs, or repeats one token, and new reports of the driver (Xid), with the
        functions in which its processes wait. V(restart) then also restarts it, counted with O(restart_limit).
      - A server hangs if requests are under way and no counter of its C(/metrics) has moved for O(watch_limit), and
        then a request for one token of the watch gets no answer for O(watch_limit) while still nothing moves.
      - Three answers to different prompts, one after the other, must repeat the same few words to count as rubbish.
      - The watch keeps still while a play deploys, and while a benchmark or a check of this collection runs.
    type: str
    choices: ["off", observe, restart]
    default: "off"
  watch_limit:
    description: Time without a token after which a server is suspected, and once more until it counts as hanging, in
      seconds.
    type: int
    default: 300
  watch_interval:
    description: Time between two requests of the watch to a server that answers, in seconds.
    type: int
    default: 600
  base_url:
    description:
      - Address of the server, for O(watch). Required unless that is V(off).
      - A follower of O(span) has none. Its watch only reads the reports of the driver.
    type: str
    default: ""
  served_model_name:
    description: Name of the model in requests, for O(watch).
    type: str
    default: ""
  py_spy:
    description: The program C(py-spy) on the target, for O(watch). It may be missing.
    type: path
    default: ""
  span:
    description:
      - Which rank of a server across hosts the container is, as C({rank, hosts, head_address, port}). Empty for a
        server on one host.
      - The services of all ranks talk to each other at the port after C(port), signed with the key in the file
        C(span_key) in O(state_dir). If one rank ends, all are stopped and started together, which counts once.
    type: dict
    default: {}
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
    watch: observe
    base_url: http://127.0.0.1:8001
    served_model_name: kimi-k2.6
"""

RETURN = r"""
unit:
  description: Name of the service; empty on a host without systemd.
  returned: success
  type: str
  sample: hgx-inference-vllm.service
"""


from ..module_utils._core.edge import Module, at_edge
from ..module_utils._vllm.supervisor import Service, Supervision, SupervisorError


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
            "watch": {"type": "str", "choices": ["off", "observe", "restart"], "default": "off"},
            "watch_limit": {"type": "int", "default": 300},
            "watch_interval": {"type": "int", "default": 600},
            "base_url": {"type": "str", "default": ""},
            "served_model_name": {"type": "str", "default": ""},
            "py_spy": {"type": "path", "default": ""},
            "span": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params = module.params
    is_asked = params["watch"] != "off" and not params["span"].get("rank")
    if is_asked and not (params["base_url"] and params["served_model_name"]):
        module.fail_json(msg=f"watch is {params['watch']}, which needs base_url and served_model_name.")
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
        changed = service.ensure(Supervision(**{name: params[name] for name in Supervision._fields}))
        if not module.check_mode and service.needs_reload():
            module.warn(
                f"{service.unit} has changed, and systemd reads it when the server is replaced next, or at the next"
                f" boot: a reload could take the GPUs from running containers ({', '.join(service.waits_for())})."
            )
        module.exit_json(changed=changed, unit=service.unit)
    except (SupervisorError, OSError) as exc:
        module.fail_json(msg=str(exc))


if __name__ == "__main__":
    main()
