# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers as real servers have given them, and the judgement of texts."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._endpoint import answers, findings, inputs
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.answers import Answer, AnswerError, ToolCall

RECORDED = Path(__file__).parents[3] / "fixtures" / "api"
TOOL = {
    "name": "get_weather",
    "parameters": {"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]},
}


def body(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((RECORDED / name).read_text(encoding="utf-8").splitlines()[0])
    return answer


def test_chat() -> None:
    answer = answers.from_chat(body("h100-chat.txt"))
    assert (answer.text, answer.reasoning[:15], answer.tool_calls) == ("", "avme emwdygabat", ())
    assert (answer.stop, answer.input_tokens, answer.output_tokens) == ("length", 15, 16)


def test_chat_without_thinking() -> None:
    answer = answers.from_chat(body("h100-chat-instant.txt"))
    assert (answer.text[:15], answer.reasoning) == ("bkqxffcqaalhzwp", "")


def test_messages() -> None:
    answer = answers.from_messages(body("h100-messages.txt"))
    assert (answer.text, answer.reasoning) == ("", " bjxatugaorsgatfepmfapcgdtmhht")
    assert (answer.stop, answer.input_tokens, answer.output_tokens) == ("max_tokens", 15, 8)


def test_the_older_name_of_the_reasoning() -> None:
    message = {"content": "Yes", "reasoning_content": "Hm"}
    choice = {"message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    assert answers.from_chat({"choices": [choice], "usage": usage}).reasoning == "Hm"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('{"city": "Paris"', "no valid JSON"),
        ("", "no valid JSON"),
        ("[" * 100_000, "no valid JSON"),
        ('["Paris"]', "not a JSON object"),
        ("{}", "do not fit the tool's schema in city"),
        ('{"city": 7}', "in city"),
        ('{"city": "Paris", "days": "two", "unit": "C"}', "in days, unit"),
    ],
)
def test_arguments_that_do_not_fit(arguments: str, words: str) -> None:
    with pytest.raises(AnswerError, match=words):
        answers.require_call(ToolCall("get_weather", arguments, "1"), TOOL)


def test_arguments_that_fit() -> None:
    assert answers.require_call(ToolCall("get_weather", '{"city": "Paris", "days": 2}', "1"), TOOL)["days"] == 2


SAID = "The capital of France is Paris."
THOUGHT = "The user wants to know something."
SOUND = Answer(SAID, THOUGHT, (), "stop", 24, 15, "kimi")
CALL = ToolCall("get_weather", '{"city": "Paris"}', "functions.get_weather:0")


def require_sound(answer: Answer, sent: int = 60) -> None:
    answers.require_sound(answer, ("kimi", "k2"), sent, answers.ENDED)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"reasoning": "", "output_tokens": 8},
        {"model": "k2"},
        {"model": ""},
        {"output_tokens": 60},
        {"input_tokens": 500},
        {"text": "", "tool_calls": (CALL, CALL), "stop": "tool_calls", "output_tokens": 50},
        # Thoughts that /v1/messages counts, and does not send.
        {"reasoning": "", "stop": "end_turn", "output_tokens": 900},
    ],
)
def test_sound_answers(changed: dict[str, Any]) -> None:
    require_sound(SOUND._replace(**changed))


@pytest.mark.parametrize(
    ("changed", "cause", "words"),
    [
        ({"text": f"{THOUGHT}</think>{SAID}"}, findings.THOUGHTS_LEAK, "'think>', is in its answer"),
        ({"reasoning": f"{THOUGHT}</think>"}, findings.THOUGHTS_LEAK, "is in its reasoning"),
        ({"text": f"{SAID}<|im_end|>"}, findings.SPECIAL_LEAK, "'<|im_end|>'"),
        ({"text": "<|tool_calls_section_begin|>"}, findings.CALLS_LEAK, "is in its answer"),
        ({"reasoning": 'functions.get_weather:0{"city"'}, findings.CALLS_IN_REASONING, "is in its reasoning"),
        (
            {"tool_calls": (CALL._replace(arguments='{"city": "Paris<|tool_call_end|>"}'),)},
            findings.CALLS_LEAK,
            "is in its tool call",
        ),
        ({"reasoning": "!" * 90}, findings.BROKEN, "The reasoning is broken, it repeats '!' 90 times"),
        ({"text": "the sea " * 30}, findings.BROKEN, "The answer is broken, it repeats 'the sea' again"),
        ({"model": "glm-5"}, findings.OTHER_MODEL, "of another model, 'glm-5'"),
        ({"stop": ""}, findings.STOPPED, "It stopped with None"),
        ({"stop": "abort"}, findings.STOPPED, "It stopped with 'abort'"),
        ({"stop": "content_filter"}, findings.STOPPED, "'content_filter'"),
        ({"output_tokens": 1}, findings.MISCOUNTED, "1 output tokens, for 64 characters"),
        ({"output_tokens": 90}, findings.MISCOUNTED, "90 output tokens, for 64 characters"),
        ({"output_tokens": 150}, findings.MISCOUNTED, "150 output tokens, for 64 characters"),
        ({"input_tokens": 3}, findings.MISCOUNTED, "3 input tokens, for 60 characters"),
        ({"output_tokens": 0}, findings.MISCOUNTED, "24 input and 0 output tokens"),
        ({"output_tokens": float("nan")}, findings.MISCOUNTED, "24 input and nan output tokens"),
        ({"input_tokens": True}, findings.MISCOUNTED, "True input and 15 output tokens"),
        ({"output_tokens": 15.5}, findings.MISCOUNTED, "15.5 output tokens"),
        ({"stop": "length"}, "", "did not end within 15 tokens"),
    ],
)
def test_answers_that_are_not_sound(changed: dict[str, Any], cause: str, words: str) -> None:
    with pytest.raises(AnswerError) as caught:
        require_sound(SOUND._replace(**changed))
    assert caught.value.cause == cause
    assert words in str(caught.value)


def test_two_calls_in_one_are_told() -> None:
    with pytest.raises(AnswerError, match="Two calls are in one"):
        answers.require_call(ToolCall("get_weather", '{"city": "Paris"}{"city": "Rome"}', "1"), TOOL)


def test_arguments_that_are_no_text() -> None:
    message = {"tool_calls": [{"id": "1", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}]}
    choice = {"message": message, "finish_reason": "tool_calls"}
    with pytest.raises(AnswerError, match="are not a text"):
        answers.from_chat({"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})


def test_tokens_from_the_prefix_cache_are_counted() -> None:
    usage = {"input_tokens": 10, "cache_read_input_tokens": 30, "cache_creation_input_tokens": None, "output_tokens": 1}
    assert answers.from_messages({"content": [], "stop_reason": "end_turn", "usage": usage}).input_tokens == 40


@pytest.mark.parametrize("colour", inputs.COLOURS)
def test_the_picture_is_a_png(colour: str) -> None:
    head, _comma, data = inputs.picture(colour).partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data).startswith(b"\x89PNG\r\n\x1a\n")


def test_the_haystack_has_its_needle() -> None:
    assert inputs.haystack(9, "a", "b", "c").splitlines()[1::4] == ["a", "b", "c"]
    lines = inputs.haystack(9, "needle").splitlines()
    assert lines.index("needle") == 4
    assert len(set(lines)) == 10
