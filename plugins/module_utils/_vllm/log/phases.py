# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a vLLM server's start is, and how long each part of it took, from the log with the engine's time stamps."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ..._core.timestamp import epoch
from . import in_force
from .parse import parse


class _Phase(NamedTuple):
    name: str
    title: str
    opens: str


# Each begins with the first line that it is opened by, in the order of a start.
_PHASES = (
    _Phase("process", "starting the process", ""),
    _Phase("configuration", "reading the configuration", r"non-default args:|Resolved architecture: "),
    _Phase("engine", "starting the engine", r"Initializing a V1 LLM engine"),
    _Phase(
        "weights",
        "loading weights",
        r"Starting to load model|Loading safetensors checkpoint shards|Loading model from scratch",
    ),
    _Phase("draft", "loading the draft", r"Loading drafter model"),
    _Phase(
        "compile",
        "profiling and compiling",
        r"Model loading took|Encoder cache will be initialized|for vLLM's torch\.compile|Starting torch\.compile"
        r"|Dynamo bytecode transform|Compiling a graph",
    ),
    _Phase("kv_cache", "allocating the KV cache", r"Available KV cache memory|KV cache size: |GiB for KV cache"),
    _Phase("graphs", "capturing CUDA graphs", r"Capturing CUDA graph"),
    _Phase(
        "api_server",
        "starting the API server",
        r"init engine \(profile|Supported tasks: |Starting vLLM (?:API )?server",
    ),
    _Phase("first_completion", "waiting for the first completion", r"Application startup complete"),
)
# What to do about a server that was ready and is not healthy now; to be filled with the container's name.
HUNG_FIX = "see the end of the log (docker logs --tail 100 {0}), then start it again: docker restart {0}"
_ANSWERED = re.compile(r'"POST /v1/(?:chat/)?completions HTTP/[\d.]+" 200')
_SHARDS = re.compile(
    r"checkpoint shards:\s*(?P<percent>\d+)% Completed \| (?P<done>\d+)/(?P<total>\d+) "
    r"\[[^<]*<(?P<left>[\d:?]+), *(?P<rate>[^\]]+)\]"
)
_GRAPHS = re.compile(r"Capturing CUDA graphs?\D*(?P<percent>\d+)%")
_LOADED = re.compile(r"Loading weights took (?P<seconds>[\d.]+) s")
_SIZE = re.compile(r"Checkpoint size: (?P<gib>[\d.]+) GiB")
_KV_CACHE = re.compile(r"KV cache size: (?P<tokens>[\d,]+) tokens")
# What is worth a word about a phase that is over; the first that the log has.
_DETAILS = (
    ("configuration", re.compile(r"Resolved architecture: (\S+)"), "{}"),
    ("compile", re.compile(r"torch\.compile (?:takes|took) ([\d.]+) s"), "torch.compile {} s"),
    ("kv_cache", _KV_CACHE, "{} tokens"),
    ("graphs", re.compile(r"Graph capturing finished in (\d+) secs, took ([\d.]+) GiB"), "{1} GiB"),
)


class Start:
    """What the log tells of a start so far. C(began_at) is when the container was started, in seconds since 1970."""

    def __init__(self, began_at: float) -> None:
        self._opened: dict[str, float] = {"process": began_at}
        self._details: dict[str, str] = {}
        self._now = "process"
        self._answered_at: float | None = None
        self._progress = ""
        self.kv_cache_tokens: int | None = None
        self.weights: dict[str, Any] = {}
        self.said: dict[str, str] = {}

    @property
    def is_complete(self) -> bool:
        """Whether the first completion has been answered."""
        return self._answered_at is not None

    def feed(self, raw: str) -> None:
        """Take note of a line with its time stamp."""
        at = epoch(raw)
        for line in parse([raw]):
            self._take(line.text, at)

    def answered(self, at: float) -> None:
        """The first completion was answered; the log need not tell."""
        if self._answered_at is None:
            self._answered_at = at

    def words(self) -> str:
        """Return how far the start of a server is that is not healthy."""
        if self.is_complete:
            return "no longer answering /health, though it was ready"
        detail = self._details.get(self._now)
        return f"{self.title()} {self._progress or (f'({detail})' if detail else '')}".rstrip()

    def title(self) -> str:
        """Return what is done now."""
        if self.is_complete:
            return "serving"
        return next(phase.title for phase in _PHASES if phase.name == self._now)

    def result(self) -> dict[str, Any]:
        """Return the result C(startup) of the module; what is not over has no seconds."""
        names = list(self._opened)
        ends = [*[self._opened[name] for name in names[1:]], self._answered_at]
        titles = {phase.name: phase.title for phase in _PHASES}
        return {
            "seconds": self._span(self._opened["process"], self._answered_at),
            "phases": [
                {
                    "name": name,
                    "title": titles[name],
                    "seconds": self._span(self._opened[name], end),
                    "detail": self._details.get(name, ""),
                }
                for name, end in zip(names, ends)
            ],
            "kv_cache_tokens": self.kv_cache_tokens,
            "weights": self.weights,
        }

    @staticmethod
    def _span(begin: float, end: float | None) -> float | None:
        return None if end is None else round(max(end - begin, 0.0), 1)

    def _take(self, text: str, at: float | None) -> None:
        for phase in _PHASES[1:]:
            if phase.name not in self._opened and at is not None and re.search(phase.opens, text):
                self._opened[phase.name] = at
                self._now, self._progress = phase.name, ""
                break
        if self._now == "first_completion" and _ANSWERED.search(text) and at is not None:
            self.answered(at)
        self._note(text)

    def _note(self, text: str) -> None:
        in_force.note(self.said, text)
        for name, pattern, words in _DETAILS:
            match = pattern.search(text)
            if match and name not in self._details:
                self._details[name] = words.format(*match.groups())
        match = _KV_CACHE.search(text)
        if match and self.kv_cache_tokens is None:
            self.kv_cache_tokens = int(match["tokens"].replace(",", ""))
        match = _SHARDS.search(text)
        if match:
            self._progress = f"{match['done']}/{match['total']} ({match['percent']} %)"
            if match["done"] not in ("0", match["total"]):
                self._progress += f", {match['rate'].strip()}, {match['left']} left"
            if self._now == "weights":
                self.weights["shards"] = int(match["total"])
        match = _GRAPHS.search(text)
        if match:
            self._progress = f"({match['percent']} %)"
        if self._now == "weights":
            self._note_weights(text)
        match = _LOADED.search(text)
        if match and self._now in ("weights", "draft"):
            self._progress = ""
            self._details.setdefault(self._now, self._loaded(match["seconds"]))

    def _note_weights(self, text: str) -> None:
        size, loaded = _SIZE.search(text), _LOADED.search(text)
        if size:
            self.weights.setdefault("gib", float(size["gib"]))
        if loaded:
            self.weights.setdefault("seconds", float(loaded["seconds"]))

    def _loaded(self, seconds: str) -> str:
        shards = self.weights.get("shards") if self._now == "weights" else None
        return f"{shards} shards in {seconds} s" if shards else f"{seconds} s"
