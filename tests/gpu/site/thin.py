#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpack wheels into one folder, without what one kind of GPU does not need.

    thin.py FOLDER SM WHEEL...

vLLM's wheel has kernels for many GPUs. A GPU of compute capability 9.0 (SM 90) uses only its own. The payload of the
others is filled with zeros, which compress to nothing; the layout of the files stays. Standard library only.
"""

from __future__ import annotations

import re
import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAGIC = struct.pack("<I", 0xBA55ED50)
PTX, CUBIN = 1, 2
# Of other GPUs and other Pythons, and data that no test reads.
UNUSED = re.compile(
    r"^vllm/(vllm-rs$|vllm_flash_attn/_vllm_fa2_C|third_party/fmha_sm100/|third_party/deep_gemm/include/"
    r"|third_party/deep_gemm/_C\.cpython-3(10|11|13|14)|_qutlass_C|distributed/kv_transfer/.*jpg)"
    r"|^mistral_common/data/.*(model|tekken)|^pycountry/locales/|^xgrammar/lib/.*\.a$|\.pyi$|(^|/)tests/"
)
_DATA = re.compile(r"^[^/]+\.data/(purelib/|platlib/)?")


class Code(NamedTuple):
    """A piece of GPU code in a file: its container, its kind, the GPU, and where its payload lies."""

    container: int
    kind: int
    sm: int
    start: int
    size: int


def codes(content: bytes) -> Iterator[Code]:
    """Yield the pieces of GPU code in the fat binaries of a file."""
    position = content.find(MAGIC)
    while position >= 0:
        _magic, version, header, size = struct.unpack_from("<IHHQ", content, position)
        end = position + header + size
        if version != 1 or header != 16 or not size or end > len(content):
            position = content.find(MAGIC, position + 4)
            continue
        offset = position + header
        while offset < end:
            kind, _version, entry_header, payload = struct.unpack_from("<HHIQ", content, offset)
            sm = struct.unpack_from("<I", content, offset + 28)[0]
            if entry_header < 32 or offset + entry_header + payload > end:
                break
            yield Code(position, kind, sm, offset + entry_header, payload)
            offset += entry_header + payload
        position = content.find(MAGIC, end)


def thinned(content: bytes, sm: int) -> bytes:
    """Return a file without the GPU code that a GPU of this SM does not use.

    A container without a cubin for the GPU keeps the PTX that the driver can compile for it.
    """
    containers: dict[int, list[Code]] = {}
    for code in codes(content):
        containers.setdefault(code.container, []).append(code)
    blank = bytearray(content)
    for entries in containers.values():
        kept = [code for code in entries if code.kind == CUBIN and code.sm == sm]
        kept = kept or [code for code in entries if code.kind != CUBIN and code.sm <= sm]
        for code in entries:
            if code not in kept:
                blank[code.start : code.start + code.size] = bytes(code.size)
    return bytes(blank)


def unpack(wheel: Path, folder: Path, sm: int) -> None:
    """Unpack what is used of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            name = _DATA.sub(lambda match: "" if match[1] else match[0], entry.filename)
            if entry.is_dir() or UNUSED.search(name) or _DATA.match(name):
                continue
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            content = archive.read(entry)
            is_library = name.endswith(".so") or ".so." in name
            target.write_bytes(thinned(content, sm) if is_library and name.startswith("vllm/") else content)
            target.chmod(0o755 if is_library else 0o644)


if __name__ == "__main__":
    for path in sys.argv[3:]:
        unpack(Path(path), Path(sys.argv[1]), int(sys.argv[2]))
