# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document a report is rendered from: all facts about one run on one host, without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...module_utils._core.secrets import scrubbed

FORMAT = 1
PARTS = ("result", "functional", "acceptance", "startup", "release", "node", "run", "gateways")
# The parts of an earlier result that a new judgement replaces.
JUDGEMENT = ("verdict", "summary", "hints", "checks", "metrics", "published", "steady_interval", "ended", "spread")


def build(host: str, parts: Mapping[str, Any], outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a run. C(outcome) is the new judgement if C(parts["result"]) is an earlier one.

    The secrets of the run, and anything that looks like one, are masked.
    """
    # Through JSON, to remove Ansible's own types.
    known = {name: json.loads(json.dumps(parts.get(name) or None, default=str)) for name in PARTS}
    if known["result"] and outcome.get("reused"):
        known["result"].update({key: outcome[key] for key in JUDGEMENT if key in outcome})
    made_at = known["result"]["finished_at"] if known["result"] else None
    document = {"format": FORMAT, "host": host, "made_at": made_at, "problem": None, **known}
    if not known["result"]:
        document["problem"] = str(outcome.get("msg") or "") or None
    hidden: dict[str, Any] = scrubbed(document)
    return hidden
