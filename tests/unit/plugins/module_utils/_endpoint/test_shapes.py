# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recorded requests of clients, and when Claude Code does without the system role."""

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._endpoint import shapes
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.answers import Answer, ToolCall
from ansible_collections.hgx.inference.tests.support.inference_server import ROLE_ERROR


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ROLE_ERROR, True),
        ("messages.1.role: Input should be 'user' or 'assistant'", True),
        ("role 'system' is not supported in messages", True),
        ("messages.1: use the top-level 'system' parameter for the initial system prompt", True),
        ("1 validation error: {'loc': ('body', 'messages', 1, 'role'), 'input': 'system'}", False),
        ("bad request", False),
    ],
)
def test_the_errors_after_which_claude_code_sends_a_request_again(error: str, again: bool) -> None:
    """The first three and the fifth were sent to Claude Code 2.1.332; the fourth is in its program."""
    assert shapes.falls_back(error) is again


def test_the_texts_of_the_system_role_join_those_of_the_user() -> None:
    history = shapes.claude_history()
    folded = shapes.without_system_role(history)
    assert [message["role"] for message in history] == ["user", "system", "assistant"]
    assert [message["role"] for message in folded] == ["user", "assistant"]
    assert folded[0]["content"][-1] == {"type": "text", "text": history[1]["content"]}
    assert len(history[0]["content"]) == 2, "the conversation itself is unchanged"


def test_results_go_back_under_the_ids_of_their_calls() -> None:
    calls = (ToolCall("f", "{}", "functions.f:0"), ToolCall("g", '{"a": 1}', "functions.g:1"))
    assistant, *results = shapes.kimi_results(Answer("", "Hm", calls, "tool_calls", 1, 1), "Done")
    assert [call["id"] for call in assistant["tool_calls"]] == [each["tool_call_id"] for each in results]
    message = shapes.claude_results({call.call_id: "Done" for call in calls})
    assert [block["tool_use_id"] for block in message["content"]] == ["functions.f:0", "functions.g:1"]
    assert ["cache_control" in block for block in message["content"]] == [False, True]


@pytest.mark.parametrize("shape", [shapes.CLAUDE_CODE, shapes.OPENAI_SDK, shapes.KIMI_CLI])
def test_a_shape_says_when_and_with_what_it_was_recorded(shape: shapes.Shape) -> None:
    version = shape.client.split()[-1] if shape.client != shapes.OPENAI_SDK.client else "2.14.0"
    assert version in shape.headers["User-Agent"]
    assert shape.recorded.startswith("2026-")
