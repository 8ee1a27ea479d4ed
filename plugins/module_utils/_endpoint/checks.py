# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The functional checks: does an endpoint answer as its clients expect?"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from .._core.verdict import FAIL, PASS, SKIPPED, WARN
from . import answers
from .answers import FORM_ERRORS, Answer, AnswerError
from .client import (
    ANTHROPIC_HEADERS,
    BROKEN,
    KEY_REFUSED,
    MODEL_UNKNOWN,
    TIMEOUT,
    TOO_LONG,
    UNREACHABLE,
    Api,
    ApiError,
)

# Room for a model that thinks before it answers; a small context gets half of it.
ANSWER_TOKENS = 2048
# Concurrent requests: of checks that do not disturb each other, and of the check under load.
WORKERS = 4
CROWD = 8
# Chunks of a stream that something on the way has buffered arrive all at once.
STREAM_SPREAD_S = 0.005
# The limit of the long text, regardless of the server's context: the target must build and send it.
MOST_TEXT_TOKENS = 2_000_000
MOST_TEXT_BYTES = 64 * 2**20

QUESTION = "What is the capital of France? Answer in one short sentence."
WEATHER = "What is the weather in Paris right now? Use the tool."
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"name": "get_weather", "description": "The weather in a city at this moment", "parameters": PARAMETERS}
CHAT_TOOL = {"type": "function", "function": TOOL}
CLAUDE_TOOL = {"name": TOOL["name"], "description": TOOL["description"], "input_schema": PARAMETERS}
CROWD_QUESTIONS = (
    "Say hello, and tell me in two sentences what a lighthouse is for.",
    "Write a Python function that reverses a list, with a short comment.",
    "Explain in three sentences why the sky is blue.",
    "List five rivers of Europe, one in each line, with the sea that they flow into.",
)


class Expected(NamedTuple):
    """What the recipe expects of its model."""

    answer: str
    instant_template_kwargs: Mapping[str, Any]
    long_context_tokens: int | None
    long_context_recall: bool
    token_ids: Mapping[str, int]


