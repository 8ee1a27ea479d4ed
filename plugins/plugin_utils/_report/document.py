# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document a report is rendered from: all facts about one run on one host, without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...module_utils._core.secrets import mask_argv, mask_value

FORMAT = 1
PARTS = ("result", "functional", "acceptance", "startup", "release", "node")
# The parts of an earlier result that a new judgement replaces.
JUDGEMENT = ("verdict", "summary", "hints", "checks", "metrics", "published", "steady_interval", "spread")


def build(host: str, parts: Mapping[str, Any], outcome: Mapping[str, Any], secrets: Iterable[str]) -> dict[str, Any]:
    """Return the document of a run. C(outcome) is the new judgement if C(parts["result"]) is an earlier one.

    All C(secrets), and anything that looks like a secret, are masked.
    """
    # Through JSON, to remove Ansible's own types.
    known = {name: json.loads(json.dumps(parts.get(name) or None, default=str)) for name in PARTS}
    if known["result"] and outcome.get("reused"):
        known["result"].update({key: outcome[key] for key in JUDGEMENT if key in outcome})
    made_at = known["result"]["finished_at"] if known["result"] else None
    document = {"format": FORMAT, "host": host, "made_at": made_at, "problem": None, **known}
    if not known["result"]:
        document["problem"] = str(outcome.get("msg") or "") or None
    hidden: dict[str, Any] = scrubbed(document, [secret for secret in secrets if secret])
    return hidden


def scrubbed(value: Any, secrets: Sequence[str], name: str = "") -> Any:
    """Return C(value), the content of C(name), without C(secrets) and anything that looks like one."""
    if isinstance(value, Mapping):
        return {scrubbed(key, secrets): scrubbed(inner, secrets, str(key)) for key, inner in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            value = mask_argv(value)
        return [scrubbed(item, secrets) for item in value]
    if not isinstance(value, str):
        return value
    return mask_value(name, value, secrets)
