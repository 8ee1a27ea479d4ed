# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests of the functional checks. Each answer is held to what holds for every answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from . import answers, findings, shapes, streams
from .answers import ENDED, FORM_ERRORS, Answer, AnswerError
from .client import Api, ApiError
from .streams import Stream

# Room for a model that thinks before it answers; a small context gets half of it.
ANSWER_TOKENS = 2048

CHAT_PATH = shapes.OPENAI_SDK.path


class Expected(NamedTuple):
    """What the recipe expects of its model."""

    answer: str
    instant_template_kwargs: Mapping[str, Any]
    long_context_tokens: int | None
    long_context_recall: bool
    token_ids: Mapping[str, int]
    # A regular expression, or an empty text for any.
    tool_call_ids: str = ""
    # Whether the model can call a tool twice in one answer.
    parallel_calls: bool = True
    # What it says of any picture, if it cannot see; an empty text if it can.
    image_answer: str = ""
    # The least share of right answers by kind of task; none if the accuracy is not checked.
    accuracy: Mapping[str, float] = {}


class Probe(NamedTuple):
    """The inputs of a check."""

    api: Api
    model: str
    further_models: tuple[str, ...]
    expected: Expected
    # As the server reports it, a number or not; None if it does not.
    max_model_len: Any = None
    # Other names of the same model, as the server lists them.
    aliases: tuple[str, ...] = ()
    # The server's container on this host; an empty text if none is known.
    container: str = ""

    @property
    def answer_tokens(self) -> int:
        return self.room(ANSWER_TOKENS)

    def room(self, tokens: int) -> int:
        """Return how many of so many tokens an answer may have."""
        return min(tokens, self.max_model_len // 2) if is_count(self.max_model_len) else tokens

    def body(self, messages: Sequence[Mapping[str, Any]], **further: Any) -> dict[str, Any]:
        """Return a request at temperature 0, so that the answer is repeatable."""
        return {
            "model": self.model,
            "messages": list(messages),
            "max_tokens": self.answer_tokens,
            "temperature": 0,
            **further,
        }

    def chat(self, content: Any, stops: Collection[str] = ENDED, *, counted: bool = True, **further: Any) -> Answer:
        """Return the answer to one message of the user. C(counted) is whether to compare its tokens with its text."""
        body = self.body([user(content)], **further)
        answer = _read(answers.from_chat, self.api.post(CHAT_PATH, body, shapes.OPENAI_SDK.headers))
        return self._sound(answer, body if counted else {"messages": []}, stops)

    def chat_stream(self, content: Any, stops: Collection[str] = ENDED, **further: Any) -> Stream:
        """Return the streamed answer to one message of the user."""
        return self._streamed(self.body([user(content)], **further), shapes.OPENAI_SDK, stops)

    def kimi_stream(self, messages: Sequence[Mapping[str, Any]], stops: Collection[str], **further: Any) -> Stream:
        """Return the streamed answer to a conversation with Kimi's CLI."""
        body = {**self.body(messages, **further), **shapes.KIMI_CLI.body}
        body["max_completion_tokens"] = body.pop("max_tokens")
        return self._streamed(body, shapes.KIMI_CLI, stops)

    def _streamed(self, body: Mapping[str, Any], shape: shapes.Shape, stops: Collection[str]) -> Stream:
        asked = {**body, "stream_options": {"include_usage": True}}
        stream = streams.from_chat(self.api.stream(shape.path, asked, shape.headers))
        self._sound(stream.answer, body, stops)
        return stream

    def message(self, body: Mapping[str, Any], stops: Collection[str] = ENDED) -> Answer:
        """Return the answer to a request for an Anthropic message."""
        shape = shapes.CLAUDE_CODE
        return self._sound(_read(answers.from_messages, self.api.post(shape.path, body, shape.headers)), body, stops)

    def message_stream(self, body: Mapping[str, Any], stops: Collection[str] = ENDED) -> Stream:
        """Return the streamed answer to a request for an Anthropic message."""
        shape = shapes.CLAUDE_CODE
        stream = streams.from_messages_stream(self.api.stream(shape.path, body, shape.headers))
        self._sound(stream.answer, body, stops)
        return stream

    def instant(self) -> dict[str, Any]:
        """Return the part of a request that switches thinking off."""
        return {"chat_template_kwargs": dict(self.expected.instant_template_kwargs)}

    def _sound(self, answer: Answer, body: Mapping[str, Any], stops: Collection[str]) -> Answer:
        sent = sum(map(_characters, body["messages"]))
        answers.require_sound(answer, (self.model, *self.aliases), sent, stops)
        return answer


class Claude:
    """A conversation as Claude Code holds it.

    If the server refuses the system role within the messages, its texts join those of the user, as the client does it
    then. C(refused) is the refusal.
    """

    def __init__(self, probe: Probe, tools: Sequence[Mapping[str, Any]] = ()) -> None:
        self._probe = probe
        self._tools = [shapes.claude_tool(tool) for tool in tools]
        self.messages = shapes.claude_history()
        self.refused: ApiError | None = None

    def ask(self, message: Mapping[str, Any], stops: Collection[str] = ENDED) -> Answer:
        """Return the answer to one more message."""
        self.messages.append(dict(message))
        return self._send(lambda body: self._probe.message(body, stops))

    def ask_streamed(self, message: Mapping[str, Any], stops: Collection[str] = ENDED) -> Stream:
        """Return the streamed answer to one more message, and keep it in the conversation."""
        self.messages.append(dict(message))
        stream = self._send(lambda body: self._probe.message_stream(body, stops))
        self.messages.append({"role": "assistant", "content": [dict(block) for block in stream.blocks]})
        return stream

    def _send(self, ask: Any) -> Any:
        try:
            return ask(self._body())
        except ApiError as exc:
            if self.refused or not (exc.status in (400, 422) or shapes.falls_back(exc.body)):
                raise
            refused = exc
        self.messages = shapes.without_system_role(self.messages)
        answer = ask(self._body())
        self.refused = refused
        return answer

    def _body(self) -> dict[str, Any]:
        tools = {"tools": self._tools} if self._tools else {}
        return self._probe.body(self.messages, **tools, **shapes.CLAUDE_CODE.body)


def user(content: Any) -> dict[str, Any]:
    """Return a message of the user."""
    return {"role": "user", "content": content}


def is_count(value: object) -> bool:
    """Return whether C(value) is a whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _read(form: Callable[[Mapping[str, Any]], Answer], body: Mapping[str, Any]) -> Answer:
    """Return the answer in C(body). Raises AnswerError, which quotes it, if it has another form."""
    try:
        return form(body)
    except FORM_ERRORS as exc:
        words = f"The answer does not have the expected form ({type(exc).__name__}: {exc})"
        raise AnswerError(f"{words}: {json.dumps(body)}", findings.FORM) from exc


def _characters(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    parts = [{"text": content}] if isinstance(content, str) else content or []
    return sum(len(part.get("text") or "") for part in parts)