class Probe(NamedTuple):
    """The inputs of a check."""

    api: Api
    model: str
    further_models: tuple[str, ...]
    expected: Expected
    # As the server reports it, a number or not; None if it does not.
    max_model_len: Any = None

    @property
    def answer_tokens(self) -> int:
        return min(ANSWER_TOKENS, self.max_model_len // 2) if _is_count(self.max_model_len) else ANSWER_TOKENS

    def body(self, content: Any, **further: Any) -> dict[str, Any]:
        """Return a request with one user message, at temperature 0 so that the answer is repeatable."""
        messages = [{"role": "user", "content": content}]
        return {
            "model": self.model,
            "messages": messages,
            "max_tokens": self.answer_tokens,
            "temperature": 0,
            **further,
        }

    def chat(self, content: Any, **further: Any) -> Answer:
        return answers.from_chat(self.api.post("/v1/chat/completions", self.body(content, **further)))

    def chat_stream(self, content: Any, **further: Any) -> answers.Stream:
        body = self.body(content, stream_options={"include_usage": True}, **further)
        return answers.from_chat_stream(self.api.stream("/v1/chat/completions", body))

    def instant(self) -> dict[str, Any]:
        """Return the part of a request that switches thinking off."""
        return {"chat_template_kwargs": dict(self.expected.instant_template_kwargs)}


class Finding(NamedTuple):
    """What a passed check has found."""

    message: str
    evidence: str = ""


class NotApplicable(Exception):
    """The check does not apply to this server."""


class Result(NamedTuple):
    """The outcome of one check."""

    name: str
    title: str
    status: str
    message: str
    evidence: str
    seconds: float


def models(probe: Probe) -> Finding:
    try:
        text = probe.api.get("/v1/models")
    except ApiError as exc:
        if exc.kind == BROKEN:
            words = "It was accepted and cut: nothing listens at the far end of the tunnel, or it is no HTTP server."
        elif exc.status == 404 or exc.kind == TOO_LONG:
            words = _ANOTHER_PROGRAM
        else:
            raise
        raise ApiError(UNREACHABLE, f"{exc} {words}", exc.status) from exc
    try:
        served = [entry["id"] for entry in _model_list(text)]
    except FORM_ERRORS as exc:
        words = f"{probe.api.base_url}/v1/models does not answer with a list of models: {probe.api.quoted(text)!r}."
        raise ApiError(UNREACHABLE, f"{words} {_ANOTHER_PROGRAM}") from exc
    missing = [name for name in (probe.model, *probe.further_models) if name not in served]
    if missing:
        unknown = ", ".join(repr(name) for name in dict.fromkeys(missing))
        raise ApiError(MODEL_UNKNOWN, f"No model is served as {unknown}; served are {', '.join(served) or 'none'}.")
    return Finding("The model is served under its name.", ", ".join(served))


def key(probe: Probe) -> Finding:
    if not probe.api.has_key:
        raise NotApplicable("The server has no API key.")
    for words, other in (("a wrong key", "wrong-" + secrets.token_hex(8)), ("no key", None)):
        try:
            probe.api.with_key(other).get("/v1/models")
        except ApiError as exc:
            if exc.kind != KEY_REFUSED:
                raise
        else:
            raise AnswerError(f"The server answers a request with {words}: anybody who reaches it can use it.")
    return Finding("A wrong key and no key are refused.", "HTTP 401")


def chat(probe: Probe) -> Finding:
    answer = probe.chat(QUESTION)
    _require_answer(probe, answer)
    if answer.input_tokens < 1 or answer.output_tokens < 1:
        raise AnswerError(f"The usage counts {answer.input_tokens} input and {answer.output_tokens} output tokens.")
    return Finding(f"Answered in {answer.output_tokens} tokens.", answer.text)


def streaming(probe: Probe) -> Finding:
    answer, arrivals = probe.chat_stream(QUESTION)
    _require_answer(probe, answer)
    if len(arrivals) < 2 or arrivals[-1] - arrivals[0] < STREAM_SPREAD_S:
        raise AnswerError(
            f"{answer.output_tokens} tokens came in {len(arrivals)} chunks, all at once, {arrivals[-1]:.2f} s after the"
            " request: something on the way buffers the stream."
        )
    spread = f"{len(arrivals)} chunks from {arrivals[0]:.2f} to {arrivals[-1]:.2f} s"
    return Finding(f"{answer.output_tokens} tokens came in {spread}.", answer.text)


def thinking(probe: Probe) -> Finding:
    answer = probe.chat(QUESTION)
    if not answer.reasoning:
        raise AnswerError(f"The answer has no reasoning: {answer.text!r}")
    if "think>" in answer.text:
        raise AnswerError(f"The reasoning was not parsed out of the answer: {answer.text!r}")
    return Finding("It thinks, and the reasoning is separate from the answer.", answer.reasoning)


def instant(probe: Probe) -> Finding:
    answer = probe.chat(QUESTION, **probe.instant())
    if answer.reasoning:
        raise AnswerError(f"It was asked not to think, but thinks: {answer.reasoning!r}")
    _require_answer(probe, answer)
    return Finding("Asked not to think, it answers at once.", answer.text)


def tool_call(probe: Probe) -> Finding:
    return _called(probe.chat(WEATHER, tools=[CHAT_TOOL]), {"paris"})


def tool_call_streamed(probe: Probe) -> Finding:
    return _called(probe.chat_stream(WEATHER, tools=[CHAT_TOOL]).answer, {"paris"})


def tool_calls_parallel(probe: Probe) -> Finding:
    question = "What is the weather in Paris and in Rome right now? Call the tool for both at the same time."
    return _called(probe.chat(question, tools=[CHAT_TOOL]), {"paris", "rome"})


def image(probe: Probe) -> Finding:
    content = [
        {"type": "image_url", "image_url": {"url": answers.red_square()}},
        {"type": "text", "text": "Which colour is this picture? Answer in one word."},
    ]
    answer = probe.chat(content)
    if not re.search(r"\bred\b", answer.text, re.IGNORECASE):
        raise AnswerError(f"It does not see that the picture is red: {answer.text!r}")
    return Finding("It sees that a red picture is red.", answer.text)


def long_context(probe: Probe) -> Finding:
    wanted = probe.expected.long_context_tokens
    if wanted is None and probe.max_model_len is None:
        raise NotApplicable("The server does not say how long its context is, and no length was asked for.")
    claimed = None if probe.max_model_len is None else _count("max_model_len", probe.max_model_len)
    room = claimed - probe.answer_tokens - 64 if claimed else wanted
    tokens = min(MOST_TEXT_TOKENS, *(number for number in (wanted, room) if number is not None))
    code = f"{secrets.randbelow(900000) + 100000}"
    needle = f"The code of the lighthouse's door is {code}."
    question = "\n\nWhat is the code of the lighthouse's door? Answer with the number only."
    answer = probe.chat(answers.haystack(_lines_for(probe, tokens - 64), needle) + question)
    if answer.input_tokens < 0.9 * tokens:
        raise AnswerError(
            f"About {tokens} tokens were sent, and the server counts {answer.input_tokens}: it cut them off."
        )
    if probe.expected.long_context_recall and code not in answer.text:
        raise AnswerError(f"Within {answer.input_tokens} tokens it does not find {needle!r}: {answer.text!r}")
    flaw = answers.degenerate(answer.text)
    if flaw:
        raise AnswerError(f"After {answer.input_tokens} tokens its answer is broken, {flaw}: {answer.text!r}")
    found = "and found a sentence in it" if probe.expected.long_context_recall else "and answered"
    limit = f" No more than {MOST_TEXT_TOKENS} are tried." if tokens == MOST_TEXT_TOKENS else ""
    return Finding(f"It read {answer.input_tokens} tokens {found}.{limit}", answer.text)


def messages(probe: Probe) -> Finding:
    body = probe.body([{"type": "text", "text": QUESTION}], system=_claude_system())
    answer = answers.from_messages(probe.api.post("/v1/messages?beta=true", body, ANTHROPIC_HEADERS))
    _require_answer(probe, answer)
    return Finding(f"Answered in {answer.output_tokens} tokens.", answer.text)


def messages_tools(probe: Probe) -> Finding:
    """Do one turn of Claude Code: a streamed request with tools, the call, its result, and the streamed answer."""
    body = probe.body([{"type": "text", "text": WEATHER}], system=_claude_system(), tools=[CLAUDE_TOOL])
    stream, blocks = answers.from_messages_stream(probe.api.stream("/v1/messages?beta=true", body, ANTHROPIC_HEADERS))
    called = _called(stream.answer, {"paris"}, "tool_use")
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "Sunny, 21 degrees"}
        for block in blocks
        if block["type"] == "tool_use"
    ]
    turn = [{"role": "assistant", "content": blocks}, {"role": "user", "content": results}]
    body["messages"] = [*body["messages"], *turn]
    second, _blocks = answers.from_messages_stream(probe.api.stream("/v1/messages?beta=true", body, ANTHROPIC_HEADERS))
    said = second.answer.text
    if second.answer.stop == "max_tokens":
        raise AnswerError(f"The answer to the tool's result did not end: {said or second.answer.reasoning!r}")
    flaw = answers.degenerate(said)
    if flaw:
        raise AnswerError(f"The answer to the tool's result is broken, {flaw}: {said!r}")
    # Not required, because a scripted model cannot do it.
    used = re.search(r"sunny|21", said, re.IGNORECASE)
    words = "used its result" if used else "answered without using its result"
    return Finding(f"It called the tool and {words}, both streamed.", f"{called.evidence} {said}")


