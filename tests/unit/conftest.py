# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the unit tests share: none meets a Docker engine of this machine, so all pass without one.

Only the slow test of the sandbox for code asks for it, and is skipped without one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.secrets import KNOWN

os.environ["DOCKER_HOST"] = "unix:///nonexistent/docker.sock"


@pytest.fixture(autouse=True)
def _each_test_is_a_run_of_its_own() -> Iterator[None]:
    """A run forgets its secrets when its process ends; here, the next test must not have them masked."""
    KNOWN.clear()
    yield
    KNOWN.clear()
