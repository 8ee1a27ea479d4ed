# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workload and thresholds of the benchmark, from their schema."""

from __future__ import annotations

import yaml

from ..module_utils._benchmark.spec import PHYSICAL, THRESHOLD, WORKLOAD
from ..plugin_utils._documentation import documented


class ModuleDocFragment:
    # Annotated, because yamllint of ansible-test takes the value of a plain assignment for a literal.
    DOCUMENTATION: str = yaml.safe_dump(
        {
            "options": {
                "workload": {
                    "description": "The load.",
                    "type": "dict",
                    "required": True,
                    "suboptions": documented(WORKLOAD),
                },
                "physical": {
                    "description": PHYSICAL["description"],
                    "type": "dict",
                    "suboptions": documented(PHYSICAL),
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