def count_tokens(probe: Probe) -> Finding:
    def count(text: str) -> int:
        body = {"model": probe.model, "messages": [{"role": "user", "content": text}], "tools": [CLAUDE_TOOL]}
        return int(probe.api.post("/v1/messages/count_tokens?beta=true", body, ANTHROPIC_HEADERS)["input_tokens"])

    short, long = count(QUESTION), count(QUESTION * 2)
    if not 0 < short < long:
        raise AnswerError(f"It counts {short} tokens, and {long} in a text twice as long.")
    return Finding("Tokens are counted.", f"{short} and {long} tokens")


def tokenizer(probe: Probe) -> Finding:
    def tokens(text: str) -> list[int]:
        body = {"model": probe.model, "prompt": text, "add_special_tokens": False}
        return list(probe.api.post("/tokenize", body)["tokens"])

    def text_of(numbers: list[int]) -> str:
        return str(probe.api.post("/detokenize", {"model": probe.model, "tokens": numbers})["prompt"])

    for text, number in probe.expected.token_ids.items():
        if tokens(text) != [number] or text_of([number]) != text:
            raise AnswerError(
                f"{text} must be the token {number}. It becomes {tokens(text)}, and {number} {text_of([number])!r}."
            )
    sample = 'Grüße, {"k": [1, 2.5]}\n\tif x != y: # 中文'
    back = text_of(tokens(sample))
    if back != sample:
        raise AnswerError(f"{sample!r} comes back from the tokenizer as {back!r}.")
    known = ", ".join(f"{text} = {number}" for text, number in probe.expected.token_ids.items())
    return Finding("Text comes back from the tokenizer as it was.", known)


