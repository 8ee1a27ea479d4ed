# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A log taken apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm.log import parse

LOGS = Path(__file__).parents[4] / "fixtures" / "vllm-logs"


def read(name: str) -> list[str]:
    return (LOGS / f"{name}.log").read_bytes().decode().split("\n")


@pytest.mark.parametrize(
    ("line", "process", "level", "text"),
    [
        ("(EngineCore pid=22) ERROR 11-23 20:29:10 [core.py:1510] text", "EngineCore", "ERROR", "text"),
        ("(Worker_TP3_EP3 pid=9) INFO 11-23 20:29:10 [v1/worker/x.py:1] text", "Worker_TP3_EP3", "INFO", "text"),
        (
            "(VllmWorker rank=2 pid=9) ERROR 08-21 08:26:21 [multiproc_executor.py:546] text",
            "VllmWorker rank=2",
            "ERROR",
            "text",
        ),
        (
            "(EngineCore_0 pid=155) (VllmWorker TP0 pid=161) INFO 11-23 20:29:10 [x.py:1] text",
            "VllmWorker TP0",
            "INFO",
            "text",
        ),
        ("ERROR 03-02 19:49:00 [multiproc_executor.py:783] text", "Worker", "ERROR", "text"),
        ("ERROR 06-29 19:20:00 [core.py:515] text", "EngineCore", "ERROR", "text"),
        ("ERROR 02-20 16:43:12 engine.py:389] text", None, "ERROR", "text"),
        ("[rank0]: Traceback (most recent call last):", None, None, "Traceback (most recent call last):"),
        ("2026-11-25T16:31:23.402960059Z \x1b[36m(APIServer pid=1)\x1b[0m text", "APIServer", None, "text"),
        ("plain (pid=3) text", None, None, "plain (pid=3) text"),
    ],
)
def test_parse(line: str, process: str | None, level: str | None, text: str) -> None:
    (parsed,) = parse.parse([line])
    assert (parsed.process, parsed.level, parsed.text) == (process, level, text)


def test_a_progress_bar_is_several_lines() -> None:
    assert [line.text for line in parse.parse(["\rLoading 0%\rLoading 50%\r\n"])] == [
        "",
        "Loading 0%",
        "Loading 50%",
    ]


@pytest.mark.parametrize(
    ("log", "process", "message"),
    [
        ("fatal-safetensors-truncated", "Worker", "safetensors._safetensors_rust.SafetensorError"),
        ("fatal-kv-cache-too-small", "EngineCore", "ValueError: To serve at least one request"),
        ("fatal-bad-parser-name", None, "KeyError: 'invalid tool call parser: kimi_k9"),
        ("constructed/cuda-out-of-memory--loading", "Worker_TP3", "torch.OutOfMemoryError: CUDA out of memory"),
        ("constructed/none--unknown-exception", "Worker_TP3", "RuntimeError: shape '[2048, 2048]' is invalid"),
    ],
)
def test_what_ended_the_server(log: str, process: str | None, message: str) -> None:
    failure = parse.read(read(log)).failure
    assert failure
    assert failure.process == process
    assert failure.messages[-1][0].text.startswith(message)


def test_an_excerpt_is_the_last_exception_and_where_it_was_raised() -> None:
    assert parse.excerpt(read("constructed/none--unknown-exception")) == [
        'Worker_TP3:   File "/usr/local/lib/python3.12/dist-packages/vllm/model_executor/models/deepseek_v2.py",'
        " line 343, in forward",
        "Worker_TP3: RuntimeError: shape '[2048, 2048]' is invalid for input of size 16777216",
    ]


def test_an_excerpt_without_an_exception_is_the_end_of_the_log() -> None:
    assert parse.excerpt(["one", "", "two", "INFO:     Shutting down"], limit=1) == ["two"]


def test_long_lines_are_cut() -> None:
    (line,) = parse.excerpt(["y" * 5000])
    assert len(line) < 320
