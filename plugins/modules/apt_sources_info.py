#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(apt_sources_info)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_sources_info
short_description: List apt's repositories with their files, and conflicts between them
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Reads C(/etc/apt/sources.list) and the files beside it, in the one-line format and in deb822.
  - If a repository is listed twice with different keys, apt refuses to work at all, so check before adding one.
options:
  uris:
    description:
      - Return only the enabled entries, for binary packages, that name one of these repositories.
      - A slash at the end and C($(ARCH)) for the host's own architecture make no difference.
      - By default all entries are returned.
    type: list
    elements: str
extends_documentation_fragment: [hgx.inference._attributes.info]
"""

EXAMPLES = r"""
- name: Find NVIDIA's repository
  hgx.inference.apt_sources_info:
    uris: ["https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH)"]
  register: sources

- name: Refuse contradicting entries
  ansible.builtin.assert:
    that: sources.conflicts | length == 0
"""

RETURN = r"""
entries:
  description: The entries, in the order in which apt reads them.
  returned: success
  type: list
  elements: dict
  contains:
    file:
      description: The file that holds it.
      type: str
      sample: /etc/apt/sources.list.d/nvidia.sources
    types:
      description: V(deb), V(deb-src) or both.
      type: list
      elements: str
    uris:
      description: The addresses, as written in the file.
      type: list
      elements: str
    suites:
      description: The suites.
      type: list
      elements: str
    components:
      description: The components; empty for a flat repository.
      type: list
      elements: str
    signed_by:
      description: The keyring's path, fingerprints, or the key itself; empty where the entry names none.
      type: str
    enabled:
      description: Whether apt uses it.
      type: bool
conflicts:
  description:
    - A line for each repository that enabled entries name with different keys. Covers all entries.
    - It says which files name it with which key.
  returned: success
  type: list
  elements: str
"""


from ..module_utils._apt.sources import read_sources, serving, signing_conflicts
from ..module_utils._core.edge import Module, at_edge


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(argument_spec={"uris": {"type": "list", "elements": "str"}}, supports_check_mode=True)
    sources = read_sources()
    uris = module.params["uris"]
    found = sources if uris is None else serving(sources, uris)
    module.exit_json(
        changed=False,
        entries=[source._asdict() for source in found],
        conflicts=signing_conflicts(sources),
    )


if __name__ == "__main__":
    main()
