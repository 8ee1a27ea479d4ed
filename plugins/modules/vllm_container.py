#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(vllm_container)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_container
short_description: Start, replace or remove the container of a vLLM server
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Carries out the action that M(hgx.inference.vllm_release) has found necessary.
  - A release whose address others can reach gets its key guard, which is written again if it is missing.
  - The new container is created before the old one is stopped, unless it has been created already by
    O(state=created). The old server is drained first, and the new one starts
    when the GPU memory of the old one is free. It is not started on GPUs whose memory others hold.
  - Keeps the newest part of the old server's log with its release, without secrets, since Docker removes the log with
    the container.
  - The server may have as many open files as vLLM asks for. Warns if the engine cannot give them.
options:
  name:
    description: Name of the container.
    type: str
    required: true
  state:
    description:
      - V(started) ensures that the container runs the release. A running one is replaced only if O(replace=true).
      - V(created) creates the next container of the release beside the one that runs, and starts and stops nothing.
        So what is wrong with it shows before anything is recorded or stopped. V(started) then takes this container.
      - V(stopped) drains and stops it, and it stays down until V(started).
      - V(absent) stops and removes it.
    type: str
    choices: [started, created, stopped, absent]
    default: started
  state_dir:
    description:
      - Folder on the target that holds the API key, the server's caches, and the lock against concurrent runs.
      - Required unless O(state=absent).
    type: path
  record:
    description:
      - The release's record, as M(hgx.inference.vllm_release) returns it.
      - Required if O(state=started) or O(state=created).
    type: dict
  replace:
    description: Whether a running container is replaced.
    type: bool
    default: false
  api_key:
    description:
      - The API key of the server. It is stored in a file that only root can read.
      - If it is empty, an existing key of the host is kept.
    type: str
    default: ""
  api_key_generate:
    description: Whether the host generates a key if O(api_key) is empty and the host has none.
    type: bool
    default: false
  drain_timeout:
    description: How long running requests may take to end before the server is stopped, in seconds.
    type: int
    default: 60
  cache_gib:
    description:
      - How much of the disk the folders may take where servers keep what they compile and tune, in GiB. Each image,
        kind of GPU and driver has a folder in C(cache) below O(state_dir).
      - What was used last stays; the rest is removed when the server is replaced.
    type: float
    default: 50
extends_documentation_fragment: [hgx.inference._attributes, hgx.inference._progress, hgx.inference._progress.at_once]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: M(hgx.inference.vllm_release) shows the differences.
  idempotent:
    support: partial
    details: With O(replace=true), a running container is always replaced.
"""

EXAMPLES = r"""
- name: Run the release
  hgx.inference.vllm_container:
    name: vllm
    state_dir: /var/lib/hgx-inference/vllm
    record: "{{ planned.record }}"
    replace: "{{ planned.action == 'replace' }}"
"""

RETURN = r"""
at_fault:
  description: Whether the old server was stopped and the new one does not start. The release is to be rolled back then.
  returned: failure
  type: bool
  sample: false
cut_off:
  description: Requests that were still running when the server was stopped.
  returned: success, and not in check mode
  type: int
  sample: 0
kept_log:
  description: File with the log of the server that was replaced. Empty if there was none.
  returned: when a server was started
  type: str
  sample: /var/lib/hgx-inference/vllm/releases/1f2e3d4c5b6a/ended.log
downtime:
  description: Time from the old server's stop to the start of the new one's process, in seconds.
  returned: when a server was replaced
  type: float
  sample: 3.2
