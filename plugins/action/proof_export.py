# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action C(proof_export): writes the archive of a proof on the controller, signed with the user's SSH key."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..module_utils._core.files import replace_bytes
from ..plugin_utils._edge import EdgeActionBase
from ..plugin_utils._proof.archive import ArchiveError, make

OPTIONS: dict[str, Any] = {
    "host": {"type": "str", "required": True},
    "proof": {"type": "dict", "required": True},
    "key": {"type": "path", "required": True},
    "dest": {"type": "path", "required": True},
}


class ActionModule(EdgeActionBase):
    """Never touches the target."""

    _requires_connection = False

    def act(self, result: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        _validation, args = self.validate_argument_spec(argument_spec=OPTIONS)
        proof = args["proof"]
        verdict, release = proof["benchmark"]["verdict"], proof["release"]["id"]
        dest = Path(self._loader.path_dwim(args["dest"])) / f"{args['host']}-{release}.proof.tar"
        made_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if not self._task.check_mode:
            try:
                archive = make(args["host"], made_at, proof, Path(args["key"]).expanduser())
            except (ArchiveError, OSError) as exc:
                return {**result, "failed": True, "msg": str(exc)}
            try:
                replace_bytes(str(dest), archive)
            except OSError as exc:
                words = f"{dest} cannot be written, and an older one is as it was: {exc.strerror}. Make room for it."
                return {**result, "failed": True, "msg": words}
        # A proof is an observation.
        return {**result, "changed": False, "path": str(dest), "verdict": verdict, "release": release}
