# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's log, C(/dev/kmsg), as it grows."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

_RECORD_BYTES = 8192


class KernelLog:
    """Reads messages once each: all that the kernel still has, or only those that come from now on.

    A host or a user that may not read them has none; C(readable) tells the difference.
    """

    def __init__(self, path: str = "/dev/kmsg", only_new: bool = False) -> None:
        self._descriptor: int | None = None
        with suppress(OSError):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if only_new:
                with suppress(OSError):  # a pipe has no end to go to
                    os.lseek(self._descriptor, 0, os.SEEK_END)

    @property
    def readable(self) -> bool:
        return self._descriptor is not None

    def read(self) -> list[tuple[float, str]]:
        """Return the messages that were not read yet, each with its time in seconds since the boot."""
        messages = []
        while self._descriptor is not None:
            try:
                # 6,1234,12785311730,-;text
                records = os.read(self._descriptor, _RECORD_BYTES).decode("utf-8", "replace")
            except OSError as exc:
                if exc.errno == errno.EPIPE:  # overwritten while it was read
                    continue
                break
            if not records:
                break
            for record in records.splitlines():
                head, semicolon, text = record.partition(";")
                with suppress(ValueError, IndexError):
                    if semicolon:  # else it adds details to the message before
                        messages.append((int(head.split(",")[2]) / 1e6, text))
        return messages

    def close(self) -> None:
        """Close it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
