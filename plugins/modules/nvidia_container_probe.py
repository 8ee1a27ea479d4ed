#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(nvidia_container_probe)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_container_probe
short_description: Check whether containers get the host's GPUs, and if not, why
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Starts a temporary container that lists the GPUs, and counts them.
  - Does not fail if containers do not get the GPUs, but returns the reason.
  - Starts no container if O(last_proof) still holds.
options:
  image:
    description:
      - The image of the container. It needs no NVIDIA software.
      - It is pulled only if it is not on the host.
    type: str
    default: ubuntu:24.04
  requests:
    description:
      - The ways to request the GPUs, tried in this order until one works.
      - V(runtime) is C(--gpus all).
      - V(cdi) is C(--device nvidia.com/gpu=all), which needs an engine of version 25 or newer.
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
- name: Get the GPUs
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
  description: The problems of the requests that do not work, by request.
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
        - The automatic repair. V(install) the toolkit, add the V(runtime) to the engine, V(restart) the engine, enable
          V(cdi) in it, or renew the CDI V(spec). Empty if there is none.
      type: str
proof:
  description: What the outcome depends on, to be stored for O(last_proof). Empty if no request works.
  returned: success
  type: dict
started:
  description: Whether a container was started.
  returned: success
  type: bool
"""


from ..module_utils._core.edge import Module, at_edge
from ..module_utils._docker.cli import DockerError
from ..module_utils._nvidia.gpu_probe import probe
from ..module_utils._nvidia.gpu_request import REQUESTS


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
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
