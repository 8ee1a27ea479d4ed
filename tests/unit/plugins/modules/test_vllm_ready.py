# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the module ends. The tests of the wait show what it says, those of the action how it is run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.modules import vllm_ready

ENDED = {
    "Running": False,
    "Status": "exited",
    "ExitCode": 1,
    "OOMKilled": False,
    "Error": "",
    "StartedAt": "2026-11-23T10:00:00.5Z",
}
Ready = Callable[..., dict[str, Any]]


@pytest.fixture
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ready:
    """Return a function that runs the module where the docker command is this script."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def ready(docker: str, **options: Any) -> dict[str, Any]:
        (tmp_path / "docker").write_text(f"#!/bin/sh\n{docker}\n")
        (tmp_path / "docker").chmod(0o755)
        arguments = {"container": "vllm", "base_url": "http://127.0.0.1:1", "served_model_name": "kimi", **options}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            vllm_ready.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return ready


def test_a_key_that_cannot_be_read(ready: Ready, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff")
    result = ready("exit 1", api_key_file=str(tmp_path / "key"))
    assert result["msg"] == f"The API key cannot be read from {tmp_path}/key: it is not text in UTF-8."


def test_an_ended_container_fails_with_its_log(ready: Ready) -> None:
    details = json.dumps([{"State": ENDED}])
    result = ready(f"case $1 in logs) echo '2026-11-23T10:00:04.5Z the end' >&2;; *) echo '{details}';; esac")
    assert "has ended with exit code 1" in result["msg"]
    assert "the end" in result["msg"]
    assert result["at_fault"] is True


def test_an_engine_that_does_not_answer_is_not_the_servers_fault(ready: Ready) -> None:
    result = ready("echo 'Cannot connect to the Docker daemon' >&2\nexit 1")
    assert "Cannot connect to the Docker daemon" in result["msg"]
    assert result["at_fault"] is False
