# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make test` and `make molecule` run every test there is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_scenario_and_every_file_of_end_to_end_tests_has_a_lane() -> None:
    lines = re.findall(r"^\w+_LANE := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    parts = re.split(r"[ +]", " ".join(lines))
    wanted = [path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")]
    wanted += [str(path.relative_to(ROOT)) for path in ROOT.glob("tests/e2e/test_*.py")]
    assert sorted(parts) == sorted([*wanted, "docs", "importer", "sanity"])
