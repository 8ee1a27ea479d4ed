# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the text of a server's C(/metrics)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

# Name, labels, value, and maybe a time and an example (OpenMetrics).
_SAMPLE = re.compile(
    r"^([a-zA-Z_:][\w:]*)(\{.*?\})?[ \t]+(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"
    r"(?:[ \t]+-?\d+(?:\.\d+)?)?(?:[ \t]+#.*)?[ \t\r]*$",
    re.MULTILINE,
)


def samples(text: str) -> Iterator[tuple[str, str, float]]:
    """Yield name, labels and value of each sample with a finite value; a comparison would not notice NaN."""
    for name, labels, value in _SAMPLE.findall(text):
        if math.isfinite(float(value)):
            yield name, labels, float(value)
