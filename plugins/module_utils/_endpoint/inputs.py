# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pictures and long texts to ask about."""

from __future__ import annotations

import base64
import struct
import zlib

COLOURS = {
    "red": b"\xff\0\0",
    "green": b"\0\xff\0",
    "blue": b"\0\0\xff",
    "yellow": b"\xff\xff\0",
}
_SIDE = 56  # pixels


def picture(colour: str) -> str:
    """Return a picture of one of C(COLOURS) as a data URL."""
    row = b"\0" + COLOURS[colour] * _SIDE
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * _SIDE)), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return "data:image/png;base64," + base64.b64encode(png).decode()


def haystack(lines: int, *needles: str) -> str:
    """Return C(lines) different lines of prose, with the C(needles) evenly among them."""
    text = [
        f"Entry {number}: the keeper wrote that the sea was calm and the lamp burned well."
        for number in range(10000, 10000 + lines)
    ]
    for index, needle in enumerate(needles):
        text.insert(lines * (2 * index + 1) // (2 * len(needles)) + index, needle)
    return "\n".join(text)
