# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A schema as Ansible documents options."""

from __future__ import annotations

from typing import Any

from ..module_utils._core.schema import Schema, argument_spec


def documented(schema: Schema, nested: str = "suboptions") -> dict[str, Any]:
    """Return the options of a mapping; C(nested) is the key of inner ones, which roles call C(options)."""
    options = argument_spec(schema)
    for name, option in options.items():
        inner = schema["properties"][name]
        option["description"] = inner["description"]
        del option["no_log"]
        if option.pop("options", None):
            option[nested] = documented(inner, nested)
    return options
