# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters about the vLLM servers of a host: what they run with, where their API key is kept, and which there are."""

from __future__ import annotations

import base64
import json
import os
import pwd
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils._core.secrets import scrubbed
from ..module_utils._vllm.args import ArgsError
from ..module_utils._vllm.key import key_file
from ..module_utils._vllm.servers import InstancesError, Server, chosen, servers
from ..module_utils._vllm.spec import Settings, endpoint, known_commits, make_image, make_spec

_UNSET: Server = {
    "name": "",
    "backend": "",
    "container_name": "",
    "state_dir": "",
    "results_dir": "",
    "port": 0,
    "gpus": "",
    "engine_args": {},
    "gateway": False,
}


def vllm_spec(
    settings: Mapping[str, Any],
    *,
    refs: Iterable[Mapping[str, Any]] = (),
    pins: Iterable[Mapping[str, Any]] = (),
    snapshots: Mapping[str, Mapping[str, Any]] | None = None,
    trial: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what the server runs with; see the filter's own documentation."""
    given = cast(Settings, _plain(settings))
    missing = sorted(set(Settings.__annotations__) - set(given))
    if missing:
        raise AnsibleFilterError(f"vllm_spec: the settings lack {', '.join(missing)}.")
    given["vllm_cuda_compatibility"] = boolean(given["vllm_cuda_compatibility"])
    recorded = {ref["item"]["key"]: _text(ref).strip() for ref in refs if "content" in ref}
    for pin in pins:
        commits = json.loads(_text(pin)) if "content" in pin else {}
        wanted = given["vllm_revisions"].get(pin["item"])
        recorded.update({pin["item"]: commits[wanted]} if wanted in commits else {})
    fetched = {repo: snapshot["commit"] for repo, snapshot in (snapshots or {}).items()}
    commits = known_commits(given["vllm_revisions"], recorded, fetched)
    try:
        container = make_spec(given, commits, _plain(trial or {}).get("engine_args", {}))
    except (ArgsError, ValueError) as exc:
        raise AnsibleFilterError(f"vllm_spec: {exc}") from exc
    return {
        "container": container,
        "shown": scrubbed({"command": container["command"], "env": container["env"]}),
        "image": make_image(given)._asdict(),
        "commits": commits,
        "details": {**_details(recipe or {}, given["vllm_model"]), **_replaced_image(recipe or {}, given)},
        **endpoint(container["server"]),
    }


def vllm_servers(
    instances: Iterable[Mapping[str, Any]], *, host: str, base: Mapping[str, Any], only: str = ""
) -> list[Server]:
    """Return the servers of a host; see the filter's own documentation."""
    given = cast(Server, {**_UNSET, **_plain(base)})
    try:
        return chosen(servers(host, given, _plain(list(instances))), str(only))
    except InstancesError as exc:
        raise AnsibleFilterError(str(exc)) from exc


def _details(recipe: Mapping[str, Any], model: str) -> dict[str, str]:
    """Return what a release's record tells beside what it runs with."""
    return {
        "recipe": recipe.get("name", ""),
        "profile": recipe.get("profile", ""),
        "title": recipe.get("title", model),
        "created_by": f"{_user()}@{os.uname().nodename}",
        "collection_version": _VERSION,
    }


def _replaced_image(recipe: Mapping[str, Any], settings: Settings) -> dict[str, str]:
    """Return which image of the recipe is replaced by one of its alternatives."""
    image = recipe.get("image") or {}
    tags = [other["tag"] for other in image.get("alternatives") or ()]
    if settings["vllm_image_tag"] not in tags or settings["vllm_image_tag"] == image["tag"]:
        return {}
    return {"image_in_place_of": f"{image['name']}:{image['tag']}"}


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # as in a container that runs as some number
        return str(os.geteuid())


def _collection_version() -> str:
    root = Path(__file__).parents[2]
    manifest = root / "MANIFEST.json"  # only in an installed collection
    content = yaml.safe_load((manifest if manifest.exists() else root / "galaxy.yml").read_text(encoding="utf-8"))
    return str(content.get("collection_info", content)["version"])


_VERSION = _collection_version()


def _text(slurped: Mapping[str, Any]) -> str:
    return base64.b64decode(slurped["content"]).decode()


def _plain(value: Any) -> Any:
    """Return containers as plain ones: what Ansible passes may render its items only when they are asked for."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


class FilterModule:
    """The collection's filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"vllm_spec": vllm_spec, "vllm_key_file": key_file, "vllm_servers": vllm_servers}
