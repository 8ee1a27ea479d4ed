#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(nvidia_container_probe)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_container_probe
short_description: Prove that containers get the host's GPUs, or say why they do not
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Starts a container that lists the GPUs and is thrown away, and counts them.
  - Containers that do not get the GPUs are an answer, not a failure.
  - No container is started where O(last_proof) still holds.
options:
  image:
    description:
      - The image of the container. It need not contain anything of NVIDIA.
      - It is pulled only if it is not on the host.
    type: str
    default: ubuntu:24.04
  requests:
    description:
      - The ways to ask for the GPUs that are tried, in this order, until one works.
      - V(runtime) is C(--gpus all).
      - V(cdi) is C(--device nvidia.com/gpu=all), for which the engine must be of version 25 or newer.
    type: list
    elements: str
    choices: [runtime, cdi]
    default: [runtime]
  gpus:
    description: How many GPUs the host has.
    type: int
    required: true
  last_proof:
    description:
      - The RV(proof) of an earlier run.
      - It holds as long as the number of GPUs, the engine's process, the versions of toolkit and driver, and the
        settings of engine, toolkit and CDI are the same.
    type: dict
    default: {}
  timeout:
    description: How long the container may take, in seconds.
    type: int
    default: 120
extends_documentation_fragment: [hgx.inference._attributes]
attributes:
  check_mode:
    support: full
    details: Starts no container in check mode, so only O(last_proof) can tell which request works.
  diff_mode:
    support: none
    details: Changes nothing, except that it may pull the image.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Look at the GPUs
  hgx.inference.nvidia_gpu_info:
  register: nvidia

- name: Find out how containers get the GPUs
  hgx.inference.nvidia_container_probe:
    requests: [runtime, cdi]
    gpus: "{{ nvidia.gpus | length }}"
  register: probe
  failed_when: not probe.request
"""

RETURN = r"""
request:
  description: The first of the requests that works, or V(null).
  returned: success
  type: str
  sample: runtime
problems:
  description: What is wrong with the requests that were tried and do not work, by request.
  returned: success
  type: dict
  contains:
    cause:
      description: What is wrong.
      type: str
    evidence:
      description: The line that shows it.
      type: str
    fix:
      description: What to do.
      type: str
    remedy:
      description:
        - What a program can do about it, V(install) the toolkit, make the V(runtime) known to the engine, V(restart)
          the engine, switch V(cdi) on in it, or renew the V(spec) of CDI. Empty if nothing.
      type: str
proof:
  description: What the answer depends on, to be kept for O(last_proof). Empty if nothing works.
  returned: success
  type: dict
started:
  description: Whether a container was started.
  returned: success
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._docker.cli import DockerError
from ..module_utils._nvidia.gpu_probe import probe
from ..module_utils._nvidia.gpu_request import REQUESTS


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str", "default": "ubuntu:24.04"},
            "requests": {"type": "list", "elements": "str", "choices": list(REQUESTS), "default": ["runtime"]},
            "gpus": {"type": "int", "required": True},
            "last_proof": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        outcome = probe(
            params["image"],
            params["requests"],
            params["gpus"],
            params["last_proof"],
            params["timeout"],
            look_only=module.check_mode,
        )
    except DockerError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(
        changed=outcome.pulled,
        request=outcome.request,
        proof=outcome.proof,
        problems={request: problem._asdict() for request, problem in outcome.problems.items()},
        started=outcome.started,
    )


if __name__ == "__main__":
    main()
