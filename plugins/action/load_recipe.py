# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action C(load_recipe): reads and validates a recipe on the controller."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError

from ..module_utils._recipe import RecipeError, resolve
from ..plugin_utils._edge import EdgeActionBase

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


class ActionModule(EdgeActionBase):
    """Never touches the target."""

    _requires_connection = False
    data = ("recipe",)

    def act(self, result: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        _validation, args = self.validate_argument_spec(
            argument_spec={
                "recipe": {"type": "str", "required": True},
                "profile": {"type": "str", "default": "published"},
                "price_usd_per_hour": {"type": "float", "default": 0.0},
            }
        )
        path = self._find(str(args["recipe"]))
        try:
            data = self._loader.load_from_file(str(path), unsafe=True)  # without a copy: nothing changes it
        except AnsibleError as exc:
            raise AnsibleActionFail(f"{path} is not a readable YAML file: {exc}") from exc
        try:
            recipe = resolve(data, str(args["profile"]))
        except RecipeError as exc:
            problems = "\n".join(f"  {problem}" for problem in exc.problems)
            raise AnsibleActionFail(f"{path} cannot be used:\n{problems}") from None
        price = args["price_usd_per_hour"] or recipe["hardware"]["price_usd_per_hour"]
        return {
            **result,
            "changed": False,
            "recipe": {"name": path.stem, **recipe},
            "path": str(path),
            "price_usd_per_hour": price or None,
        }

    def _find(self, recipe: str) -> Path:
        """Return the file of a bundled recipe by its name, or the file at a path."""
        if recipe.endswith((".yml", ".yaml")):
            path = Path(self._loader.path_dwim(recipe))
            if not path.is_file():
                raise AnsibleActionFail(f"There is no recipe file {path}.")
            return path
        bundled = {file.stem: file for file in sorted(RECIPES.glob("*.yml"))}
        if recipe in bundled:
            return bundled[recipe]
        near = difflib.get_close_matches(recipe, bundled, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Bundled are {', '.join(bundled)}."
        raise AnsibleActionFail(
            f"There is no bundled recipe {recipe!r}. {hint} For a file of your own give a path ending in .yml."
        )
