# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real clients and the demo's real vLLM: Claude Code, and the SDKs of OpenAI and Anthropic.

That a wrong key is refused is in test_embedded_default.py, where a server with a key runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from ansible_collections.hgx.inference.tests.support import claude_code
from ansible_collections.hgx.inference.tests.support.inference_server import KEY, serving

MODEL = "kimi-k2.6"
ANSWER = "Hello from a tiny Kimi-shaped model"
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CITIES = [{"city": "Paris"}, {"city": "Rome"}]


@pytest.fixture(scope="module")
def server(first_demo: str) -> str:
    return "http://127.0.0.1:8001"


@pytest.fixture(scope="module")
def claude() -> Path:
    return claude_code.installed()


def test_claude_code_runs_a_tool_and_answers_with_all_its_tools(server: str, claude: Path, tmp_path: Path) -> None:
    outcome = claude_code.ask(claude, server, "", "What is in this folder?", tmp_path)
    assert (outcome.exit_code, outcome.is_error, outcome.turns) == (0, False, 2), outcome
    assert outcome.calls == ("Bash {'command': 'ls', 'description': 'List the files'}",)
    assert outcome.results == ("hello.py",)
    assert outcome.text.startswith(ANSWER)


def test_claude_code_continues_a_conversation(server: str, claude: Path, tmp_path: Path) -> None:
    brief = ("--system-prompt", "You are brief.", "--tools", "")
    for question, further in (("Say hello", ()), ("And again", ("--continue",))):
        outcome = claude_code.ask(claude, server, "", question, tmp_path, *brief, *further)
        assert (outcome.exit_code, outcome.is_error, outcome.turns) == (0, False, 1), outcome
        assert outcome.text.startswith(ANSWER)


def test_claude_code_tells_a_wrong_model(server: str, claude: Path, tmp_path: Path) -> None:
    outcome = claude_code.ask(claude, server, "", "Say hello", tmp_path, "--tools", "", model="kimi-k2")
    assert outcome.exit_code == 1
    assert "issue with the selected model (kimi-k2)" in outcome.text


def test_claude_code_works_with_a_server_that_refuses_the_system_role(claude: Path, tmp_path: Path) -> None:
    """The words of vLLM before 0.23 are in a stand-in, and so is the system role of the pinned Claude Code."""
    with serving(KEY, "no_system_role") as stand_in:
        outcome = claude_code.ask(claude, stand_in.base_url, KEY, "What is in this folder?", tmp_path)
        asked = [body["messages"] for path, _headers, body in stand_in.requests if path.startswith("/v1/messages?")]
    assert (outcome.exit_code, outcome.turns, outcome.results) == (0, 2, ("hello.py",)), outcome
    assert ["system" in [message["role"] for message in messages] for messages in asked] == [True, False, False]


def openai_client(server: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server}/v1", api_key="no-key-needed", max_retries=0)


def test_the_openai_sdk_streams_calls_and_their_results(server: str) -> None:
    client = openai_client(server)
    function = {"name": "get_weather", "parameters": {**WEATHER, "additionalProperties": False}, "strict": True}
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris and in Rome?"}]
    shared: dict[str, Any] = {
        "model": MODEL,
        "tools": [{"type": "function", "function": function}],
        "stream_options": {"include_usage": True},
    }
    with client.chat.completions.stream(messages=messages, **shared) as stream:
        called = stream.get_final_completion().choices[0]
    calls = called.message.tool_calls or []
    assert called.finish_reason == "tool_calls"
    assert [call.function.parsed_arguments for call in calls] == CITIES
    again = [call.model_dump(include={"id": True, "type": True, "function": {"name", "arguments"}}) for call in calls]
    results = [{"role": "tool", "tool_call_id": call.id, "content": "Sunny"} for call in calls]
    messages += [{"role": "assistant", "tool_calls": again}, *results]
    with client.chat.completions.stream(messages=messages, **shared) as stream:
        deltas = [event for event in stream if event.type == "content.delta"]
        answer = stream.get_final_completion()
    assert len(deltas) > 1
    assert (answer.choices[0].message.content or "").startswith(ANSWER)
    assert answer.usage is not None
    assert answer.usage.total_tokens > answer.usage.completion_tokens > 1


def test_the_openai_sdk_holds_a_conversation_and_tells_a_wrong_model(server: str) -> None:
    client = openai_client(server)
    messages: list[Any] = []
    for question in ("Hello", "And again"):
        messages.append({"role": "user", "content": question})
        answer = client.chat.completions.create(model=MODEL, messages=messages).choices[0].message
        assert (answer.content or "").startswith(ANSWER)
        messages.append({"role": "assistant", "content": answer.content})
    assert MODEL in [model.id for model in client.models.list()]
    with pytest.raises(openai.NotFoundError, match="kimi-k2` does not exist"):
        client.chat.completions.create(model="kimi-k2", messages=messages[:1])


def test_the_anthropic_sdk_streams_calls_and_their_results(server: str) -> None:
    client = anthropic.Anthropic(base_url=server, auth_token="no-key-needed", max_retries=0)
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris and in Rome?"}]
    tools: list[Any] = [{"name": "get_weather", "description": "The weather", "input_schema": WEATHER}]
    shared: dict[str, Any] = {"model": MODEL, "max_tokens": 256, "tools": tools}
    with client.messages.stream(messages=messages, **shared) as stream:
        called = stream.get_final_message()
    calls = [block for block in called.content if block.type == "tool_use"]
    assert called.stop_reason == "tool_use"
    assert [call.input for call in calls] == CITIES
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "Sunny"} for call in calls]
    messages += [{"role": "assistant", "content": called.content}, {"role": "user", "content": results}]
    with client.messages.stream(messages=messages, **shared) as stream:
        texts = list(stream.text_stream)
        answer = stream.get_final_message()
    assert len(texts) > 1
    assert "".join(texts).startswith(ANSWER)
    assert (answer.stop_reason, answer.usage.output_tokens > 1) == ("end_turn", True)


def test_the_anthropic_sdk_counts_tokens_and_tells_a_wrong_model(server: str) -> None:
    client = anthropic.Anthropic(base_url=server, auth_token="no-key-needed", max_retries=0)
    messages: list[Any] = [{"role": "user", "content": "Hello"}]
    assert client.messages.count_tokens(model=MODEL, messages=messages).input_tokens > 1
    with pytest.raises(anthropic.NotFoundError) as told:
        client.messages.create(model="kimi-k2", max_tokens=16, messages=messages)
    assert "kimi-k2" in json.dumps(told.value.body)
