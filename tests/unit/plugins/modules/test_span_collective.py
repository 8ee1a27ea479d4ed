# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The temporary container of an all-reduce: what it has, what is read of it, and that nothing of it is left."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._docker.cli import Completed, DockerTimeout
from ansible_collections.hgx.inference.plugins.module_utils._vllm.release import normalize
from ansible_collections.hgx.inference.plugins.modules import span_collective

SPEC = normalize(
    {
        "image": "some/image:1",
        "env": {"NCCL_SOCKET_IFNAME": "=eth1", "NCCL_NVLS_ENABLE": "0"},
        "gpus": "cdi",
        "network": "host",
        "ipc": "host",
    }
)
ARGS = {"name": "vllm-collective", "spec": SPEC, "rank": 0, "nodes": 2, "head": "10.0.0.1", "port": 29501}


class Docker:
    """A docker that notes what it is asked, and answers the run."""

    def __init__(self, answer: Completed | Exception) -> None:
        self.answer, self.asked, self.job = answer, [], {}  # type: ignore[var-annotated]

    def __call__(self, args: list[str], timeout_s: float = 60, stdin: bytes | None = None) -> Completed:
        self.asked.append(args[0])
        if args[0] != "run":
            return Completed(0, "", "")
        self.job = json.loads(stdin or b"{}")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: Any, **args: Any
) -> tuple[dict[str, Any], Docker]:
    docker = Docker(answer)
    monkeypatch.setattr(span_collective, "run_docker", docker)
    with patch_module_args({**ARGS, **args}), pytest.raises(SystemExit):
        span_collective.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result, docker


def test_the_figure_is_the_bus_bandwidth(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said = json.dumps({"seconds": 2.0, "rounds": 10, "bytes": 1000, "world": 16})
    result, docker = run(monkeypatch, capsys, Completed(0, f"[W] a warning\n{said}\n", "noise"), gpus=8)
    assert result["bus_bytes_per_s"] == 2 * 15 / 16 * 1000 * 10 / 2
    assert (result["processes"], result["missing"], result["error"], result["changed"]) == (16, [], "", False)
    assert docker.asked == ["rm", "run", "rm"]
    job = {key: docker.job[key] for key in ("backend", "processes", "nodes", "head", "port", "timeout_s")}
    assert job == {
        "backend": "nccl",
        "processes": 8,
        "nodes": 2,
        "head": "10.0.0.1",
        "port": 29501,
        "timeout_s": 240,
    }


@pytest.mark.parametrize(
    ("answer", "missing", "error"),
    [
        (Completed(1, '{"missing": [1]}\n{"error": "x"}\n', ""), [1], ""),
        (Completed(1, '{"error": "DistStoreError: no route"}\n', ""), [], "DistStoreError: no route"),
        (
            Completed(125, "", "a\ndocker: no such image\n"),
            [],
            "it ended with exit code 125: a / docker: no such image",
        ),
        (DockerTimeout("too long"), [], "too long"),
        (Completed(0, "", ""), [], ""),
    ],
)
def test_a_failure_is_told_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: Any, missing: list[int], error: str
) -> None:
    result, docker = run(monkeypatch, capsys, answer)
    assert (result["missing"], result["error"], result["bus_bytes_per_s"]) == (missing, error, None)
    assert docker.asked[-1] == "rm"
    assert docker.job["backend"] == "gloo"


def test_check_mode_starts_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _result, docker = run(monkeypatch, capsys, DockerTimeout("never"), _ansible_check_mode=True)
    assert docker.asked == []


def test_the_container_has_what_the_server_has() -> None:
    words = span_collective.run_words("n", SPEC)
    text = " ".join(words)
    for part in (
        "run --rm --interactive --pull never --name n --network host",
        "--cap-drop ALL",
        "--env NCCL_SOCKET_IFNAME==eth1",
        "--env NCCL_NVLS_ENABLE=0",
        "--device nvidia.com/gpu=all",
        "--ipc host",
        "--entrypoint python3 some/image:1 -c",
    ):
        assert part in text
