#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(vllm_precheck)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_precheck
short_description: Check that a vLLM server can start, before the old one is stopped
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Parses the command line with the vLLM of the image, in a temporary container. vLLM then makes its configuration of
    the options and the model's files, which refuses for instance a context that is longer than the model's. No model is
    loaded.
  - Checks that the weights are complete and unchanged since they were verified, that there is enough memory, that the
    port is free, and that endpoint, secrets and remote code are safe.
  - The command line of a release that is recorded has been checked before. It is only checked again while the server
    serves, and not while users wait.
  - Fails with all problems at once. Problems that only appear while a model is loaded are not found.
options:
  container:
    description: Name of the container to be replaced, if it runs.
    type: str
    required: true
  record:
    description: The release's record, as M(hgx.inference.vllm_release) returns it.
    type: dict
    required: true
  cache_home:
    description: The Hugging Face cache on the target.
    type: path
    required: true
  has_key:
    description: Whether the server asks for an API key.
    type: bool
    required: true
  memory_gib:
    description: Memory that must be available, including what the running server holds.
    type: float
    default: 0
  recorded:
    description: Whether O(record) is the record of a release that was deployed on this host before.
    type: bool
    default: false
  versions:
    description:
      - Range of the versions of vLLM with which the recipe is known to work, such as V(>=0.19,<0.20).
      - An image with another version is a warning. It is served, because it may work as well.
    type: str
    default: ""
  planned:
    description: What is not on the host yet in check mode, because the real run would fetch it. It is not checked.
    type: list
    elements: str
    choices: [image, weights]
    default: []
extends_documentation_fragment: [hgx.inference._attributes.info]
"""

EXAMPLES = r"""
- name: Check before the server is replaced
  hgx.inference.vllm_precheck:
    container: vllm
    record: "{{ planned.record }}"
    cache_home: /var/lib/huggingface
    has_key: false
    versions: ">=0.19,<0.20"
"""

RETURN = r"""
checked:
  description:
    - V(false) if the command line was not parsed, because the image is only planned or keeps its parser in an unknown
      place, or because the release is recorded and nothing serves.
    - A warning says the second.
  returned: success
  type: bool
version:
  description: Version of the image's vLLM. It is empty if O(planned) contains the image.
  returned: success
  type: str
  sample: 0.19.1
