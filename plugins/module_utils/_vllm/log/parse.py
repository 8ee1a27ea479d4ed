# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take a vLLM server's log apart: which process said what, and which of its exceptions ended the server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# 2026-11-25T16:31:23.402960059Z, put there by `docker logs --timestamps`
_TIMESTAMP = re.compile(r"^\[?\d{4}-\d\d-\d\dT[\d:.]+Z\]? ?")
# vllm-1  | text, by `docker compose logs`; Aug 19 18:34:27 host vllm[8727]: text, by the journal
_OTHER_SOURCE = re.compile(r"^[a-z][\w.-]* +\| ?|^[A-Z][a-z]{2} [ \d]\d [\d:]{8} \S+ [\w./-]+\[\d+\]: ?")
# (EngineCore pid=22) ERROR 11-23 20:29:10 [core.py:1510] text, by some versions with one prefix in another
_PREFIX = re.compile(
    r"^(?:\((?P<process>[A-Za-z][\w .=-]*?),? pid=\d+[^)]*\) ?)*"
    r"(?:\[rank\d+\]: ?)?"
    r"(?:(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL|FATAL) (?:[\d-]+ [\d:.,]+ )?\[?(?P<place>[\w./-]+):\d+\] ?)?"
)
# Some versions do not name the process, but the place does.
_PROCESS_OF_PLACE = {"multiproc_executor.py": "Worker", "multiproc_worker_utils.py": "Worker", "core.py": "EngineCore"}
_QUIET = ("DEBUG", "INFO", "WARNING")
# What other programs print beside vLLM's log and what tells of no failure.
_NOISE = re.compile(
    r"^(?:\[rank\d+\]:)?\[?[WI](?:\d{3,4} \d\d:| \w+\.cpp:)"  # torch: [W502 20:00:02.930 utils.cpp:41], the month first
    r"|^(?:INFO|WARNING|DEBUG):"
    r"|^\d{4}-\d\d-\d\d [\d:,.]+ - (?:DEBUG|INFO|WARNING) - "  # Python's logging, as FlashInfer sets it up
    r"|\[Auto[Tt]uner\]"  # a kernel that fails while it is tried is passed over
    r"|NCCL INFO"
    r"|resource_tracker"
    r"|destroy_process_group\(\) was not called"
    r"|Cannot use FA version"
    r"|: (?:[A-Z]\w+)?Warning: (?!CUDA initialization)"
    # Settings and requests are dumped with an error; a word among them is not its cause.
    r"|^Dumping (?:input data|scheduler)|\bwith config: \w+=|non-default args: \{"
    r"|\b(?:Namespace|EngineArgs|VllmConfig|SchedulerOutput|SchedulerStats)\(\w+="
)
# Not every traceback has ended something.
_HARMLESS_BEFORE = re.compile(
    r"^Exception ignored in|^--- Logging error ---|^Exception in thread .*usage"
    r"|Exception in ASGI application|exception was never retrieved|^(?:future|task): <"
)
_HARMLESS_FRAME = re.compile(r"usage_lib\.py|resource_tracker\.py|in __del__$")
# Of a server that has started, these only handle requests.
_REQUEST_FRAME = re.compile(r"uvicorn/protocols/|starlette/(?:middleware|responses)")
_REQUEST_PLACE = re.compile(
    r"(?:.*/)?(?:serving\w*|api_router|chat_utils|preprocess|protocol|processing|connections)\.py$"
)
_TRACEBACK = "Traceback (most recent call last):"
_CAUSED, _MEANWHILE = "direct cause of the following exception", "another exception occurred"
_FRAME = re.compile(r'^\s*(?:\|\s*)*File ["\u201c](?P<path>[^"\u201d]+)["\u201d], line \d+(?:, in (?P<function>\S+))?')
_SOURCE = re.compile(r'^\s*File "|^    \s*\S')  # of a traceback whose beginning is missing
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:: .*|:)?$")
# A process that says so before its traceback will not go on.
_ENDING = re.compile(
    r"failed to start|encountered a fatal error|hit an exception|WorkerProc failed|Exception in worker|^Process \w+"
)
# What a process says when another one has failed. It names no cause.
_ECHO = re.compile(
    r"See root cause above|[Ss]ee stack trace|stack trace \(?above|EngineDeadError|background process"
    r"|failed to be inspected|Executor failed|Connection (?:closed|reset) by peer|Broken ?[Pp]ipe"
    r"|recvValue failed|failed to recv, got 0 bytes|remote process exited"
    r"|CancelledError|^RuntimeError: cancelled$|^KeyboardInterrupt|^SystemExit"
)
_STARTED = "Application startup complete"
_LONGEST_LINE = 300
_BEFORE = 60  # characters that are shown of a long line before what tells
_MESSAGE_LINES = 12
# What a compiler has said follows, however long; what tells of it is at no fixed place.
_LONG_MESSAGE = re.compile(r"[Nn]inja (?:build failed|output)|Error building extension|Command '.*returned non-zero")
_LONG_MESSAGE_LINES = 2000
_FOLDER = re.compile(r".*/(?:site|dist)-packages/|.*/lib/python\d[\d.]*/")


