# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter C(sibling_thresholds): how fast a server must be in comparison with its siblings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..plugin_utils._siblings import figures, names, threshold


def sibling_thresholds(
    instances: Mapping[str, Iterable[Mapping[str, Any]]],
    *,
    server: str,
    results: str,
    alike: Mapping[str, Any],
    tolerance: str,
    severity: str,
) -> list[dict[str, Any]]:
    """Return the threshold, or nothing without a result to compare with; see the filter's own documentation."""
    if not results or not tolerance:
        return []
    siblings = [name for name in names(instances) if name != server]
    found = figures(Path(results), siblings, alike)
    return [threshold(found, str(tolerance), str(severity))] if found else []


class FilterModule:
    """The collection's filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"sibling_thresholds": sibling_thresholds}
