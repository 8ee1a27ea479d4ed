# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a check finds, as the preflight of a host and that of several tell it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The outcome of one check. C(fix) is empty if there is nothing to do.

    C(certain) is false where the requirement may be met: that is a warning.
    """

    ok: bool
    need: str
    found: str
    fix: str = ""
    certain: bool = True


def render(findings: dict[str, Finding]) -> str:
    """Return the findings as lines of text: name, need, found, fix."""
    lines: list[str] = []
    for name, finding in findings.items():
        lines.append(f"  {name}")
        for label, text in (("need", finding.need), ("found", finding.found), ("fix", finding.fix)):
            if text:
                lines.append(f"    {label:<6}{text}")
    return "\n".join(lines)
