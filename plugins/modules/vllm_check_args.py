#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(vllm_check_args)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_check_args
short_description: Have an image's own vLLM read a command line
version_added: 0.1.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Runs the argument parser of the vLLM in an image on a server's arguments, in a container that is thrown away.
  - Finds unknown options, wrong values and unknown names of parsers before a running server is stopped for them.
  - Loads no model and starts no server. What only shows while a model is loaded stays unseen, such as lack of memory.
options:
  image:
    description: The image. It must be on the host.
    type: str
    required: true
  args:
    description: The server's arguments, without its command.
    type: list
    elements: str
    required: true
  gpus:
    description:
      - Whether the container sees the GPUs.
      - Without them the vLLM of a CUDA image does not know for which device it parses.
    type: bool
    default: false
  gpu_request:
    description: How it asks for them. V(runtime) is C(--gpus all), V(cdi) is C(--device nvidia.com/gpu=all).
    type: str
    choices: [runtime, cdi]
    default: runtime
    version_added: 0.2.0
  timeout:
    description: How long the check may take, in seconds.
    type: int
    default: 180
extends_documentation_fragment: [hgx.inference.looks_only]
"""

EXAMPLES = r"""
- name: Check a command line before the server is replaced
  hgx.inference.vllm_check_args:
    image: vllm/vllm-openai:v0.20.2
    args: [--model, moonshotai/Kimi-K2.6, --tensor-parallel-size, "8"]
    gpus: true
"""

RETURN = r"""
checked:
  description:
    - V(false) if this version of vLLM keeps its parser in an unknown place, so that nothing could be checked.
    - A warning says so.
  returned: success
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._docker_cli import DockerError
from ..module_utils._gpu_request import REQUESTS
from ..module_utils._vllm_check import read_args


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str", "required": True},
            "args": {"type": "list", "elements": "str", "required": True},
            "gpus": {"type": "bool", "default": False},
            "gpu_request": {"type": "str", "choices": list(REQUESTS), "default": "runtime"},
            "timeout": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    image = module.params["image"]
    gpus = module.params["gpu_request"] if module.params["gpus"] else ""
    try:
        reading = read_args(image, module.params["args"], gpus, module.params["timeout"])
    except DockerError as exc:
        module.fail_json(msg=str(exc))
    if reading.problems:
        problems = "\n".join("  " + problem.replace("\n", "\n  ") for problem in reading.problems)
        module.fail_json(
            msg=f"The vLLM of {image} refuses the command line, so nothing was stopped or started:\n{problems}"
        )
    if reading.unchecked:
        module.warn(
            f"The vLLM of {image} keeps its parser in an unknown place, nothing was checked: {reading.unchecked}"
        )
    module.exit_json(changed=False, checked=not reading.unchecked)


if __name__ == "__main__":
    main()
