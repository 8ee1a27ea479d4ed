# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the checks say of answers that trouble clients, and of odd answers that clients take.

The conversations that end with a refusal were held with Claude Code 2.1.332, too.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._endpoint import results
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.client import Api
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.probe import Expected, Probe
from ansible_collections.hgx.inference.tests.support.inference_server import (
    KEY,
    MODEL,
    ROLE_ERROR,
    Handler,
    Reply,
    serving,
)

REPORTS = Path(__file__).parents[3] / "fixtures" / "field-reports"

Events = Iterable[tuple[str, dict[str, Any]]]
Body = dict[str, Any]


def outcomes(handler: type[Handler], *checks: str) -> list[results.Result]:
    with serving(handler=handler) as server:
        expected = Expected("Paris", {"thinking": False}, None, True, {}, r"functions\.[\w.-]+:\d+")
        return results.run_checks(Probe(Api(server.base_url, KEY, 10), MODEL, (), expected), checks, {})


def outcome(handler: type[Handler], check: str) -> results.Result:
    return outcomes(handler, check)[1]


def streams(edit: Callable[[list[tuple[str, Any]]], Events]) -> type[Handler]:
    """Return a server whose streams are edited."""

    class Edited(Handler):
        def _stream(self, events: list[tuple[str, Any]], end: str) -> None:
            super()._stream(list(edit(copy.deepcopy(events))), end)

    return Edited


def replies(edit: Callable[[Reply, Body], Reply]) -> type[Handler]:
    """Return a server whose model gives other answers."""

    class Edited(Handler):
        def _reply(self, body: Body) -> Reply:
            return edit(super()._reply(body), body)

    return Edited


def refuses(status: int, words: str, has: Callable[[Body], bool]) -> type[Handler]:
    """Return a server that refuses messages."""

    class Edited(Handler):
        def _generate(self, path: str, body: Body) -> None:
            if path == "/v1/messages" and has(body):
                return self._answer(status, {"error": {"message": words, "type": "BadRequestError"}})
            return super()._generate(path, body)

    return Edited


def ids(name: Callable[[str, int], Any]) -> type[Handler]:
    class Edited(Handler):
        def _call_id(self, function: str, index: int) -> Any:
            return name(function, index)

    return Edited


def deltas(events: Events) -> Iterator[dict[str, Any]]:
    for _name, event in events:
        yield from (choice["delta"] for choice in event.get("choices", []))


def each_call(**fields: Any) -> type[Handler]:
    """Return a server with these fields in every part of a call; a function makes one of the part."""

    def edit(events: list[tuple[str, Any]]) -> Events:
        for delta in deltas(events):
            for part in delta.get("tool_calls", []):
                part.update({key: value(part) if callable(value) else value for key, value in fields.items()})
        return events

    return streams(edit)


def interleaved(events: list[tuple[str, Any]]) -> Events:
    calls = [event for event in events if any("tool_calls" in delta for delta in deltas([event]))]
    at = events.index(calls[0]) if calls else 0
    rest = [event for event in events if event not in calls]
    return rest[:at] + calls[::2] + calls[1::2] + rest[at:]


def finish_with_the_last_part(events: list[tuple[str, Any]]) -> Events:
    (end,) = [event for event in events if event[1]["choices"] and event[1]["choices"][0].get("finish_reason")]
    at = events.index(end)
    events[at - 1][1]["choices"][0]["finish_reason"] = end[1]["choices"][0]["finish_reason"]
    return events[:at] + events[at + 1 :]


def with_a_second_answer(events: list[tuple[str, Any]]) -> Events:
    for name, event in events:
        yield name, event
        if event["choices"] and event["choices"][0]["delta"].get("content"):
            other = {**event["choices"][0], "index": 1, "delta": {"content": " Lyon"}}
            yield name, {**event, "choices": [other]}


