#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(apt_packages_info)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_packages_info
short_description: List installed, held and half-installed packages, and the versions that apt offers
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Asks C(dpkg-query) and C(apt-cache). Changes nothing and does not refresh the package lists.
options:
  installed:
    description: Names or shell patterns of the packages to report.
    type: list
    elements: str
    default: []
  available:
    description: Names of packages whose versions in the repositories are returned.
    type: list
    elements: str
    default: []
extends_documentation_fragment: [hgx.inference._attributes.info]
"""

EXAMPLES = r"""
- name: Get the driver's packages
  hgx.inference.apt_packages_info:
    installed: ["*nvidia*"]
    available: [nvidia-driver-580-open, nvidia-fabricmanager]
"""

RETURN = r"""
installed:
  description: The installed packages, by name.
  returned: success
  type: dict
  sample: {nvidia-utils-580: {version: 580.95.05-0ubuntu1, upstream: 580.95.05, held: true}}
available:
  description: The versions of each package, the newest first. A package that no repository has is left out.
  returned: success
  type: dict
  sample: {nvidia-fabricmanager: [580.126.20-1, 580.95.05-1]}
unfinished:
  description: All packages that dpkg has only half unpacked or configured.
  returned: success
  type: list
  elements: str
interrupted:
  description: Whether dpkg was interrupted, so that C(dpkg --configure -a) must run before anything is installed.
  returned: success
  type: bool
"""

import os

from ..module_utils._apt.packages import SHOW_FORMAT, parse_dpkg_query, parse_madison
from ..module_utils._core.edge import Module, at_edge

_JOURNAL = "/var/lib/dpkg/updates"


@at_edge
def main() -> None:
    """Run the module."""
    names = {"type": "list", "elements": "str", "default": []}
    module = Module(argument_spec={"installed": names, "available": names}, supports_check_mode=True)
    _rc, table, _error = module.run_command(["dpkg-query", "--show", f"--showformat={SHOW_FORMAT}"], check_rc=True)
    installed, unfinished = parse_dpkg_query(table, module.params["installed"])
    versions = ""
    if module.params["available"]:
        _rc, versions, _error = module.run_command(["apt-cache", "madison", *module.params["available"]])
    # Numbered files hold what dpkg was doing when it was killed.
    journal = any(name.isdigit() for name in os.listdir(_JOURNAL)) if os.path.isdir(_JOURNAL) else False
    module.exit_json(
        changed=False,
        installed=installed,
        available=parse_madison(versions),
        unfinished=unfinished,
        interrupted=bool(unfinished) or journal,
    )


if __name__ == "__main__":
    main()
