# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.hgx.inference.plugins.module_utils._core.mappings import merge


def test_merge() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 2}
    assert merge(base, {"a": {"c": [3], "e": None}}) == {"a": {"b": 1, "c": [3], "e": None}, "d": 2}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 2}
    assert merge({"a": 1}, {"a": {"b": 2}}) == {"a": {"b": 2}}