def crowd(probe: Probe) -> Finding:
    """Check answers that are generated concurrently for broken output."""
    questions = [CROWD_QUESTIONS[number % len(CROWD_QUESTIONS)] for number in range(CROWD)]
    with ThreadPoolExecutor(CROWD) as pool:
        found = list(
            pool.map(lambda question: probe.chat(question, max_tokens=min(256, probe.answer_tokens)), questions)
        )
    for answer in found:
        said = f"{answer.reasoning} {answer.text}"
        flaw = answers.degenerate(said)
        if flaw:
            raise AnswerError(f"One of {CROWD} concurrent answers is broken, {flaw}: {said.strip()!r}")
    return Finding(f"{CROWD} concurrent answers are sound.", f"{sum(answer.output_tokens for answer in found)} tokens")


class Check(NamedTuple):
    """One check. C(advice) says what to do if it fails although the server answers."""

    run: Callable[[Probe], Finding]
    title: str
    advice: str
    # Whether concurrent requests would change its outcome.
    alone: bool = False

    @property
    def name(self) -> str:
        return self.run.__name__


_ANOTHER_PROGRAM = "Another program listens there: the port is wrong."

_TOOL_ADVICE = (
    "See --enable-auto-tool-choice and --tool-call-parser; vLLM 0.19 breaks the arguments of some calls, 0.20 does not."
)
_CLAUDE_ADVICE = (
    "Claude Code cannot work with this server; /v1/messages needs a newer vLLM, tools a --tool-call-parser."
)
_MODEL_ADVICE = (
    "Check that the weights are complete (hf_cache_verify); check transformers, the chat template and the draft."
)

