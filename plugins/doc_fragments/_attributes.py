# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The attributes of modules; a module adds its own C(support) and C(details)."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying the target.
  diff_mode:
    description: Returns details on what has changed, or would change in check mode, when in diff mode.
  idempotent:
    description: A second run with the same arguments outside check mode reports no change.
"""

    # For modules that change nothing; complete in itself.
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return the same result.
    support: full
    details: Changes nothing.
  diff_mode:
    description: Returns details on what has changed, or would change in check mode, when in diff mode.
    support: N/A
    details: Changes nothing.
  idempotent:
    description: A second run with the same arguments outside check mode reports no change.
    support: full
    details: Changes nothing.
"""

    # For modules whose action plugin does all the work.
    CONTROLLER = r"""
options: {}
attributes:
  action:
    description: Indicates that the module has an action plugin.
    support: full
    details: Runs on the controller.
"""
