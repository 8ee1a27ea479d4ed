#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file holds the documentation only: the action plugin of the same name does the work, on the controller.

DOCUMENTATION = r"""
module: proof_verify
short_description: Check the archive of a proof, and compare it with another one
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Fails unless one of O(signers) has signed the archive and every byte of it is as it was signed.
  - Names what differs in another proof, and why that one may be slower.
options:
  path:
    description: The archive on the controller, from M(hgx.inference.proof_export).
    type: path
    required: true
  signers:
    description: Who may have signed. A public SSH key on the controller, or a file of allowed signers of OpenSSH.
    type: path
    required: true
  other:
    description: Another archive to compare with, which is checked as well.
    type: path
  proof:
    description: A node to compare with, the return value RV(hgx.inference.proof_info#module:proof).
    type: dict
  host:
    description: Name of the node of O(proof).
    type: str
    default: ""
extends_documentation_fragment: [hgx.inference._attributes.info, hgx.inference._attributes.controller]
"""

EXAMPLES = r"""
- name: Check a proof
  hgx.inference.proof_verify:
    path: results/node1-1f2e3d4c5b6a.proof.tar
    signers: ~/.ssh/id_ed25519.pub

- name: Compare two releases
  hgx.inference.proof_verify:
    path: results/node1-1f2e3d4c5b6a.proof.tar
    other: results/node1-6a5b4c3d2e1f.proof.tar
    signers: ~/.ssh/id_ed25519.pub
"""

RETURN = r"""
text:
  description: What was proven by whom, and the comparison, in lines.
  returned: success
  type: list
  elements: str
signer:
  description: The name that O(signers) has for the key.
  returned: success
  type: str
release:
  description: ID of the proven release.
  returned: success
  type: str
"""
