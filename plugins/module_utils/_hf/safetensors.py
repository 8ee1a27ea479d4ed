# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check whether a safetensors file is complete, without reading its tensors."""

from __future__ import annotations

import json
import os
import struct

# The format's own limit.
_LONGEST_HEADER = 100_000_000


def damage(path: str) -> str | None:
    """Return what is wrong with the file, or None if its length matches its header. Raises OSError."""
    size = os.stat(path).st_size
    with open(path, "rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(_LONGEST_HEADER, max(size - 8, 0)):
            return f"has no header ({size} bytes)"
        try:
            header = json.loads(stream.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return "has a broken header"
    expected = 8 + length + max(ends, default=0)
    return None if size == expected else f"has {size} bytes instead of {expected}"
