# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of a real vLLM in a real container: the right cause is named. tests/proof/diagnosis.py has more, and times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


# One of each kind: the parser, the server's own checks, the engine while it loads, the kernel, Docker.
@pytest.mark.usefixtures("cpu_image")
@pytest.mark.parametrize("fault", ["unknown-flag", "bad-parser", "truncated-shard", "memory-limit", "port-published"])
def test_the_cause_is_named(fault: str) -> None:
    command = [sys.executable, "tests/proof/diagnosis.py", "--limit=30", fault]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
