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

from ansible_collections.hgx.inference.plugins.module_utils._endpoint import answers
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.answers import AnswerError, ToolCall
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.client import sse_data

RECORDED = Path(__file__).parents[3] / "fixtures" / "api"
TOOL = {
    "name": "get_weather",
    "parameters": {"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]},
}


def body(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((RECORDED / name).read_text(encoding="utf-8").splitlines()[0])
    return answer


def events(name: str) -> list[tuple[float, dict[str, Any] | None]]:
    lines = (RECORDED / name).read_bytes().splitlines(keepends=True)
    return [
        (float(number), None if data == "[DONE]" else json.loads(data)) for number, data in enumerate(sse_data(lines))
    ]


def test_chat() -> None:
    answer = answers.from_chat(body("h100-chat.txt"))
    assert (answer.text, answer.reasoning[:15], answer.tool_calls) == ("", "avme emwdygabat", ())
    assert (answer.stop, answer.input_tokens, answer.output_tokens) == ("length", 15, 16)


def test_chat_without_thinking() -> None:
    answer = answers.from_chat(body("h100-chat-instant.txt"))
    assert (answer.text[:15], answer.reasoning) == ("bkqxffcqaalhzwp", "")


def test_chat_stream() -> None:
    answer, arrivals = answers.from_chat_stream(events("h100-chat-stream.txt"))
    assert answer.reasoning == "gsltdvzaaxad utgojigfonaejfcj"
    assert (answer.stop, answer.output_tokens) == ("length", 8)
    assert arrivals == (1, 2, 3, 4, 5, 6, 7), "the chunk of the role says nothing"


def test_chat_stream_with_a_tool_call() -> None:
    answer = answers.from_chat_stream(events("cpu-chat-stream-tools.txt")).answer
    assert answer.reasoning == "This question needs the weather tool."
    assert answer.tool_calls == (ToolCall("get_weather", '{"city": "Paris"}', "functions.get_weather:0"),)
    assert answer.stop == "tool_calls"


def test_messages() -> None:
    answer = answers.from_messages(body("h100-messages.txt"))
    assert (answer.text, answer.reasoning) == ("", " bjxatugaorsgatfepmfapcgdtmhht")
    assert (answer.stop, answer.input_tokens, answer.output_tokens) == ("max_tokens", 15, 8)


def test_messages_stream_with_a_tool_call() -> None:
    stream, blocks = answers.from_messages_stream(events("cpu-messages-stream-tools.txt"))
    assert stream.answer.tool_calls == (ToolCall("get_weather", '{"city": "Paris"}', "functions.get_weather:0"),)
    assert (stream.answer.stop, stream.answer.output_tokens) == ("tool_use", 14)
    assert [block["type"] for block in blocks] == ["thinking", "tool_use"]
    assert blocks[1] == {
        "type": "tool_use",
        "id": "functions.get_weather:0",
        "name": "get_weather",
        "input": {"city": "Paris"},
    }


@pytest.mark.parametrize("end", range(1, 7))
def test_a_chat_stream_that_ends_early(end: int) -> None:
    with pytest.raises(AnswerError, match=r"The stream lacks .* It was cut off"):
        answers.from_chat_stream(events("cpu-chat-stream-tools.txt")[:end])


@pytest.mark.parametrize("end", range(1, 11))
def test_a_messages_stream_that_ends_early(end: int) -> None:
    with pytest.raises(AnswerError, match=r"cut off|no valid JSON"):
        answers.from_messages_stream(events("cpu-messages-stream-tools.txt")[:end])


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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("!" * 40, "it repeats '!' 40 times"),
        ("Paris is" + "0" * 20, "it repeats '0' 20 times"),
        ("The the " + "the " * 8, "it repeats a word 9 times"),
        ("a b " * 5 + "a a c " * 20, "more than half"),
        ("\ufffd\ufffdab\ufffd", "full of replacement characters"),
    ],
)
def test_degenerate_texts(text: str, words: str) -> None:
    assert words in answers.degenerate(text)


@pytest.mark.parametrize(
    "text",
    [
        "Paris.",
        "Ha ha ha ha, no!!!",
        "A frame:\n" + "\u2500" * 40 + "\n\u2502 a \u2502\n" + "\u2501" * 30,
        "~" * 20 + "\nBelow a line, " + "\u2014" * 20 + " and half done: " + "\u2588" * 20,
        "# Title\n" + "=" * 60 + "\n" + "-" * 60,
        "def f(x):\n" + " " * 24 + "return x",
        "one two three four five six seven eight nine ten " * 4,
    ],
)
def test_texts_that_are_language(text: str) -> None:
    assert answers.degenerate(text) == ""


def test_the_picture_is_a_png() -> None:
    head, _comma, data = answers.red_square().partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data).startswith(b"\x89PNG\r\n\x1a\n")


def test_the_haystack_has_its_needle() -> None:
    lines = answers.haystack(9, "needle").splitlines()
    assert lines.index("needle") == 3
    assert len(set(lines)) == 10
