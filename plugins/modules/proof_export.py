#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file holds the documentation only: the action plugin of the same name does the work, on the controller.

DOCUMENTATION = r"""
module: proof_export
short_description: Write the archive of a proof, signed with an SSH key
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Writes C(HOST-RELEASE.proof.tar) on the controller. It holds what M(hgx.inference.proof_info) has read.
  - A manifest lists the files with their hashes, and C(ssh-keygen -Y sign) signs it.
options:
  host:
    description: Name of the host that has given the proof.
    type: str
    required: true
  proof:
    description: The return value RV(hgx.inference.proof_info#module:proof).
    type: dict
    required: true
  key:
    description: >-
      The private SSH key on the controller to sign with. If it has a passphrase, load it into the agent and name its
      C(.pub) file.
    type: path
    required: true
  dest:
    description: Folder on the controller for the archive.
    type: path
    required: true
extends_documentation_fragment: [hgx.inference._attributes, hgx.inference._attributes.controller]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details: The archive is an observation, so it never counts as a change.
"""

EXAMPLES = r"""
- name: Write the archive
  hgx.inference.proof_export:
    host: "{{ inventory_hostname }}"
    proof: "{{ found.proof }}"
    key: ~/.ssh/id_ed25519
    dest: results
"""

RETURN = r"""
path:
  description: The archive, on the controller.
  returned: success
  type: str
  sample: /home/me/results/node1-1f2e3d4c5b6a.proof.tar
release:
  description: ID of the release.
  returned: success
  type: str
verdict:
  description: The verdict of its benchmark.
  returned: success
  type: str
"""
