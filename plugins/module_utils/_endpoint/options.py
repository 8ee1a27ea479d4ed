# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that modules for a served model share; the documentation fragment C(_endpoint) describes them."""

from __future__ import annotations

from typing import Any

ENDPOINT: dict[str, Any] = {
    "base_url": {"type": "str", "required": True},
    "served_model_name": {"type": "str", "required": True},
    "api_key_file": {"type": "path", "no_log": False},
}
PROBE: dict[str, Any] = {
    **ENDPOINT,
    "timeout": {"type": "int", "default": 300},
    "reuse_file": {"type": "path"},
    "reuse_max_age": {"type": "int", "default": 86400},
}
