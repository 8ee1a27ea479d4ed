# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Streams as real servers have sent them, and streams that break the protocol."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._endpoint import findings, streams
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.answers import AnswerError, ToolCall, require_call
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.checks import TOOL
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.client import Event, sse_events

RECORDED = Path(__file__).parents[3] / "fixtures" / "api"
CHAT, MESSAGES = "cpu-chat-stream-tools.txt", "cpu-messages-stream-tools.txt"
CALL = ToolCall("get_weather", '{"city": "Paris"}', "functions.get_weather:0")


def events(name: str) -> list[Event]:
    lines = (RECORDED / name).read_bytes().splitlines(keepends=True)
    return [
        Event(float(number), None if data == "[DONE]" else json.loads(data), event)
        for number, (event, data) in enumerate(sse_events(lines))
    ]


def test_chat() -> None:
    answer, arrivals, _blocks = streams.from_chat(events("h100-chat-stream.txt"))
    assert answer.reasoning == "gsltdvzaaxad utgojigfonaejfcj"
    assert (answer.stop, answer.output_tokens, answer.model) == ("length", 8, "kimi-k2.6")
    assert arrivals == (1, 2, 3, 4, 5, 6, 7), "the chunk of the role says nothing"


def test_chat_with_a_tool_call() -> None:
    answer = streams.from_chat(events(CHAT)).answer
    assert answer.reasoning == "This question needs the weather tool."
    assert answer.tool_calls == (CALL,)
    assert answer.stop == "tool_calls"


def test_messages_with_a_tool_call() -> None:
    answer, _arrivals, blocks = streams.from_messages_stream(events(MESSAGES))
    assert answer.tool_calls == (CALL,)
    assert (answer.stop, answer.output_tokens, answer.model) == ("tool_use", 14, "kimi-k2.6")
    assert [block["type"] for block in blocks] == ["thinking", "tool_use"]
    assert blocks[1] == {
        "type": "tool_use",
        "id": "functions.get_weather:0",
        "name": "get_weather",
        "input": {"city": "Paris"},
    }


@pytest.mark.parametrize("end", range(1, 7))
def test_a_chat_that_ends_early(end: int) -> None:
    with pytest.raises(AnswerError, match=r"The stream lacks .* It was cut off"):
        streams.from_chat(events(CHAT)[:end])


@pytest.mark.parametrize("end", range(1, 11))
def test_a_message_that_ends_early(end: int) -> None:
    with pytest.raises(AnswerError, match=r"cut off|no valid JSON"):
        streams.from_messages_stream(events(MESSAGES)[:end])


Edit = Callable[[list[Event]], object]


def chunk(**delta: Any) -> Event:
    return Event(9, {"choices": [{"delta": delta, "finish_reason": None}]})


def call(index: int, call_id: str = "functions.get_weather:1") -> Event:
    return chunk(tool_calls=[{"index": index, "id": call_id, "function": {"name": "get_weather", "arguments": "{}"}}])


BROKEN_CHATS: dict[str, tuple[Edit, str]] = {
    "two calls under one index": (lambda found: found.insert(4, call(0)), "have the index 0"),
    "an index is left out": (lambda found: found.insert(4, call(2)), "has the index 2, after 1 calls"),
    "a first index of 1": (lambda found: found.__setitem__(3, call(1)), "has the index 1, after 0 calls"),
    "content after the finish reason": (lambda found: found.insert(5, chunk(content="x")), "after the finish_reason"),
    "another model's chunk": (
        lambda found: found.insert(2, Event(9, {"model": "x", "choices": []})),
        "name two models",
    ),
    "another answer's chunk": (
        lambda found: found.insert(2, Event(9, {"choices": [{"index": 1}]})),
        "of the answer with the index 1",
    ),
    "an event after the end": (lambda found: found.append(chunk(content="x")), "after the final [DONE]"),
}


@pytest.mark.parametrize(("edit", "words"), list(BROKEN_CHATS.values()), ids=list(BROKEN_CHATS))
def test_chats_that_break_the_protocol(edit: Edit, words: str) -> None:
    found = events(CHAT)
    edit(found)
    with pytest.raises(AnswerError) as caught:
        streams.from_chat(found)
    assert words in str(caught.value)
    assert caught.value.cause == findings.PROTOCOL


def test_further_calls_have_further_indexes() -> None:
    found = events(CHAT)
    found.insert(4, call(1))
    assert [each.call_id for each in streams.from_chat(found).answer.tool_calls] == [
        "functions.get_weather:0",
        "functions.get_weather:1",
    ]


def test_calls_that_a_real_parser_breaks() -> None:
    found = streams.from_chat(events("parser-0.19.1-chat-stream-two-tools.txt")).answer
    with pytest.raises(AnswerError, match="no valid JSON") as caught:
        for each in found.tool_calls:
            require_call(each, TOOL)
    assert caught.value.cause == findings.BROKEN_CALLS


def event(**data: Any) -> Event:
    return Event(9, data, data["type"])


def patch(position: int, *path: Any, value: Any) -> Edit:
    """Return what replaces a value deep in one of the events."""

    def edit(found: list[Event]) -> None:
        holder: Any = found[position].data
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = value

    return edit


BROKEN_MESSAGES: dict[str, tuple[Edit, str]] = {
    "thoughts in a block of text": (
        patch(1, "content_block", value={"type": "text", "text": ""}),
        "a thinking_delta comes in a block of type 'text'",
    ),
    "a delta of another index": (patch(2, "index", value=1), "which is of no open block"),
    "two blocks of one index": (patch(6, "index", value=0), "starts with the index 0, after 1 blocks"),
    "a block of an unknown type": (patch(1, "content_block", "type", value="thoughts"), "the type 'thoughts'"),
    "a block that stays open": (lambda found: found.pop(5), "the last still open"),
    "an end within a block": (lambda found: found.pop(8), "ends within a block"),
    "the stop of another block": (patch(5, "index", value=3), "which is not open"),
    "a delta after the stop": (lambda found: found.insert(6, found[3]), "which is of no open block"),
    "no message_start": (lambda found: found.pop(0), "comes before message_start"),
    "two of them": (lambda found: found.insert(1, found[0]), "comes after message_start"),
    "no name of the event": (lambda found: found.__setitem__(2, found[2]._replace(name="")), "has the name ''"),
    "no usage at the start": (patch(0, "message", "usage", value=None), "message_start lacks the usage"),
    "no usage at the end": (patch(9, "usage", value=None), "message_delta lacks the usage"),
    "more after the end": (lambda found: found.append(found[9]), "comes after message_stop"),
    "a block after the stop reason": (
        lambda found: found.insert(
            10, event(type="content_block_start", index=2, content_block={"type": "text", "text": ""})
        ),
        "after the stop_reason",
    ),
}


@pytest.mark.parametrize(("edit", "words"), list(BROKEN_MESSAGES.values()), ids=list(BROKEN_MESSAGES))
def test_messages_that_break_the_protocol(edit: Edit, words: str) -> None:
    found = events(MESSAGES)
    edit(found)
    with pytest.raises(AnswerError) as caught:
        streams.from_messages_stream(found)
    assert words in str(caught.value)
    assert caught.value.cause == findings.PROTOCOL


def test_events_that_clients_ignore() -> None:
    found = events(MESSAGES)
    for position in (0, 3, 7):
        found.insert(position, event(type="ping"))
    found.insert(4, event(type="of_a_newer_version"))
    assert streams.from_messages_stream(found).answer.tool_calls == (CALL,)
