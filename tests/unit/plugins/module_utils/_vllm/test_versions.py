# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges of versions."""

from __future__ import annotations

import re

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm.versions import RANGE, is_within


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("0.19.1", ">=0.19,<0.20", True),
        ("0.19.2rc1.dev134+gfe9c3d6c5.cu130", ">=0.19,<0.20", True),
        ("v0.20.0", ">=0.19,<0.20", False),
        ("0.20", ">=0.20.0", True),
        ("0.9.2", ">=0.19", False),
        ("1.0", ">=0.19, !=0.23", True),
        ("0.23.0", ">=0.19, !=0.23", False),
        ("0.32.0+cpu", "<=0.32", True),
        ("0.32.1", "==0.32", False),
        ("0.19.1", "", True),
        ("", ">=0.19", True),
        ("dev", ">=0.19", True),
    ],
)
def test_is_within(version: str, wanted: str, expected: bool) -> None:
    assert re.match(RANGE, wanted) or not wanted
    assert is_within(version, wanted) is expected


@pytest.mark.parametrize("wanted", ["", "0.19", ">=", "~=0.19", ">=0.19 <0.20", ">=0.19,", "latest"])
def test_what_is_no_range(wanted: str) -> None:
    assert not re.match(RANGE, wanted)
