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

import json
from collections.abc import Iterator

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _vllm_check_worker
from ..module_utils._docker_cli import WORKER_PROGRAM, DockerError, run_docker, worker_job
from ..module_utils._gpu_request import REQUESTS
from ..module_utils._scrub import scrub
from ..module_utils._vllm_failures import diagnose, failure_text


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
    image, args = module.params["image"], module.params["args"]
    gpus = REQUESTS[module.params["gpu_request"]] if module.params["gpus"] else []
    container = ["--rm", "--interactive", "--network", "none", "--env", "VLLM_LOGGING_LEVEL=ERROR", *gpus]
    command = ["run", *container, "--entrypoint", "python3", image, "-c", WORKER_PROGRAM]
    try:
        done = run_docker(command, timeout_s=module.params["timeout"], stdin=worker_job(_vllm_check_worker, argv=args))
    except DockerError as exc:
        module.fail_json(msg=str(exc))
    try:
        result = json.loads(done.stdout.strip().rpartition("\n")[2])
    except ValueError:
        lines = done.stderr.splitlines()
        cause, rest = failure_text(diagnose(lines, done.rc or None), lines)
        why = "\n".join([f"The command line could not be checked with {image}: {cause}", *rest])
        module.fail_json(msg=scrub(why))
    if result.get("problems"):
        what = f"The vLLM of {image} refuses the command line, so nothing was stopped or started:"
        module.fail_json(msg=scrub("\n".join([what, *_told(result["problems"], result["options"])])))
    if "unchecked" in result:
        reason = result["unchecked"]
        module.warn(f"The vLLM of {image} keeps its parser in an unknown place, nothing was checked: {reason}")
    module.exit_json(changed=False, checked="unchecked" not in result)


def _told(problems: list[str], options: list[str]) -> Iterator[str]:
    """Yield each problem, and what to do about it."""
    for problem in problems:
        yield "  " + problem.replace("\n", "\n  ")
        known = diagnose([*options, *f"error: {problem}".splitlines()])
        if known:
            yield f"  Fix: {known.fix}"


if __name__ == "__main__":
    main()
