# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workload and thresholds of the benchmark, from their schema."""

from __future__ import annotations

from typing import Any

import yaml

from ..module_utils._benchmark.spec import THRESHOLD, WORKLOAD
from ..module_utils._core.schema import argument_spec


def documented(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a mapping as Ansible documents them."""
    options = argument_spec(schema)
    for name, option in options.items():
        inner = schema["properties"][name]
        option["description"] = inner["description"]
        if option.pop("options", None):
            option["suboptions"] = documented(inner)
    return options


class ModuleDocFragment:
    DOCUMENTATION = yaml.safe_dump(
        {
            "options": {
                "workload": {
                    "description": "The load.",
                    "type": "dict",
                    "required": True,
                    "suboptions": documented(WORKLOAD),
                },
                "thresholds": {
                    "description": [
                        "Limits for the figures.",
                        "Without any threshold for the O(size) the verdict is V(warn), because nothing is proven.",
                        "A metric for which there is no figure never passes.",
                    ],
                    "type": "list",
                    "elements": "dict",
                    "default": [],
                    "suboptions": documented(THRESHOLD),
                },
            }
        }
    )
