#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(vllm_status)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_status
short_description: Return the status of a vLLM server
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Reports what runs, since when, who deployed it, its verdict, and where container, record and settings differ.
  - Also works if nothing is deployed or the engine is down.
options:
  container:
    description: Name of the server's container.
    type: str
    required: true
  state_dir:
    description: Folder on the target that holds the releases.
    type: path
    required: true
  spec:
    description: The configured specification, as for M(hgx.inference.vllm_release).
    type: dict
    required: true
  node:
    description: C(launched_at) and C(price_usd_per_hour) of a rented machine.
    type: dict
    default: {}
  span:
    description: Which rank of a server across hosts the container is, as for M(hgx.inference.vllm_supervisor).
    type: dict
    default: {}
extends_documentation_fragment: [hgx.inference._attributes.info]
"""

EXAMPLES = r"""
- name: Get the status of the server
  hgx.inference.vllm_status:
    container: vllm
    state_dir: /var/lib/hgx-inference/vllm
    spec: {image: "vllm/vllm-openai:v0.20.2", command: [vllm, serve, moonshotai/Kimi-K2.6]}
"""

RETURN = r"""
text:
  description: The whole status as lines of text.
  returned: success
  type: list
  elements: str
healthy:
  description: Whether the server reports that it is healthy.
  returned: success
  type: bool
record:
  description: The record of the current release; empty if there is none.
  returned: success
  type: dict
cause:
  description: Why a server that is down has ended, according to its log.
  returned: success
  type: list
  elements: str
kept_log:
  description: Where M(hgx.inference.vllm_container) keeps the server's log when it replaces the container; empty if
    there is no container.
  returned: success
  type: str
last_good:
  description: The newest release that passed; empty if there is none.
  returned: success
  type: str
trial:
  description: Name of the variant that an interrupted or running sweep runs instead of the current release; empty
    otherwise.
  returned: success
  type: str
drift:
  description: Where container, record and settings differ.
  returned: success
  type: list
  elements: str
service:
  description: The state of the service that keeps the server running, with what its C(watch) has seen; empty without
    systemd.
  returned: success
  type: dict
gpus:
  description: If the container requests GPUs, how many are C(wanted), which is all of the host unless there is a
    C(set), and the C(problem) if the container sees another number.
  returned: success
  type: dict
  sample: {wanted: 8, set: "", lost: false, problem: ""}
"""

import os
import time
from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.process import run
from ..module_utils._core.secrets import SecretError
from ..module_utils._docker.cli import DockerError, inspect_container, inspect_image, run_docker
from ..module_utils._nvidia.gpu_probe import list_gpus
from ..module_utils._nvidia.gpu_request import gpu_names
from ..module_utils._vllm import release, status
from ..module_utils._vllm.container import healthy
from ..module_utils._vllm.ended import kept_log, why_ended
from ..module_utils._vllm.key import key_file, read_key
from ..module_utils._vllm.log.watch import start_words
from ..module_utils._vllm.spec import endpoint
from ..module_utils._vllm.store import CURRENT, LAST_GOOD, Store, StoreError
from ..module_utils._vllm.supervisor import Service


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "container": {"type": "str", "required": True},
            "state_dir": {"type": "path", "required": True},
            "spec": {"type": "dict", "required": True},
            "node": {"type": "dict", "default": {}},
            "span": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    try:
        found = look(module.params)
    except SecretError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, **found, text=status.render(found, time.time()))


def look(params: dict[str, Any]) -> dict[str, Any]:
    """Return the status of the server, in any state of the host."""
    found: dict[str, Any] = {
        "container": params["container"],
        "problem": "",
        "exists": False,
        "state": {},
        "healthy": False,
        "phase": "",
        "cause": [],
        "kept_log": "",
        "trial": "",
        "drift": [],
        "gpus": {"wanted": 0, "set": "", "lost": False, "problem": ""},
        "node": params["node"],
        "span": params["span"],
        **_recorded(params["state_dir"]),
        **_key(params["state_dir"]),
    }
    service = Service(params["container"], params["state_dir"])
    found["service"] = {"unit": service.unit, **service.state()} if service.possible else {}
    wanted = release.normalize(params["spec"])
    found.update(endpoint(wanted["server"]))
    try:
        container = inspect_container(params["container"])
        if container is not None:
            found.update(_running(container, found, wanted, params["state_dir"]))
    except DockerError as exc:
        found["problem"] = f"UNKNOWN, the engine does not answer: {exc}"
    return found


def _recorded(state_dir: str) -> dict[str, Any]:
    store = Store(state_dir)
    current = store.pointed(CURRENT)
    try:
        record = store.read(current) if current else {}
    except StoreError:
        record = {}
    result = (store.result(current) if current else None) or {}
    verdict = {key: result[key] for key in ("verdict", "finished_at") if key in result}
    return {"record": record, "last_good": store.pointed(LAST_GOOD) or "", "verdict": verdict}


def _key(state_dir: str) -> dict[str, str]:
    path = key_file(state_dir)
    mode = f"{os.stat(path).st_mode & 0o7777:04o}" if os.path.exists(path) and read_key(state_dir) else ""
    return {"key_file": path, "key_mode": mode}


def _running(
    container: dict[str, Any], found: dict[str, Any], wanted: dict[str, Any], state_dir: str
) -> dict[str, Any]:
    """Return the part of the status that an existing container adds. Raises DockerError and SecretError."""
    name, state, record = found["container"], container["State"], found["record"]
    image = inspect_image(container["Image"])
    environment = (image or {}).get("Config", {}).get("Env") or []
    recorded = release.normalize(record["container"]) if record else None
    image_id = record["image"]["id"] if record else None
    real = release.observed(container, environment, recorded or wanted, image_id)
    plan = release.plan(wanted, None, container, environment, recorded=True)
    serving = bool(state["Running"] and healthy(endpoint(real["server"])["base_url"]))
    return {
        "exists": True,
        "state": state,
        **endpoint(real["server"]),
        "healthy": serving,
        "phase": "" if serving or not state["Running"] else start_words(name, state["StartedAt"]),
        "cause": why_ended(name, container, state_dir),
        "kept_log": kept_log(state_dir, container),
        "trial": release.left_by_trial(container, record.get("id", "")),
        "drift": status.drift(_lines(recorded), _lines(real), plan),
        "gpus": _gpus(name, real["gpu_set"]) if real["gpus"] and state["Running"] else found["gpus"],
    }


def _lines(spec: dict[str, Any] | None) -> list[str] | None:
    return release.shown(release.describe(spec)) if spec else None


def _gpus(name: str, gpu_set: str) -> dict[str, Any]:
    wanted = gpu_set.split(",") if gpu_set else gpu_names(run(["nvidia-smi", "-L"], 60).output)
    inside = list_gpus(lambda program: run_docker(["exec", name, program, "-L"], merge=True))
    seen = len(gpu_names(inside.stdout)) if inside.rc == 0 else None
    problem = status.gpu_problem(len(wanted), gpu_set, seen, inside.stdout)
    return {"wanted": len(wanted), "set": gpu_set, "lost": bool(problem), "problem": problem}


if __name__ == "__main__":
    main()
