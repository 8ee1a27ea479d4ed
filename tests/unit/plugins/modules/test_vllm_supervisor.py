# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module on a host without systemd. Molecule runs it with a real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._vllm import supervisor
from ansible_collections.hgx.inference.plugins.modules import vllm_supervisor


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(("state", "warned"), [("present", True), ("absent", False)])
def test_a_host_without_systemd(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    state: str,
    warned: bool,
    check: bool,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(vllm_supervisor.Module, "warn", lambda _module, words: told.append(words))
    monkeypatch.setattr(supervisor, "SYSTEMD", str(tmp_path / "nowhere"))
    options = {"name": "vllm", "state": state, "state_dir": str(tmp_path), "_ansible_check_mode": check}
    with patch_module_args(options), pytest.raises(SystemExit):
        vllm_supervisor.main()
    result = json.loads(capsys.readouterr().out)
    assert (result["changed"], result["unit"]) == (False, "")
    assert ("nothing restarts the server vllm" in "".join(told)) is warned