CHECKS = (
    Check(models, "Model list", "Correct the name, or serve the model under it."),
    Check(key, "Key", "Check that the server was started with its key (vllm_api_key), and that this is the server."),
    Check(chat, "Chat", _MODEL_ADVICE),
    Check(
        streaming,
        "Streaming",
        "A proxy must not buffer. If a stream is cut off, the server's log has the reason.",
        True,
    ),
    Check(thinking, "Thinking", "See --reasoning-parser, and transformers: it must know the token </think>."),
    Check(
        instant,
        "Instant",
        "See --reasoning-parser and the chat template's switch (functional.instant_template_kwargs).",
    ),
    Check(tool_call, "Tool call", _TOOL_ADVICE),
    Check(tool_call_streamed, "Tool call, streamed", _TOOL_ADVICE),
    Check(tool_calls_parallel, "Tool calls, parallel", _TOOL_ADVICE),
    Check(
        image,
        "Image",
        "See --limit-mm-per-prompt and --mm-encoder-tp-mode, and check that the vision tower's weights exist.",
    ),
    Check(
        long_context,
        "Long context",
        "Without chunked prefill a prompt longer than --max-num-batched-tokens waits forever; see --max-model-len.",
        True,
    ),
    Check(messages, "Anthropic messages", _CLAUDE_ADVICE),
    Check(messages_tools, "Anthropic messages with tools, streamed", _CLAUDE_ADVICE),
    Check(count_tokens, "Anthropic token count", _CLAUDE_ADVICE),
    Check(
        tokenizer,
        "Tokenizer",
        "transformers 5.4.0 to 5.5.3 break Kimi's tokenizer: pin the image's packages (image.pip).",
    ),
    Check(
        crowd,
        "Concurrent answers",
        "Kernels or the KV cache break answers under load: try another vLLM, --kv-cache-dtype auto, or no draft.",
        True,
    ),
)
CHECK_NAMES = tuple(check.name for check in CHECKS)


def run_checks(probe: Probe, names: Collection[str], skip: Mapping[str, str]) -> list[Result]:
    """Run the checks C(names), except those of C(skip), whose values are the reasons.

    The list of models always comes first. If it fails, no other check is tried.
    """
    first = _run(CHECKS[0], probe)
    wanted = [check for check in CHECKS[1:] if check.name in names]
    if first.status == FAIL:
        return [first, *(_skipped(check, "Not tried: see the list of models.") for check in wanted)]
    probe = probe._replace(max_model_len=_max_model_len(probe))
    results = {first.name: first}
    results.update({check.name: _skipped(check, skip[check.name]) for check in wanted if check.name in skip})
    left = [check for check in wanted if check.name not in skip]
    with ThreadPoolExecutor(WORKERS) as pool:
        together = list(pool.map(lambda check: _run(check, probe), [check for check in left if not check.alone]))
    results.update({result.name: result for result in together})
    results.update({check.name: _run(check, probe) for check in left if check.alone})
    return [results[check.name] for check in CHECKS if check.name in results]


def verdict(results: Collection[Result]) -> str:
    """Return the verdict. The list of models alone proves nothing."""
    statuses = [result.status for result in results]
    if FAIL in statuses:
        return FAIL
    return PASS if statuses.count(PASS) > 1 or len(results) == 1 else WARN


def summary(results: Collection[Result]) -> list[str]:
    """Return the outcome in lines for people, the failures first in full."""
    counts = {status: sum(result.status == status for result in results) for status in (PASS, FAIL, SKIPPED)}
    words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    lines = [f"{verdict(results).upper()}: {words} of {len(results)} functional checks"]
    for status in (FAIL, SKIPPED, PASS):
        lines += [f"  {status:7} {result.title}: {result.message}" for result in results if result.status == status]
    return lines


def _run(check: Check, probe: Probe) -> Result:
    started = time.monotonic()
    try:
        found = check.run(probe)
    except NotApplicable as exc:
        return _skipped(check, str(exc))
    except ApiError as exc:
        # If the server cannot be reached or refuses the key, the error itself says so.
        plain = exc.kind in (UNREACHABLE, KEY_REFUSED, TIMEOUT) and not check.alone
        status, message, evidence = FAIL, str(exc) if plain else f"{exc} {check.advice}", exc.kind
    except AnswerError as exc:
        status, message, evidence = FAIL, f"{probe.api.quoted(exc)} {check.advice}", "answer"
    except FORM_ERRORS as exc:
        said = probe.api.quoted(f"{type(exc).__name__}: {exc}")
        status, message, evidence = (
            FAIL,
            f"The answer does not have the expected form ({said}). {check.advice}",
            "form",
        )
    else:
        status, message, evidence = PASS, found.message, probe.api.quoted(found.evidence)
    return Result(check.name, check.title, status, message, evidence, round(time.monotonic() - started, 2))