def of_another_model(events: list[tuple[str, Any]]) -> Events:
    return [(name, {**event, "model": "glm-5"}) for name, event in events[:-2]] + events[-2:]


def without_blocks(events: list[tuple[str, Any]]) -> Events:
    del events[0][1]["message"]["content"]
    return events


def input_at_the_start(events: list[tuple[str, Any]]) -> Events:
    """It becomes {} in Claude Code, which extends the input by deltas only."""
    for name, event in events:
        if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
            event["content_block"]["input"] = {"city": "Paris"}
        if event.get("delta", {}).get("type") != "input_json_delta":
            yield name, event


def numbered_from(first: int) -> Callable[[list[tuple[str, Any]]], Events]:
    def edit(events: list[tuple[str, Any]]) -> Events:
        return [
            (name, {**event, "index": event["index"] + first} if "index" in event else event) for name, event in events
        ]

    return edit


def after_an_empty_block(events: list[tuple[str, Any]]) -> Events:
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    stop = {"type": "content_block_stop", "index": 0}
    start = [("ping", {"type": "ping"}), events[0], (block["type"], block), (stop["type"], stop)]
    return [*start, *numbered_from(1)(events[1:])]  # type: ignore[list-item]


def usage_in_two_parts(events: list[tuple[str, Any]]) -> Events:
    for name, event in events:
        if name == "message_delta":
            yield name, {"type": name, "delta": {}, "usage": {"output_tokens": 1}}
        yield name, event


def signed(events: list[tuple[str, Any]]) -> Events:
    for name, event in events:
        yield name, event
        if event.get("delta", {}).get("type") == "thinking_delta":
            yield name, {**event, "delta": {"type": "signature_delta", "signature": "abc"}}


def changed_calls(edit: Callable[[str], str]) -> type[Handler]:
    return replies(lambda reply, _body: reply._replace(calls=tuple((name, edit(text)) for name, text in reply.calls)))


def after_results(number: int, answer: Callable[[Reply], Reply]) -> type[Handler]:
    """Return a server whose model answers the result of this number, and further ones, in another way."""

    def edit(reply: Reply, body: Body) -> Reply:
        messages = json.dumps(body["messages"])
        seen = messages.count('"tool_result"') + messages.count('"role": "tool"')
        last = json.dumps(body["messages"][-1])
        return answer(reply) if seen >= number and ("tool_result" in last or '"tool"' in last) else reply

    return replies(edit)


def lost(edit: Callable[[Reply, Body], Reply], tokens: int) -> type[Handler]:
    """Return a server that loses parts of answers, and counts this number of tokens for those that have no text."""

    class Edited(replies(edit)):  # type: ignore[misc]
        def _chat(self, reply: Reply, prompt: int, words: int, stream: bool) -> None:
            super()._chat(reply, prompt, words if reply.text else tokens, stream)

        def _messages(self, reply: Reply, prompt: int, words: int, stream: bool) -> None:
            super()._messages(reply, prompt, words if reply.text else tokens, stream)

    return Edited


def call_again(reply: Reply) -> Reply:
    return Reply("", reply.reasoning, (("get_weather", '{"city": "Paris"}'),), "tool_calls")


def once_more(reply: Reply, body: Body) -> Reply:
    again = "tool" in json.dumps(body["messages"][-1]) and json.dumps(body["messages"]).count("get_weather") < 4
    return call_again(reply) if body.get("tools") and again else reply


def repeated_call(reply: Reply, _body: Body) -> Reply:
    return reply._replace(calls=(*reply.calls, *reply.calls[:1]))


THOUGHTS = "The user asks for the capital of France, which I know well: it has been Paris for centuries."


def has_system_role(body: Body) -> bool:
    return "system" in [message["role"] for message in body["messages"]]


