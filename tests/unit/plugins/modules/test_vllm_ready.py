# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the module ends. The tests of the wait show what it says, those of the action how it is run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._vllm.ready import NotReady
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


class TestBrokenCache:
    LOG = Path(__file__).parents[2] / "fixtures" / "vllm-logs" / "constructed" / "compile-cache--failed-before.log"

    @pytest.fixture
    def docker(self, tmp_path: Path) -> str:
        """A server whose log blames what an earlier start has compiled."""
        graph = tmp_path / "cache" / "here" / "graph"
        graph.parent.mkdir(parents=True)
        graph.write_bytes(b"x")
        os.utime(graph, (10_000, 10_000))
        details = {
            "Id": "c0ffee",
            "State": ENDED,
            "Config": {"Env": ["VLLM_CACHE_ROOT=/root/.cache/vllm/here"]},
            "Mounts": [{"Source": str(tmp_path / "cache"), "Destination": "/root/.cache/vllm"}],
            "HostConfig": {},
        }
        calls = f'echo "$*" >>{tmp_path}/calls'
        return f"{calls}\ncase $1 in logs) cat {self.LOG};; container) echo '{json.dumps([details])}';; esac"

    @pytest.fixture
    def starts(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What comes of each start: a failure with this message, or a server that answers."""
        outcomes: list[str] = []

        def wait(*_args: Any) -> dict[str, Any]:
            if message := outcomes.pop(0):
                raise NotReady(message)
            return {"seconds": 1.0, "completion": "Hello", "startup": {"flags": []}}

        monkeypatch.setattr(vllm_ready, "wait_until_ready", wait)
        return outcomes

    def test_it_is_set_aside_and_the_server_started_again(
        self, ready: Ready, docker: str, starts: list[str], tmp_path: Path
    ) -> None:
        starts += ["It failed.\nWhy", ""]
        result = ready(docker, state_dir=str(tmp_path))
        assert (result["changed"], result["completion"]) == (True, "Hello")
        # In one process Ansible gathers the warnings of all modules.
        (warning,) = [told for told in map(json.dumps, result["warnings"]) if str(tmp_path) in told]
        assert f"was set aside in {tmp_path}/cache/here.aside and" in warning
        assert "The first start said: It failed." in warning
        assert "start vllm" in (tmp_path / "calls").read_text().splitlines()
        starts.append("")
        assert ready(docker, state_dir=str(tmp_path))["changed"] is False
        assert [path.name for path in (tmp_path / "cache").iterdir()] == ["here"], "a start has succeeded since"

    def test_it_is_not_started_a_third_time(self, ready: Ready, docker: str, starts: list[str], tmp_path: Path) -> None:
        starts += ["first", "second"]
        result = ready(docker, state_dir=str(tmp_path))
        assert result["msg"].startswith("second\nThis was the second start, with an empty cache")
        assert result["at_fault"] is True
        starts.append("third")
        assert ready(docker, state_dir=str(tmp_path))["msg"] == "third", "nor by the next play"
        assert (tmp_path / "calls").read_text().splitlines().count("start vllm") == 1

    def test_another_cause_changes_nothing(self, ready: Ready, docker: str, starts: list[str], tmp_path: Path) -> None:
        starts.append("It failed.")
        said = "echo 'torch.OutOfMemoryError: CUDA out of memory.'"
        result = ready(docker.replace(f"cat {self.LOG}", said), state_dir=str(tmp_path))
        assert result["msg"] == "It failed."
        assert [path.name for path in (tmp_path / "cache").iterdir()] == ["here"]
