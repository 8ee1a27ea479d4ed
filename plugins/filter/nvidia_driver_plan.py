# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter C(nvidia_driver_plan): what a host's NVIDIA driver needs next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..module_utils._nvidia.plan import Wanted, make_plan


def nvidia_driver_plan(
    info: Mapping[str, Any],
    *,
    mode: str,
    minimum: str,
    branch: str,
    version: str,
    packages: list[str],
    kernel: str,
    apt: Mapping[str, Any] | None = None,
    load_error: str = "",
    nouveau: bool = False,
) -> dict[str, Any]:
    """Return the plan for a host; see the filter's own documentation."""
    wanted = Wanted(mode, minimum, branch, version, packages, kernel)
    plan = make_plan(info, wanted, apt, load_error, nouveau)
    return {**plan._asdict(), "packages": list(plan.packages), "hold": list(plan.hold)}


class FilterModule:
    """The collection's filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"nvidia_driver_plan": nvidia_driver_plan}
