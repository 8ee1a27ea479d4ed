# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter C(nvidia_fabric): whether the GPUs have joined the NVLink fabric, and if not, why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..module_utils._nvidia.fabric import judge_fabric


def nvidia_fabric(info: Mapping[str, Any], log: str = "", mode: str = "adopt") -> dict[str, str]:
    """Return the state of the fabric; see the filter's own documentation."""
    return judge_fabric(info, log, mode)._asdict()


class FilterModule:
    """The collection's filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"nvidia_fabric": nvidia_fabric}
