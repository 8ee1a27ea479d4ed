#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(vllm_support_bundle)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_support_bundle
short_description: Collect what helps to find a fault of a vLLM server
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Writes an archive with the log of the server, its container, its releases and results, where its processes are, the
    state of GPUs, engine and host, and the lines of the kernel log that concern them.
  - Masks the API key of the host, the given secrets, and whatever looks like a secret. Texts of answers are left out.
  - Changes nothing else on the host.
options:
  container:
    description: Name of the server's container. It may be missing.
    type: str
    required: true
  state_dir:
    description: Folder of the releases and the API key.
    type: path
    required: true
  results_dir:
    description: Folder of the benchmark results.
    type: path
    required: true
  status:
    description: The text of M(hgx.inference.vllm_status), with the cause of a failure.
    type: str
    default: ""
  secrets:
    description: Further texts to mask, such as the Hub's token.
    type: list
    elements: str
    default: []
  py_spy:
    description: The program C(py-spy) on the target. It may be missing.
    type: path
    default: ""
  dest:
    description: The archive, a file C(.tar.gz). It is readable for its owner only.
    type: path
    required: true
extends_documentation_fragment: [hgx.inference._attributes]
attributes:
  check_mode:
    support: full
    details: Writes nothing in check mode.
  diff_mode:
    support: none
  idempotent:
    support: none
    details: The archive is an observation, so it never counts as a change.
"""

EXAMPLES = r"""
- name: Collect everything about the server
  hgx.inference.vllm_support_bundle:
    container: vllm
    state_dir: /var/lib/hgx-inference/vllm
    results_dir: /var/lib/hgx-inference/results
    dest: /root/support.tar.gz
"""

RETURN = r"""
files:
  description: Names of the files in the archive.
  returned: success, and not in check mode
  type: list
  elements: str
  sample: [log.txt, docker/inspect.json]
size:
  description: Size of the archive, in bytes.
  returned: success, and not in check mode
  type: int
"""

import os

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.secrets import SecretError
from ..module_utils._programs.stacks import installed
from ..module_utils._vllm.bundle import collect, pack
from ..module_utils._vllm.key import read_key


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "container": {"type": "str", "required": True},
            "state_dir": {"type": "path", "required": True},
            "results_dir": {"type": "path", "required": True},
            "status": {"type": "str", "default": ""},
            "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "py_spy": {"type": "path", "default": ""},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=False)
    try:
        read_key(params["state_dir"])  # so that it is known and masked
    except SecretError as exc:
        module.fail_json(msg=str(exc))
    files = collect(params["container"], params["state_dir"], params["results_dir"], installed(params["py_spy"]))
    files["status.txt"] = params["status"] + "\n"
    folder = os.path.basename(params["dest"]).partition(".")[0]
    archive, names = pack(files, folder)
    try:
        with open(os.open(params["dest"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(archive)
    except OSError as exc:
        module.fail_json(msg=f"The archive cannot be written to {params['dest']}: {exc.strerror or exc}.")
    module.exit_json(changed=False, files=names, size=len(archive))


if __name__ == "__main__":
    main()
