# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nested mappings, as they come from YAML and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge(base: Any, changes: Any) -> Any:
    """Return C(base) with C(changes) merged in: mappings are merged, other values are replaced."""
    if isinstance(base, Mapping) and isinstance(changes, Mapping):
        return {**base, **{key: merge(base.get(key), value) for key, value in changes.items()}}
    return changes
