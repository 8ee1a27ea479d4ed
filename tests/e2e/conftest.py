# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo and its image, which the tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The clients of these tests may not send the key of an account.
for name in list(os.environ):
    if name.startswith(("ANTHROPIC_", "OPENAI_")):
        del os.environ[name]


@pytest.fixture(scope="session")
def first_demo() -> Iterator[str]:
    """Run the demo, and return its output. At the end all is removed."""
    done = subprocess.run(["make", "demo"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
    yield done.stdout
    subprocess.run(["make", "demo-down"], cwd=ROOT, check=False)


@pytest.fixture(scope="session")
def cpu_image() -> str:
    """Return the demo's image of vLLM; mostly it is there already."""
    subprocess.run([sys.executable, "demo/build_cpu_image.py"], cwd=ROOT, check=True)
    return "hgx-inference/vllm-cpu:0.32.0"
