# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a command of the host, for programs that are no modules."""

from __future__ import annotations

import subprocess


def command(*argv: str, timeout_s: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it said. One that is not there, or takes too long, has failed."""
    try:
        return subprocess.run(  # pylint: disable=ansible-bad-function  # it is no part of a module
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return subprocess.CompletedProcess(argv, 127, "", str(exc))
