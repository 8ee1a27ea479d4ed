#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(span_collective)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: span_collective
short_description: Measure an all-reduce across the nodes of one server, by the libraries of its image
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Runs the PyTorch of the image in a temporary container with the network, the GPUs and the environment of the server.
    It must run on all nodes at once. The container ends by itself and is removed.
  - An image without PyTorch, or one that fails, is told in RV(error), and not by a failure of the task.
options:
  name:
    description: Name of the temporary container. One of this name that an interrupted run has left is removed first.
    type: str
    required: true
  spec:
    description: The specification of the server's container, see O(hgx.inference.vllm_release#module:spec).
    type: dict
    required: true
  rank:
    description: Rank of this host.
    type: int
    required: true
  nodes:
    description: How many nodes there are.
    type: int
    required: true
  gpus:
    description: GPUs of the server on each node. Without GPUs it is measured on CPUs.
    type: int
    default: 0
  head:
    description: Address of the head.
    type: str
    required: true
  port:
    description: Port of the head at which the nodes meet.
    type: int
    required: true
  timeout:
    description: How long it may take, in seconds. Half of it is for the nodes to come.
    type: int
    default: 240
attributes:
  check_mode:
    support: full
    details: Starts no container then.
  diff_mode:
    support: N/A
    details: Changes nothing.
  idempotent:
    support: full
    details: Changes nothing.
extends_documentation_fragment: [hgx.inference._attributes]
"""

EXAMPLES = r"""
- name: Measure the all-reduce across the nodes
  hgx.inference.span_collective:
    name: vllm-collective
    spec: "{{ record.container }}"
    rank: "{{ vllm_span.rank }}"
    nodes: "{{ vllm_span.nodes }}"
    head: "{{ vllm_span.head_address }}"
    port: "{{ vllm_span.port }}"
"""

RETURN = r"""
bus_bytes_per_s:
  description:
    - Bus bandwidth in bytes per second, as NCCL defines it. It is 2 (n - 1) / n times the bytes of the tensor, divided
      by the seconds of one all-reduce of n processes. V(null) except on the head.
  returned: success
  type: float
processes:
  description: How many processes took part. V(0) except on the head.
  returned: success
  type: int
missing:
  description: Ranks of the nodes that did not come.
  returned: success
  type: list
  elements: int
error:
  description: What failed, or an empty text.
  returned: success
  type: str
"""

import json
from contextlib import suppress
from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.units import GIB
from ..module_utils._docker.cli import WORKER_PROGRAM, Completed, DockerError, run_docker, worker_job
from ..module_utils._nvidia.gpu_request import request_words
from ..module_utils._programs import collective
from ..module_utils._vllm.release import device_words

# Large enough to be limited by the network, and a few seconds of it at most.
_CPU = {"backend": "gloo", "bytes": 16 << 20, "rounds": 5}
_GPU = {"backend": "nccl", "bytes": 256 << 20, "rounds": 10}
# For the container itself: an engine may copy the whole image.
_START_S = 400
_LINES = 5


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "name": {"type": "str", "required": True},
            "spec": {"type": "dict", "required": True},
            "rank": {"type": "int", "required": True},
            "nodes": {"type": "int", "required": True},
            "gpus": {"type": "int", "default": 0},
            "head": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "timeout": {"type": "int", "default": 240},
        },
        supports_check_mode=True,
    )
    answer = {} if module.check_mode else _run(module.params)
    seconds, world = answer.get("seconds"), answer.get("world", 0)
    moved = 2 * (world - 1) / world * answer["bytes"] * answer["rounds"] if world else 0
    module.exit_json(
        changed=False,
        bus_bytes_per_s=moved / seconds if seconds else None,
        processes=world,
        missing=answer.get("missing", []),
        error=answer.get("error", ""),
    )


def _run(params: dict[str, Any]) -> dict[str, Any]:
    """Return what the program says, or C({error})."""
    load = _GPU if params["gpus"] else _CPU
    job = worker_job(
        collective,
        **load,
        rank=params["rank"],
        nodes=params["nodes"],
        processes=max(1, params["gpus"]),
        head=params["head"],
        port=params["port"],
        timeout_s=params["timeout"],
    )
    try:
        _remove(params["name"])
        done = run_docker(run_words(params["name"], params["spec"]), params["timeout"] + _START_S, stdin=job)
    except DockerError as exc:
        return {"error": str(exc)}
    finally:
        with suppress(DockerError):
            _remove(params["name"])
    return read_answer(done)


def run_words(name: str, spec: dict[str, Any]) -> list[str]:
    """Return the words after C(docker) that run the program with what the server has for its own traffic."""
    words = ["run", "--rm", "--interactive", "--pull", "never", "--name", name, "--network", "host"]
    words += ["--security-opt", "no-new-privileges", "--cap-drop", "ALL", "--pids-limit", str(spec["pids_limit"] or -1)]
    words += [word for key, value in spec["env"].items() for word in ("--env", f"{key}={value}")]
    words += ["--env", "OMP_NUM_THREADS=1"]
    words += [*device_words(spec), *request_words(spec["gpus"], spec["gpu_set"])]
    words += ["--ipc", spec["ipc"]] if spec["ipc"] else []
    words += ["--shm-size", str(int(spec["shm_gib"] * GIB))] if spec["shm_gib"] and spec["ipc"] != "host" else []
    return [*words, "--entrypoint", "python3", spec["image"], "-c", WORKER_PROGRAM]


def read_answer(done: Completed) -> dict[str, Any]:
    """Return what the processes say: the first failure, if any. Several print a line each."""
    answers: list[dict[str, Any]] = []
    for line in done.stdout.splitlines():
        with suppress(ValueError):
            answers += [json.loads(line)] if line.startswith("{") else []
    failures = [answer for answer in answers if "missing" in answer or "error" in answer]
    if failures:
        return failures[0]
    if done.rc != 0:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return {"error": f"it ended with exit code {done.rc}: {' / '.join(said[-_LINES:])}"}
    return answers[0] if answers else {}


def _remove(name: str) -> None:
    run_docker(["rm", "--force", "--volumes", name])


if __name__ == "__main__":
    main()
