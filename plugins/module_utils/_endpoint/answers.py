# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Chat completions and Anthropic messages in one form, and the rules that each answer must keep."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from . import findings, texts

# The exceptions that a malformed answer leads to. JSON has infinity, and can be nested too deeply to parse.
FORM_ERRORS = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)

# Stop reasons of both APIs.
ENDED = ("stop", "end_turn")
CALLED = ("tool_calls", "tool_use")
FULL = ("length", "max_tokens")

# More characters than these are not in a token on average, nor more tokens in a byte. Rewritten counts are many times
# the truth or a fraction of it; the counts of different tokenizers differ less.
_CHARACTERS_PER_TOKEN = 14
_TOKENS_PER_BYTE = 1
_SPARE_TOKENS = 20
_TOKENS_PER_CALL = 24

# Characters. Shorter thoughts can be the beginning of a sound answer.
_LONG_THOUGHTS = 60


class AnswerError(Exception):
    """A wrong answer; the message says what is wrong, and quotes it. C(cause) is one of C(findings), or empty."""

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


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
    # As the server names it, or empty.
    model: str = ""


def from_chat(body: Mapping[str, Any]) -> Answer:
    """Read a chat completion."""
    choice, usage = body["choices"][0], body["usage"]
    message = choice["message"]
    return Answer(
        text=message.get("content") or "",
        reasoning=reasoning_of(message),
        tool_calls=tuple(_call(call) for call in message.get("tool_calls") or []),
        stop=choice["finish_reason"] or "",
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        model=body.get("model") or "",
    )


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
        input_tokens=input_tokens_of(usage),
        output_tokens=usage["output_tokens"],
        model=body.get("model") or "",
    )


def reasoning_of(message: Mapping[str, Any]) -> str:
    """Return the thoughts in a message or a delta of a chat completion."""
    # The newer name first; vLLM renamed the field.
    return message.get("reasoning") or message.get("reasoning_content") or ""


def input_tokens_of(usage: Mapping[str, Any]) -> int:
    """Return the length of the prompt; what comes from the prefix cache is counted apart there."""
    cached = (usage.get(f"cache_{name}_input_tokens") or 0 for name in ("read", "creation"))
    return int(usage["input_tokens"]) + sum(cached)


def require_sound(answer: Answer, models: Collection[str], sent: int, stops: Collection[str]) -> None:
    """Check what holds for every answer, whatever was asked. Raises AnswerError.

    C(models) are the names that the model may have, C(sent) is the number of characters of the prompt, C(stops) are
    the stop reasons that are right for the question.
    """
    for place, text in _texts(answer):
        leaked = texts.markup(text)
        if leaked:
            kind, mark = leaked
            cause = findings.MARKUP[kind]
            if place == "reasoning" and kind == texts.CALLS:
                cause = findings.CALLS_IN_REASONING
            words = " The reasoning was not parsed out of the answer." if kind == texts.THOUGHTS else ""
            raise AnswerError(f"Markup of the model, {mark!r}, is in its {place}: {text!r}.{words}", cause)
    for place, text in (("reasoning", answer.reasoning), ("answer", answer.text)):
        flaw = texts.degenerate(text) if text.strip() else ""
        if flaw:
            raise AnswerError(f"The {place} is broken, {flaw}: {text!r}", findings.BROKEN)
    for place, text in _texts(answer):
        if "\ufffd" in text and answer.stop not in FULL:
            raise AnswerError(f"The {place} has broken characters: {text!r}", findings.BROKEN_CHARACTERS)
    if len(answer.reasoning.strip()) >= _LONG_THOUGHTS and answer.reasoning.strip() in answer.text:
        raise AnswerError(f"The answer repeats the reasoning: {answer.text!r}", findings.THOUGHTS_LEAK)
    if answer.model and answer.model not in models:
        raise AnswerError(f"The answer is of another model, {answer.model!r}: {answer.text!r}", findings.OTHER_MODEL)
    if answer.stop not in (*ENDED, *CALLED, *FULL):
        raise AnswerError(
            f"It stopped with {answer.stop or None!r} and did not end by itself: {answer.text!r}", findings.STOPPED
        )
    wrong = miscounted(answer, sent)
    if wrong:
        raise AnswerError(wrong, findings.MISCOUNTED)
    if answer.stop not in stops and answer.stop in FULL:
        words = f"It did not end within {answer.output_tokens} tokens: {answer.text or answer.reasoning!r}"
        raise AnswerError(words)


def miscounted(answer: Answer, sent: int) -> str:
    """Return why the usage cannot be right for the answer and for C(sent) characters of a prompt, or an empty text."""
    parts = [text for _place, text in _texts(answer)]
    characters = sum(map(len, parts))
    most = sum(len(text.encode(errors="replace")) for text in parts) * _TOKENS_PER_BYTE + _SPARE_TOKENS
    most += _TOKENS_PER_CALL * len(answer.tool_calls)
    counts = (answer.input_tokens, answer.output_tokens)
    if any(not isinstance(count, int) or isinstance(count, bool) or count < 1 for count in counts):
        return f"The usage counts {answer.input_tokens} input and {answer.output_tokens} output tokens."
    # /v1/messages may count thoughts that it does not send. Without text and calls, what was counted has been lost.
    hidden = not answer.reasoning and answer.stop not in (ENDED[0], CALLED[0], FULL[0])
    lost = not answer.text.strip() and not answer.tool_calls
    too_many = answer.output_tokens > most and not hidden and not lost
    if characters > _CHARACTERS_PER_TOKEN * (answer.output_tokens + 1) or too_many:
        return f"The usage counts {answer.output_tokens} output tokens, for {characters} characters."
    if sent > _CHARACTERS_PER_TOKEN * (answer.input_tokens + 1):
        return f"The usage counts {answer.input_tokens} input tokens, for {sent} characters."
    return ""


def require_call(call: ToolCall, tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of C(call). Raises AnswerError if they do not fit the function C(tool)."""
    if call.name != tool["name"]:
        raise AnswerError(f"The tool is called {tool['name']!r}, but the call names {call.name!r}.")
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        words = " Two calls are in one." if _holds_two(call.arguments) else ""
        raise AnswerError(
            f"The arguments of the tool call are no valid JSON: {call.arguments!r}.{words}", findings.BROKEN_CALLS
        ) from None
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


def _texts(answer: Answer) -> Iterable[tuple[str, str]]:
    yield "reasoning", answer.reasoning
    yield "answer", answer.text
    for call in answer.tool_calls:
        yield "tool call", f"{call.name} {call.arguments}"


def _call(call: Mapping[str, Any]) -> ToolCall:
    arguments = call["function"]["arguments"]
    if not isinstance(arguments, str):
        raise AnswerError(f"The arguments of the tool call are not a text: {arguments!r}", findings.BROKEN_CALLS)
    return ToolCall(call["function"]["name"], arguments, call.get("id") or "")


def _holds_two(text: str) -> bool:
    try:
        _first, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return text[end:].lstrip().startswith("{")
