# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shared options of modules that show their progress."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  progress_file:
    description: File on the target in which the module reports its progress. Set by the action plugin.
    type: path
attributes:
  action:
    description: Indicates that the module has an action plugin.
    support: full
    details: Shows the progress while the module runs.
"""

    AT_ONCE = r"""
options:
  at_once:
    description:
      - Whether to leave everything that takes longer than a moment to a second call, and then to return C(later=true).
      - Set by the action plugin. A call that has nothing to do needs no job in the background.
    type: bool
    default: false
"""
