# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action C(check_settings): checks the variables of all roles on the controller, and asks the host for a key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.template import trust_as_template

from ..module_utils._vllm.precheck import open_endpoint
from ..plugin_utils._edge import EdgeActionBase
from ..plugin_utils._settings import contradictions, plain_http, read_roles, unknown_names, wrong_values

ROLES = Path(__file__).resolve().parents[2] / "roles"


class ActionModule(EdgeActionBase):
    """Contacts the host only if the answer decides something."""

    def act(self, result: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        _validation, args = self.validate_argument_spec(
            argument_spec={"contact_host": {"type": "bool", "default": True}}
        )
        # unsafe means without a copy, which would take longer than the reading.
        roles = read_roles(ROLES, lambda path: self._loader.load_from_file(path, unsafe=True, trusted_as_template=True))
        wrong = wrong_values(roles, task_vars, self._renderer(task_vars))
        problems = [problem for found in wrong.values() for problem in found]
        warnings = unknown_names(roles, task_vars)
        if "recipe" in task_vars:
            # A wrong value is told once. For the rest the role's default takes its place.
            defaults = {name: value for role in roles for name, value in role.defaults.items()}
            right = {name: value for name, value in task_vars.items() if name not in wrong}
            variables = {name: value for role in roles for name, value in role.variables.items()}
            template = self._renderer({**defaults, **right, **variables})

            def evaluate(expression: str) -> Any:
                return template(trust_as_template("{{ " + expression + " }}"))

            problems += [each for each in contradictions(evaluate) if not any(each in known for known in problems)]
            address = evaluate("vllm_bind_address")
            if open_endpoint(address, bool(evaluate("vllm_api_key or vllm_api_key_generate | bool"))):
                has_key = not args["contact_host"] or all(
                    self._exists(path, task_vars) for path in evaluate("__vllm_key_files")
                )
                problems += open_endpoint(address, has_key)
            warnings += plain_http(address)
        result["warnings"] = warnings
        if problems:
            lines = "\n".join(f"  {problem}" for problem in problems)
            result.update(failed=True, msg=f"The settings of this host cannot be used:\n{lines}\nNothing was changed.")
        return {**result, "changed": False, "problems": problems}

    def _renderer(self, variables: dict[str, Any]) -> Callable[[Any], Any]:
        return self._templar.copy_with_new_env(available_variables=variables).template

    def _exists(self, path: str, task_vars: dict[str, Any]) -> bool:
        args = {"path": path, "get_checksum": False}
        found = self._execute_module("ansible.builtin.stat", module_args=args, task_vars=task_vars)
        return bool(found.get("stat", {}).get("exists"))
