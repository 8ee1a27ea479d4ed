#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that looks like vLLM, streams at a known speed, and lies on demand: --lie KIND.

    none          tells the truth
    cut           each stream ends after its first chunk
    cut-claim     the same, but the usage claims all tokens
    half-claim    half of the chunks, but the usage claims all tokens
    burst         the first chunk in time, all others in one piece at the end
    lengths       half of the requested tokens
    errors        every tenth request gets 500
    slow-half     four times slower for four requests, then not for the next four
    cache         answers at once, and the counters do not change
    cache-counts  answers at once, and the counters move
    counters      counts a fifth more tokens than it sends
    uncounted     has no counter of tokens
    nan           counts tokens, but reports NaN
    linger        keeps the connection open for a while after the last token
    traffic       other prompts are counted as well
    repeats       every answer is one repeated token
    pads          usage and counters claim four times as many tokens as the texts have
    comments      a proxy sends comments between the chunks, at which vLLM's client loses some
    role-first    a gateway sends the role at once, long before the first token
    uncached      does not count what it finds in its prefix cache

Standard library only.
"""

from __future__ import annotations

import argparse
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LIES = tuple(line.split()[0] for line in (__doc__ or "").split("KIND.")[1].splitlines() if line.startswith("    "))
MODEL, VERSION = "kimi-k2.6", "0.32.0"
FIRST_S, TOKEN_S, TOKENS_PER_CHUNK = 0.05, 0.01, 4
COUNTERS = {
    "running": "vllm:num_requests_running",
    "waiting": "vllm:num_requests_waiting",
    "requests": "vllm:request_success_total",
    "prompt": "vllm:prompt_tokens_total",
    "output": "vllm:generation_tokens_total",
    "drafts": "vllm:spec_decode_num_drafts_total",
    "accepted": "vllm:spec_decode_num_accepted_tokens_total",
    "queries": "vllm:prefix_cache_queries_total",
    "hits": "vllm:prefix_cache_hits_total",
}
WORDS = ["the", "sea", "is", "wide", "and", "of", "a", "blue", "that", "nobody", "has", "counted", "so", "far"]


class LiarServer(ThreadingHTTPServer):
    """Counts what it claims to have done. C(prompt_tokens) is the length it reports for each prompt.

    It answers C(hurry) times faster than it usually does. "pads+role-first" is both lies at once.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, lie: str = "none", prompt_tokens: int = 76, hurry: float = 1.0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.lie = lie
        self.prompt_tokens = prompt_tokens
        self.hurry = hurry
        self.started = time.time()
        self.counters: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def count(self, **gains: int) -> None:
        with self._lock:
            self.counters.update(gains)

    def next_number(self) -> int:
        return next(self._numbers)


class Handler(BaseHTTPRequestHandler):
    """Answers like vLLM, as far as its benchmark client can see."""

    server: LiarServer
    wbufsize = -1  # a cached answer is sent in one piece, even on a busy machine

    def do_GET(self) -> None:
        if self.path == "/metrics":
            counters = {name: sample for name, sample in COUNTERS.items() if self._counts(name)}
            values = {**{name: f"{self.server.counters[name]}.0" for name in counters}, **self._wrong_values()}
            lines = [f'{sample}{{engine="0"}} {values[name]}' for name, sample in counters.items()]
            self._send("\n".join([*lines, f"process_start_time_seconds {self.server.started}", ""]))
        elif self.path == "/version":
            self._send(json.dumps({"version": VERSION}))
        elif self.path == "/v1/models":
            self._send(json.dumps({"data": [{"id": MODEL}]}))
        else:
            self._send("", 200 if self.path == "/health" else 404)

    def do_POST(self) -> None:
        server = self.server
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":  # the real client tries /tokenize and works without it
            self._send("", 404)
            return
        number, lie = server.next_number(), server.lie
        if lie == "errors" and number % 10 == 0:
            self._send("", 500)
            return
        server.count(running=1)
        tokens = asked.get("max_completion_tokens") or asked.get("max_tokens") or 16
        # It cannot tokenize: a short prompt is the one that shows the template's length.
        short = len(json.dumps(asked["messages"])) < 100
        prompt = server.prompt_tokens - 63 if short else server.prompt_tokens
        sent = tokens // 2 if lie == "lengths" else tokens
        self._send("", 200)
        try:
            if "role-first" in lie:
                self._event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}, at_once=True)
            for index, pause in enumerate(self._pauses(number, sent)):
                time.sleep(pause / server.hurry)
                words = "!!!!" if lie == "repeats" else self._words(number, index)
                self._event({"choices": [{"index": 0, "delta": {"content": words}}]}, at_once=pause > 0)
            if lie != "cut":
                usage = {"prompt_tokens": prompt, "completion_tokens": sent}
                self._event({"choices": [], "usage": usage})
                self.wfile.write(b"data: [DONE]\n\n")
            self._count(sent, prompt)
            if lie == "linger":
                self.wfile.flush()
                time.sleep(2 * (FIRST_S + sent * TOKEN_S))
        finally:
            server.count(running=-1)

    def _words(self, number: int, index: int) -> str:
        """Return the text of a chunk: one word for each token."""
        count = 1 if "pads" in self.server.lie else TOKENS_PER_CHUNK
        places = range(count * index, count * (index + 1))
        return "".join(WORDS[(number * place * place + number) % len(WORDS)] + " " for place in places)

    def _pauses(self, number: int, tokens: int) -> Iterator[float]:
        """Yield how long to wait before each chunk."""
        lie = self.server.lie
        gaps = max(tokens // TOKENS_PER_CHUNK, 1)
        seconds = tokens * TOKEN_S
        if "cut" in lie:
            gaps = 0
        elif lie == "half-claim":
            gaps //= 2
        elif lie == "burst":
            yield from (FIRST_S, seconds, *[0.0] * (gaps - 1))
            return
        elif lie.startswith("cache"):
            seconds = 0.0
        first = 8 * FIRST_S if "role-first" in lie else FIRST_S
        for pause in [0.0 if lie.startswith("cache") else first, *[seconds / max(gaps, 1)] * gaps]:
            yield 4 * pause if lie == "slow-half" and number // 4 % 2 else pause

    def _count(self, tokens: int, prompt: int) -> None:
        lie = self.server.lie
        if lie == "cache":
            return
        drafts = tokens // TOKENS_PER_CHUNK
        self.server.count(
            requests=1,
            prompt=prompt * (3 if lie == "traffic" else 1),
            queries=prompt,
            output=tokens + (tokens // 5 if lie == "counters" else 0),
            drafts=drafts,
            accepted=drafts * (TOKENS_PER_CHUNK - 1),
        )

    def _wrong_values(self) -> dict[str, str]:
        return dict.fromkeys(["prompt", "output"], "NaN") if self.server.lie == "nan" else {}

    def _counts(self, name: str) -> bool:
        if self.server.lie == "uncached":
            return name not in ("queries", "hits")
        return self.server.lie != "uncounted" or name in ("running", "waiting")

    def _event(self, value: dict[str, Any], at_once: bool = False) -> None:
        if self.server.lie == "comments":
            self.wfile.write(b": ping\n\n")
            self.wfile.flush()
            time.sleep(0.002)  # so that it arrives apart
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
        if at_once:
            self.wfile.flush()

    def _send(self, text: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_args: Any) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description="A server that looks like vLLM, and lies.")
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--lie", choices=LIES, default="none")
    parser.add_argument("--prompt-tokens", type=int, default=76)
    args = parser.parse_args()
    with LiarServer(args.port, args.lie, args.prompt_tokens) as server:
        print(f"lie {args.lie} at port {server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
