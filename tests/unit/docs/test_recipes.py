# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of the bundled recipes."""

from __future__ import annotations

from ansible_collections.hgx.inference.docs import recipes


def test_every_recipe_and_profile_has_a_row() -> None:
    known = recipes.load_recipes()
    page = recipes.recipes_page(known, recipes.load_parsed())
    rows = page.splitlines()
    for name, recipe in known.items():
        assert sum(row.startswith(f"| `{name}` |") for row in rows) == 1 + len(recipe["profiles"])
    assert "not yet" not in page


def test_a_row_tells_what_is_unknown() -> None:
    page = recipes.recipes_page(recipes.load_recipes(), {})
    (row,) = [row for row in page.splitlines() if row.startswith("| `deepseek_v4_pro` | deepseek-ai")]
    assert "8 x B200, 870 GB of weights | 855 tok/s at 32 x 8192/2048" in row
    assert "**the figures**; whether command and figures belong together; the commit and the digest" in row
    assert "[lambda.ai/inference-models/deepseek-ai/deepseek-v4-pro](https://lambda.ai/" in row
    assert "| `deepseek_v4_pro` | `mtp` | `v0.25.1` | mtp | not yet |" in page