"""

import os
import shutil
import time
from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.progress import ProgressFile
from ..module_utils._core.secrets import SecretError
from ..module_utils._core.units import GIB
from ..module_utils._docker.cli import DockerError, inspect_container
from ..module_utils._vllm import container as _vllm_container
from ..module_utils._vllm.caches import make_room
from ..module_utils._vllm.container import image_source
from ..module_utils._vllm.ended import keep_log, read_log
from ..module_utils._vllm.gpus import require_room
from ..module_utils._vllm.key import key_file, stage_key, use_staged_key, wants_key
from ..module_utils._vllm.store import CURRENT, Store, StoreError
from ..module_utils._vllm.supervisor import Service

LATER: dict[str, Any] = {"changed": False, "later": True}


class StartError(DockerError):
    """The new server does not start, and the old one is stopped."""


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "created", "stopped", "absent"], "default": "started"},
            "state_dir": {"type": "path"},
            "record": {"type": "dict"},
            "replace": {"type": "bool", "default": False},
            "api_key": {"type": "str", "default": "", "no_log": True},
            "api_key_generate": {"type": "bool", "default": False, "no_log": False},
            "drain_timeout": {"type": "int", "default": 60},
            "cache_gib": {"type": "float", "default": 50},
            "progress_file": {"type": "path"},
            "at_once": {"type": "bool", "default": False},
        },
        required_if=[
            ("state", "started", ["state_dir", "record"]),
            ("state", "created", ["state_dir", "record"]),
            ("state", "stopped", ["state_dir"]),
        ],
        supports_check_mode=True,
    )
    try:
        if module.params["state"] == "absent":
            module.exit_json(**_absent(module.params, module.check_mode))
        if module.params["state"] == "stopped":
            module.exit_json(**_stopped(module.params, module.check_mode))
        created = module.params["state"] == "created"
        result = (_created if created else _started)(module.params, module.check_mode)
        if warning := result.pop("warning", ""):
            module.warn(warning)
        module.exit_json(**result)
    except _vllm_container.Busy:
        module.exit_json(**LATER)
    except (DockerError, SecretError, OSError, StoreError) as exc:
        # Only a start that fails is the release's fault.
        module.fail_json(msg=str(exc), at_fault=isinstance(exc, StartError))


def _absent(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    if shutil.which("docker") is None:
        return {"changed": False, "cut_off": 0}
    if check_mode:
        return {"changed": inspect_container(params["name"]) is not None}
    progress = ProgressFile(params["progress_file"])
    cut_off = _vllm_container.stop(params["name"], params["drain_timeout"], progress)
    return {"changed": _vllm_container.remove(params["name"]), "cut_off": cut_off}


def _stopped(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Drain and stop the container, without anybody starting it again before a play does."""
    container = inspect_container(params["name"])
    if container is None or not container["State"]["Running"] or check_mode:
        return {"changed": bool(container and container["State"]["Running"]), "cut_off": 0}
    Service(params["name"], params["state_dir"]).pause()
    cut_off = _vllm_container.stop(params["name"], params["drain_timeout"], ProgressFile(params["progress_file"]))
    return {"changed": True, "cut_off": cut_off}


def _started(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    name, record = params["name"], params["record"]
    if check_mode:
        container = inspect_container(name)
        return {"changed": params["replace"] or container is None or not container["State"]["Running"]}
    progress = ProgressFile(params["progress_file"])
    # The module of an interrupted play continues; the next play finds the work done.
    with _vllm_container.only_one(params["state_dir"], progress, wait=not params["at_once"]) as waited:
        current = Store(params["state_dir"]).pointed(CURRENT)
        if current not in (None, record["id"]) and not record.get("trial"):
            raise StoreError(f"Release {current} was deployed meanwhile, so {record['id']} is not started.")
        changed = _vllm_container.provide_guard(params["state_dir"], record["container"]["mounts"])
        container = inspect_container(name)
        running = container if container and container["State"]["Running"] else None
        if running and (not params["replace"] or (waited and _vllm_container.runs(running, record["id"]))):
            return {"changed": changed, "cut_off": 0}
        return LATER if params["at_once"] else _replaced(params, running is not None, progress)


def _created(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    if check_mode:
        return {"changed": True}
    with _vllm_container.only_one(params["state_dir"], ProgressFile(params["progress_file"])):
        return {"changed": True, "warning": _prepare(params, again=True)[1]}


def _prepare(params: dict[str, Any], again: bool = False) -> tuple[str, str]:
    """Create the next container if it is not there; return the folder of its caches and a warning, or nothing."""
    name, record = params["name"], params["record"]
    image = image_source(record)
    if image is None:
        raise DockerError(f"The image {record['container']['image']} is not on this host; nothing was stopped.")
    # Docker would create them with other modes.
    os.makedirs(os.path.join(params["state_dir"], "cache"), mode=0o755, exist_ok=True)
    os.makedirs(os.path.dirname(key_file(params["state_dir"])), mode=0o700, exist_ok=True)
    cache_folder = _vllm_container.cache_folder(image, record["container"])
    if not again and _vllm_container.is_prepared(name, record["id"]):
        return cache_folder, ""
    return cache_folder, _vllm_container.prepare(name, record, image, wants_key(params), cache_folder)


def _replaced(params: dict[str, Any], running: bool, progress: ProgressFile) -> dict[str, Any]:
    name, record = params["name"], params["record"]
    cache_folder, warning = _prepare(params)
    # A full disk shows here, and not once the server is stopped.
    new_key = stage_key(params)
    service = Service(name, params["state_dir"])
    service.pause()
    cut_off = _vllm_container.stop(name, params["drain_timeout"], progress)
    stopped_at = time.monotonic()
    old = inspect_container(name)
    log = read_log(name, old) if old else []
    if old:
        _vllm_container.remove_shared_memory(old)
    service.reload()
    require_room(record["container"], progress)
    make_room(os.path.join(params["state_dir"], "cache"), cache_folder, params["cache_gib"] * GIB)
    if new_key:
        use_staged_key(params["state_dir"])
    try:
        _vllm_container.switch(name)
    except DockerError as exc:
        raise StartError(str(exc)) from exc
    result: dict[str, Any] = {"changed": True, "cut_off": cut_off, "warning": warning}
    if running:
        result["downtime"] = round(time.monotonic() - stopped_at, 1)
    return {**result, "kept_log": keep_log(params["state_dir"], old, log) if old and log else ""}


if __name__ == "__main__":
    main()
