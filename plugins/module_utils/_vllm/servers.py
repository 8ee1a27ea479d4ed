# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers of a host: one, or one for each of its instances. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from .._nvidia.gpu_request import GPU_SET

# It becomes part of the names of a container, a unit and folders.
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?")
ALL_GPUS = "all"


class Server(TypedDict):
    """What is a server's own. Without instances C(name) is empty, and all else is as the settings of the host have it.

    C(backend) is its name in a gateway, and for people.
    """

    name: str
    backend: str
    container_name: str
    state_dir: str
    results_dir: str
    port: int
    gpus: str
    engine_args: Mapping[str, Any]
    gateway: bool


class InstancesError(Exception):
    """Instances that cannot share a host."""


def servers(host: str, base: Server, instances: Sequence[Mapping[str, Any]]) -> list[Server]:
    """Return the servers of C(host), in order. C(base) is the server of a host without instances.

    Each instance has C(name) and C(port), and may have C(gpus) and C(engine_args), which are merged over those of the
    host. Raises InstancesError.
    """
    if not instances:
        return [{**base, "backend": host}]
    problems = list(_problems(instances, base["gpus"]))
    if problems:
        raise InstancesError("\n".join(problems))
    return [
        {
            "name": each["name"],
            "backend": f"{host}-{each['name']}",
            "container_name": f"{base['container_name']}-{each['name']}",
            "state_dir": f"{base['state_dir']}-{each['name']}",
            "results_dir": f"{base['results_dir']}/{each['name']}",
            "port": int(each["port"]),
            "gpus": gpus_of(each, base["gpus"]),
            "engine_args": {**base["engine_args"], **(each.get("engine_args") or {})},
            "gateway": base["gateway"],
        }
        for each in instances
    ]


def chosen(found: Sequence[Server], name: str) -> list[Server]:
    """Return the server of this name, or all without a name. Raises InstancesError."""
    if not name:
        return list(found)
    names = [server["name"] for server in found]
    if name not in names:
        known = ", ".join(filter(None, names)) or "none"
        raise InstancesError(f"vllm_instance: this host has no instance {name!r}; it has {known}.")
    return [server for server in found if server["name"] == name]


def gpus_of(instance: Mapping[str, Any], default: str) -> str:
    """Return the GPUs of an instance as text."""
    gpus = instance.get("gpus")
    return default if gpus is None else str(gpus)


def _problems(instances: Sequence[Mapping[str, Any]], default: str) -> Iterable[str]:
    """Yield what keeps instances from sharing a host, as C(NAME: sentence)."""
    for index, each in enumerate(instances):
        where, name, gpus = f"vllm_instances[{index}]", str(each.get("name", "")), gpus_of(each, default)
        if not NAME.fullmatch(name):
            yield f"{where}.name: {name!r} is not a name of small letters, digits and hyphens, such as 'a'."
        if not str(each.get("port", "")).isdigit() or not 0 < int(each["port"]) < 65536:
            yield f"{where}.port: {each.get('port')!r} is not a port number."
        if gpus not in ("", ALL_GPUS) and not GPU_SET.fullmatch(gpus):
            yield f"{where}.gpus: {gpus!r} is neither '', 'all' nor a list of GPUs such as '0,1,2,3'."
    for key in ("name", "port"):
        for value in _repeated(str(each.get(key)) for each in instances):
            yield f"vllm_instances: several have the {key} {value}."
    sets = [gpus_of(each, default) for each in instances]
    if ALL_GPUS in sets and sum(map(bool, sets)) > 1:
        yield "vllm_instances: one has all GPUs, so there are none for the others. Give each its own: gpus: '0,1,2,3'."
    for gpu in _repeated(gpu for gpus in sets if gpus != ALL_GPUS for gpu in gpus.split(",") if gpu):
        yield f"vllm_instances: several have GPU {gpu}."


def _repeated(values: Iterable[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]
