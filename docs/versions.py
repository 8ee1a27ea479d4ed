# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of the versions of vLLM, from the records that `make matrix` writes to docs/matrix."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .tables import ROOT, table

RECORDS = ROOT / "docs" / "matrix"
PROFILES = {"published": "draft", "mla": "MLA"}
Record = Mapping[str, Any]


def load_records() -> list[dict[str, Any]]:
    """Return the records, the oldest version first."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in RECORDS.glob("*.json")]
    return sorted(records, key=lambda record: [int(part) for part in re.findall(r"\d+", record["version"])])


def versions_page(records: Sequence[Record]) -> str:
    """Return what works with which version, and the errors of those with which it does not."""
    head = ["vLLM", "torch, transformers", "site", "checks", "draft", "MLA", "system role", "Claude Code", "wrong flag"]
    matrix = table([*head, "engine killed"], map(_row, records))
    reasons = table(["vLLM", "what", "its own words"], (row for record in records for row in _reasons(record)))
    return f"{matrix}\n{reasons}"


def _row(record: Record) -> list[str]:
    checks = list(record["checks"].values())
    passed, judged = checks.count("pass"), len(checks) - checks.count("skipped")
    ran = record["site"]["passed"]
    return [
        record["version"],
        f"{record['torch']}, {record['transformers']}" if ran else "",
        "PASS" if ran else "**fails**",
        f"{passed} of {judged}" if checks else "",
        _served(record, "published"),
        _served(record, "mla"),
        _system_role(record["interfaces"]["system_role"]) if ran else "",
        _claude(record["claude_code"]) if ran else "",
        "refused before the start" if record["wrong_flag"]["refused"] else "**not refused**",
        f"container ends with exit code {record['killed_engine']['exit_code']}" if ran else "",
    ]


def _served(record: Record, profile: str) -> str:
    """Return whether the version serves with a profile: the one of its site, or one that was tried besides."""
    tried = record["profiles"].get(profile)
    if tried is None:
        return "yes" if record["site"]["passed"] else ""
    return "yes" if tried["works"] else "**no**"


def _system_role(status: int) -> str:
    return "accepted" if status == 200 else f"**HTTP {status}**"


def _claude(tried: Record) -> str:
    failed = tried["failed_requests"]
    if not tried["works"]:
        return "**fails**"
    return f"works; {failed} failed request{'s' if failed > 1 else ''} a conversation" if failed else "works"


def _reasons(record: Record) -> Iterable[list[str]]:
    version = record["version"]
    if not record["site"]["passed"]:
        yield [version, "site", _code(record["site"]["line"])]
    for name, said in record["told"].items():
        yield [version, f"check `{name}`: {record['checks'][name]}", _code(said)]
    for profile, tried in record["profiles"].items():
        if not tried["works"]:
            yield [version, PROFILES[profile], _code(tried["line"])]
    if record["site"]["passed"] and not record["claude_code"]["works"]:
        yield [version, "Claude Code", _code(record["claude_code"]["said"])]


def _code(text: str) -> str:
    return f"`{text[:300].replace('`', chr(39))}`"
