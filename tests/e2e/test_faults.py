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


@pytest.fixture(scope="module")
def image() -> None:
    """The demo's image of vLLM; mostly it is there already."""
    subprocess.run([sys.executable, "demo/build_cpu_image.py"], cwd=ROOT, check=True)


# One of each kind: the parser, the server's own checks, the engine while it loads, the kernel, Docker.
@pytest.mark.parametrize("fault", ["unknown-flag", "bad-parser", "truncated-shard", "memory-limit", "port-published"])
def test_the_cause_is_named(image: None, fault: str) -> None:
    command = [sys.executable, "tests/proof/diagnosis.py", "--limit=30", fault]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