class LogLine(NamedTuple):
    """A line of the log without colours and time. C(level) and C(place) are those of vLLM's own lines."""

    process: str | None
    level: str | None
    place: str | None
    text: str

    @property
    def is_quiet(self) -> bool:
        """Whether it tells of no failure by its own level."""
        return self.level in _QUIET

    def around(self, start: int, end: int) -> str:
        """Return the line for people; of a long one the part with what is between two positions of its text."""
        text = self.text
        if len(text) > _LONGEST_LINE:
            first = 0 if end <= _LONGEST_LINE else max(0, min(start - _BEFORE, len(text) - _LONGEST_LINE))
            text = text[first : first + _LONGEST_LINE]
            text = f"{'... ' if first else ''}{text}{' ...' if first + _LONGEST_LINE < len(self.text) else ''}"
        return f"{self.process}: {text}" if self.process else text

    def __str__(self) -> str:
        return self.around(0, 0)


@dataclass
class Raised:
    """An exception: where it was raised, the innermost frame last, and its message.

    C(causes_next) is whether the next exception of the traceback was raised from it, rather than while it was handled.
    """

    frames: list[LogLine] = field(default_factory=list)
    message: list[LogLine] = field(default_factory=list)
    causes_next: bool = False

    @property
    def name(self) -> str:
        """The class of the exception without its module."""
        return self.message[0].text.partition(":")[0].strip(" |").rpartition(".")[2] if self.message else ""

    @staticmethod
    def path_and_function(frame: LogLine) -> tuple[str, str]:
        """Return what a frame says, both empty if it is none."""
        match = _FRAME.match(frame.text)
        return (match["path"], match["function"] or "") if match else ("", "")

    def where(self) -> str:
        """Return class, file and function in words."""
        if not self.frames:
            return self.name
        path, function = self.path_and_function(self.frames[-1])
        return f"{self.name or 'an error'} in {_FOLDER.sub('', path)}{f', {function}' if function else ''}"


@dataclass
class Failure:
    """A traceback with what is chained to it: its lines, and its exceptions, the last one last."""

    lines: list[LogLine]
    ending: bool
    raised: list[Raised] = field(default_factory=list)

    @property
    def process(self) -> str | None:
        return self.lines[0].process

    @property
    def messages(self) -> list[list[LogLine]]:
        """The messages of the exceptions."""
        return [raised.message for raised in self.raised]

    @property
    def root(self) -> Raised:
        """The exception that led to the others: what was raised from another one only repeats it.

        An exception that was handled, as of a package that need not be there, led to nothing.
        """
        root = 0
        for index, raised in enumerate(self.raised[:-1]):
            if not raised.causes_next:
                root = index + 1
        return self.raised[root]

    @property
    def is_echo(self) -> bool:
        """Whether this process only failed because another one did."""
        return not self.messages or any(_ECHO.search(line.text) for line in self.messages[-1][:2])


class Log(NamedTuple):
    """What a log says of a failure.

    C(failure) is what ended the server, None if no traceback names it; C(cut) then is the last exception of which only
    frames are there. C(spoken) are the lines that may name a cause outside of a traceback, C(spoken_before) those of
    them before the failure.
    """

    failure: Failure | None
    spoken: list[LogLine]
    spoken_before: list[LogLine]
    lines: list[LogLine]
    cut: Raised | None = None


def parse(lines: Iterable[str]) -> list[LogLine]:
    """Return the lines; what overwrote itself on a terminal, such as a progress bar, becomes several."""
    parsed = []
    for raw in lines:
        stamp = _TIMESTAMP.match(raw)
        for part in raw[stamp.end() if stamp else 0 :].rstrip("\r\n").split("\r"):
            parsed.append(_parse_line(_OTHER_SOURCE.sub("", _ANSI.sub("", part))))
    return parsed


def _parse_line(line: str) -> LogLine:
    match = cast(re.Match[str], _PREFIX.match(line))  # all its parts are optional
    place = match["place"]
    process = match["process"] or _PROCESS_OF_PLACE.get((place or "").rpartition("/")[2])
    return LogLine(process, match["level"], place, line[match.end() :].rstrip())


