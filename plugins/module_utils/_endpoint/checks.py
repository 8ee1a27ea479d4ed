# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The functional checks: does an endpoint answer as its clients expect?"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from . import findings, inputs, shapes, texts
from .accuracy import CODE, measure
from .answers import CALLED, ENDED, FORM_ERRORS, FULL, Answer, AnswerError, input_tokens_of, require_call
from .client import (
    BROKEN,
    ERROR,
    FORM,
    KEY_REFUSED,
    MODEL_UNKNOWN,
    TOO_LONG,
    UNREACHABLE,
    Api,
    ApiError,
    is_lost_connection,
)
from .probe import CHAT_PATH, Claude, Probe, is_count, user
from .sandbox import SandboxError, prepared

# Requests at the same time, under load.
CROWD = 16
# How often a model may call the tool again instead of answering its result.
ROUNDS = 3
# Chunks of a stream that something on the way has buffered arrive all at once. So do those of a fast model on a host
# that is busy at that moment, but not each time.
STREAM_SPREAD_S = 0.005
STREAMS = 3
# The limit of the long text, regardless of the server's context: the target must build and send it.
MOST_TEXT_TOKENS = 2_000_000
MOST_TEXT_BYTES = 64 * 2**20
# Counts of the same text by two of the server's paths that differ by more are not of the same tokenizer.
COUNT_FACTOR = 4
# The usage of an answer differs from the server's own count of its texts by the few tokens around them.
USAGE_FACTOR, USAGE_SLACK = 1.5, 16
# Answers of the same model to the same question share more of their words than that; to others, less.
ALIKE, UNLIKE = 0.6, 0.3

QUESTION = "What is the capital of France? Answer in one short sentence."
WEATHER = "What is the weather in Paris right now? Use the tool."
WEATHER_ROME = "What is the weather in Rome right now? Use the tool."
WEATHER_TWICE = "What is the weather in Paris and in Rome right now? Call the tool for both at the same time."
RESULT = "Sunny, 21 degrees"
COLOUR = "Which colour is this picture? Answer in one word."
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"name": "get_weather", "description": "The weather in a city at this moment", "parameters": PARAMETERS}
CHAT_TOOL = {"type": "function", "function": TOOL}
# The questions under load, and words of which an answer has one, in whatever language it comes.
CROWD_QUESTIONS = {
    "Say hello, and tell me in two sentences what a lighthouse is for.": (
        *("lighthouse", "ship", "sailor", "mariner", "vessel", "boat", "coast", "beacon", "harbor", "harbour"),
        *("leuchtturm", "schiff", "phare", "navire", "faro", "barco"),
        *("маяк", "корабл", "灯塔", "燈塔", "灯台", "船"),
    ),
    "Write a Python function that reverses a list, with a short comment.": ("def ", "revers", "[::-1]"),
    "Explain in three sentences why the sky is blue.": (
        *("scatter", "rayleigh", "wavelength", "sky", "himmel", "gestreut", "ciel", "diffus", "cielo", "небо"),
        *("天空", "空", "散射", "散乱"),
    ),
    "List five rivers of Europe, one in each line, with the sea that they flow into.": (
        *("rhine", "danube", "volga", "elbe", "seine", "loire", "rhone", "thames", "tagus", "ebro", "river", "dnieper"),
        *("rhein", "donau", "rhin", "danubio", "дунай", "волга", "рейн", "多瑙", "莱茵", "ドナウ", "ライン"),
    ),
}


class Finding(NamedTuple):
    """What a passed check has found. With a C(warning) it warns, and C(cause) says what to do."""

    message: str
    evidence: str = ""
    warning: str = ""
    cause: str = ""


