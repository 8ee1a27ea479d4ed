#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(proof_info)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: proof_info
short_description: Read all that a proof rests on
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Returns a release with the benchmark that it has passed, the hashes of its weights, and the node with driver, fabric
    and GPUs.
  - Secrets, and whatever looks like one, are masked.
options:
  state_dir:
    description: Folder of the releases.
    type: path
    required: true
  cache_home:
    description: Folder of the Hugging Face cache.
    type: path
    required: true
  release:
    description: ID of the release. By default the current one.
    type: str
    default: ""
extends_documentation_fragment: [hgx.inference._attributes.info]
"""

EXAMPLES = r"""
- name: Read the proof of the current release
  hgx.inference.proof_info:
    state_dir: /var/lib/hgx-inference/vllm
    cache_home: /var/lib/huggingface
  register: proof
"""

RETURN = r"""
proof:
  description: The release, its benchmark, the packages of its image, the weights, and the node.
  returned: success
  type: dict
  contains:
    release:
      description: The record of the release.
      type: dict
    benchmark:
      description: The result that it was promoted with.
      type: dict
    packages:
      description: Python packages of the image, or V(null).
      type: list
      elements: str
    weights:
      description: Each repository with its commit, and the hash of names, sizes and contents of its files.
      type: list
      elements: dict
    node:
      description: Kernel, processors, memory, driver, fabric and GPUs.
      type: dict
"""

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._nvidia.host import gpu_info
from ..module_utils._proof.collect import ProofError, collect

_GPU_TIMEOUT_S = 60


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "state_dir": {"type": "path", "required": True},
            "cache_home": {"type": "path", "required": True},
            "release": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        gpus = gpu_info(_GPU_TIMEOUT_S)
        found = collect(params["state_dir"], params["cache_home"], params["release"], gpus)
    except ProofError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, proof=found)


if __name__ == "__main__":
    main()
