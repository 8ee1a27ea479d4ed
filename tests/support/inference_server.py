# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for vLLM's API on the loopback address: a model that can do everything unless it is given a fault."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

MODEL = "kimi-k2.6"
KEY = "sk-very-secret-key"
END_THINK = 163607
CONTEXT = 8192


class Reply(NamedTuple):
    """An answer of the model. It ends by itself unless C(stop) says otherwise."""

    text: str
    reasoning: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    stop: str = "stop"


class InferenceServer(ThreadingHTTPServer):
    """Counts its requests, and has the named C(faults)."""

    daemon_threads = True

    def __init__(self, key: str | None, faults: frozenset[str], host: str, port: int) -> None:
        super().__init__((host, port), Handler)
        self.key = key
        self.faults = faults
        self.started_at = time.time()
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.drafts = 0
        self.generated = 0
        self.under_way = 0
        self.lock = threading.Lock()

    @property
    def base_url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_port}"


@contextlib.contextmanager
def serving(key: str | None = KEY, *faults: str, host: str = "127.0.0.1", port: int = 0) -> Iterator[InferenceServer]:
    server = InferenceServer(key, frozenset(faults), host, port)
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
            return self._answer(200, {"version": "0.32.0"})
        if self.faulty("foreign") or self.path == "/metrics":
            return self._answer(404, {"detail": "Not Found"})
        if self.faulty("drops"):
            return None
        if not self._let_in():
            return None
        name = "other" if self.faulty("unlisted") else MODEL
        return self._answer(200, {"data": [{"id": name, "max_model_len": CONTEXT}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        path = self.path.partition("?")[0]
        if not self._let_in():
            return None
        if body["model"] != MODEL:
            message = f"The model `{body['model']}` does not exist."
            return self._answer(404, {"error": {"message": message, "type": "NotFoundError"}})
        if path == "/tokenize":
            return self._answer(200, self._tokenize(body["prompt"]))
        if path == "/detokenize":
            return self._answer(200, {"prompt": self._detokenize(body["tokens"])})
        if path.startswith("/v1/messages") and self.faulty("no_messages"):
            return self._answer(404, {"detail": "Not Found"})
        if path == "/v1/messages/count_tokens":
            count = 7 if self.faulty("counts_badly") else len(json.dumps(body)) // 4
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
        reply = self._reply(body)
        words = len(reply.text.split()) + len(reply.reasoning.split()) + 4 * len(reply.calls)
        prompt = len(json.dumps(body["messages"])) // 4 // (4 if self.faulty("cuts_prompts") else 1)
        with self.server.lock:
            self.server.generated += words
            self.server.drafts += max(1, words // 3)
        if path == "/v1/messages":
            return self._messages(reply, prompt, words, body.get("stream", False))
        return self._chat(reply, prompt, words, body.get("stream", False))

    def _let_in(self) -> bool:
        sent = self.headers["Authorization"]
        allowed = self.server.key is None or sent == f"Bearer {self.server.key}"
        allowed = allowed or self.faulty("open") or (self.faulty("open_to_any_key") and sent is not None)
        if not allowed:
            self._answer(401, {"error": "Unauthorized"})
        return allowed

    def _reply(self, body: dict[str, Any]) -> Reply:
        """Return the answer of a capable model, unless it has a fault."""
        last = body["messages"][-1]["content"]
        parts = [{"type": "text", "text": last}] if isinstance(last, str) else last
        text = " ".join(part.get("text", "") for part in parts)
        thinks = body.get("chat_template_kwargs", {}).get("thinking", True) or self.faulty("always_thinks")
        reasoning = "The user wants to know something." if thinks and not self.faulty("never_thinks") else ""
        if self.faulty("shouts") or (self.faulty("shouts_under_load") and self._crowded()):
            return Reply("!" * 200, reasoning)
        if self.faulty("silence"):
            return Reply("", reasoning)
        if self.faulty("endless"):
            return Reply("It is Paris, and", reasoning, stop="length")
        if body.get("tools") and "tool_result" not in [part["type"] for part in parts]:
            return self._calls(text, reasoning)
        if any(part["type"].startswith("image") for part in parts):
            return Reply("A blue square, centered." if self.faulty("blind") else "Red.", reasoning)
        if "tool_result" in [part["type"] for part in parts]:
            weather = "I do not know." if self.faulty("forgets") else "In Paris it is sunny, at 21 degrees."
            return Reply(weather, reasoning, stop="length" if self.faulty("babbles") else "stop")
        code = re.search(r"door is (\d+)", text)
        if code:
            return Reply("I do not know." if self.faulty("forgets") else code.group(1), reasoning)
        answer = "The capital of France is Lyon." if self.faulty("wrong") else "The capital of France is Paris."
        if self.faulty("unparsed"):
            return Reply(f"<think>{reasoning}</think>{answer}", "A thought.")
        return Reply(answer, reasoning)

    def _calls(self, question: str, reasoning: str) -> Reply:
        if self.faulty("calls_as_text"):
            return Reply('<|tool_call_begin|>get_weather{"city": "Paris"}', reasoning)
        cities = [city for city in ("Paris", "Rome") if city in question]
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
        return "" if self.faulty("no_ids") else f"functions.{name}:{0 if self.faulty('same_ids') else index}"

    def _crowded(self) -> bool:
        time.sleep(0.1)
        return self.server.under_way > 4

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
        self.send_response(200)
        self.end_headers()
        if self.faulty("cut"):
            events, end = events[: len(events) // 2], ""
        for name, event in events:
            head = f"event: {name}\n" if name else ""
            self.wfile.write(f"{head}data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
            if not self.faulty("buffered"):
                time.sleep(0.004)
        self.wfile.write(end.encode())

    def _chat(self, reply: Reply, prompt: int, words: int, stream: bool) -> None:
        usage = {"prompt_tokens": prompt, "completion_tokens": words}
        calls: list[dict[str, Any]] = [
            {"index": index, "id": self._call_id(name, index), "function": {"name": name, "arguments": arguments}}
            for index, (name, arguments) in enumerate(reply.calls)
        ]
        if not stream:
            message = {"content": reply.text or None, "reasoning": reply.reasoning or None, "tool_calls": calls}
            answer = {"choices": [{"message": message, "finish_reason": reply.stop}], "usage": usage}
            return self._answer(200, {} if self.faulty("formless") else answer)
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"reasoning": word} for word in re.findall(r" ?[^ ]+", reply.reasoning)]
        deltas += [{"content": word} for word in re.findall(r" ?[^ ]+", reply.text)]
        for call in calls:
            arguments = call["function"]["arguments"]
            head = {**call, "function": {"name": call["function"]["name"], "arguments": arguments[:5]}}
            deltas += [{"tool_calls": [head]}]
            deltas += [{"tool_calls": [{"index": call["index"], "function": {"arguments": arguments[5:]}}]}]
        chunks: list[dict[str, Any]] = [{"choices": [{"delta": delta, "finish_reason": None}]} for delta in deltas]
        chunks += [{"choices": [{"delta": {}, "finish_reason": reply.stop}]}]
        chunks += [] if self.faulty("no_usage") else [{"choices": [], "usage": usage}]
        return self._stream([("", chunk) for chunk in chunks], "data: [DONE]\n\n")

    def _messages(self, reply: Reply, prompt: int, words: int, stream: bool) -> None:
        stop = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}[reply.stop]
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
            return self._answer(200, {"type": "message", "content": blocks, "stop_reason": stop, "usage": usage})
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": {"usage": {"input_tokens": prompt, "output_tokens": 0}}}
        ]
        for index, block in enumerate(blocks):
            kind, field = {
                "thinking": ("thinking_delta", "thinking"),
                "text": ("text_delta", "text"),
                "tool_use": ("input_json_delta", "input"),
            }[block["type"]]
            content = block[field]
            start = {**block, field: {} if field == "input" else ""}
            events.append({"type": "content_block_start", "index": index, "content_block": start})
            for part in (content[:5], content[5:]):
                key = "partial_json" if field == "input" else field
                events.append({"type": "content_block_delta", "index": index, "delta": {"type": kind, key: part}})
            events.append({"type": "content_block_stop", "index": index})
        events.append({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": words}})
        events.append({"type": "message_stop"})
        return self._stream([(str(event["type"]), event) for event in events], "")
