#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(vllm_release)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_release
short_description: Record the release of a vLLM server and compare it with the running container
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - A release is everything that a server runs with, such as image, command line, environment, mounts and commits of the
    weights. Its ID is derived from these, so the same configuration is the same release.
  - Compares a release with the real container, and returns the necessary action and its reasons.
    M(hgx.inference.vllm_container) carries it out.
  - Records the release on the host atomically, before a server is changed. To start or replace the server of a release
    that is the current one already counts as no change here.
seealso:
  - module: hgx.inference.vllm_release_info
options:
  state_dir:
    description: Folder on the target that holds the releases, the API key and the server's caches.
    type: path
    required: true
  state:
    description:
      - V(recorded) ensures that the release is recorded and is the current one.
      - V(promoted) ensures that the current release is the last good one, and stores O(result) with it.
      - V(settled) ends the deployment that O(run) has announced.
    type: str
    choices: [recorded, promoted, settled]
    default: recorded
  container:
    description:
      - Name of the server's container. Required if O(state=recorded).
      - With O(state=promoted), the module fails if it does not run the current release.
    type: str
  spec:
    description:
      - The container's specification, with C(image), C(command), C(env), C(mounts) and C(ports) as for the C(docker)
        command; C(network) (V(host) or empty), C(devices), C(gpus) (V(runtime), V(cdi) or empty), C(ipc), C(shm_gib),
        C(capabilities), C(pids_limit), and C(health), a shell's command line, with C(health_start_s).
      - C(server) says as data what C(command) and C(ports) say in words, with the options by name in C(args), and
        C(address) and C(port) of each port in C(published), as the filter P(hgx.inference.vllm_spec#filter) returns it.
        Without it, it is read off these two.
    type: dict
  trial:
    description:
      - Name of a variant that is only tried. Nothing is recorded then, and the current release stays current.
    type: str
    default: ""
  release:
    description: ID of a recorded release to take instead of O(spec).
    type: str
  commits:
    description: Repository to the commit that is served.
    type: dict
    default: {}
  details:
    description: Further fields of the record, such as C(recipe), C(profile), C(title), C(created_by),
      C(collection_version) and C(image_in_place_of).
    type: dict
    default: {}
  api_key:
    description:
      - The API key of the server. It is compared with the one in O(state_dir), and is not part of the record.
    type: str
    default: ""
  api_key_generate:
    description: Whether the host generates a key if O(api_key) is empty and the host has none.
    type: bool
    default: false
  run:
    description:
      - Text that tells this play apart from others, who runs it and a random word.
      - With O(state=recorded) the deployment is announced on the host under it until it is V(settled). The module fails
        while another play deploys another release.
    type: str
    default: ""
  expected:
    description: ID of the release that must still be the current one. If it is another one, the module fails.
    type: str
    default: ""
  keep:
    description: Number of records to keep. The current and the last good release are always kept.
    type: int
    default: 5
  result:
    description: File on the target with the benchmark result of the promoted release.
    type: path
extends_documentation_fragment: [hgx.inference._attributes]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows only the options, variables and settings that differ.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Record the release
  hgx.inference.vllm_release:
    state_dir: /var/lib/hgx-inference/vllm
    container: vllm
    spec:
      image: vllm/vllm-openai:v0.20.2
      command: [vllm, serve, moonshotai/Kimi-K2.6, --tensor-parallel-size, "8"]
      ports: ["127.0.0.1:8001:8001"]
      gpus: runtime
      ipc: host
    details: {title: Kimi K2.6}

- name: Promote the release that has passed its benchmark
  hgx.inference.vllm_release:
    state_dir: /var/lib/hgx-inference/vllm
    state: promoted
    result: /var/lib/hgx-inference/results/latest.json
"""

RETURN = r"""
id:
  description: The release's ID. If the image is not on the host yet, it is an estimate.
  returned: success
  type: str
  sample: 1f2e3d4c5b6a
action:
  description:
    - The action that the container needs, V(none), V(start), V(replace), or V(adopt) if the running one only lacks its
      record.
  returned: if O(state=recorded)
  type: str
  sample: replace
reasons:
  description: Why.
  returned: if O(state=recorded)
  type: list
  elements: str
  sample: ["--max-model-len 4096 -> 8192"]
running:
  description: Whether a container of that name runs, with any configuration.
  returned: if O(state=recorded)
  type: bool
engine:
  description: Whether a Docker engine answers. In check mode there may be none yet.
  returned: if O(state=recorded)
  type: bool
has_key:
  description: Whether the server will have an API key, possibly one stored on the host.
  returned: if O(state=recorded)
  type: bool
guard_current:
  description: Whether the file that guards the server with its API key is as it is now, or none is needed.
  returned: if O(state=recorded)
  type: bool
image_present:
  description: Whether the image is on the host.
  returned: if O(state=recorded)
  type: bool
base_url:
  description: Address of the release on the host, without a path.
  returned: if O(state=recorded)
  type: str
  sample: http://127.0.0.1:8001
served_model_name:
  description: The name under which it serves its model.
  returned: if O(state=recorded)
  type: str
  sample: kimi-k2.6
record:
  description: The record.
  returned: success
  type: dict
  sample: {id: 1f2e3d4c5b6a, created_at: "2026-11-25T17:00:00Z", title: Kimi K2.6}
removed:
  description: Releases whose records were removed, because there were more than O(keep).
  returned: if O(state=recorded)
  type: list
  elements: str
current:
  description: The current release, before this module has changed it. Empty if there is none.
  returned: success
  type: str
last_good:
  description: The newest release that passed. Empty if there is none.
  returned: success
  type: str
"""

import time
from collections.abc import Callable
from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.secrets import SecretError
from ..module_utils._docker.build import base_of, image_identity
from ..module_utils._docker.cli import DockerError, inspect_container, inspect_image
from ..module_utils._docker.packages import Packages, read_packages
from ..module_utils._vllm import release as _vllm_release
from ..module_utils._vllm.container import guard_is_current, image_source
from ..module_utils._vllm.deployment import Deployment, DeploymentError, announce, finish
from ..module_utils._vllm.key import key_is_new, wants_key
from ..module_utils._vllm.spec import endpoint
from ..module_utils._vllm.store import CURRENT, FORMAT, LAST_GOOD, Store, StoreError


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "state_dir": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["recorded", "promoted", "settled"], "default": "recorded"},
            "container": {"type": "str"},
            "spec": {"type": "dict"},
            "trial": {"type": "str", "default": ""},
            "release": {"type": "str"},
            "commits": {"type": "dict", "default": {}},
            "details": {"type": "dict", "default": {}},
            "api_key": {"type": "str", "default": "", "no_log": True},
            "api_key_generate": {"type": "bool", "default": False, "no_log": False},
            "run": {"type": "str", "default": ""},
            "expected": {"type": "str", "default": ""},
            "keep": {"type": "int", "default": 5},
            "result": {"type": "path"},
        },
        required_if=[("state", "recorded", ["container"]), ("state", "recorded", ["spec", "release"], True)],
        mutually_exclusive=[["spec", "release"]],
        supports_check_mode=True,
        data=("record",),
    )
    releases = Releases(module.params, module.check_mode)
    try:
        module.exit_json(**getattr(releases, module.params["state"])())
    except (StoreError, DockerError, SecretError, DeploymentError) as exc:
        module.fail_json(msg=str(exc))


class Releases:
    """The releases of a server, and the server."""

    def __init__(self, params: dict[str, Any], check_mode: bool) -> None:
        self._params = params
        self._check_mode = check_mode
        self._engine = True
        self._store = Store(params["state_dir"])
        self._pointers = {name: self._store.pointed(name) or "" for name in (CURRENT, LAST_GOOD)}

    def recorded(self) -> dict[str, Any]:
        """Record the release, and return the action that the container needs."""
        record, image_id = self._wanted()
        trial = self._params["trial"]
        if trial:
            record["trial"] = trial
        has_record = self._store.has(record["id"]) and self._pointers[CURRENT] == record["id"]
        container = self._look(inspect_container, self._params["container"])
        plan = _vllm_release.plan(
            record["container"],
            image_id,
            container,
            self._image_env(container),
            has_record or bool(trial),
            container is not None and key_is_new(self._params, container, _vllm_release.is_keyed(container)),
        )
        acts = plan.action != "none"
        result = {
            # To start a recorded release again records nothing. Check mode predicts the whole deployment.
            "changed": acts and (self._check_mode or not (has_record or trial)),
            "id": record["id"],
            "action": plan.action,
            "reasons": plan.reasons,
            "running": bool(container and container["State"]["Running"]),
            "engine": self._engine,
            "image_present": image_id is not None,
            "has_key": wants_key(self._params),
            "guard_current": guard_is_current(self._params["state_dir"], record["container"]["mounts"]),
            "record": record,
            **endpoint(record["container"]["server"]),
            "removed": [],
            "msg": _words(plan, record["id"]),
            **self._pointers,
        }
        if acts:
            result["diff"] = _diff(plan, self._pointers[CURRENT], record["id"])
        if acts and not self._check_mode:
            self._announce(record)
            if not trial:
                result["removed"] = self._record(record)
        return result

    def _record(self, record: dict[str, Any]) -> list[str]:
        """Make a release the current one, and return those whose records were removed."""
        try:
            if not self._store.has(record["id"]):
                packages = self._packages(record)
                self._store.write(record)
                self._store.keep_packages(record["id"], packages)
            elif record["container"]["network"] and self._store.read(record["id"])["container"] != record["container"]:
                # This node of several has another address, or its API has.
                self._store.write({**record, "argv": record["container"]["command"], "env": record["container"]["env"]})
            self._store.point(CURRENT, record["id"])
        except StoreError:
            finish(self._params["state_dir"], self._params["run"])
            raise
        return self._store.prune(self._params["keep"])

    def _packages(self, record: dict[str, Any]) -> tuple[str, ...]:
        """Return the Python packages of an image that this host has built: on another day they may be others."""
        packages = read_packages(record["image"]["id"]) if record["image"]["base"] else Packages()
        if packages.digest:
            record["image"]["packages"] = packages.digest
        return packages.all

    def settled(self) -> dict[str, Any]:
        """End the deployment of this play."""
        if not self._check_mode:
            finish(self._params["state_dir"], self._params["run"])
        return {"changed": False, **self._pointers}

    def _announce(self, record: dict[str, Any]) -> None:
        self._require_expected()
        if self._params["run"]:
            announce(self._params["state_dir"], Deployment(self._params["run"], record["id"], time.time()))

    def _require_expected(self) -> None:
        expected, current = self._params["expected"], self._pointers[CURRENT]
        if expected and current != expected:
            record = self._store.read(current) if current else {}
            who = f", deployed by {record['created_by']}" if record.get("created_by") else ""
            raise StoreError(
                f"Release {expected} was replaced by {current or 'none'}{who} meanwhile. Nothing was changed."
            )

    def promoted(self) -> dict[str, Any]:
        """Make the current release the last good one."""
        self._require_expected()
        current = self._pointers[CURRENT]
        if not current:
            raise StoreError(f"There is no current release below {self._params['state_dir']} to promote.")
        record = self._store.read(current)
        container = self._look(inspect_container, self._params["container"]) if self._params["container"] else None
        if container and (trial := _vllm_release.left_by_trial(container, current)):
            raise StoreError(
                f"The server runs the variant '{trial}' of a sweep, not the release {current}, so nothing is promoted."
                f" Roll back with playbooks/rollback.yml -i INVENTORY -e vllm_rollback_to={current}, or deploy another"
                " configuration with playbooks/serve.yml."
            )
        if container and (reasons := self._differs(record, container)):
            raise StoreError(
                f"The server does not run the release {current}, so nothing is promoted: {'; '.join(reasons)}. Deploy"
                " it with playbooks/serve.yml -i INVENTORY, or roll back with playbooks/rollback.yml -i INVENTORY."
            )
        if not self._check_mode:
            if self._params["result"]:
                self._store.store_result(current, self._params["result"])
            if self._pointers[LAST_GOOD] != current:
                self._store.point(LAST_GOOD, current)
        changed = self._pointers[LAST_GOOD] != current
        return {"changed": changed, "id": current, "record": record, **self._pointers}

    def _differs(self, record: dict[str, Any], container: dict[str, Any]) -> list[str]:
        """Return the differences between a container and a release, since a replacement may be pending."""
        spec, image_env = _vllm_release.normalize(record["container"]), self._image_env(container)
        return _vllm_release.plan(spec, self._image_id(record), container, image_env, True).reasons

    def _image_id(self, record: dict[str, Any]) -> str | None:
        """Return the ID of a release's image, or None if it is not on the host."""
        name = self._look(image_source, record)
        kept = self._look(inspect_image, name) if name else None
        return kept["Id"] if kept else None

    def _image_env(self, container: dict[str, Any] | None) -> list[str]:
        """Return the environment of a container's image."""
        image = self._look(inspect_image, container["Image"]) if container else None
        return (image or {}).get("Config", {}).get("Env") or []

    def _look(self, ask: Callable[[Any], Any], subject: Any) -> Any:
        """Return the engine's answer, or None in check mode for a bare host without an engine."""
        try:
            return ask(subject)
        except DockerError:
            if not self._check_mode:
                raise
            self._engine = False
            return None

    def _wanted(self) -> tuple[dict[str, Any], str | None]:
        """Return the record of the wanted release, and the ID of its image, or None if it is not on the host."""
        if self._params["release"]:
            record = self._store.read(self._params["release"])
            record["container"] = _vllm_release.normalize(record["container"])  # of an earlier version, too
            return record, self._image_id(record)
        spec = _vllm_release.normalize(self._params["spec"])
        image = self._look(inspect_image, spec["image"])
        commits = {str(repo): str(commit) for repo, commit in sorted(self._params["commits"].items())}
        identity = image_identity(image)
        release = _vllm_release.release_id(spec, identity, commits)
        if self._store.has(release):
            return {**self._store.read(release), "container": spec}, image["Id"] if image else None
        record = {
            "format": FORMAT,
            "id": release,
            "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "created_by": "",
            **{key: str(value) for key, value in self._params["details"].items()},
            "image": {
                "name": spec["image"],
                "digest": identity if identity.startswith("sha256:") and image and identity != image["Id"] else "",
                "base": base_of(image),
                "id": image["Id"] if image else "",
            },
            "commits": commits,
            "argv": spec["command"],
            "env": spec["env"],
            "container": spec,
        }
        return record, image["Id"] if image else None


def _words(plan: _vllm_release.Plan, release: str) -> str:
    if plan.action == "none":
        return f"The server runs the release {release}."
    verb = {"start": "started", "replace": "restarted", "adopt": "recorded as it is"}[plan.action]
    return f"The server must be {verb} as release {release}: {'; '.join(plan.reasons)}."


def _diff(plan: _vllm_release.Plan, current: str, release: str) -> dict[str, str]:
    verb = {"start": "would start the server", "replace": "would restart the server", "adopt": "would only record it"}
    after = plan.after or [f"({'; '.join(plan.reasons)})"]
    return {
        "before_header": f"release {current or 'none'}",
        "after_header": f"release {release}, {verb[plan.action]}",
        "before": "".join(f" {line}\n" for line in plan.before),
        "after": "".join(f" {line}\n" for line in after),
    }


if __name__ == "__main__":
    main()
