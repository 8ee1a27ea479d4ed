# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Atomic file replacement: a reader or a crash sees either the old or the new content."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress


def read_text(path: str) -> str:
    """Return the content of a file, or an empty text if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def replace_text(path: str, text: str, mode: int | None = None, durable: bool = False) -> None:
    """Replace a file by a text in UTF-8, see replace_bytes. Raises OSError."""
    replace_bytes(path, text.encode("utf-8"), mode, durable)


def replace_bytes(path: str, content: bytes, mode: int | None = None, durable: bool = False) -> None:
    """Replace a file atomically; create its folder if missing. C(durable) syncs it to disk. Raises OSError.

    The file gets exactly C(mode). By default the umask applies, as for any new file.
    """
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f".{uuid.uuid4().hex}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600)
    try:
        with open(handle, "wb") as stream:
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if durable:
        sync_folder(folder)


def ensure_folder(folder: str) -> None:
    """Create a folder that only its owner and group may enter, or make it such a one. Raises OSError."""
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o750)


def replace_link(link: str, target: str) -> None:
    """Replace a symbolic link atomically to point to C(target). Raises OSError."""
    temporary = f"{link}.new"
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.replace(temporary, link)


def sync_folder(folder: str) -> None:
    """Sync the entries of a folder to disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_bytes(path: str) -> int:
    """Return the bytes that an unprivileged user may still write below a path, which need not exist yet."""
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    usage = os.statvfs(path)
    return usage.f_bavail * usage.f_frsize
