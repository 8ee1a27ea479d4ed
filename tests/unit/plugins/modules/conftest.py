# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules run on a target, whatever else the tests have imported."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _as_on_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the controller's code is imported, a module's warnings would be displayed and miss from its result."""
    monkeypatch.setattr("ansible.module_utils._internal.is_controller", False)
