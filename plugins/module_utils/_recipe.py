# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of a recipe, and how a profile is merged into it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ._benchmark.derive import with_derived_values
from ._benchmark.metrics import METRICS
from ._benchmark.plan import threshold_problems
from ._benchmark.spec import PHYSICAL, THRESHOLD, WORKLOAD
from ._core.mappings import merge
from ._core.schema import (
    COUNT,
    COUNT_OR_NONE,
    FLAG,
    NUMBER,
    TEXT,
    check,
    mapping,
    optional,
    record,
    shown,
    unknown,
)
from ._endpoint.spec import FUNCTIONAL, REAL_TEXT
from ._vllm.args import ArgsError, render_args
from ._vllm.versions import RANGE

_DERIVED_ARGS = {
    "model": "the repository with the role 'model'",
    "served-model-name": "engine.served_model_name",
    "port": "engine.port",
    "host": "the address that the role publishes",
    "nnodes": "engine.nodes",
    "node-rank": "the order of the group span_NAME",
    "headless": "the order of the group span_NAME",
    "master-addr": "the addresses of the group span_NAME",
    "master-port": "vllm_span_port",
}


class RecipeError(Exception):
    """An invalid recipe; C(problems) has one line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


_ANYTHING: dict[str, Any] = {}
_REPO = {**TEXT, "pattern": r"^[\w.-]+/[\w.-]+$", "title": "a repository such as 'org/name'"}

_VERSION = {**TEXT, "pattern": r"^\d+(\.\d+)*$", "title": "a version in quotes, such as '580'"}

_HARDWARE = record(
    required=("gpu_count", "memory_gib", "disk_gb"),
    properties={
        "gpu_name": optional({**TEXT, "description": "A part of the name that nvidia-smi shows, such as B200."}),
        "gpu_count": {**COUNT_OR_NONE, "description": "GPUs that the server uses; 0 for a server on CPUs."},
        "driver_min": optional({**_VERSION, "description": "The oldest driver that the image works with."}),
        "gpu_memory_gib": optional({**NUMBER, "description": "Memory of a GPU, in GiB."}),
        "fabric": optional(
            {**FLAG, "default": False, "description": "Whether the GPUs need NVLink switches and Fabric Manager."}
        ),
        "memory_gib": optional({**NUMBER, "description": "Memory of the host, in GiB; null if it is unknown."}),
        "shm_gib": optional({**NUMBER, "description": "Shared memory, in GiB."}),
        "disk_gb": record(
            required=("weights", "image"),
            properties={
                "weights": optional(
                    {**NUMBER, "description": "The models; null if it is unknown, and the hub is asked for it."}
                ),
                "image": optional({**NUMBER, "description": "The image, unpacked; null if it is unknown."}),
            },
            description="Sizes on disk, in GB (10^9 bytes).",
        ),
        "rdma": optional(
            {
                **FLAG,
                "default": False,
                "description": "Whether the nodes of one server use RDMA devices between them; else it is TCP.",
            }
        ),
        "all_reduce_gb_s": optional(
            {
                **NUMBER,
                "description": "Bus bandwidth that an all-reduce across the nodes of one server must reach, in GB/s.",
            }
        ),
        "price_usd_per_hour": optional({**NUMBER, "description": "What a node costs, for the report."}),
        "lambda_cloud": optional(
            record(
                required=("instance_type", "image_family"),
                properties={
                    "instance_type": {**TEXT, "description": "Type of the instance."},
                    "image_family": {**TEXT, "description": "Family of the image that it boots."},
                },
                description="What provision.yml launches at Lambda for this recipe.",
            )
        ),
    },
    description="What the preflight requires of a host.",
)

_RANGE = {"type": "array", "minItems": 2, "items": NUMBER}

SCHEMA = record(
    required=[
        "title",
        "command_source",
        "figures_source",
        "hardware",
        "models",
        "image",
        "container",
        "engine",
        "profiles",
        "benchmark",
        "published",
        "thresholds",
    ],
    properties={
        "title": {**TEXT, "description": "What is deployed, in words."},
        "command_source": {**TEXT, "description": "Where the image and the engine's arguments are published."},
        "figures_source": {
            **TEXT,
            "description": (
                "Where the figures are published. If that is another place than that of the command, it is not known"
                " whether they belong together."
            ),
        },
        "proven": optional(
            {
                **FLAG,
                "default": False,
                "description": "Whether a run of this collection has reached the figures on this hardware.",
            }
        ),
        "hardware": _HARDWARE,
        "estimates": optional(
            record(
                required=("image_min", "download_mb_s", "start_min"),
                properties={
                    "image_min": {**_RANGE, "description": "Minutes to pull the image and build on it."},
                    "download_mb_s": {**_RANGE, "description": "Speed at which the weights come, in MB/s."},
                    "start_min": {**_RANGE, "description": "Minutes from the start of the server to its first answer."},
                },
                default={},
                description="What a first run may take, for the documentation. Each has the best and the worst case.",
            )
        ),
        "models": {
            "type": "array",
            "minItems": 1,
            "items": record(
                required=("repo", "revision", "role"),
                properties={
                    "repo": {**_REPO, "description": "The repository."},
                    "revision": {**TEXT, "description": "Branch, tag or commit."},
                    "role": {
                        **TEXT,
                        "enum": ["model", "draft"],
                        "title": "'model' or 'draft'",
                        "description": "Whether it is the served model or its draft for speculative decoding.",
                    },
                },
            ),
            "description": "The weights.",
        },
        "architecture": optional(
            record(
                required=("source", "config"),
                properties={
                    "source": {**TEXT, "description": "Where the keys come from."},
                    "config": mapping(
                        _ANYTHING,
                        description="Keys of the model's config.json from which sizes of weights and KV cache follow.",
                    ),
                },
                description="The shape of the model. Once it is downloaded, its own config.json is read instead.",
            )
        ),
        "image": record(
            required=("name", "tag", "pip"),
            properties={
                "name": {**TEXT, "description": "Repository of the image."},
                "tag": {**TEXT, "description": "Its tag."},
                "digest": optional(
                    {
                        **TEXT,
                        "pattern": r"^sha256:[0-9a-f]{64}$",
                        "title": "a digest 'sha256:...'",
                        "description": "Its digest, which is used instead of the tag.",
                    }
                ),
                "alternatives": optional(
                    {
                        "type": "array",
                        "items": record(
                            required=("tag",),
                            properties={
                                "tag": {**TEXT, "description": "Tag of the image, in the same repository."},
                                "driver_min": optional(
                                    {**_VERSION, "description": "The oldest driver that this image works with."}
                                ),
                                "note": optional({**TEXT, "description": "What differs, for messages."}),
                            },
                        ),
                        "default": [],
                        "description": (
                            "Other images for the same deployment, in order of preference. Messages name them where the"
                            " image is gone or the driver is too old for it; none is taken without being asked for."
                        ),
                    }
                ),
                "vllm": optional(
                    {
                        **TEXT,
                        "pattern": RANGE,
                        "title": "a range of versions such as '>=0.19,<0.20'",
                        "description": (
                            "Range of the versions of vLLM with which the recipe is known to work. Before an image of"
                            " another version is started, there is a warning."
                        ),
                    }
                ),
                "pip": {
                    "type": "array",
                    "items": {
                        **TEXT,
                        "pattern": r"^[A-Za-z0-9._-]+(\[[\w,-]+\])?==\S+$",
                        "title": "a pinned package such as 'name==1.2'",
                    },
                    "description": "Python packages to install on top.",
                },
            },
            description="The serving image.",
        ),
        "container": record(
            required=(),
            properties={
                "gpus": optional({**TEXT, "enum": ["all"], "title": "'all'", "description": "The GPUs it gets."}),
                "ipc": optional({**TEXT, "description": "Its IPC mode, such as host."}),
            },
            description="How the container runs.",
        ),
        "engine": record(
            required=("entrypoint", "served_model_name", "port", "ready_timeout_s", "env", "args"),
            properties={
                "entrypoint": {
                    "type": "array",
                    "items": TEXT,
                    "minItems": 1,
                    "description": "The command before the arguments.",
                },
                "served_model_name": {**TEXT, "description": "The name that clients ask for."},
                "port": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 65535,
                    "title": "a port number",
                    "description": "The port of the server.",
                },
                "nodes": optional(
                    {
                        **COUNT,
                        "default": 1,
                        "description": (
                            "How many nodes one server runs across; the hardware is that of each. More than 1 needs a"
                            " group span_NAME in the inventory."
                        ),
                    }
                ),
                "ready_timeout_s": {**COUNT, "description": "How long a start may take, in seconds."},
                "env": mapping({**TEXT, "title": "a text (in quotes)"}, description="Its environment."),
                "args": mapping(
                    _ANYTHING,
                    description="Engine arguments without the leading dashes; true is a flag, false its --no- form.",
                ),
            },
            description="The server.",
        ),
        "profiles": mapping(_ANYTHING, description="Variants by name; each is merged over the rest of the recipe."),
        "benchmark": {**WORKLOAD, "description": "The load."},
        "functional": optional(
            {**FUNCTIONAL, "default": {}, "description": "What the functional checks expect of the model."}
        ),
        "real_text": optional({**REAL_TEXT, "default": {}}),
        "published": {
            "type": "object",
            "additionalProperties": optional(NUMBER),
            "propertyNames": {"enum": list(METRICS)},
            "description": "The published figures by metric; null takes one out in a profile.",
        },
        "physical": optional({**PHYSICAL, "default": {}}),
        "thresholds": {
            "type": "array",
            "items": {**THRESHOLD, "required": [*THRESHOLD["required"], "severity", "source"]},
            "description": "Limits for the measured figures.",
        },
        "clients": optional(mapping(mapping(TEXT), default={}, description="Environment of clients, by client.")),
    },
)


def resolve(data: Any, profile: str) -> dict[str, Any]:
    """Return the recipe C(data) with C(profile) merged in and every default filled in.

    All profiles are checked, not only the one asked for. Raises RecipeError with all problems found.
    """
    problems: list[str] = []
    _check(data, problems)
    profiles = data.get("profiles") if isinstance(data, Mapping) else None
    if not isinstance(profiles, Mapping):
        raise RecipeError(problems)
    for name, changes in profiles.items():
        if not isinstance(changes, Mapping):
            problems.append(f"profiles.{name}: {shown(changes)} is not a mapping.")
            continue
        found: list[str] = []
        _check(merge(data, changes), found)
        problems.extend(f"profiles.{name}.{problem}" for problem in found if problem not in problems)
    if profile not in profiles:
        problems.append(f"recipe_profile: {unknown(profile, profiles)}")
    if problems:
        raise RecipeError(problems)
    recipe = _check(merge(data, profiles[profile]), problems)
    del recipe["profiles"]
    return {**recipe, "profile": profile}


def _check(data: Any, problems: list[str]) -> dict[str, Any]:
    shape_problems: list[str] = []
    recipe: dict[str, Any] = check(data, SCHEMA, "", shape_problems)
    problems.extend(shape_problems)
    if not shape_problems:
        published = {metric: value for metric, value in recipe["published"].items() if value is not None}
        thresholds = with_derived_values(recipe["thresholds"], published, recipe["benchmark"])
        recipe = {**recipe, "published": published, "thresholds": thresholds}
        problems.extend(_contradictions(recipe))
    return recipe


def _contradictions(recipe: dict[str, Any]) -> Iterable[str]:
    """Yield the contradictions between values that are valid by themselves."""
    roles = [model["role"] for model in recipe["models"]]
    if roles.count("model") != 1 or roles.count("draft") > 1:
        yield "models: exactly one repository must have the role 'model', and at most one the role 'draft'."
    for path, options in (("engine.args", recipe["engine"]["args"]), ("benchmark.args", recipe["benchmark"]["args"])):
        for key, value in options.items():
            try:
                render_args({key: value})
            except ArgsError as exc:
                yield f"{path}.{key}: {exc}"
    yield from _engine_contradictions(recipe)
    for size in recipe["benchmark"]["ends_early"]:
        if size not in recipe["benchmark"]["sizes"]:
            yield f"benchmark.ends_early: {unknown(size, recipe['benchmark']['sizes'])}"
    for index, threshold in enumerate(recipe["thresholds"]):
        for problem in threshold_problems(threshold, recipe["published"], recipe["benchmark"]):
            yield f"thresholds[{index}]: {problem}"


def _engine_contradictions(recipe: dict[str, Any]) -> Iterable[str]:
    """Yield the engine arguments that contradict the model, the port or the name of the recipe."""
    args = recipe["engine"]["args"]
    for key, source in _DERIVED_ARGS.items():
        if key in args:
            yield f"engine.args.{key}: leave it out; it follows from {source}."
    if recipe["engine"]["nodes"] > 1 and "serve" not in recipe["engine"]["entrypoint"]:
        yield (
            "engine.entrypoint: with several nodes it must be [vllm, serve]; the other programs of vLLM do not run a"
            " node without an API."
        )
    speculative = args.get("speculative-config")
    draft = next((model["repo"] for model in recipe["models"] if model["role"] == "draft"), None)
    if isinstance(speculative, Mapping) and "model" in speculative and speculative["model"] != draft:
        found = shown(speculative["model"])
        yield f"engine.args.speculative-config.model: {found} is not the draft of 'models', {shown(draft)}."
