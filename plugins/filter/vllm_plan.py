# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters C(vllm_docker_command) and C(model_fit): what a plan shows besides the container."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils._model.fit import Demand, Machine, judge_fit, machine, verdict
from ..module_utils._vllm.docker_command import docker_command


def vllm_docker_command(spec: Mapping[str, Any], pip: list[str], name: str = "vllm", keyed: bool = False) -> str:
    """Return a docker command; see the filter's own documentation."""
    return docker_command(spec["container"], spec["image"]["base"] or spec["image"]["name"], list(pip), name, keyed)


def model_fit(
    recipe: Mapping[str, Any], args: Mapping[str, Any], hardware: Any = "", config: str = "", nodes: Any = 1
) -> dict[str, Any]:
    """Return whether a recipe fits hardware; see the filter's own documentation."""
    wanted, load = recipe["hardware"], recipe["benchmark"]
    try:
        own = Machine(int(wanted["gpu_count"]), float(wanted.get("gpu_memory_gib") or 0))
        on = machine(hardware) if hardware else own
        architecture = json.loads(config) if config else (recipe.get("architecture") or {}).get("config") or {}
    except (TypeError, ValueError) as exc:
        raise AnsibleFilterError(f"model_fit: {exc}") from exc
    demand = Demand(
        config=architecture,
        args=args,
        requests=int(load["max_concurrency"]),
        tokens=int(load["input_len"]) + int(load["output_len"]),
        weights_gb=wanted["disk_gb"]["weights"],
        image_gb=wanted["disk_gb"]["image"],
        memory_gib=wanted["memory_gib"],
        nodes=int(nodes),
    )
    lines = judge_fit(demand, on)
    name = on.name or f"{on.gpu_count} GPUs of {on.gpu_memory_gib:g} GiB"
    return {"hardware": name, "verdict": verdict(lines), "lines": [line._asdict() for line in lines]}


class FilterModule:
    """The collection's filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"vllm_docker_command": vllm_docker_command, "model_fit": model_fit}
