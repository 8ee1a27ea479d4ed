# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for vLLM's API on the loopback address: a model that can do everything unless it is given a fault."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

MODEL = "kimi-k2.6"
KEY = "sk-very-secret-key"
END_THINK = 163607
CONTEXT = 8192
COLOURS = {b"\xff\0\0": "Red.", b"\0\xff\0": "Green.", b"\0\0\xff": "Blue.", b"\xff\xff\0": "Yellow."}
ANSWERS = {
    "lighthouse": "Hello! A lighthouse shows ships where the coast is, and it warns them of rocks.",
    "Python": "```python\ndef reverse(items):\n    # Return the items backwards\n    return items[::-1]\n```",
    "sky": "The air scatters blue light more than red light. So it comes to us from all of the sky.",
    "rivers": (
        "| River | Sea |\n| --- | --- |\n| Rhine | North Sea |\n| Danube | Black Sea |\n| Elbe | North Sea |\n"
        "| Volga | Caspian Sea |\n| Ebro | Mediterranean Sea |"
    ),
}
# Right answers by question, which a test adds: texts, or what becomes JSON.
SOLUTIONS: dict[str, Any] = {}
# What it makes of Claude Code's own tools.
LS = {"command": "ls", "description": "List the files"}
# As vLLM 0.20.1 says it.
ROLE_ERROR = (
    "1 validation error:\n  {'type': 'literal_error', 'loc': ('body', 'messages', 1, 'role'), 'msg': \"Input should be"
    " 'user' or 'assistant'\", 'input': 'system', 'ctx': {'expected': \"'user' or 'assistant'\"}}"
)
INCOHERENT = (
    "lamp zebra ingot velvet ninety purple stone wander cobalt fjord tulip engine basket mirror plasma ocean thunder"
)


class Reply(NamedTuple):
    """An answer of the model. It ends by itself unless C(stop) says otherwise."""

    text: str
    reasoning: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    stop: str = "stop"


