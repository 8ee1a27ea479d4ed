# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The archive of a proof: a tar whose every byte is signed.

MANIFEST.json lists the other files with their hashes, and MANIFEST.sig is the signature of it. The rest of the tar,
such as its headers, follows from the files alone: whoever reads it makes it again and compares.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

NAMESPACE = "hgx-inference-proof"
FORMAT = 1
MANIFEST, SIGNATURE = "MANIFEST.json", "MANIFEST.sig"
PARTS = ("release", "benchmark", "packages", "weights", "node")
_MOST_BYTES = 256 * 2**20
_ARMOR = re.compile(rb"-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)-----END SSH SIGNATURE-----\n")
_ARMOR_COLUMNS = 70
_KEY_TYPES = ("ssh-", "ecdsa-", "sk-")
_TIMEOUT_S = 120


class ArchiveError(Exception):
    """An archive that cannot be made, or that is not to be trusted; the message says why, and what to do."""


class Proof(NamedTuple):
    """A verified proof; C(signer) is the name that the list of signers has for the key."""

    host: str
    made_at: str
    content: Mapping[str, Any]
    signer: str


def make(host: str, made_at: str, content: Mapping[str, Any], key: Path) -> bytes:
    """Return the archive of a proof, signed with a private key, or with the one of a public key in an agent.

    Raises ArchiveError.
    """
    files = {f"{part}.json": _json(content.get(part)) for part in PARTS}
    manifest = _json(
        {
            "format": FORMAT,
            "host": host,
            "made_at": made_at,
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        }
    )
    return _tar({MANIFEST: manifest, SIGNATURE: _sign(manifest, key), **files})


