# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from ansible_collections.hgx.inference.docs import recipe_schema
from ansible_collections.hgx.inference.plugins.module_utils._core.schema import check
from ansible_collections.hgx.inference.plugins.module_utils._recipe import SCHEMA

RECIPES = sorted((Path(__file__).parents[3] / "recipes").glob("*.yml"))
PUBLISHED = yaml.safe_load((RECIPES[0].parent / "kimi_k2_6_hgx_b200.yml").read_text(encoding="utf-8"))


def valid(data: Any) -> bool:
    """Return whether data satisfy the file of the schema, by a complete validator."""
    schema = json.loads(recipe_schema.FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return bool(jsonschema.Draft202012Validator(schema).is_valid(data))


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """Return the published recipe with one value replaced."""
    data = copy.deepcopy(PUBLISHED)
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return dict(data)


def test_the_file_is_up_to_date() -> None:
    """If not: make schema."""
    assert recipe_schema.FILE.read_text(encoding="utf-8") == recipe_schema.render(SCHEMA)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_bundled_recipe_satisfies_it_and_names_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# yaml-language-server: $schema={recipe_schema.FILE.name}\n")
    assert valid(yaml.safe_load(text))


@pytest.mark.parametrize(
    "data",
    [
        changed("titel", to="x"),
        changed("hardware", "gpu_count", to="8"),
        changed("hardware", "gpu_count", to=True),
        changed("architecture", to={"config": {}}),
        changed("command_source", to=None),
        changed("proven", to="no"),
        changed("hardware", "driver_min", to="580-open"),
        changed("models", to=[]),
        changed("models", 0, "role", to="modell"),
        changed("engine", "port", to=0),
        changed("engine", "port", to=70000),
        changed("engine", "env", "A", to=1),
        changed("image", "pip", 0, to="transformers"),
        changed("thresholds", 0, "metric", to="speed"),
        changed("thresholds", 0, "tolerance", to=[]),
        changed("thresholds", 0, to={"metric": "output_throughput", "op": ">="}),
        changed("benchmark", "sizes", "full", to=0),
        changed("benchmark", "endpoint", to="v1"),
        changed("published", "speed", to=1),
        changed("functional", to={"skip": {"images": "x"}}),
        {},
        None,
    ],
)
def test_what_is_wrong_is_so_for_both_validators(data: Any) -> None:
    problems: list[str] = []
    check(data, SCHEMA, "", problems)
    assert problems
    assert not valid(data)


@pytest.mark.parametrize(
    "data",
    [
        changed("image", "digest", to=None),
        changed("hardware", "disk_gb", to={"weights": None, "image": None}),
        changed("hardware", "memory_gib", to=None),
        changed("published", "mean_ttft_ms", to=None),
        changed("thresholds", 0, "tolerance", to=5),
        changed("thresholds", 0, "sizes", to=None),
        changed("engine", "args", "x", to={"a": [1, None]}),
        changed("functional", to=None),
    ],
)
def test_what_is_right_is_so_for_both_validators(data: Any) -> None:
    problems: list[str] = []
    check(data, SCHEMA, "", problems)
    assert problems == []
    assert valid(data)