class NotApplicable(Exception):
    """The check does not apply to this server."""


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
        served = [entry["id"] for entry in model_list(text)]
    except FORM_ERRORS as exc:
        probe.api.require_success("/v1/models", text)
        words = f"{probe.api.base_url}/v1/models does not answer with a list of models: {probe.api.quoted(text)!r}."
        raise ApiError(UNREACHABLE, f"{words} {_ANOTHER_PROGRAM}") from exc
    missing = [name for name in (probe.model, *probe.further_models) if name not in served]
    if missing:
        unknown = ", ".join(repr(name) for name in dict.fromkeys(missing))
        raise ApiError(MODEL_UNKNOWN, f"No model is served as {unknown}; served are {', '.join(served) or 'none'}.")
    return Finding("The model is served under its name.", ", ".join(served))


def key(probe: Probe) -> Finding:
    """Ask every endpoint that is checked, by its own method, with a wrong key and without a key."""
    if not probe.api.has_key:
        raise NotApplicable("The server has no API key.")
    open_paths = []
    for words, other in (("a wrong key", "wrong-" + secrets.token_hex(8)), ("no key", None)):
        api = probe.api.with_key(other)
        answered, errors = [], []
        for name, ask in _guarded(probe):
            try:
                answered += [] if _is_refused(api, ask) else [name]
            except ApiError as exc:
                errors.append(exc)
        # vLLM itself asks for its key at /v1 only.
        leaks = [name for name in answered if "/v1/" in name]
        if leaks:
            raise AnswerError(
                f"The server answers a request with {words} at {', '.join(leaks)}: anybody who reaches it can use it.",
                findings.OPEN,
            )
        if errors:
            raise errors[0]
        open_paths += [name for name in answered if name not in open_paths]
    # The key guard closes them on an address that others reach; on loopback vLLM is as it is.
    words = (
        f" at /v1; {' and '.join(open_paths)} answer without it, as vLLM's own key leaves them" if open_paths else ""
    )
    return Finding(f"A wrong key and no key are refused{words}.", "HTTP 401")


def chat(probe: Probe) -> Finding:
    answer = probe.chat(QUESTION)
    _require_answer(probe, answer)
    return Finding(f"Answered in {answer.output_tokens} tokens.", answer.text)


def streaming(probe: Probe) -> Finding:
    for _attempt in range(STREAMS):
        answer, arrivals, _blocks = probe.chat_stream(QUESTION)
        _require_answer(probe, answer)
        if len(arrivals) > 1 and arrivals[-1] - arrivals[0] >= STREAM_SPREAD_S:
            spread = f"{len(arrivals)} chunks from {arrivals[0]:.2f} to {arrivals[-1]:.2f} s"
            return Finding(f"{answer.output_tokens} tokens came in {spread}.", answer.text)
    raise AnswerError(
        f"{answer.output_tokens} tokens came in {len(arrivals)} chunks, all at once, {arrivals[-1]:.2f} s after the"
        " request: something on the way buffers the stream."
    )


def thinking(probe: Probe) -> Finding:
    answer = probe.chat(QUESTION)
    if not answer.reasoning:
        raise AnswerError(f"The answer has no reasoning: {answer.text!r}")
    return Finding("It thinks, and the reasoning is separate from the answer.", answer.reasoning)


def instant(probe: Probe) -> Finding:
    answer = probe.chat(QUESTION, **probe.instant())
    if answer.reasoning:
        raise AnswerError(f"It was asked not to think, but thinks: {answer.reasoning!r}")
    _require_answer(probe, answer)
    return Finding("Asked not to think, it answers at once.", answer.text)


def tool_call(probe: Probe) -> Finding:
    return _called(probe, probe.chat(WEATHER, CALLED, tools=[CHAT_TOOL]), {"paris"})


def tool_call_streamed(probe: Probe) -> Finding:
    """Do a turn of Kimi's CLI: a call, its result, and the answer, both streamed."""
    conversation = shapes.kimi_turn(WEATHER)
    answer = probe.kimi_stream(conversation, CALLED, tools=[CHAT_TOOL]).answer
    called = _called(probe, answer, {"paris"})
    conversation += shapes.kimi_results(answer, RESULT)
    second = probe.kimi_stream(conversation, (*ENDED, *FULL), tools=[CHAT_TOOL]).answer
    if not second.tool_calls:
        _require_turn(answer, second)
    return Finding("The tool was called with valid arguments, and its result was answered.", called.evidence)


