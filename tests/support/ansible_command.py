# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of ansible-core, started from a Python that has imported them."""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

from .warm_python import WarmPython


def run(command: Sequence[str], env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in the root of the checkout and return its exit code and what it has printed."""
    environment = dict(os.environ if env is None else env)
    settings = {name: value for name, value in environment.items() if name.startswith("ANSIBLE_")}
    python = _warm(tuple(sorted(settings.items())))
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with python.start("ansible_main:main", command, stdout=out, stderr=err, env=environment) as process:
            code = process.wait()
        printed = []
        for stream in (out, err):
            stream.seek(0)
            printed.append(stream.read().decode())
    return subprocess.CompletedProcess(list(command), code, *printed)


@functools.cache
def _warm(settings: tuple[tuple[str, str], ...]) -> WarmPython:
    """Return a Python with these settings of Ansible, which are read at an import."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    python = WarmPython("ansible_main", env={**others, **dict(settings)})
    atexit.register(python.close)
    return python
