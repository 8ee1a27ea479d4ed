# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host adds to the log of a server that has failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm import gpus
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log import watch
from ansible_collections.hgx.inference.tests.unit.support.gpu_reports import recorded

LOGS = Path(__file__).parents[4] / "fixtures" / "vllm-logs" / "gpu"


@pytest.mark.parametrize(
    ("log", "own", "told"),
    [
        ("gpu-memory-taken--two-gpus.log", False, True),
        ("gpu-memory-taken--two-gpus.log", True, False),
        ("moe-backend--trtllm.log", False, False),
    ],
)
def test_who_else_is_on_gpus_that_are_full(log: str, own: bool, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    report = gpus.parse_report(recorded("h100-busy.xml"))
    monkeypatch.setattr(gpus, "read_gpus", lambda: report["gpus"])
    monkeypatch.setattr(gpus, "own_pids", lambda _container, pids: frozenset(pids if own else ()))
    lines = (LOGS / log).read_text(encoding="utf-8").splitlines()
    message = watch.failed({"Id": "", "State": {}}, lines, "The server has failed", 1)
    assert ("  nvidia-smi: GPU 0: VLLM::EngineCore (pid 782, 73958 MiB)" in message) is told
