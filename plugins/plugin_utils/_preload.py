# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load plugins once, in the main process of ansible-playbook.

Core forks that process for each task of each host. What it has not loaded by then is read, compiled and run again in
every fork that needs it: of a short task that is the larger part.
"""

from __future__ import annotations

from ansible.plugins.loader import (
    become_loader,
    connection_loader,
    filter_loader,
    lookup_loader,
    shell_loader,
    test_loader,
)

# What the roles use. A name of the collection loads its other filters, too.
_FILTER = "hgx.inference.vllm_spec"
_LOOKUPS = ("env", "file", "password", "template", "vars")


def preload() -> None:
    """Load what the tasks of the collection's roles need on the controller."""
    for _test in test_loader.all():
        pass
    filter_loader.get(_FILTER)
    for name in _LOOKUPS:
        lookup_loader.get(f"ansible.builtin.{name}")
    for loader, name in ((connection_loader, "ssh"), (become_loader, "sudo"), (shell_loader, "sh")):
        loader.get(name, class_only=True)
