#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(preflight)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Find everything that prevents a host from serving a model, before anything is changed
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Checks the operating system, GPUs, driver, fabric, disks, memory, port, clock, package sources and network against
    the requirements.
  - Returns all unmet requirements in one message, each with what was found and what to do. Changes nothing.
options:
  gpu_count:
    description: How many GPUs are needed. With V(0) no GPU check applies.
    type: int
    default: 0
  gpu_name:
    description: What the GPUs' product name must contain, such as V(B200).
    type: str
  gpu_memory_gib:
    description: The memory that each GPU must have, in GiB.
    type: float
  driver_min:
    description: The minimum version of the driver.
    type: str
  install_driver:
    description: Whether the driver will be installed or repaired, so that the present one does not matter.
    type: bool
    default: false
  fabric:
    description: Whether every GPU must have joined an NVLink fabric. An existing fabric is always checked.
    type: bool
    default: false
  memory_gib:
    description: Main memory, in GiB.
    type: float
  shm_gib:
    description: Free memory in C(/dev/shm), in GiB.
    type: float
  weights_gb:
    description: Size of the models, in GB (10^9 bytes). What the cache already holds is subtracted.
    type: float
  image_gb:
    description: Size of the image once unpacked, in GB.
    type: float
  engine_args:
    description: The server's options by name, from which the need of GPU memory follows.
    type: dict
    default: {}
  architecture:
    description:
      - Keys of the model's C(config.json). If the model is in the cache, its own is read instead.
      - Without an architecture the check V(gpu_fit) does not apply.
    type: dict
    default: {}
  load:
    description: The load of the benchmark.
    type: dict
    suboptions:
      requests:
        description: How many requests run at a time.
        type: int
        required: true
      tokens:
        description: Tokens of each, input and output.
        type: int
        required: true
  nodes:
    description: How many hosts such as this the server runs across.
    type: int
    default: 1
  disk_reserve_gb:
    description: Free space to keep on each disk, in GB.
    type: float
    default: 0
  models:
    description: The models, to find out what the cache already holds.
    type: list
    elements: dict
    default: []
    suboptions:
      repo:
        description: The repository.
        type: str
        required: true
      revision:
        description: Branch, tag or commit.
        type: str
        default: main
  hf_home:
    description: The folder of the Hugging Face cache.
    type: path
  hub:
    description: Address of the hub that has the models. Contacted only if something is missing in the cache.
    type: str
  hub_token:
    description: Token for the hub.
    type: str
  image:
    description: The image. Its registry is contacted only if the image is not on the host.
    type: str
  image_pip:
    description: Pinned Python packages that come on top of O(image). Unless that is built, pip asks its index for them.
    type: list
    elements: str
    default: []
  image_alternatives:
    description: Other images for the same deployment. They are named where the image or the driver does not fit.
    type: list
    elements: dict
    default: []
    suboptions:
      tag:
        description: The tag.
        type: str
        required: true
      driver_min:
        description: The minimum version of the driver, in place of O(driver_min) if O(image) has this tag.
        type: str
      note:
        description: What differs, in words.
        type: str
  cuda_compatibility:
    description: Whether the server uses the CUDA libraries of its image with an older driver.
    type: bool
    default: false
  containers:
    description: Containers of our own servers. Their ports and their processes on the GPUs do not count as occupied.
    type: list
    elements: str
    default: [vllm]
  docker_data_root:
    description: The folder in which the engine will store images. By default the current one.
    type: path
  driver_repository:
    description: Address of the repository that has NVIDIA's driver. Contacted only if the driver will be installed.
    type: str
  toolkit_repository:
    description: Address of the repository that has the container toolkit. Contacted only if there is no toolkit.
    type: str
  ports:
    description: The ports of the host that will be published.
    type: list
    elements: int
    default: []
  bind_address:
    description: The address on which they will be published.
    type: str
    default: 127.0.0.1
  controller_time:
    description: The controller's time, in seconds since 1970, to check the host's clock.
    type: float
  warn:
    description: Names of checks that only warn.
    type: list
    elements: str
    default: []
extends_documentation_fragment: [hgx.inference._attributes.info]
"""

EXAMPLES = r"""
- name: Check that this host can serve the model
  hgx.inference.preflight:
    gpu_count: 8
    gpu_name: B200
    driver_min: "580"
    fabric: true
    weights_gb: 610
    models:
      - repo: moonshotai/Kimi-K2.6
    hf_home: /home/ubuntu/.cache/huggingface
    ports: [8001]
    warn: [gpu_clocks, persistence]
  register: preflight
  failed_when: preflight.unmet | length > 0
"""

RETURN = r"""
msg:
  description: One line, and for every check in RV(unmet) what is needed, what was found and what to do.
  returned: always
  type: str
unmet:
  description: Names of the checks that found an unmet requirement, without those that only warn.
  returned: always
  type: list
  elements: str
