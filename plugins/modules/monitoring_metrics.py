#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(monitoring_metrics)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: monitoring_metrics
short_description: Write what a play knows of a node for Prometheus
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Writes metrics for the textfile collector of node exporter, in C(hgx_node.prom) and C(hgx_verification_SERVER.prom).
  - The watch of the vLLM server writes the others, such as the figures of the proof and Xid events.
  - A host without the folder of the collector gets none. What is unknown is left out, and is never 0.
options:
  node:
    description: The node. Without it C(hgx_node.prom) is left as it is.
    type: dict
    suboptions:
      price_usd_per_hour:
        description: What it costs. V(0) or empty is unknown.
        type: str
      launched_at:
        description: When it was launched, as V(2026-11-25T14:00:00Z).
        type: str
      expires_at:
        description: When it is to be released, in the same form.
        type: str
      gpus_expected:
        description: How many GPUs the recipe needs. V(0) is none.
        type: int
  gpus:
    description: The result of M(hgx.inference.nvidia_gpu_info), on a host with GPUs.
    type: dict
    default: {}
  expiries:
    description: Certificates and keys that end.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description: What it is.
        type: str
        choices: [certificate, key]
        required: true
      name:
        description: Its name. Never the key itself.
        type: str
        required: true
      at:
        description: When it ends, as V(2026-11-25T14:00:00Z).
        type: str
        required: true
  certificates:
    description: Files with certificates, whose ends openssl reads. One that cannot be read is only warned of.
    type: list
    elements: path
    default: []
  server:
    description: Name of the server's container, for O(verification).
    type: str
    default: vllm
  verification:
    description: The last verification. Without it its file is left as it is.
    type: dict
    suboptions:
      result:
        description: File on the target with the result of the benchmark. It has the verdict and the time.
        type: path
      failed:
        description: Whether the functional checks have failed, which makes the verdict V(fail).
        type: bool
        default: false
      acceptance_length:
        description: The acceptance length on real text.
        type: float
  dest:
    description: Folder of the textfile collector.
    type: path
    default: /var/lib/prometheus/node-exporter
extends_documentation_fragment: [hgx.inference._attributes]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Tell Prometheus what the node costs
  hgx.inference.monitoring_metrics:
    node:
      price_usd_per_hour: "53.52"
      expires_at: "2026-12-01T18:00:00Z"

- name: Tell Prometheus how the verification has ended
  hgx.inference.monitoring_metrics:
    server: vllm
    verification:
      result: /var/lib/hgx-inference/results/latest.json
"""

RETURN = r"""
files:
  description: The files that were written, or that are as they should be.
  returned: success
  type: list
  elements: str
  sample: [/var/lib/prometheus/node-exporter/hgx_node.prom]
"""

import json
import os
from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.files import read_text, replace_text
from ..module_utils._core.process import run
from ..module_utils._core.verdict import FAIL
from ..module_utils._monitoring.node import certificate_end, node_families, verification_families
from ..module_utils._programs.exposition import TEXTFILE_DIR, path_of, render

_TEXT = {"type": "str"}
_TIMEOUT_S = 10


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "node": {
                "type": "dict",
                "options": {
                    "price_usd_per_hour": _TEXT,
                    "launched_at": _TEXT,
                    "expires_at": _TEXT,
                    "gpus_expected": {"type": "int"},
                },
            },
            "gpus": {"type": "dict", "default": {}},
            "expiries": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "kind": {"type": "str", "choices": ["certificate", "key"], "required": True},
                    "name": {"type": "str", "required": True},
                    "at": {"type": "str", "required": True},
                },
            },
            "certificates": {"type": "list", "elements": "path", "default": []},
            "server": {"type": "str", "default": "vllm"},
            "verification": {
                "type": "dict",
                "options": {
                    "result": {"type": "path"},
                    "failed": {"type": "bool", "default": False},
                    "acceptance_length": {"type": "float"},
                },
            },
            "dest": {"type": "path", "default": TEXTFILE_DIR},
        },
        supports_check_mode=True,
    )
    params = module.params
    wanted = {}
    if params["node"] is not None:
        ends = [*params["expiries"], *_certificates(module, params["certificates"])]
        found = node_families(params["node"], params["gpus"], ends)
        wanted[path_of("node", params["dest"])] = render(found)
    if params["verification"] is not None:
        found = verification_families(params["server"], _judged(params["verification"]))
        wanted[path_of(f"verification_{params['server']}", params["dest"])] = render(found)
    if not os.path.isdir(params["dest"]):
        module.exit_json(changed=False, files=[])
    changed = {path: text for path, text in wanted.items() if read_text(path) != text}
    diff = [
        {"before_header": path, "after_header": path, "before": read_text(path), "after": text}
        for path, text in changed.items()
    ]
    if not module.check_mode:
        for path, text in changed.items():
            replace_text(path, text, mode=0o644)
    module.exit_json(changed=bool(changed), files=list(wanted), diff=diff)


def _certificates(module: Module, paths: list[str]) -> list[dict[str, str]]:
    """Return the ends of the certificates that can be read."""
    found = []
    for path in paths:
        done = run(["openssl", "x509", "-noout", "-enddate", "-in", path], _TIMEOUT_S)
        end = certificate_end(done.output)
        if end:
            found.append({"kind": "certificate", "name": path, "at": end})
        else:
            module.warn(f"The certificate {path} cannot be read, so nobody is told of its end: {done.output.strip()}")
    return found


def _judged(verification: dict[str, Any]) -> dict[str, Any]:
    """Return the verification with the verdict and the time of its result."""
    try:
        result = json.loads(read_text(verification["result"] or ""))
        judged = {"verdict": result["verdict"], "finished_at": result["finished_at"]}
    except (ValueError, LookupError, TypeError):
        judged = {}
    return {**verification, **judged, **({"verdict": FAIL} if verification["failed"] else {})}


if __name__ == "__main__":
    main()
