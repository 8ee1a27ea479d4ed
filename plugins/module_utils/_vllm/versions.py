# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ranges of vLLM's versions, such as C(>=0.19,<0.20)."""

from __future__ import annotations

import operator
import re

_BOUND = r"(?:[<>]=?|==|!=)\d+(?:\.\d+)*"
RANGE = rf"^{_BOUND}(?:, ?{_BOUND})*$"
_COMPARED = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}


def is_within(version: str, wanted: str) -> bool:
    """Return whether a version is in a range. What follows its release, such as C(rc1.dev134+cu130), is ignored.

    An empty range has every version. A version that is not known, an empty text, is taken to be in it.
    """
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    if not found:
        return True
    bounds = (re.match(r"\s*([<>=!]+)(.*)", bound) for bound in wanted.split(","))
    return all(_COMPARED[bound[1]](*_padded(found[1], bound[2])) for bound in bounds if bound)


def _padded(one: str, other: str) -> tuple[list[int], list[int]]:
    """Return two releases as lists of the same length."""
    releases = [[int(number) for number in text.strip().split(".")] for text in (one, other)]
    length = max(map(len, releases))
    first, second = (release + [0] * (length - len(release)) for release in releases)
    return first, second