"""

import os
import re
from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.files import free_bytes, read_text
from ..module_utils._docker.cli import DockerError, inspect_container, own_pids, run_docker
from ..module_utils._hf.cache import CacheError
from ..module_utils._preflight.host import port_trouble
from ..module_utils._vllm import precheck
from ..module_utils._vllm.args_check import Reading, read_args
from ..module_utils._vllm.container import cache_folder, healthy, image_source
from ..module_utils._vllm.gpus import full_gpus, full_words, read_gpus
from ..module_utils._vllm.release import SPEC_DEFAULTS, observed, secret_problems
from ..module_utils._vllm.spec import endpoint
from ..module_utils._vllm.versions import is_within

ARGS_TIMEOUT_S = 300.0
_CHECKED_BEFORE = "the command line was checked when the release was recorded"


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "container": {"type": "str", "required": True},
            "record": {"type": "dict", "required": True},
            "cache_home": {"type": "path", "required": True},
            "has_key": {"type": "bool", "required": True, "no_log": False},
            "memory_gib": {"type": "float", "default": 0},
            "recorded": {"type": "bool", "default": False},
            "versions": {"type": "str", "default": ""},
            "planned": {"type": "list", "elements": "str", "choices": ["image", "weights"], "default": []},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        if not module.check_mode:
            _make_caches(params["record"]["container"]["mounts"])
        reading = _read(params)
        problems = [*reading.problems, *_problems(params)]
    except (DockerError, CacheError, OSError) as exc:
        module.fail_json(msg=str(exc))
    unproven = "" if is_within(reading.version, params["versions"]) else _unproven(params, reading.version)
    if problems:
        listed = "\n".join("  - " + problem.replace("\n", "\n    ") for problem in problems)
        module.fail_json(
            msg=f"Nothing was stopped or started, because a server cannot run as wanted:\n{listed}{unproven}"
        )
    if reading.unchecked not in ("", _CHECKED_BEFORE) and "image" not in params["planned"]:
        module.warn(
            f"The image's vLLM keeps its parser in an unknown place, no option was checked: {reading.unchecked}"
        )
    for warning in (unproven.strip(), precheck.synthetic(params["record"]["container"]["server"]["args"])):
        if warning:
            module.warn(warning)
    module.exit_json(changed=False, checked=not reading.unchecked, version=reading.version)


def _unproven(params: dict[str, Any], version: str) -> str:
    image = params["record"]["container"]["image"]
    return (
        f"\nThe image {image} has vLLM {version}, and the recipe is known to work with {params['versions']}"
        " (image.vllm). Its options, pins and figures may not fit. To serve a version of the range, set vllm_image_tag."
    )


def _make_caches(mounts: list[str]) -> None:
    """Create the folders that the server writes to: what vLLM finds out of the model is not found out again there."""
    for mount in mounts:
        source, _colon, rest = mount.partition(":")
        if rest.endswith(":rw"):
            os.makedirs(source, mode=0o755, exist_ok=True)


def _read(params: dict[str, Any]) -> Reading:
    record = params["record"]
    if "image" in params["planned"]:
        return Reading([], "the image is only planned")
    name = image_source(record)
    if name is not None and params["recorded"] and not _serves(params["container"]):
        return Reading([], _CHECKED_BEFORE)
    if name is None:
        words = (
            f"The image {record['container']['image']} is not on this host. Run playbooks/serve.yml with the settings"
            " of that release, which brings it."
        )
        return Reading([words], "there is no image")
    spec, with_model = record["container"], "weights" not in params["planned"]
    return read_args(name, spec, with_model, ARGS_TIMEOUT_S, cache_folder(name, spec))


def _problems(params: dict[str, Any]) -> list[str]:
    record = params["record"]
    spec, server = record["container"], record["container"]["server"]
    container = inspect_container(params["container"])
    running = container if container and container["State"]["Running"] else None
    held = _held_bytes(params["container"]) if running else 0
    models = {**dict.fromkeys(precheck.repositories(server["args"]), ""), **record["commits"]}
    planned = "weights" in params["planned"]
    problems = [
        *secret_problems(spec),
        *([] if planned else precheck.remote_code(server["args"])),
        *([] if planned else precheck.weights(params["cache_home"], models)),
        *precheck.memory(params["memory_gib"], _available_bytes(), held),
        *precheck.shared_memory(spec["shm_gib"], free_bytes("/dev/shm"), spec["ipc"]),
        *(_full_gpus(spec, str((container or {}).get("Id", ""))) if spec["gpus"] else []),
    ]
    for published in server["published"]:
        address, number = published["address"], published["port"]
        trouble = port_trouble(address, number, running)
        problems += [*precheck.open_endpoint(address, params["has_key"]), *precheck.port(address, number, trouble)]
    return problems


def _full_gpus(spec: dict[str, Any], container_id: str) -> list[str]:
    """Only processes of others count: what a server has left is freed by the time that the next one starts."""
    gpus = read_gpus()
    pids = {process["pid"] for gpu in gpus for process in gpu["processes"]}
    taken = full_gpus(gpus, own_pids(container_id, pids), spec, only_processes=True)
    return [f"The GPUs have no room for the server. {full_words(taken, spec)}"] if taken else []


def _serves(name: str) -> bool:
    container = inspect_container(name)
    if container is None or not container["State"]["Running"]:
        return False
    return healthy(endpoint(observed(container, [], SPEC_DEFAULTS)["server"])["base_url"])


def _available_bytes() -> int:
    return _kib("/proc/meminfo", "MemAvailable") * 1024


def _held_bytes(container: str) -> int:
    """Return the private memory of a container's processes."""
    pids = [word for word in run_docker(["top", container, "-eo", "pid"]).stdout.split() if word.isdigit()]
    return sum(_kib(os.path.join("/proc", pid, "status"), "RssAnon") for pid in pids) * 1024


def _kib(path: str, field: str) -> int:
    found = re.search(rf"^{field}:\s*(\d+)", read_text(path), re.MULTILINE)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    main()
