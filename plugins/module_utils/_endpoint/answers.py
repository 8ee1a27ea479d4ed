# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Chat completions and Anthropic messages, whole or streamed, in one form; and checks of their content."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

# The exceptions that a malformed answer leads to. JSON has infinity, and can be nested too deeply to parse.
FORM_ERRORS = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


class AnswerError(Exception):
    """A wrong answer; the message says what is wrong, and quotes it."""


class ToolCall(NamedTuple):
    """A tool call as parsed by the server: C(arguments) is still text. Its result is sent back under C(call_id)."""

    name: str
    arguments: str
    call_id: str


class Answer(NamedTuple):
    """A model's answer. C(stop) is the server's own term: stop, tool_calls, end_turn, tool_use, length, max_tokens."""

    text: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    stop: str
    input_tokens: int
    output_tokens: int


class Stream(NamedTuple):
    """A streamed answer, assembled, with the arrival times of its content chunks in seconds after the request."""

    answer: Answer
    arrivals: tuple[float, ...]


def from_chat(body: Mapping[str, Any]) -> Answer:
    """Read a chat completion."""
    choice, usage = body["choices"][0], body["usage"]
    message = choice["message"]
    return Answer(
        text=message.get("content") or "",
        reasoning=_reasoning(message),
        tool_calls=tuple(_call(call) for call in message.get("tool_calls") or []),
        stop=choice["finish_reason"] or "",
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
    )


def from_chat_stream(events: Iterable[tuple[float, dict[str, Any] | None]]) -> Stream:
    """Assemble the events of a streamed chat completion. Raises AnswerError if its end is missing."""
    text, reasoning, stop, usage, done = "", "", "", None, False
    calls: dict[int, list[str]] = {}
    arrivals = []
    for seconds, data in events:
        if data is None:
            done = True
            continue
        usage = data.get("usage") or usage
        for choice in data["choices"]:
            delta = choice["delta"]
            stop = choice.get("finish_reason") or stop
            text += delta.get("content") or ""
            reasoning += _reasoning(delta)
            for part in delta.get("tool_calls") or []:
                call = calls.setdefault(part["index"], ["", "", ""])
                function = part.get("function") or {}
                call[0] += function.get("name") or ""
                call[1] += function.get("arguments") or ""
                call[2] = call[2] or part.get("id") or ""
            if delta.get("content") or _reasoning(delta) or delta.get("tool_calls"):
                arrivals.append(seconds)
    missing = [
        name
        for name, there in (("a finish_reason", stop), ("the usage", usage), ("the final [DONE]", done))
        if not there
    ]
    if missing or usage is None:
        raise AnswerError(f"The stream lacks {' and '.join(missing)}; {len(arrivals)} chunks came. It was cut off.")
    answer = Answer(
        text,
        reasoning,
        tuple(ToolCall(*calls[index]) for index in sorted(calls)),
        stop,
        usage["prompt_tokens"],
        usage["completion_tokens"],
    )
    return Stream(answer, tuple(arrivals))


def from_messages(body: Mapping[str, Any]) -> Answer:
    """Read an Anthropic message."""
    blocks, usage = body["content"], body["usage"]
    return Answer(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        reasoning="".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        tool_calls=tuple(
            ToolCall(block["name"], json.dumps(block["input"]), block.get("id") or "")
            for block in blocks
            if block["type"] == "tool_use"
        ),
        stop=body["stop_reason"] or "",
        input_tokens=usage["input_tokens"],
        output_tokens=usage["output_tokens"],
    )


def from_messages_stream(events: Iterable[tuple[float, dict[str, Any] | None]]) -> tuple[Stream, list[dict[str, Any]]]:
    """Assemble the events of a streamed Anthropic message; also return its blocks for the next turn."""
    blocks: dict[int, dict[str, Any]] = {}
    usage: dict[str, int] = {}
    stop, ended, arrivals = "", False, []
    for seconds, data in events:
        if data is None:
            continue
        kind = data["type"]
        if kind == "message_start":
            usage.update(data["message"]["usage"])
        elif kind == "content_block_start":
            blocks[data["index"]] = {**data["content_block"], "_json": ""}
        elif kind == "content_block_delta":
            arrivals.append(seconds)
            _add_delta(blocks[data["index"]], data["delta"])
        elif kind == "message_delta":
            stop = data["delta"].get("stop_reason") or stop
            usage.update(data.get("usage") or {})
        elif kind == "message_stop":
            ended = True
    if not ended or not stop:
        raise AnswerError(
            f"The stream lacks its message_stop or stop_reason; {len(arrivals)} deltas came. It was cut off."
        )
    finished = [_finished(blocks[index]) for index in sorted(blocks)]
    return Stream(from_messages({"content": finished, "stop_reason": stop, "usage": usage}), tuple(arrivals)), finished