FAILS: dict[str, tuple[type[Handler], str, str]] = {
    "a name in each part of a call": (
        each_call(function=lambda part: {**part["function"], "name": "get_weather"}),
        "tool_call_streamed",
        "'get_weatherget_weather'",
    ),
    "parts of a second answer": (streams(with_a_second_answer), "streaming", "of the answer with the index 1"),
    "chunks of two models": (streams(of_another_model), "streaming", "name two models, 'glm-5' and 'kimi-k2.6'"),
    "a broken character": (
        replies(lambda reply, _body: reply._replace(text=f"{reply.text} \ufffd")),
        "chat",
        "has broken characters",
    ),
    "a broken character in a call": (changed_calls(lambda text: text.replace("i", "\ufffd")), "tool_call", "broken"),
    "thoughts at the start of the answer": (
        replies(lambda reply, _body: reply._replace(reasoning=THOUGHTS, text=f"{THOUGHTS} {reply.text}")),
        "chat",
        "The answer repeats the reasoning",
    ),
    "a call that comes twice": (replies(repeated_call), "tool_call", "called 2 times with {'city': 'Paris'}"),
    "one of two calls twice": (replies(repeated_call), "tool_calls_parallel", "called 2 times with"),
    "arguments that are encoded twice": (changed_calls(json.dumps), "tool_call", "are not a JSON object"),
    "an empty object first": (changed_calls(lambda text: "{}" + text), "tool_call_streamed", "Two calls are in one"),
    "no list of blocks": (streams(without_blocks), "messages_tools", "message_start lacks the list of blocks"),
    "input at the start of a block": (streams(input_at_the_start), "messages_tools", "do not fit the tool's schema"),
    "a first block of the index 1": (streams(numbered_from(1)), "messages_tools", "index 1, after 0 blocks"),
    "a second turn of white space": (
        after_results(1, lambda reply: reply._replace(text=" \n")),
        "tool_call_streamed",
        "The answer to the tool's result is empty",
    ),
    "only the last turn is empty": (
        after_results(2, lambda reply: reply._replace(text="")),
        "messages_tools",
        "The answer to the tool's result is empty",
    ),
    "calls without end": (after_results(1, call_again), "messages_tools", "does not answer, but calls the tool again"),
    "ids that begin with a space": (ids(lambda name, at: f" functions.{name}:{at}"), "messages_tools", "does not fit"),
    "ids that are numbers": (ids(lambda _name, at: at + 1), "messages_tools", "does not have the expected form"),
    "one of two calls that are counted": (
        lost(lambda reply, _body: reply._replace(calls=reply.calls[:1]), 92),
        "tool_calls_parallel",
        "but not for rome",
    ),
    "no call, and its tokens are counted": (
        lost(lambda reply, _body: reply._replace(calls=(), stop="stop") if reply.calls else reply, 61),
        "tool_call_streamed",
        "No tool was called; it said ''",
    ),
    "no text, and its tokens are counted": (
        lost(lambda reply, _body: reply._replace(text=""), 90),
        "streaming",
        "The answer is broken, it is empty",
    ),
    "no late system message for the template": (
        refuses(400, "System message must be at the beginning.", has_system_role),
        "messages",
        "If the chat template refuses the role, use another one",
    ),
    "no adaptive thinking": (
        refuses(400, "thinking.type: Input should be 'enabled'", lambda body: body["thinking"]["type"] == "adaptive"),
        "messages",
        "thinking.type: Input should be 'enabled'",
    ),
    "no results of tools": (
        refuses(400, "messages.4: Input should be 'text'", lambda body: '"tool_result"' in json.dumps(body)),
        "messages_tools",
        "messages.4: Input should be 'text'",
    ),
}


@pytest.mark.parametrize("case", FAILS)
def test_what_troubles_clients_fails(case: str) -> None:
    handler, check, words = FAILS[case]
    found = outcome(handler, check)
    assert found.status == "fail", found
    assert words in found.message