checks:
  description: The outcome of each check, in the order in which they are shown.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check, as in O(warn).
      type: str
    status:
      description: V(ok), V(fail), V(warn), or V(skip) where the check does not apply.
      type: str
    need:
      description: What is needed.
      type: str
    found:
      description: What was found.
      type: str
    fix:
      description: What to do; empty if nothing.
      type: str
"""

import difflib
from dataclasses import fields
from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.finding import Finding, render
from ..module_utils._model.fit import Demand
from ..module_utils._preflight.facts import Alternative, Needs
from ..module_utils._preflight.host import Places, look
from ..module_utils._preflight.judge import CHECKS, judge


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "gpu_count": {"type": "int", "default": 0},
            "gpu_name": {"type": "str"},
            "gpu_memory_gib": {"type": "float"},
            "driver_min": {"type": "str"},
            "install_driver": {"type": "bool", "default": False},
            "fabric": {"type": "bool", "default": False},
            "memory_gib": {"type": "float"},
            "shm_gib": {"type": "float"},
            "weights_gb": {"type": "float"},
            "image_gb": {"type": "float"},
            "nodes": {"type": "int", "default": 1},
            "disk_reserve_gb": {"type": "float", "default": 0},
            "engine_args": {"type": "dict", "default": {}},
            "architecture": {"type": "dict", "default": {}},
            "load": {
                "type": "dict",
                "options": {
                    "requests": {"type": "int", "required": True},
                    "tokens": {"type": "int", "required": True, "no_log": False},
                },
            },
            "models": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "repo": {"type": "str", "required": True},
                    "revision": {"type": "str", "default": "main"},
                },
            },
            "hf_home": {"type": "path"},
            "hub": {"type": "str"},
            "hub_token": {"type": "str", "no_log": True},
            "image": {"type": "str"},
            "image_pip": {"type": "list", "elements": "str", "default": []},
            "image_alternatives": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "tag": {"type": "str", "required": True},
                    "driver_min": {"type": "str"},
                    "note": {"type": "str"},
                },
            },
            "cuda_compatibility": {"type": "bool", "default": False},
            "containers": {"type": "list", "elements": "str", "default": ["vllm"]},
            "docker_data_root": {"type": "path"},
            "driver_repository": {"type": "str"},
            "toolkit_repository": {"type": "str"},
            "ports": {"type": "list", "elements": "int", "default": []},
            "bind_address": {"type": "str", "default": "127.0.0.1"},
            "controller_time": {"type": "float"},
            "warn": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    params: dict[str, Any] = {name: value for name, value in module.params.items() if value is not None}
    for name in params["warn"]:
        if name not in CHECKS:
            near = difflib.get_close_matches(name, CHECKS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(CHECKS)}."
            module.fail_json(msg=f"There is no check named {name!r}; {hint}")
    alternatives = tuple(
        Alternative(**{key: value or "" for key, value in other.items()}) for other in params["image_alternatives"]
    )
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in params.items()}
    needs = Needs(
        alternatives=alternatives,
        demand=_demand(params),
        **{field.name: given[field.name] for field in fields(Needs) if field.name in given},
    )
    places = Places(
        models=tuple((model["repo"], model["revision"]) for model in params["models"]),
        **{field.name: given[field.name] for field in fields(Places) if field.name in given and field.name != "models"},
    )
    findings = judge(needs, look(needs, places))
    _report(module, findings, params["warn"])


def _demand(params: dict[str, Any]) -> Demand | None:
    """Return what the server needs GPUs for, or None if the load is unknown."""
    load = params.get("load")
    if not load:
        return None
    return Demand(
        params["architecture"], params["engine_args"], load["requests"], load["tokens"], nodes=params["nodes"]
    )


def _report(module: Module, findings: dict[str, Finding | None], only_warn: list[str]) -> None:
    """Warn, and exit with the outcome."""
    unmet = {name: finding for name, finding in findings.items() if finding and not finding.ok}
    warned = {name: finding for name, finding in unmet.items() if name in only_warn or not finding.certain}
    failed = {name: finding for name, finding in unmet.items() if name not in warned}
    checks = [
        {
            "name": name,
            "status": _status(finding, name in warned),
            "need": finding.need if finding else "",
            "found": finding.found if finding else "",
            "fix": finding.fix if finding and not finding.ok else "",
        }
        for name, finding in findings.items()
    ]
    for name, finding in warned.items():
        module.warn(f"preflight {name}: needs {finding.need}; found {finding.found}. {finding.fix}")
    done = sum(finding is not None for finding in findings.values())
    text = f"{done - len(warned)} of {done} requirements are met."
    if failed:
        text = f"{len(failed)} of {done} requirements are not met; nothing was changed.\n{render(failed)}"
    module.exit_json(changed=False, msg=text, unmet=list(failed), checks=checks)


def _status(finding: Finding | None, only_warn: bool) -> str:
    if finding is None:
        return "skip"
    if finding.ok:
        return "ok"
    return "warn" if only_warn else "fail"


if __name__ == "__main__":
    main()