def require_call(call: ToolCall, tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of C(call). Raises AnswerError if they do not fit the function C(tool)."""
    if call.name != tool["name"]:
        raise AnswerError(f"The tool is called {tool['name']!r}, but the call names {call.name!r}.")
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        raise AnswerError(f"The arguments of the tool call are no valid JSON: {call.arguments!r}") from None
    schema = tool["parameters"]
    if not isinstance(arguments, dict):
        raise AnswerError(f"The arguments of the tool call are not a JSON object: {call.arguments!r}")
    wrong = [name for name in schema["required"] if name not in arguments]
    wrong += [
        name
        for name, value in arguments.items()
        if name not in schema["properties"] or not isinstance(value, _TYPES[schema["properties"][name]["type"]])
    ]
    if wrong:
        raise AnswerError(f"The arguments do not fit the tool's schema in {', '.join(wrong)}: {call.arguments!r}")
    return arguments


_TYPES = {"string": str, "integer": int}

# Rulers, dashes, frames and bars repeat characters legitimately.
_REPEATED = r"([^\s.\-=_*#~\u2013-\u2015\u2500-\u259f])\1{15,}"
_MANY_WORDS = 30
_SAME_WORD = 8


def degenerate(text: str) -> str:
    """Return why C(text) is gibberish, as broken kernels and caches produce it, or an empty text if it is not."""
    if not text.strip():
        return "it is empty"
    run = re.search(_REPEATED, text)
    if run:
        return f"it repeats {run.group(1)!r} {len(run.group(0))} times"
    if text.count("\ufffd") * 10 > len(text):
        return "it is full of replacement characters"
    words = text.split()
    longest = 1
    current = 1
    for before, after in zip(words, words[1:]):
        current = current + 1 if before == after else 1
        longest = max(longest, current)
    if longest >= _SAME_WORD:
        return f"it repeats a word {longest} times"
    if len(words) >= _MANY_WORDS and Counter(words).most_common(1)[0][1] * 2 > len(words):
        return "more than half of its words are the same"
    return ""


def red_square(side: int = 56) -> str:
    """Return a red picture as a data URL."""
    row = b"\0" + b"\xff\0\0" * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * side)), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return "data:image/png;base64," + base64.b64encode(png).decode()


def haystack(lines: int, needle: str) -> str:
    """Return C(lines) different lines of prose, with C(needle) after a third of them."""
    text = [
        f"Entry {number}: the keeper wrote that the sea was calm and the lamp burned well."
        for number in range(10000, 10000 + lines)
    ]
    text.insert(lines // 3, needle)
    return "\n".join(text)


def _reasoning(message: Mapping[str, Any]) -> str:
    # The newer name first; vLLM renamed the field.
    return message.get("reasoning") or message.get("reasoning_content") or ""


def _call(call: Mapping[str, Any]) -> ToolCall:
    return ToolCall(call["function"]["name"], call["function"]["arguments"], call.get("id") or "")


def _add_delta(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    kind = delta["type"]
    if kind == "text_delta":
        block["text"] = block.get("text", "") + delta["text"]
    elif kind == "thinking_delta":
        block["thinking"] = block.get("thinking", "") + delta["thinking"]
    elif kind == "signature_delta":
        block["signature"] = delta["signature"]
    elif kind == "input_json_delta":
        block["_json"] += delta["partial_json"]


def _finished(block: dict[str, Any]) -> dict[str, Any]:
    text = block.pop("_json")
    if block["type"] == "tool_use":
        try:
            block["input"] = json.loads(text or "{}")
        except (ValueError, RecursionError):
            raise AnswerError(f"The arguments of the tool call are no valid JSON: {text!r}") from None
    return block