PASSES: dict[str, tuple[type[Handler], str]] = {
    "parts of two calls interleave": (streams(interleaved), "tool_calls_parallel"),
    "an id in each part of a call": (
        each_call(id=lambda part: f"functions.get_weather:{part['index']}"),
        "tool_calls_parallel",
    ),
    "a finish reason with the last part": (streams(finish_with_the_last_part), "tool_call_streamed"),
    "a usage in each chunk": (
        streams(lambda events: [(n, {"usage": {"prompt_tokens": 9, "completion_tokens": 9}, **e}) for n, e in events]),
        "streaming",
    ),
    "a ping and an empty block first": (streams(after_an_empty_block), "messages_tools"),
    "a usage in two parts": (streams(usage_in_two_parts), "messages_tools"),
    "signatures": (streams(signed), "messages_tools"),
    "a line feed after arguments": (changed_calls(lambda text: text + "\n"), "messages_tools"),
    "words before the call": (
        replies(lambda reply, _body: reply._replace(text="Let me see.") if reply.calls else reply),
        "tool_calls_parallel",
    ),
    "another call before the answer": (replies(once_more), "messages_tools"),
    "thoughts that draft the answer": (
        replies(lambda reply, _body: reply._replace(reasoning=f"I will say this: {reply.text}")),
        "messages",
    ),
    "short thoughts that begin the answer": (
        replies(lambda reply, _body: reply._replace(reasoning=reply.text, text=f"{reply.text} It is on the Seine.")),
        "chat",
    ),
}


@pytest.mark.parametrize("case", PASSES)
def test_what_clients_take_passes(case: str) -> None:
    found = outcome(*PASSES[case])
    assert found.status == "pass", found


@pytest.mark.parametrize("status", [400, 422, 500])
def test_words_and_not_the_status_let_claude_code_do_without_the_system_role(status: int) -> None:
    found = outcome(refuses(status, ROLE_ERROR, has_system_role), "messages")
    assert (found.status, found.cause) == ("warn", "system_role")


# Field reports


def report(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((REPORTS / f"{name}.json").read_text(encoding="utf-8"))
    return read


def test_r12_claude_code_is_told_of_the_role_that_is_refused() -> None:
    seen = report("R12")
    found = outcome(refuses(seen["status"], seen["body"]["error"]["message"], has_system_role), "messages_tools")
    assert (found.status, found.cause) == ("warn", "system_role")
    assert "those before cannot work with this server. Use vLLM 0.23 or newer" in found.message


def test_r14_calls_that_vanish_from_streams_beside_each_other() -> None:
    chunks = report("R14")["chunks"]

    class LosesCalls(Handler):
        def _stream(self, events: list[tuple[str, Any]], end: str) -> None:
            time.sleep(0.1)
            lost = self.server.under_way >= 6 and not events[0][0]
            super()._stream([("", chunk) for chunk in chunks] if lost else events, end)

    alone, crowd = outcomes(LosesCalls, "tool_call_streamed", "tool_calls_crowd")[1:]
    assert alone.status == "pass", alone
    assert (crowd.status, crowd.cause) == ("fail", "calls_lost_under_load")
    assert "clients must not stream requests with tools" in crowd.message


def test_r16_a_token_that_is_repeated_everywhere_is_told_once() -> None:
    message = report("R16")["message"]
    broken = replies(lambda _reply, _body: Reply(message["content"] or "", message["reasoning"], stop="length"))
    found = outcomes(broken, "chat", "streaming", "thinking", "tool_call", "messages")
    assert {result.cause for result in found[1:]} == {"broken"}
    told = "\n".join(results.summary(found))
    assert told.count("The engine computes wrong values. Restart it") == 1


def test_r24_a_loop_of_one_word_is_seen() -> None:
    text = report("R24")["generated_text_of_every_request"]
    found = outcome(replies(lambda reply, _body: reply._replace(text=text)), "chat")
    assert (found.status, found.cause) == ("fail", "broken")
