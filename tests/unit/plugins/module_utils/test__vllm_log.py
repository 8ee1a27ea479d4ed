# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reading of recorded logs of a real vLLM 0.32."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils import _vllm_log

LOGS = Path(__file__).parents[2] / "fixtures" / "vllm-logs"


def read(name: str) -> list[str]:
    return (LOGS / f"{name}.log").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("log", "evidence"),
    [
        ("fatal-unknown-flag", "api_server.py: error: unrecognized arguments: --no-such-flag"),
        ("fatal-bad-parser-name", "KeyError: 'invalid tool call parser: kimi_k9"),
        ("fatal-kv-cache-too-small", "ValueError: To serve at least one request with the model's max seq len (4096)"),
        ("fatal-max-model-len", "User-specified max_model_len (999999) is greater than the derived max_model_len"),
        (
            "fatal-model-not-in-cache-offline",
            "LocalEntryNotFoundError: Cannot find an appropriate cached snapshot folder",
        ),
        ("fatal-port-taken-docker-publish", "Bind for 127.0.0.1:18902 failed: port is already allocated"),
        ("fatal-safetensors-truncated", "SafetensorError: Error while deserializing header: incomplete metadata"),
        (
            "not-enough-memory",
            "ValueError: Available memory on node 0 (14.43/16.34 GiB) on startup is less than desired",
        ),
        (
            "spec-draft-unsupported-architecture",
            "Model architectures ['Eagle3DeepSeekMTPModel'] are not supported for now",
        ),
    ],
)
def test_cause(log: str, evidence: str) -> None:
    lines = _vllm_log.cause(read(log))
    assert evidence in "\n".join(lines)
    assert len(lines) <= 15
    assert all("See root cause above" not in line for line in lines)


def test_cause_without_an_exception_is_the_end_of_the_log() -> None:
    assert _vllm_log.cause(["one", "", "two"], limit=1) == ["two"]


def test_long_lines_are_cut() -> None:
    (line,) = _vllm_log.cause(["x: error: " + "y" * 5000])
    assert len(line) < 600


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "starting the process"),
        (
            ["(APIServer pid=1) INFO 11-23 19:59:25 [model.py:733] Resolved architecture: KimiK25"],
            "model architecture KimiK25",
        ),
        (
            ["Loading safetensors checkpoint shards:  50% Completed | 32/64 [06:10<06:09, 11.5s/it]"],
            "loading weights 32/64 (50 %)",
        ),
        (["x [default_loader.py:501] Loading weights took 789.10 seconds", "unrelated"], "weights loaded in 789.10 s"),
    ],
)
def test_phase(lines: list[str], words: str) -> None:
    assert _vllm_log.phase(lines) == words


def test_phase_of_a_healthy_start() -> None:
    lines = read("healthy-start")
    words = [_vllm_log.phase(lines[: index + 1]) for index in range(len(lines))]
    seen = list(dict.fromkeys(words))
    assert seen[0] == "starting the process"
    assert seen[-1] == "waiting for the first completion"
    assert "loading weights 2/2 (100 %)" in seen
    assert "KV cache of 186,400 tokens" in seen
