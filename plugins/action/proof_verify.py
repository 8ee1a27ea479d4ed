# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action C(proof_verify): checks the archive of a proof on the controller, and compares it with another one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..plugin_utils._edge import EdgeActionBase
from ..plugin_utils._proof.archive import ArchiveError, Proof, load, read
from ..plugin_utils._proof.compare import compare, text

OPTIONS: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "signers": {"type": "path", "required": True},
    "other": {"type": "path"},
    "proof": {"type": "dict"},
    "host": {"type": "str", "default": ""},
}


class ActionModule(EdgeActionBase):
    """Never touches the target."""

    _requires_connection = False

    def act(self, result: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        _validation, args = self.validate_argument_spec(argument_spec=OPTIONS)
        try:
            proof = self._read(args["path"], args["signers"])
            lines = [_headline(proof)]
            if args["other"]:
                other = self._read(args["other"], args["signers"])
                lines += [_headline(other), *_compared(proof, other.content, f"{other.host} ({_id(other.content)})")]
            if args["proof"]:
                lines += _compared(proof, args["proof"], f"{args['host']} now ({_id(args['proof'])})")
        except (ArchiveError, OSError) as exc:
            return {**result, "failed": True, "msg": str(exc)}
        return {**result, "changed": False, "text": lines, "signer": proof.signer, "release": _id(proof.content)}

    def _read(self, path: str, signers: str) -> Proof:
        return read(load(Path(self._loader.path_dwim(path))), Path(signers).expanduser())


def _headline(proof: Proof) -> str:
    benchmark = proof.content["benchmark"]
    return (
        f"{proof.host}: release {_id(proof.content)} has the verdict {benchmark['verdict']}, measured"
        f" {benchmark.get('finished_at', 'at an unknown time')}, signed by {proof.signer} on {proof.made_at}."
        " Nothing was altered since."
    )


def _compared(proof: Proof, other: Mapping[str, Any], name: str) -> list[str]:
    return text(compare(proof.content, other), f"{proof.host} ({_id(proof.content)})", name)


def _id(content: Mapping[str, Any]) -> str:
    return str(content["release"]["id"])
