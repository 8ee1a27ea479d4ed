# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a vLLM server's log: how far the start is, and why it failed."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# (EngineCore pid=22) ERROR 11-23 20:29:10 [core.py:1510] text
_PREFIX = re.compile(
    r"^(?:\((?P<process>[A-Za-z]+)[^)]*pid=\d+\) ?)?"
    r"(?:(?:INFO|WARNING|ERROR|CRITICAL) [\d-]+ [\d:.]+ \[[^\]]+\] ?)?"
)
_EXCEPTION = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit)\b(?::|$)")
_LONGEST_LINE = 500
_USAGE_ERROR = re.compile(r"^\S+: error: ")
# What a parent process says when a child failed. It names no cause.
_ECHO = (
    "See root cause above",
    "See stack trace for root cause",
    "initialization failed due to an exception in a background process",
)
# The process closest to the work knows best.
_PROCESS_RANK = {"Worker": 0, "VllmWorker": 0, "EngineCore": 1, "APIServer": 2, None: 3}

# The newest line that matches tells the phase.
_PHASES = (
    (re.compile(r"non-default args:"), "reading the configuration"),
    (re.compile(r"Resolved architecture: (\S+)"), "model architecture {0}"),
    (re.compile(r"Initializing a V1 LLM engine"), "starting the engine"),
    (re.compile(r"Starting to load model"), "loading weights"),
    (
        re.compile(r"Loading safetensors checkpoint shards:\s*(\d+)% Completed \| (\d+/\d+)"),
        "loading weights {1} ({0} %)",
    ),
    (re.compile(r"Loading weights took ([\d.]+) seconds"), "weights loaded in {0} s"),
    (re.compile(r"Loading drafter model"), "loading the draft"),
    (re.compile(r"Dynamo bytecode transform|Compiling a graph|torch\.compile takes"), "compiling"),
    (re.compile(r"Capturing CUDA graphs?\D*(\d+)%"), "capturing CUDA graphs ({0} %)"),
    (re.compile(r"KV cache size: ([\d,]+) tokens"), "KV cache of {0} tokens"),
    (re.compile(r"Starting vLLM (?:API )?server"), "starting the API server"),
    (re.compile(r"Application startup complete"), "waiting for the first completion"),
)


def phase(lines: Sequence[str]) -> str:
    """Return how far the start is, in words, from the log's C(lines)."""
    for line in reversed(lines):
        for pattern, words in _PHASES:
            match = pattern.search(line)
            if match:
                return words.format(*match.groups())
    return "starting the process"


def cause(lines: Sequence[str], limit: int = 15) -> list[str]:
    """Return the lines of a failed server's log that say why it failed, at most C(limit).

    These are the error line of the argument parser or the last exception of the innermost process, with the lines that
    belong to its message; if the log has neither, its last lines.
    """
    parsed = [_split(line) for line in lines]
    for index in range(len(parsed) - 1, -1, -1):
        if _USAGE_ERROR.match(parsed[index][1]):
            return _trim([parsed[index][1]], limit)
    found: dict[int, int] = {}
    for index, (process, text) in enumerate(parsed):
        if _EXCEPTION.match(text) and not any(echo in text for echo in _ECHO):
            found[_PROCESS_RANK.get(process, 3)] = index
    if found:
        start = found[min(found)]
        return _trim(_message(parsed, start), limit)
    return _trim([text for _process, text in parsed if text.strip()][-limit:], limit)


def _split(line: str) -> tuple[str | None, str]:
    """Return the process and the text of a log line, without colours, time and place."""
    line = _ANSI.sub("", line.rstrip("\r\n"))
    match = _PREFIX.match(line)
    if not match:
        return None, line
    return match["process"], line[match.end() :]


def _message(parsed: Sequence[tuple[str | None, str]], start: int) -> list[str]:
    """Return an exception's line and what follows it up to the next traceback, log line of another process or gap."""
    process = parsed[start][0]
    message = [parsed[start][1]]
    for follower, text in parsed[start + 1 :]:
        if follower != process or not text.strip() or text.startswith("Traceback") or not text[0].isspace():
            break
        message.append(text)
    return message


def _trim(lines: list[str], limit: int) -> list[str]:
    return [line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} ..." for line in lines[:limit]]