def read(lines: Iterable[str]) -> Log:
    """Read a log for what ended the server."""
    parsed = parse(lines)
    streams: dict[str | None, list[LogLine]] = {}
    for line in parsed:
        streams.setdefault(line.process, []).append(line)
    failures: list[Failure] = []
    traced: set[int] = set()
    for stream in streams.values():
        for failure, harmless in _failures(stream):
            traced.update(map(id, failure.lines))
            if not harmless:
                failures.append(failure)
                if failure.is_echo:
                    traced.difference_update(id(line) for message in failure.messages for line in message)
    spoken = [
        line
        for line in parsed
        if id(line) not in traced and not line.is_quiet and line.text.strip()
        if not _NOISE.search(line.text) and not _SOURCE.match(line.text)
    ]
    position = {id(line): index for index, line in enumerate(parsed)}
    started_at = next((index for index, line in enumerate(parsed) if _STARTED in line.text), None)
    if started_at is not None:
        spoken = [
            line for line in spoken if position[id(line)] < started_at or not _REQUEST_PLACE.match(line.place or "")
        ]
        # What a serving process logs of a request has ended nothing.
        failures = [
            failure
            for failure in failures
            if failure.ending or failure.lines[-1].level is None
            if not any(_REQUEST_FRAME.search(line.text) for line in failure.lines)
        ]
    decisive = _decisive(failures, position)
    until = position[id(decisive.lines[0])] if decisive else len(parsed)
    cut = None if decisive else _cut(parsed, traced)
    return Log(decisive, spoken, [line for line in spoken if position[id(line)] < until], parsed, cut)


def _cut(lines: Sequence[LogLine], traced: set[int]) -> Raised | None:
    """Return the last exception whose traceback has lost its beginning."""
    frames: list[LogLine] = []
    found = None
    for line in lines:
        if id(line) in traced or line.is_quiet:
            continue
        if _FRAME.match(line.text):
            frames.append(line)
        elif frames and line.text and not line.text[0].isspace():
            if _EXCEPTION.match(line.text):
                found = Raised(frames, [line])
            frames = []
    return found


def _failures(stream: Sequence[LogLine]) -> Iterable[tuple[Failure, bool]]:
    """Yield the tracebacks of one process, and whether each is harmless."""
    index = 0
    while index < len(stream):
        if not stream[index].text.endswith(_TRACEBACK):
            index += 1
            continue
        before = stream[index - 1] if index else stream[index]
        end, raised = _traceback(stream, index)
        start = index - 1 if _ENDING.search(before.text) else index
        failure = Failure(list(stream[start:end]), bool(_ENDING.search(before.text + stream[index].text)), raised)
        harmless = (
            stream[index].is_quiet
            or bool(_HARMLESS_BEFORE.search(before.text))
            or any(_HARMLESS_FRAME.search(line.text) for line in failure.lines)
        )
        yield failure, harmless
        index = end


def _traceback(stream: Sequence[LogLine], start: int) -> tuple[int, list[Raised]]:
    """Return where the traceback at C(start) ends, with all that is chained to it, and its exceptions."""
    raised: list[Raised] = []
    frames: list[LogLine] = []
    origin = stream[start]
    in_frames, chained = True, False
    index = start + 1
    while index < len(stream):
        line = stream[index]
        text = line.text
        if (line.level, line.place) != (origin.level, origin.place):
            break
        if text.endswith(_TRACEBACK):
            if not chained:
                break
            in_frames, chained, frames = True, False, []
        elif _CAUSED in text or _MEANWHILE in text:
            chained = True
            if raised:
                raised[-1].causes_next = _CAUSED in text
        elif in_frames:
            if _FRAME.match(text):
                frames.append(line)
            elif text and not text[0].isspace() and _EXCEPTION.match(text):
                raised.append(Raised(frames, [line]))
                in_frames = False
        elif text.strip() and not chained:
            message = raised[-1].message
            # Raw output may go on with something else. In a log record all lines belong to the message.
            limit = _LONG_MESSAGE_LINES if _LONG_MESSAGE.search(message[0].text) else _MESSAGE_LINES
            if len(message) >= limit and line.level is None:
                break
            message.append(line)
        index += 1
    return index, raised


def _decisive(failures: Sequence[Failure], position: dict[int, int]) -> Failure | None:
    """Return the failure that ended the server: of a process that says so, the innermost, the first.

    A process that says nothing before its traceback has died of its last one, which nobody caught to log it.
    """
    causes = [failure for failure in failures if not failure.is_echo]
    ending = [failure for failure in causes if failure.ending]
    if ending:
        return min(ending, key=lambda failure: (_rank(failure.process), position[id(failure.lines[0])]))
    return max(
        causes,
        key=lambda failure: (
            failure.lines[-1].level is None,
            _rank(failure.process),
            position[id(failure.lines[0])],
        ),
        default=None,
    )


def _rank(process: str | None) -> int:
    """The process closest to the work knows best."""
    if process is None or process.lower().startswith("apiserver"):
        return 2
    return 0 if "worker" in process.lower() else 1


def excerpt(lines: Sequence[str], limit: int = 8) -> list[str]:
    """Return the lines that tell most of a failure that has no name: the last exception with where it was raised, or
    the end of the log."""
    log = read(lines)
    if log.failure is None:
        said = [line for line in log.lines if line.text.strip() and not _NOISE.search(line.text)]
        return [str(line) for line in said[-limit:]]
    frames = [line for line in log.failure.lines if _FRAME.match(line.text)]
    return [str(line) for line in [*frames[-1:], *log.failure.messages[-1]][:limit]]
