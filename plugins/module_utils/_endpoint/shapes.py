# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests of real clients, recorded: their shapes, with other texts.

Temperature and the length of an answer are the caller's.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .answers import Answer


class Shape(NamedTuple):
    """What a client sends with each request, besides its messages and tools. C(recorded) is a date."""

    client: str
    recorded: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


_EPHEMERAL = {"type": "ephemeral"}
_SESSION = "5a3c5d0e-0f0b-4f0e-9d6f-6f2f4a6f0c11"

CLAUDE_CODE = Shape(
    client="Claude Code 2.1.332",
    recorded="2026-11-30",
    path="/v1/messages?beta=true",
    # The key goes as a Bearer token, from ANTHROPIC_AUTH_TOKEN.
    headers={
        "Accept": "application/json",
        "User-Agent": "claude-cli/2.1.332 (external, sdk-cli)",
        "X-Claude-Code-Session-Id": _SESSION,
        "X-Stainless-Lang": "js",
        "X-Stainless-Package-Version": "0.128.0",
        "X-Stainless-Retry-Count": "0",
        "X-Stainless-Timeout": "600",
        "anthropic-beta": (
            "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
            "mid-conversation-tool-changes-2026-07-01,thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20,"
            "effort-2025-11-24"
        ),
        "anthropic-dangerous-direct-browser-access": "true",
        "anthropic-version": "2023-06-01",
        "x-app": "cli",
    },
    body={
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.332; cc_entrypoint=sdk-cli;"},
            {"type": "text", "text": "You are a coding agent.", "cache_control": _EPHEMERAL},
            {"type": "text", "text": "Use the tools that are given to you.", "cache_control": _EPHEMERAL},
        ],
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": f'{{"device_id":"0","account_uuid":"","session_id":"{_SESSION}"}}'},
    },
)

OPENAI_SDK = Shape(
    client="openai 2.14.0 for Python",
    recorded="2026-11-30",
    path="/v1/chat/completions",
    headers={
        "Accept": "application/json",
        "User-Agent": "OpenAI/Python 2.14.0",
        "X-Stainless-Lang": "python",
        "X-Stainless-Package-Version": "2.14.0",
        "x-stainless-read-timeout": "600",
        "x-stainless-retry-count": "0",
    },
    body={},
)

# It sends max_completion_tokens, where others send max_tokens.
KIMI_CLI = Shape(
    client="kimi-cli 1.52.0",
    recorded="2026-11-30",
    path="/v1/chat/completions",
    headers={
        **OPENAI_SDK.headers,
        "User-Agent": "KimiCLI/1.52.0",
        "X-Msh-Platform": "kimi_cli",
        "X-Msh-Version": "1.52.0",
        "X-Stainless-Async": "async:asyncio",
    },
    body={"prompt_cache_key": _SESSION, "thinking": {"type": "disabled"}},
)


def kimi_turn(text: str) -> list[dict[str, Any]]:
    """Return the first messages of a conversation with Kimi's CLI."""
    return [{"role": "system", "content": "You are a coding agent."}, {"role": "user", "content": text}]


def kimi_results(called: Answer, result: str) -> list[dict[str, Any]]:
    """Return the messages that follow: the model's calls with the IDs that the server gave, and their results."""
    calls = [
        {"type": "function", "id": call.call_id, "function": {"name": call.name, "arguments": call.arguments}}
        for call in called.tool_calls
    ]
    results = [{"role": "tool", "content": result, "tool_call_id": call["id"]} for call in calls]
    return [{"role": "assistant", "tool_calls": calls}, *results]


def claude_history() -> list[dict[str, Any]]:
    """Return the first turn of a conversation with Claude Code, as it stands in the later ones.

    It has a message of the role system. In the first turn itself, that is a list of blocks.
    """
    return [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<system-reminder>Today is Monday.</system-reminder>"},
                {"type": "text", "text": "Hello"},
            ],
        },
        {"role": "system", "content": "# Environment\nThe user opened another file."},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello! What can I do for you?"}]},
    ]


def claude_text(text: str) -> dict[str, Any]:
    """Return a message of the user."""
    return {"role": "user", "content": [{"type": "text", "text": text, "cache_control": _EPHEMERAL}]}


def claude_results(results: Mapping[str, str]) -> dict[str, Any]:
    """Return the message with the results of tools, by the IDs of the calls."""
    blocks: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": call_id, "content": text, "is_error": False}
        for call_id, text in results.items()
    ]
    blocks[-1]["cache_control"] = _EPHEMERAL
    return {"role": "user", "content": blocks}


def claude_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a function as Claude Code describes it."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **tool["parameters"],
        "additionalProperties": False,
    }
    return {"name": tool["name"], "description": tool["description"], "input_schema": schema}


# The words of a 400 by which Claude Code 2.1.332 notices that it must do without the system role among the messages.
# At other words it gives up. Read in the client, and tried with it on 2026-11-30.
_FALLS_BACK = (
    r"(Input should be|unknown variant .{0,2}system\b.{0,2}, expected) ['\"`\\]{1,2}(user|assistant)\b",
    r"role .{0,2}system.{0,2} must (precede an|follow a)",
    r"use the top-level .{0,2}system.{0,2} parameter for the initial system prompt",
    r"text-only role .{0,2}system.{0,2} messages require",
    r"Unexpected role.*input message role",
    r"(?s)(?=.*not supported).*role .{0,2}system",
    r"(?s)(?=.*cache_control).*(system messages?\b|role .{0,2}system)",
)


def falls_back(error: str) -> bool:
    """Return whether Claude Code sends a request again without the system role after this error."""
    return any(re.search(pattern, error, re.IGNORECASE) for pattern in _FALLS_BACK)


def without_system_role(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages as Claude Code sends them again after a 400: a system message joins the user's before it."""
    folded: list[dict[str, Any]] = []
    for message in copy.deepcopy(list(messages)):
        if message["role"] == "system":
            folded[-1]["content"].append({"type": "text", "text": message["content"]})
        else:
            folded.append(dict(message))
    return folded