def load(path: Path) -> bytes:
    """Return the bytes of an archive. Raises ArchiveError for what is no file, or too large for a proof."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            raise ArchiveError(_refused(f"{path} is no file of at most {_MOST_BYTES // 2**20} MiB"))
        return path.read_bytes()
    except OSError as exc:
        raise ArchiveError(f"{path} cannot be read: {exc.strerror}.") from exc


def read(archive: bytes, signers: Path) -> Proof:
    """Return the proof of an archive that one of the signers has signed. Raises ArchiveError.

    C(signers) is a public key, or a list of keys in the format of OpenSSH's allowed signers.
    """
    files = _files(archive)
    signature = files[SIGNATURE]
    # First the signature, so that nothing unsigned is believed.
    signer = _verify(files[MANIFEST], signature, signers)
    _require(_armored(signature) == signature, "its signature is not written as OpenSSH writes it")
    try:
        manifest = json.loads(files[MANIFEST])
        listed, made_by = manifest["files"], manifest["format"]
    except (ValueError, LookupError, TypeError):
        raise ArchiveError(_refused("its manifest cannot be read")) from None
    _require(made_by == FORMAT, f"it is of another format, {made_by!r}, than this version knows")
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name in listed}
    changed = sorted(name for name in {*listed, *files} - {MANIFEST, SIGNATURE} if listed.get(name) != hashes.get(name))
    _require(not changed, f"{', '.join(changed)} differs from what was signed")
    _require(_tar(files) == archive, "there is something in it that was not signed")
    try:
        content = {part: json.loads(files[f"{part}.json"]) for part in PARTS}
    except (ValueError, LookupError):
        raise ArchiveError(_refused("a part of it cannot be read")) from None
    return Proof(str(manifest["host"]), str(manifest["made_at"]), content, signer)


def _files(archive: bytes) -> dict[str, bytes]:
    known = {MANIFEST, SIGNATURE, *(f"{part}.json" for part in PARTS)}
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isreg() and member.size <= len(archive) else None
                if member.name not in known or member.name in files or stream is None:
                    raise ArchiveError(_refused(f"it has a file {member.name[:80]!r}, which is not of a proof"))
                files[member.name] = stream.read()
    except (tarfile.TarError, OSError, ValueError, OverflowError, EOFError, RecursionError) as exc:
        raise ArchiveError(_refused(f"it is no archive of a proof: {exc}")) from exc
    missing = sorted(known - set(files))
    if missing:
        raise ArchiveError(_refused(f"it lacks {', '.join(missing)}"))
    return files


def _tar(files: Mapping[str, bytes]) -> bytes:
    """Return a tar that follows from the files alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files, key=lambda name: (name not in (MANIFEST, SIGNATURE), name)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(files[name]), 0o644
            tar.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def _sign(manifest: bytes, key: Path) -> bytes:
    if not key.is_file():
        raise ArchiveError(
            f"There is no SSH key {key} to sign with. Set proof_key to yours, or make one: ssh-keygen -t ed25519"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MANIFEST
        path.write_bytes(manifest)
        done = _ssh_keygen("-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(path))
        if done.returncode != 0:
            raise ArchiveError(
                f"ssh-keygen cannot sign with {key}: {_said(done)}. A key with a passphrase must be in the agent"
                " (ssh-add), and proof_key then names its .pub file."
            )
        return path.with_name(f"{MANIFEST}.sig").read_bytes()


def _verify(manifest: bytes, signature: bytes, signers: Path) -> str:
    """Return the signer's name. Raises ArchiveError if the signature is not of one of the signers."""
    with _allowed(signers) as allowed, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SIGNATURE
        path.write_bytes(signature)
        found = _ssh_keygen("-Y", "find-principals", "-s", str(path), "-f", allowed)
        name = found.stdout.decode("utf-8", "replace").splitlines()
        if found.returncode != 0 or not name:
            checked = _ssh_keygen("-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(path), data=manifest)
            if checked.returncode != 0:
                raise ArchiveError(_refused(f"its signature does not fit: {_said(checked)}"))
            key = re.search(r"with (\S+ key \S+)", checked.stdout.decode("utf-8", "replace"))
            raise ArchiveError(
                _refused(f"it was signed with {key[1] if key else 'a key'}, which is not in {signers}")
                + " If you know that key, add it there, or name its public key as proof_signers."
            )
        done = _ssh_keygen(
            "-Y", "verify", "-f", allowed, "-I", name[0], "-n", NAMESPACE, "-s", str(path), data=manifest
        )
        if done.returncode != 0:
            raise ArchiveError(_refused(f"its signature does not fit: {_said(done)}"))
        return name[0]


@contextmanager
def _allowed(signers: Path) -> Iterator[str]:
    """Yield a file of allowed signers; a public key gets the name that stands behind it."""
    try:
        lines = signers.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ArchiveError(
            f"The keys of those who may sign, {signers}, cannot be read: {exc}. Name a public key, or a file of allowed"
            " signers (ssh-keygen(1)), as proof_signers."
        ) from exc
    with tempfile.NamedTemporaryFile("w", suffix=".signers", encoding="utf-8") as stream:
        stream.writelines(f"{_as_allowed(line)}\n" for line in lines)
        stream.flush()
        yield stream.name


def _as_allowed(line: str) -> str:
    words = line.split()
    if not words or not words[0].startswith(_KEY_TYPES):
        return line
    name = re.sub(r"[^\w.@-]", "", words[2]) if len(words) > 2 else ""
    return f"{name or 'signer'} {words[0]} {words[1] if len(words) > 1 else ''}"


def _armored(signature: bytes) -> bytes:
    """Return a signature as OpenSSH writes it; a decoder would also take another way of writing the same."""
    found = _ARMOR.fullmatch(signature)
    try:
        data = base64.b64encode(base64.b64decode(found[1])) if found else b""
    except ValueError:
        return b""
    lines = [data[start : start + _ARMOR_COLUMNS] for start in range(0, len(data), _ARMOR_COLUMNS)]
    return b"\n".join([b"-----BEGIN SSH SIGNATURE-----", *lines, b"-----END SSH SIGNATURE-----", b""])


def _ssh_keygen(*words: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run ssh-keygen without a terminal, on which it would ask for a passphrase."""
    environment = {**os.environ, "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}
    argv: Sequence[str] = ["ssh-keygen", *words]
    try:
        return subprocess.run(
            argv,
            input=data or b"",
            capture_output=True,
            env=environment,
            timeout=_TIMEOUT_S,
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ArchiveError(f"ssh-keygen cannot be run: {exc}. Install OpenSSH 8.2 or newer.") from exc


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stderr or done.stdout).decode("utf-8", "replace").split("\n")
    return " ".join(line.strip() for line in lines if line.strip()).rstrip(".") or f"exit code {done.returncode}"


def _require(condition: bool, why: str) -> None:
    if not condition:
        raise ArchiveError(_refused(why))


def _refused(why: str) -> str:
    return f"The proof is refused: {why}."


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
