# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fingerprints of keys as gpg shows them, read without gpg."""

from __future__ import annotations

import base64

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._apt.keys import KeyFileError, fingerprints, normal

# Made with gpg 2.2 for this test: an Ed25519 key, and what 'gpg --show-keys' says of it.
KEY = (
    "mDMEaw1vAhYJKwYBBAHaRw8BAQdArmD5tPp9uXoHZAvaHhQHpbodCKLn9UBp0vW3uaOT7n60GXR3byA8dHdvQGV4YW1wbGUuaW52YWxpZD6IkAQTFggA"
    "OBYhBMPuloyBT3ayeernArq58F/zvRFKBQJrDW8CAhsDBQsJCAcCBhUKCQgLAgQWAgMBAh4BAheAAAoJELq58F/zvRFKrJYA/2QBKuDecmMb8RUjItyr"
    "l9DIsn34byDF0FTtDXJmhNATAP90oXrFRI4vsCDFrsg0dvnZ2f7sAeobeml8wyzhE1yMBA=="
)
FINGERPRINT = "C3EE968C814F76B279EAE702BAB9F05FF3BD114A"
BINARY = base64.b64decode(KEY)
ARMORED = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: a: b\n\n{}\n=aBcD\n-----END PGP PUBLIC KEY BLOCK-----\n"
# The same packet with a length in the other format.
NEW_FORMAT = bytes([0xC6, BINARY[1]]) + BINARY[2 : 2 + BINARY[1]]


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (BINARY, 1),
        (BINARY * 2, 2),
        (ARMORED.format(KEY).encode(), 1),
        (
            ARMORED.format("\n".join(KEY[at : at + 64] for at in range(0, len(KEY), 64)))
            .replace("\n", "\r\n")
            .encode(),
            1,
        ),
        (("Some words.\n" + ARMORED.format(KEY) * 2).encode(), 2),
        (NEW_FORMAT, 1),
    ],
)
def test_fingerprints(content: bytes, count: int) -> None:
    assert fingerprints(content) == [FINGERPRINT] * count


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>404</html>", BINARY[:40], BINARY[60:], ARMORED.format("?!").encode(), bytes([0xC6, 230]) + BINARY],
)
def test_what_is_no_key(content: bytes) -> None:
    with pytest.raises(KeyFileError):
        fingerprints(content)


def test_people_write_them_in_groups() -> None:
    assert normal("c3ee 968c 814f 76b2 79ea  e702 bab9 f05f f3bd 114a") == FINGERPRINT
    assert normal(f"0x{FINGERPRINT}") == FINGERPRINT