class InferenceServer(ThreadingHTTPServer):
    """Counts its requests, and has the named C(faults)."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, key: str | None, faults: frozenset[str], host: str, port: int, handler: type[Handler] | None = None
    ) -> None:
        super().__init__((host, port), handler or Handler)
        self.key = key
        self.faults = faults
        self.started_at = time.time()
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.drafts = 0
        self.generated = 0
        self.under_way = 0
        self.failures_left = 1
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that reads no further."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def base_url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_port}"


@contextlib.contextmanager
def serving(
    key: str | None = KEY, *faults: str, host: str = "127.0.0.1", port: int = 0, handler: type[Handler] | None = None
) -> Iterator[InferenceServer]:
    server = InferenceServer(key, frozenset(faults), host, port, handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    server: InferenceServer
    protocol_version = "HTTP/1.0"  # a stream ends where the connection does

    def log_message(self, *_args: object) -> None:
        pass

    def faulty(self, name: str) -> bool:
        return name in self.server.faults

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers), None))
        if self.faulty("plain"):
            return self._answer(200, "hello world\n")
        if self.path == "/metrics" and not self.faulty("no_metrics"):
            return self._answer(200, self._metrics())
        if self.path == "/version":
            return self._answer(200, {"version": "0.19.1" if self.faulty("no_system_role") else "0.32.0"})
        if self.faulty("foreign") or self.path == "/metrics":
            return self._answer(404, {"detail": "Not Found"})
        if self.faulty("drops"):
            return None
        if not self._let_in():
            return None
        if self.faulty("error_in_list"):
            return self._answer(200, {"error": {"message": "The backend is asleep"}})
        name = "other" if self.faulty("unlisted") else MODEL
        length = 200_000 if self.faulty("claims_more") else CONTEXT
        models = [{"id": name, "root": "/model", "max_model_len": length}]
        models += [{"id": "alias", "root": "/model"}, {"id": "glm-5", "root": "/other"}]
        return self._answer(200, {"data": models})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        path = self.path.partition("?")[0]
        if not self.faulty(f"open {path}") and not self._let_in():
            return None
        if body["model"] != MODEL:
            message = f"The model `{body['model']}` does not exist."
            return self._answer(404, {"error": {"message": message, "type": "NotFoundError"}})
        if path in ("/v1/completions", "/v1/responses"):
            return self._answer(200, {"id": "1", "object": "response", "model": MODEL})
        if path == "/tokenize":
            if "messages" in body and self.faulty("tokenizes_texts_only"):
                return self._answer(400, {"error": {"message": "prompt: field required"}})
            return self._answer(200, self._tokenize(body.get("prompt") or json.dumps(body["messages"])))
        if path == "/detokenize":
            return self._answer(200, {"prompt": self._detokenize(body["tokens"])})
        if path.startswith("/v1/messages") and self.faulty("no_messages"):
            return self._answer(404, {"detail": "Not Found"})
        if path == "/v1/messages/count_tokens":
            count = 7 if self.faulty("counts_badly") else len(json.dumps(body)) // 4
            count *= 10 if self.faulty("counts_another_way") else 1
            return self._answer(200, {"input_tokens": count})
        with self.server.lock:
            self.server.under_way += 1
        try:
            self._generate(path, body)
        finally:
            with self.server.lock:
                self.server.under_way -= 1

    def _generate(self, path: str, body: dict[str, Any]) -> None:
        if self.faulty("silent"):
            time.sleep(3)
        if self.faulty("error"):
            return self._answer(500, {"error": {"message": f"Engine dead; {self.headers['Authorization']} was sent"}})
        if self.faulty("error_in_200"):
            return self._answer(200, {"error": {"message": "CUDA error: an illegal memory access"}})
        messages = body["messages"]
        has_system_role = "system" in [message["role"] for message in messages]
        refused = self.faulty("no_claude") or (has_system_role and self.faulty("no_system_role"))
        in_other_words = has_system_role and self.faulty("no_system_role_in_other_words")
        if path == "/v1/messages" and (refused or in_other_words):
            message = "bad request" if in_other_words else ROLE_ERROR
            return self._answer(400, {"error": {"message": message, "type": "Bad Request"}})
        prompt = len(json.dumps(messages)) // 4 // (4 if self.faulty("cuts_prompts") else 1)
        prompt = 16 if self.faulty("drops_pictures") else prompt
        if prompt > CONTEXT:
            message = f"This model's maximum context length is {CONTEXT} tokens."
            return self._answer(400, {"error": {"message": message, "type": "BadRequestError"}})
        reply = self._reply(body)
        stream = body.get("stream", False)
        reply = self._leaking(reply, path, stream, body)
        words = len(reply.text.split()) + len(reply.reasoning.split()) + 4 * len(reply.calls)
        with self.server.lock:
            self.server.generated += words
            self.server.drafts += max(1, words // 3)
        factor = 10 if self.faulty("overcounts") else 0.125 if self.faulty("undercounts") else 1
        usage = (int(prompt * factor) * (10 if self.faulty("overcounts_prompts") else 1), int(words * factor))
        if path == "/v1/messages":
            return self._messages(reply, *usage, stream)
        return self._chat(reply, *usage, stream)

    def _leaking(self, reply: Reply, path: str, stream: bool, body: dict[str, Any]) -> Reply:
        """Return the reply with what the server's parsers leave in it."""
        places = {
            "whole": path == "/v1/chat/completions" and not stream,
            "stream": path == "/v1/chat/completions" and stream,
            "messages": path == "/v1/messages" and not stream,
            "messages_stream": path == "/v1/messages" and stream,
            "instant": "chat_template_kwargs" in body,
        }
        if reply.text and any(there and self.faulty(f"leaks_in_{place}") for place, there in places.items()):
            return reply._replace(text=f"A thought.</think>{reply.text}")
        if reply.text and self.faulty("leaks_ends") and stream:
            return reply._replace(text=f"{reply.text}<|im_end|>")
        if reply.calls and self.faulty("calls_in_reasoning"):
            thought = '<|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Paris"}'
            return Reply("", f"{reply.reasoning} {thought}")
        return reply

    def _let_in(self) -> bool:
        sent = self.headers["Authorization"]
        allowed = self.server.key is None or sent == f"Bearer {self.server.key}"
        allowed = allowed or self.faulty("open") or (self.faulty("open_to_any_key") and sent is not None)
        if not allowed and self.faulty("refuses_by_redirect"):
            self.send_response(302)
            self.send_header("Location", "https://login.example/?ticket=s3cret")
            self.end_headers()
        elif not allowed and self.faulty("refuses_by_page"):
            self._answer(200, "<html>Sign in</html>")
        elif not allowed:
            status = next((int(fault[-3:]) for fault in self.server.faults if fault.startswith("refuses_")), 401)
            self._answer(status, {"error": "Unauthorized"})
        return allowed

    def _reply(self, body: dict[str, Any]) -> Reply:
        """Return the answer of a capable model, unless it has a fault."""
        told = [message for message in body["messages"] if message["role"] != "system"]
        last = told[-1]["content"]
        parts = [{"type": "text", "text": last}] if isinstance(last, str) else last
        text = " ".join(part.get("text", "") for part in parts)
        answers_tool = told[-1]["role"] == "tool" or "tool_result" in [part["type"] for part in parts]
        thinks = body.get("chat_template_kwargs", {}).get("thinking", True) or self.faulty("always_thinks")
        reasoning = "The user wants to know something." if thinks and not self.faulty("never_thinks") else ""
        crowded = self._crowded() if any("_under_load" in fault for fault in self.server.faults) else 0
        if self.faulty("nan"):
            return Reply("", "!" * 98, stop="length")
        if self.faulty("shouts") or (self.faulty("shouts_under_load") and crowded > 4):
            return Reply("!" * 200, reasoning)
        if self.faulty("flaky") and self._fails_now():
            return Reply("The capital of France is Lyon.", reasoning)
        if self.faulty("silence"):
            return Reply("", reasoning)
        if self.faulty("endless"):
            return Reply("It is Paris, and", reasoning, stop="length")
        remembers = self.faulty("remembers") and '"tool_result"' in json.dumps(body["messages"])
        if body.get("tools") and not answers_tool and not remembers:
            if "Bash" in [tool.get("name") for tool in body["tools"]]:
                return Reply("", reasoning, (("Bash", json.dumps(LS)),), "tool_calls")
            lost = crowded > 5 and self.faulty("loses_calls_under_load")
            return Reply("", reasoning, (), "tool_calls") if lost else self._calls(text, reasoning)
        if any(part["type"].startswith("image") for part in parts):
            return Reply(self._colour(parts), reasoning)
        if answers_tool:
            if self.faulty("ends_after_thoughts"):
                return Reply("", reasoning)
            weather = "I do not know." if self.faulty("forgets") else "In Paris it is sunny, at 21 degrees."
            return Reply(weather, reasoning, stop="length" if self.faulty("babbles") else "stop")
        solved = SOLUTIONS.get(text)
        if solved is not None and not (self.faulty("forgets") and "boathouse" in text):
            said = solved if isinstance(solved, str) else f"```json\n{json.dumps(solved)}\n```"
            return Reply("It is 12." if self.faulty("miscalculates") else said, reasoning)
        codes = re.findall(r"The code of the [a-z ]+ is (\d+)", text)
        if codes:
            found = " and ".join(f"**{int(code):,}**" for code in codes)
            return Reply("I do not know." if self.faulty("forgets") else found, reasoning)
        answer = "The capital of France is Lyon." if self.faulty("wrong") else "The capital of France is Paris."
        if self.faulty("unparsed"):
            return Reply(f"<think>{reasoning}</think>{answer}", "A thought.")
        known = next((said for word, said in ANSWERS.items() if word in text), answer)
        return Reply(self._said_under_load(known) if crowded > 8 else known, reasoning)

    def _said_under_load(self, answer: str) -> str:
        if self.faulty("loops_under_load"):
            return "Hello, and the sea " + "and the sea " * 20
        if self.faulty("incoherent_under_load"):
            return INCOHERENT
        if self.faulty("swaps_under_load"):
            return next(other for other in ANSWERS.values() if other != answer)
        return answer

    def _fails_now(self) -> bool:
        with self.server.lock:
            self.server.failures_left -= 1
            return self.server.failures_left >= 0

    def _colour(self, parts: list[dict[str, Any]]) -> str:
        if self.faulty("blind"):
            return "A blue square, centered."
        if self.faulty("sees_red"):
            return "Red."
        data = base64.b64decode(parts[0]["image_url"]["url"].partition(",")[2])
        pixel = zlib.decompress(data[data.index(b"IDAT") + 4 :])[1:4]
        return "Crimson" if self.faulty("is_precise") and pixel == b"\xff\0\0" else COLOURS[pixel]

    def _calls(self, question: str, reasoning: str) -> Reply:
        if self.faulty("calls_as_text"):
            return Reply('<|tool_call_begin|>get_weather{"city": "Paris"}', reasoning)
        cities = [city for city in ("Paris", "Rome") if city in question]
        if self.faulty("is_italian"):
            cities = [{"Paris": "Parigi", "Rome": "Roma"}[city] for city in cities]
        if self.faulty("lumps_calls"):
            cities = [" and ".join(cities)]
        arguments = [json.dumps({"city": city}) for city in cities[: 1 if self.faulty("one_call") else 2]]
        if self.faulty("broken_arguments"):
            arguments = ['{"city": "Paris"']
        if self.faulty("foreign_arguments"):
            arguments = ['{"town": "Paris"}']
        name = "weather" if self.faulty("misnames_tools") else "get_weather"
        stop = "stop" if self.faulty("ends_turns") else "tool_calls"
        return Reply("", reasoning, tuple((name, text) for text in arguments), stop)

    def _call_id(self, name: str, index: int) -> str:
        if self.faulty("other_ids"):
            return f"call_{index}"
        return "" if self.faulty("no_ids") else f"functions.{name}:{0 if self.faulty('same_ids') else index}"

    def _crowded(self) -> int:
        """Return how many requests are under way, once no further one has come for a moment."""
        arrived = -1
        while arrived != len(self.server.requests):
            arrived = len(self.server.requests)
            time.sleep(0.15)
        return self.server.under_way

    def _stop(self, stop: str) -> str | None:
        for fault, reason in {"null_stop": None, "aborts": "abort", "filters": "content_filter"}.items():
            if self.faulty(fault):
                return reason
        return stop

    def _model(self) -> str:
        return "glm-5" if self.faulty("other_model") else "alias" if self.faulty("has_alias") else MODEL

    def _tokenize(self, prompt: str) -> dict[str, Any]:
        known = prompt == "</think>" and not self.faulty("no_think_token")
        tokens = [END_THINK] if known else list(prompt.encode("utf-16-le"))
        return {"tokens": tokens, "count": max(1, len(prompt) // 4)}

    def _detokenize(self, tokens: list[int]) -> str:
        if tokens == [END_THINK]:
            return "</think>"
        text = bytes(tokens).decode("utf-16-le")
        return text.encode("ascii", "ignore").decode() if self.faulty("mangles") else text

    def _metrics(self) -> str:
        lines = [
            f"process_start_time_seconds {self.server.started_at!r}",
            f'vllm:generation_tokens_total{{engine="0"}} {float(self.server.generated)}',
        ]
        if not self.faulty("no_draft"):
            drafts = self.server.drafts
            lines += [
                f'vllm:spec_decode_num_drafts_total{{engine="0"}} {float(drafts)}',
                f'vllm:spec_decode_num_accepted_tokens_total{{engine="0"}} {1.5 * drafts}',
                f'vllm:spec_decode_num_accepted_tokens_per_pos_total{{engine="0",position="0"}} {1.0 * drafts}',
                f'vllm:spec_decode_num_accepted_tokens_per_pos_total{{engine="0",position="1"}} {0.5 * drafts}',
            ]
        return "\n".join(lines) + "\n"

    # Response formats

    def _answer(self, status: int, body: Any) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, events: list[tuple[str, Any]], end: str) -> None:
        if self.faulty("error_instead_of_stream"):
            return self._answer(200, {"error": {"message": "CUDA error: an illegal memory access"}})
        self.send_response(200)
        self.end_headers()
        if self.faulty("cut"):
            events, end = events[: len(events) // 2], ""
        if self.faulty("error_in_stream"):
            events, end = [*events[:2], ("error", {"type": "error", "error": {"message": "CUDA error"}})], ""
        for name, event in events:
            head = f"event: {name}\n" if name and not self.faulty("no_event_names") else ""
            self.wfile.write(f"{head}data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
            if not self.faulty("buffered") and not self.faulty("buffered_at_first"):
                time.sleep(0.004)
        self.server.faults -= {"buffered_at_first"}
        self.wfile.write(end.encode())
        return None

    def _chat(self, reply: Reply, prompt: int, words: int, stream: bool) -> None:
        usage = {"prompt_tokens": prompt, "completion_tokens": words, "total_tokens": prompt + words}
        calls: list[dict[str, Any]] = [
            {
                "index": index,
                "id": self._call_id(name, index),
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
            for index, (name, arguments) in enumerate(reply.calls)
        ]
        stop, model = self._stop(reply.stop), self._model()
        if not stream:
            message = {"content": reply.text or None, "reasoning": reply.reasoning or None, "tool_calls": calls}
            choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": stop}
            answer = {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "model": model,
                "choices": [choice],
                "usage": usage,
            }
            return self._answer(200, {} if self.faulty("formless") else answer)
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"reasoning": word} for word in re.findall(r" ?[^ ]+", reply.reasoning)]
        deltas += [{"content": word} for word in re.findall(r" ?[^ ]+", reply.text)]
        for call in calls:
            arguments = call["function"]["arguments"]
            index = 0 if self.faulty("one_index") else call["index"] + (1 if self.faulty("skips_index") else 0)
            name = {"name": call["function"]["name"], "arguments": arguments[:5]}
            deltas += [{"tool_calls": [{**call, "index": index, "function": name}]}]
            deltas += [{"tool_calls": [{"index": index, "function": {"arguments": arguments[5:]}}]}]
        chunks: list[dict[str, Any]] = [{"choices": [{"delta": delta, "finish_reason": None}]} for delta in deltas]
        chunks += [{"choices": [{"delta": {}, "finish_reason": stop}]}]
        chunks += [{"choices": [{"delta": {"content": " Yes."}}]}] if self.faulty("goes_on") else []
        chunks += [] if self.faulty("no_usage") else [{"choices": [], "usage": usage}]
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1795626494, "model": model}
        for chunk in chunks:
            chunk["choices"] = [{"index": 0, **choice} for choice in chunk["choices"]]
        return self._stream([("", {**head, **chunk}) for chunk in chunks], "data: [DONE]\n\n")

    def _messages(self, reply: Reply, prompt: int, words: int, stream: bool) -> None:
        stop = self._stop({"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}[reply.stop])
        model = self._model()
        blocks: list[dict[str, Any]] = []
        if reply.reasoning:
            blocks.append({"type": "thinking", "thinking": reply.reasoning, "signature": "x"})
        if reply.text:
            blocks.append({"type": "text", "text": reply.text})
        blocks += [
            {"type": "tool_use", "id": self._call_id(name, index), "name": name, "input": arguments}
            for index, (name, arguments) in enumerate(reply.calls)
        ]
        if not stream:
            usage = {"input_tokens": prompt, "output_tokens": words}
            body = {"type": "message", "model": model, "content": blocks, "stop_reason": stop, "usage": usage}
            return self._answer(200, body)
        usage = {"input_tokens": prompt, "output_tokens": 0}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": model, "usage": usage}
        events: list[dict[str, Any]] = [{"type": "message_start", "message": message}, {"type": "ping"}]
        for index, block in enumerate(blocks):
            kind, field = {
                "thinking": ("thinking_delta", "thinking"),
                "text": ("text_delta", "text"),
                "tool_use": ("input_json_delta", "input"),
            }[block["type"]]
            content = block[field]
            number = 0 if self.faulty("one_index") else index
            start = {**block, field: {} if field == "input" else ""}
            if self.faulty("thinks_in_text") and block["type"] == "thinking":
                start = {"type": "text", "text": ""}
            events.append({"type": "content_block_start", "index": number, "content_block": start})
            for part in (content[:5], content[5:]):
                key = "partial_json" if field == "input" else field
                events.append({"type": "content_block_delta", "index": number, "delta": {"type": kind, key: part}})
            if not self.faulty("leaves_blocks_open"):
                events.append({"type": "content_block_stop", "index": number})
        end: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": stop}}
        events.append(end if self.faulty("no_usage") else {**end, "usage": {"output_tokens": words}})
        events.append({"type": "message_stop"})
        return self._stream([(str(event["type"]), event) for event in events], "")
