# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Streamed answers, read as strictly as the clients read them: the OpenAI and Anthropic SDKs and Claude Code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from . import findings
from .answers import Answer, AnswerError, ToolCall, from_messages, input_tokens_of, reasoning_of
from .client import Event

# The deltas that each kind of block takes, and the field that they extend.
_DELTAS = {
    "text": {"text_delta": "text", "citations_delta": ""},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "redacted_thinking": {},
    "tool_use": {"input_json_delta": "partial_json"},
}


class Stream(NamedTuple):
    """A streamed answer, assembled, with the arrival times of its content chunks in seconds after the request.

    C(blocks) are those of an Anthropic message, for the next turn.
    """

    answer: Answer
    arrivals: tuple[float, ...]
    blocks: tuple[dict[str, Any], ...] = ()


def from_chat(events: Iterable[Event]) -> Stream:
    """Assemble the events of a streamed chat completion. Raises AnswerError."""
    reader = _ChatReader()
    for event in events:
        reader.read(event)
    return reader.stream()


def from_messages_stream(events: Iterable[Event]) -> Stream:
    """Assemble the events of a streamed Anthropic message. Raises AnswerError."""
    reader = _MessageReader()
    for event in events:
        reader.read(event)
    return reader.stream()


class _ChatReader:
    def __init__(self) -> None:
        self.text, self.reasoning, self.stop, self.model = "", "", "", ""
        self.usage: Mapping[str, Any] | None = None
        self.done = False
        self.calls: list[list[str]] = []
        self.arrivals: list[float] = []

    def read(self, event: Event) -> None:
        if self.done:
            raise _broken(f"an event comes after the final [DONE]: {event.data!r}")
        if event.data is None:
            self.done = True
            return
        self.usage = event.data.get("usage") or self.usage
        self._read_model(event.data.get("model") or "")
        for choice in event.data["choices"]:
            if choice.get("index"):
                raise _broken(
                    f"one answer was asked for, and a chunk is of the answer with the index {choice['index']}"
                )
            delta = choice.get("delta") or {}
            self._read_delta(delta, event.seconds)
            self.stop = choice.get("finish_reason") or self.stop

    def _read_model(self, name: str) -> None:
        if name and self.model and name != self.model:
            raise _broken(f"its chunks name two models, {self.model!r} and {name!r}")
        self.model = self.model or name

    def _read_delta(self, delta: Mapping[str, Any], seconds: float) -> None:
        reasoning, text, calls = reasoning_of(delta), delta.get("content") or "", delta.get("tool_calls") or []
        if not (reasoning or text or calls):
            return
        if self.stop:
            raise _broken(f"content comes after the finish_reason {self.stop!r}: {dict(delta)!r}")
        self.reasoning += reasoning
        self.text += text
        for part in calls:
            self._read_call(part)
        self.arrivals.append(seconds)

    def _read_call(self, part: Mapping[str, Any]) -> None:
        index, function, call_id = int(part["index"]), part.get("function") or {}, part.get("id") or ""
        if not 0 <= index <= len(self.calls):
            raise _broken(f"a tool call has the index {index}, after {len(self.calls)} calls")
        if index == len(self.calls):
            self.calls.append(["", "", ""])
        call = self.calls[index]
        if call_id and call[2] and call_id != call[2]:
            raise _broken(f"two tool calls, {call[2]!r} and {call_id!r}, have the index {index}")
        call[0] += function.get("name") or ""
        call[1] += function.get("arguments") or ""
        call[2] = call[2] or call_id

    def stream(self) -> Stream:
        there = {"a finish_reason": self.stop, "the usage": self.usage, "the final [DONE]": self.done}
        missing = [name for name, value in there.items() if not value]
        if missing or self.usage is None:
            raise AnswerError(
                f"The stream lacks {' and '.join(missing)}; {len(self.arrivals)} chunks came. It was cut off.",
                findings.CUT,
            )
        return Stream(
            Answer(
                self.text,
                self.reasoning,
                tuple(ToolCall(*call) for call in self.calls),
                self.stop,
                self.usage["prompt_tokens"],
                self.usage["completion_tokens"],
                self.model,
            ),
            tuple(self.arrivals),
        )


