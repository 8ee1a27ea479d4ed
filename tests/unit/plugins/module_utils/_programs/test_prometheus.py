# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs.prometheus import samples


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("up 1", [("up", "", 1.0)]),
        ('a:b{x="1",y="a b"} 2.5e+3 1700000000', [("a:b", '{x="1",y="a b"}', 2500.0)]),
        ('a{x="} 1"}  2\t3 # {trace="b"} 1.0', [("a", '{x="} 1"}', 2.0)]),
        ('a{x="1"} 2\r', [("a", '{x="1"}', 2.0)]),
        ("negative -3", [("negative", "", -3.0)]),
        ("# TYPE up gauge", []),
        ("up NaN", []),
        ("up +Inf", []),
        ("up 1e999", []),
        ("up one", []),
        ("", []),
    ],
)
def test_samples(line: str, found: list[tuple[str, str, float]]) -> None:
    assert list(samples(f"before 1\n{line}\nafter 2\n")) == [("before", "", 1.0), *found, ("after", "", 2.0)]