def _skipped(check: Check, reason: str) -> Result:
    return Result(check.name, check.title, SKIPPED, reason, "", 0.0)


def _model_list(text: str) -> list[dict[str, Any]]:
    return list(json.loads(text)["data"])


def _max_model_len(probe: Probe) -> Any:
    try:
        lengths = {entry["id"]: entry.get("max_model_len") for entry in _model_list(probe.api.get("/v1/models"))}
    except (ApiError, *FORM_ERRORS):
        return None  # it answered a moment ago; if it is gone now, the checks report it
    return lengths.get(probe.model)


def _require_answer(probe: Probe, answer: Answer) -> None:
    """Check that an answer ends by itself, is language, and is right. Raises AnswerError."""
    if answer.stop in ("length", "max_tokens"):
        raise AnswerError(f"It did not end within {answer.output_tokens} tokens: {answer.text or answer.reasoning!r}")
    flaw = answers.degenerate(answer.text)
    if flaw:
        raise AnswerError(f"The answer is broken, {flaw}: {answer.text!r}")
    if probe.expected.answer.lower() not in answer.text.lower():
        raise AnswerError(f"The answer to {QUESTION!r} lacks {probe.expected.answer!r}: {answer.text!r}")


def _called(answer: Answer, cities: set[str], stop: str = "tool_calls") -> Finding:
    """Check that each of C(cities) has its own call that a client can make and answer. Raises AnswerError."""
    if not answer.tool_calls:
        raise AnswerError(f"No tool was called; it said {answer.text!r} and stopped with {answer.stop!r}.")
    found = [answers.require_call(call, TOOL)["city"] for call in answer.tool_calls]
    lumped = [place for place in found if sum(city in place.lower() for city in cities) > 1]
    if lumped:
        raise AnswerError(f"The tool was called once for {lumped[0]!r}, and not for each city.")
    missing = [city for city in cities if not any(city in place.lower() for place in found)]
    if missing:
        raise AnswerError(f"The tool was called for {', '.join(found)}, but not for {', '.join(sorted(missing))}.")
    ids = [call.call_id for call in answer.tool_calls]
    if "" in ids or len(set(ids)) < len(ids):
        raise AnswerError(f"Each tool call needs an id of its own, for its result; they have {ids}.")
    if answer.stop != stop:
        raise AnswerError(f"The tool was called, but the answer stopped with {answer.stop!r} and not {stop!r}.")
    calls = "; ".join(f"{call.name}({call.arguments})" for call in answer.tool_calls)
    return Finding("The tool was called with valid arguments.", calls)


def _claude_system() -> list[dict[str, Any]]:
    text = "You are a coding agent. Use the tools that are given to you."
    return [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]


def _lines_for(probe: Probe, tokens: int) -> int:
    """Return how many lines of the haystack have C(tokens) tokens, by the server's count of a sample."""
    lines = 32
    sample = answers.haystack(lines, "")
    counted = _count("count", probe.api.post("/tokenize", {"model": probe.model, "prompt": sample})["count"])
    if tokens * len(sample) > MOST_TEXT_BYTES * counted:
        raise AnswerError(
            f"A text of {tokens} tokens would be longer than {MOST_TEXT_BYTES // 2**20} MiB: the server counts"
            f" {counted} in {len(sample)} characters."
        )
    return max(1, tokens * lines // counted)


def _count(name: str, value: Any) -> int:
    """Return the server's C(value) of C(name). Raises ValueError if it is not a positive number."""
    if not _is_count(value):
        raise ValueError(f"{name} is {value!r} and must be a whole number above 0")
    return int(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
