# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every role: its variables and their documentation agree, its tasks read as a table of contents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.hgx.inference.plugins.module_utils._recipe import resolve

ROLES = sorted(path for path in (Path(__file__).parents[2] / "roles").iterdir() if path.is_dir())
EVERY_ROLE = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def options_of(role: Path) -> dict[str, dict[str, Any]]:
    """Return the options of every entry point of the role, by name."""
    specs = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    return {name: option for spec in specs.values() for name, option in spec.get("options", {}).items()}


def undescribed(options: dict[str, dict[str, Any]], prefix: str = "") -> list[str]:
    """Return the names of all options, nested ones too, without a type or a description."""
    found = []
    for name, option in options.items():
        if not option.get("description") or not option.get("type"):
            found.append(prefix + name)
        found += undescribed(option.get("options", {}), f"{prefix}{name}.")
    return found


def is_template(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


@EVERY_ROLE
def test_defaults_and_specs_name_the_same_variables(role: Path) -> None:
    specified = {name for name, option in options_of(role).items() if not option.get("required")}
    assert set(load(role / "defaults" / "main.yml")) == specified


@EVERY_ROLE
def test_defaults_and_specs_hold_the_same_values(role: Path) -> None:
    options = options_of(role)
    for name, value in load(role / "defaults" / "main.yml").items():
        option = options[name]
        if "default" in option:
            assert option["default"] == value, name
        else:  # a long expression is told in words instead
            assert is_template(value), f"{name} has a plain default that its specification lacks"
            assert "By default " in str(option["description"]), f"{name} does not say what it is by default"


@EVERY_ROLE
def test_variables_are_described_and_bear_the_name_of_the_role(role: Path) -> None:
    options = options_of(role)
    assert [name for name in options if not name.startswith(f"{role.name}_")] == []
    assert undescribed(options) == []
    internal = load(role / "vars" / "main.yml") if (role / "vars" / "main.yml").exists() else {}
    assert [name for name in internal if not name.startswith(f"__{role.name}_")] == []


@EVERY_ROLE
def test_tasks_are_short_and_all_included(role: Path) -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in (role / "tasks").glob("*.yml")}
    assert len(files["main.yml"].splitlines()) <= 40
    assert [name for name, text in files.items() if len(text.splitlines()) > 100] == []
    callers = [*role.parent.rglob("*.yml"), *(role.parents[1] / "playbooks").glob("*.yml")]
    calls = "\n".join(path.read_text(encoding="utf-8") for path in callers)
    for name in set(files) - {"main.yml"}:
        stem = name.removesuffix(".yml")
        assert re.search(rf"_tasks: {stem}\.yml|tasks_from: {stem}\b", calls), f"{name} is never included"


@EVERY_ROLE
def test_the_role_introduces_itself(role: Path) -> None:
    readme = (role / "README.md").read_text(encoding="utf-8")
    assert f"hgx.inference.{role.name}" in readme, "the README shows how to call the role"
    meta = load(role / "meta" / "main.yml")["galaxy_info"]
    assert meta["description"]
    assert meta["license"] == "GPL-3.0-or-later"


@EVERY_ROLE
def test_switches_are_read_as_booleans(role: Path) -> None:
    """A switch that comes as text, as with -e NAME=true, is refused in a condition as it is; modules convert it."""
    switches = [name for name, option in options_of(role).items() if option["type"] == "bool"]
    files = [*role.rglob("tasks/*.yml"), *role.rglob("vars/*.yml"), *(role.parents[1] / "playbooks").glob("*.yml")]
    # Not as the whole value of an option, nor in a message or a list of names.
    bare = re.compile(
        rf"(?:when:|that:|^ {{4,}}-|\bif|\bor|\band|\bnot) ({'|'.join(switches) or '(?!)'})\b(?! \| bool)(?!:)",
        re.MULTILINE,
    )
    found = [f"{path.name}: {match[1]}" for path in files for match in bare.finditer(path.read_text(encoding="utf-8"))]
    assert found == []


RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
@EVERY_ROLE
def test_a_role_takes_what_a_recipe_holds(role: Path, recipe: Path) -> None:
    """A default such as C({{ recipe.hardware }}) passes a value whole, so the specification must know its keys."""
    resolved = resolve(load(recipe), "published")
    if recipe.stem == "kimi_k2_6_hgx_b200":  # and what a recipe may leave unknown
        resolved["hardware"].update(memory_gib=None, disk_gb={"weights": None, "image": None})
    options = options_of(role)
    for name, default in load(role / "defaults" / "main.yml").items():
        found = re.fullmatch(r"{{ recipe\.([\w.]+) }}", str(default))
        if found:
            value: Any = resolved
            for key in found[1].split("."):
                value = value[key]
            checked = ArgumentSpecValidator({name: options[name]}).validate({name: value})
            assert checked.error_messages == []
