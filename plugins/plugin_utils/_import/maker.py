# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a recipe of the vLLM project, a YAML file with arguments by feature and by generation of GPUs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .server import NotUnderstood, Server, read_server, take_env, take_image

GENERATIONS = {"B200": "blackwell", "B300": "blackwell", "GB200": "blackwell", "H100": "hopper", "H200": "hopper"}


def is_makers(data: Any) -> bool:
    """Return whether data are a recipe of the vLLM project."""
    return isinstance(data, Mapping) and isinstance(data.get("model"), Mapping) and "model_id" in data["model"]


def read_makers(data: Mapping[str, Any], gpu_name: str) -> tuple[Server, dict[str, str]]:
    """Return the server for GPUs of a name, and notes on what was chosen, by path in the recipe.

    These are the features that are not optional, the variant C(default) and the strategy C(single_node_tp).
    Raises NotUnderstood.
    """
    generation = GENERATIONS.get(gpu_name.upper(), "")
    if not generation:
        raise NotUnderstood(
            f"arguments by generation of GPUs, for {gpu_name or 'GPUs that are not named'}: give import_hardware, such"
            f" as 8xB200; known are {', '.join(GENERATIONS)}"
        )
    try:
        return _read(data, generation)
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise NotUnderstood(f"a recipe of the vLLM project in a form that is not known here ({exc})") from exc


def _read(data: Mapping[str, Any], generation: str) -> tuple[Server, dict[str, str]]:
    model, chosen = data["model"], data.get("variants", {}).get("default", {})
    optional = set(data.get("opt_in_features") or ())
    words, env = list(model.get("base_args") or ()), dict(model.get("base_env") or {})
    for name, feature in (data.get("features") or {}).items():
        if name not in optional:
            words += _of(feature, generation, "args")
    for source in (chosen, _override(chosen, generation), _override(data, generation)):
        words += source.get("extra_args") or ()
        env |= source.get("extra_env") or {}
    server = Server()
    read_server([str(chosen.get("model_id") or model["model_id"]), *map(str, words)], server)
    take_env({name: str(value) for name, value in env.items()}, server)
    images = chosen.get("docker_image") or model.get("docker_image")
    image = images.get("nvidia") if isinstance(images, Mapping) else images
    if image:
        take_image(str(image), server)
    notes = {"engine.args": f"the features that are not optional, the variant 'default', and what {generation} adds"}
    if model.get("min_vllm_version"):
        notes["image.vllm"] = f">={'.'.join(str(model['min_vllm_version']).split('.')[:2])}"
    return server, notes


def _of(feature: Mapping[str, Any], generation: str, key: str) -> list[str]:
    own = _override(feature, generation).get(key)
    if own is not None:
        return list(own)
    mode = (feature.get("modes") or {}).get(feature.get("default_mode"))
    return _of(mode, generation, key) if mode else list(feature.get(key) or ())


def _override(source: Mapping[str, Any], generation: str) -> Mapping[str, Any]:
    overrides = source.get("hardware_overrides") or {}
    found: Mapping[str, Any] = overrides.get(generation) or overrides.get("nvidia") or {}
    return found
