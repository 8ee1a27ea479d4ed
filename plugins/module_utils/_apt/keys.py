# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the fingerprints of the keys in a file of OpenPGP keys, since a host may have no gpg. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

_ARMOR = re.compile(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)
_PRIMARY_KEY = 6  # the tag of its packet; those of subkeys have another


class KeyFileError(Exception):
    """The file has no OpenPGP key, or is damaged."""


def fingerprints(content: bytes) -> list[str]:
    """Return the fingerprints of the primary keys, as upper case hex digits, from a binary or an armored file.

    Raises KeyFileError.
    """
    try:
        found = [_fingerprint(body) for tag, body in _packets(_binary(content)) if tag == _PRIMARY_KEY]
    except (ValueError, IndexError) as exc:
        raise KeyFileError(f"it is no file of OpenPGP keys: {exc}") from exc
    if not found:
        raise KeyFileError("it has no OpenPGP public key")
    return found


def normal(fingerprint: str) -> str:
    """Return a fingerprint as C(fingerprints) does: people write them in groups."""
    return re.sub(r"[\s:]", "", fingerprint).upper().removeprefix("0X")


def _binary(content: bytes) -> bytes:
    blocks = _ARMOR.findall(content)
    return b"".join(map(_dearmored, blocks)) if blocks else content


def _dearmored(block: bytes) -> bytes:
    """Decode what follows the headers and the empty line after them. The last line may be a checksum."""
    _headers, _empty, body = block.replace(b"\r", b"").partition(b"\n\n")
    lines = [line.strip() for line in body.splitlines()]
    return base64.b64decode(b"".join(line for line in lines if not line.startswith(b"=")), validate=True)


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and body of each packet (RFC 9580, 4.2)."""
    at = 0
    while at < len(data):
        first = data[at]
        if not first & 0x80:
            raise ValueError(f"no packet begins at byte {at}")
        if first & 0x40:
            tag, start, length = _new_format(data, at)
        else:
            tag, size = (first >> 2) & 0x0F, 1 << (first & 3)
            if size == 8:
                raise ValueError("a packet has no length")
            start, length = at + 1 + size, int.from_bytes(data[at + 1 : at + 1 + size], "big")
        body = data[start : start + length]
        if len(body) < length:
            raise ValueError("its end is missing")
        yield tag, body
        at = start + length


def _new_format(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the tag of a packet, where its body starts, and its length."""
    tag, octet = data[at] & 0x3F, data[at + 1]
    if octet < 192:
        return tag, at + 2, octet
    if octet < 224:
        return tag, at + 3, ((octet - 192) << 8) + data[at + 2] + 192
    if octet == 255:
        return tag, at + 6, int.from_bytes(data[at + 2 : at + 6], "big")
    raise ValueError("a packet comes in parts")


def _fingerprint(body: bytes) -> str:
    version = body[0]
    if version == 4:
        hashed = b"\x99" + len(body).to_bytes(2, "big") + body
        return hashlib.sha1(hashed, usedforsecurity=False).hexdigest().upper()
    if version == 6:
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    raise ValueError(f"a key is of version {version}")
