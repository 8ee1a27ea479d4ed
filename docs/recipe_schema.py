# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The JSON Schema of recipes, for editors.

python -m docs.recipe_schema    writes recipes/recipe.schema.json
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "recipes" / "recipe.schema.json"


def plain(value: Any) -> Any:
    """Return a schema whose descriptions are without Ansible's markup."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return re.sub(r"\b[A-Z]\(([^)#]*)(?:#\w+)?\)", r"\1", value) if isinstance(value, str) else value


def render(schema: dict[str, Any]) -> str:
    """Return the text of the file."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Recipe of hgx.inference"}
    return json.dumps({**head, **plain(schema)}, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "collections"))
    from ansible_collections.hgx.inference.plugins.module_utils._recipe import SCHEMA

    FILE.write_text(render(SCHEMA), encoding="utf-8")
