#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(apt_signing_key)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_signing_key
short_description: Fetch the signing key of a package repository if it has the expected fingerprint
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Reads a file of OpenPGP keys and fails if it has another key than the expected ones. Needs no gpg.
  - Trusts nothing by itself; a list of apt must name the file.
options:
  source:
    description: URL or path of the key file, binary or armored.
    type: str
    required: true
  fingerprints:
    description: Fingerprints of the primary keys that the file may have, in hexadecimal digits with or without spaces.
    type: list
    elements: str
    required: true
  dest:
    description: The file to write.
    type: path
    required: true
extends_documentation_fragment: [hgx.inference._attributes]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Fetch NVIDIA's key
  hgx.inference.apt_signing_key:
    source: https://nvidia.github.io/libnvidia-container/gpgkey
    fingerprints: [C95B321B61E88C1809C4F759DDCAE044F796ECB0]
    dest: /etc/apt/keyrings/nvidia-container-toolkit.asc
"""

RETURN = r"""
fingerprints:
  description: The fingerprints of the keys in the file.
  returned: success
  type: list
  elements: str
"""

import os
import tempfile

from ansible.module_utils.common.text.converters import to_native
from ansible.module_utils.urls import open_url

from ..module_utils._apt.keys import KeyFileError, fingerprints, normal
from ..module_utils._core.edge import Module, at_edge

_TIMEOUT_S = 30


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "source": {"type": "str", "required": True},
            "fingerprints": {"type": "list", "elements": "str", "required": True, "no_log": False},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    source, dest = module.params["source"], module.params["dest"]
    expected = {normal(fingerprint) for fingerprint in module.params["fingerprints"]}
    try:
        content = _read(source)
        found = fingerprints(content)
    except KeyFileError as exc:
        module.fail_json(msg=f"The signing key {source} cannot be used: {exc}.")
    except Exception as exc:  # whatever open_url raises
        module.fail_json(msg=f"The signing key {source} cannot be read: {to_native(exc)}")
    strange = [fingerprint for fingerprint in found if fingerprint not in expected]
    if strange:
        module.fail_json(
            msg=(
                f"The signing key {source} has the fingerprint {', '.join(strange)}, and"
                f" {' or '.join(sorted(expected))} is expected, so it is not trusted. If its owner has announced the"
                " new key, correct the fingerprint; else somebody has exchanged the file."
            )
        )
    changed = not (os.path.exists(dest) and _read(dest) == content)
    if changed and not module.check_mode:
        handle, temporary = tempfile.mkstemp(dir=module.tmpdir)
        with open(handle, "wb") as stream:
            stream.write(content)
        os.chmod(temporary, 0o644)  # apt reads it as its own user
        module.atomic_move(temporary, dest)
    module.exit_json(changed=changed, fingerprints=found)


def _read(source: str) -> bytes:
    if source.startswith("/"):
        with open(source, "rb") as stream:
            return stream.read()
    with open_url(source, timeout=_TIMEOUT_S) as response:
        content: bytes = response.read()
        return content


if __name__ == "__main__":
    main()
