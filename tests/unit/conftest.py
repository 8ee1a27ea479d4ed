# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the unit tests share: none meets a Docker engine of this machine, so all pass without one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.secrets import KNOWN

os.environ["DOCKER_HOST"] = "unix:///nonexistent/docker.sock"


@pytest.fixture(autouse=True)
def _each_test_is_a_run_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A run's secrets and warnings end with its process; here, the next test must neither mask nor return them."""
    monkeypatch.setattr("ansible.module_utils.common.warnings._global_warnings", {})
    KNOWN.clear()
    yield
    KNOWN.clear()
