# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action C(recipe_import): makes a recipe of a published page or command, on the controller."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils._core.files import read_text, replace_text
from ..plugin_utils._edge import EdgeActionBase
from ..plugin_utils._import.compose import Given, import_recipe
from ..plugin_utils._import.render import render, summary
from ..plugin_utils._import.server import NotUnderstood


class ActionModule(EdgeActionBase):
    """Never touches the target."""

    _requires_connection = False

    def act(self, result: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        _validation, args = self.validate_argument_spec(
            argument_spec={
                "src": {"type": "str", "required": True},
                "dest": {"type": "str", "required": True},
                "source": {"type": "str", "default": ""},
                "hardware": {"type": "str", "default": ""},
                "config": {"type": "str", "default": ""},
            }
        )
        path, dest = (Path(self._loader.path_dwim(str(args[name]))) for name in ("src", "dest"))
        given = Given(str(args["source"]), str(args["hardware"]), self._config(str(args["config"])))
        try:
            imported = import_recipe(self._read(path), given)
        except NotUnderstood as exc:
            raise AnsibleActionFail(
                f"{path} was not imported. Not understood: {exc}. Nothing is guessed: correct the text, or remove what"
                " does not matter."
            ) from None
        text = render(imported, path.name)
        changed = not dest.exists() or read_text(str(dest)) != text
        if changed and dest.exists():
            raise AnsibleActionFail(
                f"{dest} exists and is another recipe. Give another name (-e to=FILE), or remove the file: an import"
                " overwrites no corrections."
            )
        if changed and not self._task.check_mode:
            try:
                replace_text(str(dest), text)
            except OSError as exc:
                raise AnsibleActionFail(
                    f"{dest} cannot be written, and nothing of it is there: {exc.strerror}. Make room, or give another"
                    " file (-e to=FILE)."
                ) from None
        return {
            **result,
            "changed": changed,
            "dest": str(dest),
            "recipe": imported.data,
            "derived": imported.derived,
            "missing": imported.missing,
            "msg": [f"{dest} was {'written' if changed else 'up to date'}.", *summary(imported)],
            "diff": {"before": "", "after": text, "after_header": str(dest)},
        }

    def _read(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise AnsibleActionFail(f"{path} cannot be read as text: {exc}") from exc

    def _config(self, name: str) -> dict[str, Any]:
        if not name:
            return {}
        path = Path(self._loader.path_dwim(name))
        try:
            config = json.loads(self._read(path))
        except ValueError as exc:
            raise AnsibleActionFail(f"{path} is no JSON: {exc}") from exc
        if not isinstance(config, dict):
            raise AnsibleActionFail(f"{path} is not the config.json of a model: it has no keys.")
        return config
