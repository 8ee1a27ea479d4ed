# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole and damaged files in the format safetensors."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._hf.safetensors import damage

HEADER = json.dumps(
    {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
        "b": {"dtype": "U8", "shape": [6], "data_offsets": [4, 10]},
    }
).encode()
WHOLE = struct.pack("<Q", len(HEADER)) + HEADER + b"0123456789"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (WHOLE, None),
        (WHOLE[:-3], f"has {len(WHOLE) - 3} bytes instead of {len(WHOLE)}"),
        (WHOLE + b"x", f"has {len(WHOLE) + 1} bytes instead of {len(WHOLE)}"),
        (WHOLE[:30], "has no header (30 bytes)"),
        (b"", "has no header (0 bytes)"),
        (b"version https://git-lfs.github.com/spec/v1\n", "has no header (43 bytes)"),
        (struct.pack("<Q", 4) + b"[1]{" + b"0" * 8, "has a broken header"),
    ],
)
def test_damage(tmp_path: Path, content: bytes, words: str | None) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert damage(str(path)) == words