def tool_calls_parallel(probe: Probe) -> Finding:
    """Ask for two calls in one answer, whole and streamed, over both APIs."""
    cities = {"paris", "rome"}
    found = _called(probe, probe.chat(WEATHER_TWICE, CALLED, tools=[CHAT_TOOL]), cities)
    for name, ask in _TOOL_STREAMS.items():
        try:
            _called(probe, ask(probe, WEATHER_TWICE), cities)
        except AnswerError as exc:
            raise AnswerError(f"Streamed by {name}: {exc}", exc.cause) from exc
    return Finding("The tool was called twice in one answer, whole and streamed.", found.evidence)


def tool_calls_crowd(probe: Probe) -> Finding:
    """Stream answers with one and with two calls, many at a time, over both APIs."""
    asked = [(WEATHER, {"paris"})]
    if probe.expected.parallel_calls:
        asked += [(WEATHER_TWICE, {"paris", "rome"}), (WEATHER_ROME, {"rome"}), (WEATHER_TWICE, {"paris", "rome"})]
    for (name, ask), size in zip(_TOOL_STREAMS.items(), (CROWD, CROWD // 2)):

        def call(request: tuple[str, set[str]], ask: Callable[[Probe, str], Answer] = ask) -> None:
            _called(probe, ask(probe, request[0]), request[1])

        try:
            _at_once(call, [asked[number % len(asked)] for number in range(size)])
        except AnswerError as exc:
            cause = findings.CALLS_LOST_UNDER_LOAD if exc.cause in findings.OF_CALLS else exc.cause
            raise AnswerError(f"One of {size} concurrent streams of {name}: {exc}", cause) from exc
    return Finding(
        f"{CROWD} concurrent streams of chat completions and {CROWD // 2} of messages have sound tool calls."
    )


def image(probe: Probe) -> Finding:
    """Show two pictures, one after the other: a server that drops them can only guess."""
    colours = ("red", secrets.choice([colour for colour in inputs.COLOURS if colour != "red"]))
    shown = {colour: probe.chat(_about_picture(colour)) for colour in colours}
    wanted = probe.expected.image_answer
    for colour, answer in shown.items():
        if wanted and not texts.names(answer.text, wanted):
            raise AnswerError(f"The answer about a picture lacks {wanted!r}: {answer.text!r}")
        if not wanted and [name for name in inputs.COLOURS if texts.names(answer.text, name)] != [colour]:
            raise AnswerError(f"It does not see that the picture is {colour}: {answer.text!r}")
    said = " ".join(answer.text for answer in shown.values())
    if not wanted:
        return Finding(f"It sees that one picture is red and another one {colours[1]}.", said)
    alone, seen = probe.chat(COLOUR).input_tokens, shown["red"].input_tokens
    if seen <= alone:
        raise AnswerError(f"A question has {alone} tokens, and {seen} with a picture: the picture was dropped.")
    return Finding(f"It answers about a picture, which adds {seen - alone} tokens.", said)


def long_context(probe: Probe) -> Finding:
    wanted = probe.expected.long_context_tokens
    if wanted is None and probe.max_model_len is None:
        raise NotApplicable("The server does not say how long its context is, and no length was asked for.")
    claimed = None if probe.max_model_len is None else _count("max_model_len", probe.max_model_len)
    if wanted and claimed and claimed < min(wanted, MOST_TEXT_TOKENS):
        raise AnswerError(f"A context of {wanted} tokens was asked for, and the server has one of {claimed}.")
    room = claimed - probe.answer_tokens - 64 if claimed else wanted
    tokens = min(MOST_TEXT_TOKENS, *(number for number in (wanted, room) if number is not None))
    # At several depths, so that no part can be left out.
    codes = {place: f"{secrets.randbelow(900000) + 100000}" for place in ("lighthouse", "harbor", "lamp room")}
    needles = {code: f"The code of the {place} is {code}." for place, code in codes.items()}
    question = f"\n\nWhat are the codes of the {', the '.join(codes)}? Answer with the {len(codes)} numbers only."
    content = inputs.haystack(_lines_for(probe, tokens - 128), *needles.values()) + question
    recall = probe.expected.long_context_recall
    answer = probe.chat(content, (*ENDED, *FULL), counted=False)
    if answer.input_tokens < 0.9 * tokens:
        raise AnswerError(
            f"About {tokens} tokens were sent, and the server counts {answer.input_tokens}: it cut them off.",
            findings.PROMPT_CUT,
        )
    if answer.input_tokens > 5 * tokens + 1000:
        raise AnswerError(
            f"About {tokens} tokens were sent, and the server counts {answer.input_tokens}.", findings.MISCOUNTED
        )
    lost = [needle for code, needle in needles.items() if not texts.has_number(answer.text, code)]
    if recall and lost:
        raise AnswerError(
            f"Within {answer.input_tokens} tokens it does not find {' '.join(lost)!r}: {answer.text!r}",
            findings.PROMPT_CUT,
        )
    if not answer.text.strip():
        raise AnswerError(f"After {answer.input_tokens} tokens its answer is broken, it is empty.")
    found = "and found the sentences in it" if recall else "and answered"
    limit = f" No more than {MOST_TEXT_TOKENS} are tried." if tokens == MOST_TEXT_TOKENS else ""
    return Finding(f"It read {answer.input_tokens} tokens {found}.{limit}", answer.text)


def messages(probe: Probe) -> Finding:
    """Send the second turn of a conversation as Claude Code does, not streamed."""
    claude = Claude(probe)
    answer = claude.ask(shapes.claude_text(QUESTION))
    _require_answer(probe, answer)
    return _with_refusal(claude, Finding(f"Answered in {answer.output_tokens} tokens.", answer.text))


def messages_tools(probe: Probe) -> Finding:
    """Do two rounds of Claude Code: a request with tools, the call, its result, and the answer, all streamed."""
    claude = Claude(probe, [TOOL])
    asked = claude.ask_streamed(shapes.claude_text(WEATHER), CALLED).answer
    called = _called(probe, asked, {"paris"}, "tool_use")
    said = _answered_results(claude, asked)
    again = claude.ask_streamed(shapes.claude_text(WEATHER), (*ENDED, *CALLED)).answer
    if again.tool_calls or again.stop in CALLED:
        _called(probe, again, {"paris"}, "tool_use")
        _answered_results(claude, again)
    else:
        _require_end(again, "The answer to the same question again")  # a model may use the result that it has
    # Not required, because a scripted model cannot do it.
    used = re.search(r"sunny|21", said, re.IGNORECASE)
    words = "used its result" if used else "answered without using its result"
    found = Finding(f"It called the tool and {words}, both streamed.", f"{called.evidence} {said}")
    return _with_refusal(claude, found)


def count_tokens(probe: Probe) -> Finding:
    headers = shapes.CLAUDE_CODE.headers

    def count(text: str, **further: Any) -> int:
        body = {"model": probe.model, "messages": [shapes.claude_text(text)], **further}
        return int(probe.api.post("/v1/messages/count_tokens?beta=true", body, headers)["input_tokens"])

    tools = {"tools": [shapes.claude_tool(TOOL)]}
    short, long = count(QUESTION, **tools), count(QUESTION * 2, **tools)
    if not 0 < short < long:
        raise AnswerError(f"It counts {short} tokens, and {long} in a text twice as long.")
    text = QUESTION * 8
    counted = count(text)
    body = probe.body([shapes.claude_text(text)], max_tokens=16)
    used = input_tokens_of(probe.api.post(shapes.CLAUDE_CODE.path, body, headers)["usage"])
    if not counted / COUNT_FACTOR <= used <= counted * COUNT_FACTOR:
        raise AnswerError(
            f"It counts {counted} tokens, and the usage of the same request says {used}.", findings.MISCOUNTED
        )
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
    _require_usage(probe)
    known = ", ".join(f"{text} = {number}" for text, number in probe.expected.token_ids.items())
    return Finding("Text comes back from the tokenizer as it was, and the usage counts its tokens.", known)


def accuracy(probe: Probe) -> Finding:
    """Do tasks with exact answers, of the kinds for which the recipe has a limit."""
    limits = probe.expected.accuracy
    if not limits:
        raise NotApplicable("The recipe has no limit for the accuracy.")
    sandbox, untried = None, ""
    if CODE in limits:
        try:
            sandbox = prepared(probe.container)
        except SandboxError as exc:
            untried = f"Code was not tried: {exc}."
    if untried and set(limits) == {CODE}:
        raise NotApplicable(untried)
    scores = measure(probe, limits, sandbox)
    told = ", ".join(f"{score.kind} {score.right} of {score.total}" for score in scores)
    missed = [score for score in scores if score.share < limits[score.kind]]
    if missed:
        worst = missed[0]
        raise AnswerError(
            f"Right: {told}; of {worst.kind} {limits[worst.kind]:.0%} must be. {worst.wrong} {untried}".strip(),
            worst.cause or findings.INACCURATE,
        )
    wrong = next((score.wrong for score in scores if score.wrong), "")
    return Finding(f"Right: {told}.", wrong, untried)


def crowd(probe: Probe) -> Finding:
    """Compare answers that are generated concurrently, whole and streamed, with those to the same questions alone."""
    room = min(256, probe.answer_tokens)

    def ask(question: str, streamed: bool = False) -> str:
        stops = (*ENDED, *FULL)
        if streamed:
            answer = probe.chat_stream(question, stops, max_tokens=room).answer
        else:
            answer = probe.chat(question, stops, max_tokens=room)
        if not (answer.text or answer.reasoning).strip():
            raise AnswerError("The answer is broken, it is empty.", findings.BROKEN)
        return answer.text.strip() or answer.reasoning

    alone = {question: ask(question) for question in CROWD_QUESTIONS}

    def ask_in_crowd(request: tuple[str, bool]) -> None:
        _require_own_answer(request[0], ask(*request), alone)

    requests = [(question, streamed) for streamed in (False, False, False, True) for question in CROWD_QUESTIONS]
    try:
        _at_once(ask_in_crowd, requests)
    except AnswerError as exc:
        cause = findings.BROKEN_UNDER_LOAD if exc.cause == findings.BROKEN else exc.cause
        raise AnswerError(f"One of {CROWD} concurrent answers is broken. {exc}", cause) from exc
    return Finding(f"{CROWD} concurrent answers are sound.", next(iter(alone.values())))


class Check(NamedTuple):
    """One check. C(advice) says what to do if it fails and what was seen points to no cause."""

    run: Callable[[Probe], Finding]
    title: str
    advice: str
    # Whether other requests at the same time would change its outcome.
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
    Check(tool_calls_crowd, "Tool calls, concurrent", _TOOL_ADVICE, True),
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
    Check(
        messages_tools,
        "Anthropic messages with tools, streamed",
        f"Claude Code cannot work with this server. {_TOOL_ADVICE}",
    ),
    Check(count_tokens, "Anthropic token count", _CLAUDE_ADVICE),
    Check(
        tokenizer,
        "Tokenizer",
        "transformers 5.4.0 to 5.5.3 break Kimi's tokenizer: pin the image's packages (image.pip).",
    ),
    Check(
        accuracy,
        "Accuracy",
        "See the weights (hf_cache_verify), the chat template, and whether a gateway changes the requests.",
        True,
    ),
    Check(
        crowd,
        "Concurrent answers",
        "Kernels or the KV cache break answers under load: try another vLLM, --kv-cache-dtype auto, or no draft.",
        True,
    ),
)
CHECK_NAMES = tuple(check.name for check in CHECKS)


def model_list(text: str) -> list[dict[str, Any]]:
    """Return the entries of the list of models. Raises one of FORM_ERRORS."""
    return list(json.loads(text)["data"])


_TOOL_STREAMS: dict[str, Callable[[Probe, str], Answer]] = {
    CHAT_PATH: lambda probe, question: probe.chat_stream(question, CALLED, tools=[CHAT_TOOL]).answer,
    "/v1/messages": lambda probe, question: (
        probe.message_stream(
            probe.body([shapes.claude_text(question)], tools=[shapes.claude_tool(TOOL)], **shapes.CLAUDE_CODE.body),
            CALLED,
        ).answer
    ),
}


def _guarded(probe: Probe) -> list[tuple[str, Callable[[Api], object]]]:
    """Return the endpoints that need the key, each with a small request."""
    small = probe.body([user("Hello")], max_tokens=1)
    claude = probe.body([shapes.claude_text("Hello")], max_tokens=1)
    counted = {"model": probe.model, "messages": [shapes.claude_text("Hello")]}
    headers = shapes.CLAUDE_CODE.headers
    return [
        ("GET /v1/models", _listed),
        (f"POST {CHAT_PATH}", lambda api: api.post(CHAT_PATH, small)),
        (f"POST {CHAT_PATH}, streamed", lambda api: list(api.stream(CHAT_PATH, small))),
        ("POST /v1/messages", lambda api: api.post(shapes.CLAUDE_CODE.path, claude, headers)),
        ("POST /v1/messages, streamed", lambda api: list(api.stream(shapes.CLAUDE_CODE.path, claude, headers))),
        (
            "POST /v1/messages/count_tokens",
            lambda api: api.post("/v1/messages/count_tokens?beta=true", counted, headers),
        ),
        # Not tried by any check, but they generate, too.
        (
            "POST /v1/completions",
            lambda api: api.post("/v1/completions", {"model": probe.model, "prompt": "Hello", "max_tokens": 1}),
        ),
        (
            "POST /v1/responses",
            lambda api: api.post("/v1/responses", {"model": probe.model, "input": "Hello", "max_output_tokens": 16}),
        ),
        ("POST /tokenize", lambda api: api.post("/tokenize", {"model": probe.model, "prompt": "Hello"})),
        ("POST /detokenize", lambda api: api.post("/detokenize", {"model": probe.model, "tokens": [72, 0]})),
    ]


def _listed(api: Api) -> object:
    """Return the list of models. Raises ApiError, also for what is no list."""
    text = api.get("/v1/models")
    try:
        return model_list(text)
    except FORM_ERRORS as exc:
        raise ApiError(FORM, f"/v1/models does not answer with a list of models: {api.quoted(text)!r}.", 200) from exc


def _is_refused(api: Api, ask: Callable[[Api], object]) -> bool:
    """Return whether a request is refused for its key, or its path is not served. Raises ApiError.

    A page to sign in, a redirect to one, or an error in place of an answer is of no use to anybody, either.
    """
    try:
        ask(api)
    except ApiError as exc:
        useless = exc.kind in (ERROR, FORM) or 300 <= exc.status < 400 or exc.status in (404, 405, 501)
        if exc.kind == KEY_REFUSED or (useless and exc.kind != MODEL_UNKNOWN):
            return True
        raise
    return False


def _require_usage(probe: Probe) -> None:
    """Compare the usage of an answer with the server's own count of prompt and answer. Raises AnswerError."""

    def count(**asked: Any) -> int:
        return _count("count", probe.api.post("/tokenize", {"model": probe.model, **asked})["count"])

    content = inputs.haystack(8) + "\n\nExplain in three sentences why the sky is blue."
    answer = probe.chat(content, (*ENDED, *FULL), **probe.instant())
    said = answer.reasoning + answer.text
    counts = {"output": (answer.output_tokens, count(prompt=said, add_special_tokens=False))} if said else {}
    try:
        counts["input"] = answer.input_tokens, count(messages=[user(content)], **probe.instant())
    except ApiError as exc:
        if exc.status not in (400, 422):  # it knows texts only
            raise
    for kind, (used, counted) in counts.items():
        if not counted / USAGE_FACTOR - USAGE_SLACK <= used <= counted * USAGE_FACTOR + USAGE_SLACK:
            raise AnswerError(
                f"The usage says {used} {kind} tokens, and the server's tokenizer counts {counted}.",
                findings.MISCOUNTED,
            )


def _require_answer(probe: Probe, answer: Answer) -> None:
    """Check that an answer ends by itself, is not empty, and is right. Raises AnswerError."""
    _require_end(answer, "The answer")
    if not texts.names(answer.text, probe.expected.answer):
        raise AnswerError(f"The answer to {QUESTION!r} lacks {probe.expected.answer!r}: {answer.text!r}")


def _require_end(answer: Answer, name: str) -> None:
    if not answer.text.strip():
        raise AnswerError(f"{name} is broken, it is empty, and stopped with {answer.stop!r}.")
    if answer.stop not in ENDED:
        raise AnswerError(f"{name} stopped with {answer.stop!r}, without a call: {answer.text!r}")


def _require_turn(called: Answer, answer: Answer) -> None:
    """Check the answer to the result of a tool. Raises AnswerError."""
    if answer.stop in FULL:
        raise AnswerError(f"The answer to the tool's result did not end: {answer.text or answer.reasoning!r}")
    if not answer.text.strip():
        ids = [call.call_id for call in called.tool_calls]
        odd = [call_id for call_id in ids if not re.fullmatch(r"functions\.[\w.-]+:\d+", call_id)]
        raise AnswerError(
            f"The answer to the tool's result is empty, stopped by {answer.stop!r}; the call has the ID {ids[0]!r}.",
            findings.CALL_IDS if odd else "",
        )
    _require_end(answer, "The answer to the tool's result")


def _about_picture(colour: str) -> list[dict[str, Any]]:
    """Return the content of a message that asks for the colour of a picture."""
    picture = {"type": "image_url", "image_url": {"url": inputs.picture(colour)}}
    return [picture, {"type": "text", "text": COLOUR}]


def _called(probe: Probe, answer: Answer, cities: set[str], stop: str = "") -> Finding:
    """Check that each of C(cities) has its own call that a client can make and answer. Raises AnswerError."""
    if not answer.tool_calls:
        lost = answer.stop in CALLED
        words = f"No tool was called; it said {answer.text!r} and stopped with {answer.stop!r}"
        words += f" after {answer.output_tokens} tokens: the call was lost." if lost else "."
        raise AnswerError(words, findings.CALLS_LOST if lost else "")
    found = [require_call(call, TOOL)["city"] for call in answer.tool_calls]
    lumped = [place for place in found if sum(texts.names(place, city) for city in cities) > 1]
    if lumped:
        raise AnswerError(f"The tool was called once for {lumped[0]!r}, and not for each city.")
    missing = [city for city in cities if not any(texts.names(place, city) for place in found)]
    if missing:
        raise AnswerError(
            f"The tool was called for {', '.join(found)}, but not for {', '.join(sorted(missing))}.",
            findings.CALLS_MISSING,
        )
    strange = [place for place in found if not any(texts.names(place, city) for city in cities)]
    if strange:
        raise AnswerError(f"The tool was called for {strange[0]!r}, which nobody asked for.", findings.CALLS_MISSING)
    arguments = [json.loads(call.arguments) for call in answer.tool_calls]
    twice = [each for each in arguments if arguments.count(each) > 1]
    if twice:
        raise AnswerError(f"The tool was called {len(twice)} times with {twice[0]}.", findings.BROKEN_CALLS)
    ids = [call.call_id for call in answer.tool_calls]
    if "" in ids or len(set(ids)) < len(ids):
        raise AnswerError(f"Each tool call needs an id of its own, for its result; they have {ids}.", findings.CALL_IDS)
    odd = [call_id for call_id in ids if not re.fullmatch(probe.expected.tool_call_ids or ".*", call_id)]
    if odd:
        raise AnswerError(
            f"The tool call has the ID {odd[0]!r}, which does not fit {probe.expected.tool_call_ids!r}.",
            findings.CALL_IDS,
        )
    if answer.stop not in CALLED or (stop and answer.stop != stop):
        right = stop or CALLED[0]
        raise AnswerError(f"The tool was called, but the answer stopped with {answer.stop!r} and not {right!r}.")
    calls = "; ".join(f"{call.name}({call.arguments})" for call in answer.tool_calls)
    return Finding("The tool was called with valid arguments.", calls)


def _require_own_answer(question: str, said: str, alone: dict[str, str]) -> None:
    """Check that C(said) answers C(question), and not another one of C(alone), whose answers are given."""
    own = texts.likeness(said, alone[question])
    others = {other: texts.likeness(said, text) for other, text in alone.items() if other != question}
    nearest = max(others, key=lambda other: others[other])
    hit = _has_any(said, CROWD_QUESTIONS[question])
    if (others[nearest] >= ALIKE and own < UNLIKE) or (
        not hit and own < UNLIKE and _has_any(said, CROWD_QUESTIONS[nearest])
    ):
        raise AnswerError(f"The answer to {question!r} is that to {nearest!r}: {said!r}", findings.MIXED_UP)
    if not hit and own < UNLIKE:
        raise AnswerError(f"The answer to {question!r} has nothing to do with it: {said!r}", findings.BROKEN)


def _has_any(text: str, words: Iterable[str]) -> bool:
    said = texts.folded(text)
    return any(texts.folded(word) in said for word in words)


def _at_once(ask: Callable[[Any], object], requests: Sequence[Any]) -> None:
    """Send all requests at the same time. Raises the first error, in their order."""

    def send(request: Any) -> None:
        try:
            ask(request)
        except ApiError as exc:
            # So many new connections may be more than a server accepts at once; clients try again, too.
            if not is_lost_connection(exc):
                raise
            ask(request)

    with ThreadPoolExecutor(len(requests)) as pool:
        for sent in [pool.submit(send, request) for request in requests]:
            sent.result()


def _answered_results(claude: Claude, called: Answer) -> str:
    """Return the answer to the results of the calls in C(called). It may be another call first. Raises AnswerError."""
    for _round in range(ROUNDS):
        results = {call.call_id: RESULT for call in called.tool_calls}
        answer = claude.ask_streamed(shapes.claude_results(results), (*ENDED, *FULL)).answer
        if not answer.tool_calls:
            _require_turn(called, answer)
            return answer.text
        for call in answer.tool_calls:
            require_call(call, TOOL)
        called = answer
    raise AnswerError(f"It was given the tool's result {ROUNDS} times and does not answer, but calls the tool again.")


def _with_refusal(claude: Claude, found: Finding) -> Finding:
    if claude.refused is None:
        return found
    words = f"A message of the role system among the messages is refused: {claude.refused}"
    if not shapes.falls_back(claude.refused.body):
        raise AnswerError(words, findings.SYSTEM_ROLE_IN_OTHER_WORDS)
    return found._replace(warning=words, cause=findings.SYSTEM_ROLE)


def _lines_for(probe: Probe, tokens: int) -> int:
    """Return how many lines of the haystack have C(tokens) tokens, by the server's count of a sample."""
    lines = 32
    sample = inputs.haystack(lines)
    counted = _count("count", probe.api.post("/tokenize", {"model": probe.model, "prompt": sample})["count"])
    if tokens * len(sample) > MOST_TEXT_BYTES * counted:
        raise AnswerError(
            f"A text of {tokens} tokens would be longer than {MOST_TEXT_BYTES // 2**20} MiB: the server counts"
            f" {counted} in {len(sample)} characters."
        )
    return max(1, tokens * lines // counted)


def _count(name: str, value: Any) -> int:
    """Return the server's C(value) of C(name). Raises ValueError if it is not a positive number."""
    if not is_count(value):
        raise ValueError(f"{name} is {value!r} and must be a whole number above 0")
    return int(value)
