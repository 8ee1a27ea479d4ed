# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API key of a server, in the one file that holds it. The server reads it when it starts.

A host that has a key keeps it where none is given: a play from a shell without the key must not open the endpoint.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from typing import Any

from .._core.files import replace_text
from .._core.secrets import KNOWN, SecretError, read_secret
from .._core.timestamp import epoch

_NAME = "vllm_api_key"
_STAGED = ".next"
CONTAINER_FOLDER = "/run/secrets"
CONTAINER_FILE = f"{CONTAINER_FOLDER}/{_NAME}"


def key_file(state_dir: str) -> str:
    """Return the path of the key on the host. Its folder is mounted as CONTAINER_FOLDER."""
    return os.path.join(state_dir, "secrets", _NAME)


def read_key(state_dir: str) -> str:
    """Return the key, or nothing if there is none. Raises SecretError."""
    return read_secret(key_file(state_dir)) or ""


def wants_key(params: Mapping[str, Any]) -> bool:
    """Return whether the server is to have a key.

    C(params) has C(state_dir), C(api_key) and C(api_key_generate).
    """
    return bool(params["api_key"] or params["api_key_generate"] or read_key(params["state_dir"]))


def key_is_new(params: Mapping[str, Any], container: Mapping[str, Any], keyed: bool) -> bool:
    """Return whether the key that is wanted is another one than the server in the container has read.

    C(params) are as above; C(keyed) is whether the server reads a key at all.
    """
    if wants_key(params) != keyed:
        return True
    kept = read_key(params["state_dir"])
    if (params["api_key"] or kept) != kept or (keyed and not kept):
        return True
    try:
        written_at = os.stat(key_file(params["state_dir"])).st_mtime
    except OSError:
        return False
    # It may have been written by a run that did not get to the restart.
    return written_at > (epoch(container["State"]["StartedAt"]) or 0)


def stage_key(params: Mapping[str, Any]) -> bool:
    """Write the given key, or a generated one, beside its file if it is new; return whether it is.

    The running server keeps its key until C(use_staged_key). Raises SecretError.
    """
    path = key_file(params["state_dir"])
    kept = read_key(params["state_dir"])
    wanted = params["api_key"] or kept or (secrets.token_hex(24) if params["api_key_generate"] else "")
    KNOWN.add(wanted)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        if wanted == kept:
            return False
        replace_text(path + _STAGED, wanted, mode=0o600, durable=True)
    except OSError as exc:
        raise SecretError(
            f"The API key cannot be written to {path}: {exc.strerror or exc}. Nothing was stopped, and the old key is"
            " kept. Correct that, and run the play again."
        ) from exc
    return True


def use_staged_key(state_dir: str) -> None:
    """Make the staged key the one that the next start reads. It needs no space on the disk."""
    path = key_file(state_dir)
    os.replace(path + _STAGED, path)