class _MessageReader:
    def __init__(self) -> None:
        self.message: Mapping[str, Any] | None = None
        self.blocks: list[dict[str, Any]] = []
        self.open: dict[str, Any] | None = None
        self.usage: dict[str, Any] = {}
        self.stop = ""
        self.ended = False
        self.arrivals: list[float] = []

    def read(self, event: Event) -> None:
        if event.data is None:
            return
        kind = event.data["type"]
        if event.name != kind:
            raise _broken(f"the event {kind!r} has the name {event.name!r}, and clients go by the name")
        if kind not in _STEPS:
            return  # ping, and what newer versions add
        if self.ended:
            raise _broken(f"{kind!r} comes after message_stop")
        if (self.message is None) != (kind == "message_start"):
            raise _broken(f"{kind!r} comes {'before' if self.message is None else 'after'} message_start")
        _STEPS[kind](self, event)

    def _start(self, event: Event) -> None:
        self.message = dict(_data(event)["message"])
        if not isinstance(self.message.get("content"), list):
            raise _broken("message_start lacks the list of blocks, which the SDK of Anthropic extends")
        self.usage.update(_usage(self.message, "message_start"))
        input_tokens_of(self.usage)

    def _start_block(self, event: Event) -> None:
        data = _data(event)
        index, block = data["index"], data["content_block"]
        if self.stop:
            raise _broken("a block starts after the stop_reason")
        if self.open is not None or index != len(self.blocks):
            state = "still open" if self.open is not None else "closed"
            raise _broken(f"a block starts with the index {index}, after {len(self.blocks)} blocks, the last {state}")
        if block["type"] not in _DELTAS:
            raise _broken(f"a block has the type {block['type']!r}")
        self.open = {**block, "_json": ""}
        self.blocks.append(self.open)

    def _add_delta(self, event: Event) -> None:
        data = _data(event)
        delta = data["delta"]
        if self.open is None or data["index"] != len(self.blocks) - 1:
            raise _broken(f"a {delta['type']} has the index {data['index']}, which is of no open block")
        kind = self.open["type"]
        if delta["type"] not in _DELTAS[kind]:
            raise _broken(f"a {delta['type']} comes in a block of type {kind!r}, and Claude Code drops such a turn")
        field = _DELTAS[kind][delta["type"]]
        if field == "partial_json":
            self.open["_json"] += delta[field]
        elif field == "signature":
            self.open[field] = delta[field]
        elif field:
            self.open[field] = self.open.get(field, "") + delta[field]
        self.arrivals.append(event.seconds)

    def _stop_block(self, event: Event) -> None:
        if self.open is None or _data(event)["index"] != len(self.blocks) - 1:
            raise _broken(f"a block with the index {_data(event)['index']} stops, which is not open")
        self.open = None

    def _end(self, event: Event) -> None:
        if self.open is not None:
            raise _broken("the message ends within a block")
        self.stop = _data(event)["delta"].get("stop_reason") or self.stop
        usage = _usage(_data(event), "message_delta")
        self.usage.update({name: count for name, count in usage.items() if count is not None})

    def _stop(self, _event: Event) -> None:
        self.ended = True

    def stream(self) -> Stream:
        if not self.ended or not self.stop:
            raise AnswerError(
                f"The stream lacks its message_stop or stop_reason; {len(self.arrivals)} deltas came. It was cut off.",
                findings.CUT,
            )
        blocks = [_finished(block) for block in self.blocks]
        model = (self.message or {}).get("model")
        body = {"content": blocks, "stop_reason": self.stop, "usage": self.usage, "model": model}
        return Stream(from_messages(body), tuple(self.arrivals), tuple(blocks))


_STEPS = {
    "message_start": _MessageReader._start,
    "content_block_start": _MessageReader._start_block,
    "content_block_delta": _MessageReader._add_delta,
    "content_block_stop": _MessageReader._stop_block,
    "message_delta": _MessageReader._end,
    "message_stop": _MessageReader._stop,
}


def _data(event: Event) -> dict[str, Any]:
    return event.data or {}


def _usage(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if not holder.get("usage"):
        raise _broken(f"{name} lacks the usage")
    return dict(holder["usage"])


def _broken(words: str) -> AnswerError:
    return AnswerError(f"The stream breaks the protocol: {words}.", findings.PROTOCOL)


def _finished(block: dict[str, Any]) -> dict[str, Any]:
    text = block.pop("_json")
    if block["type"] == "tool_use":
        try:
            block["input"] = json.loads(text or "{}")
        except (ValueError, RecursionError):
            raise AnswerError(
                f"The arguments of the tool call are no valid JSON: {text!r}", findings.BROKEN_CALLS
            ) from None
    return block
