# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Name the cause of a server's failure, with its evidence and what to do. The causes are data, in signatures."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .parse import Failure, Log, LogLine, excerpt, read
from .signatures import SIGNATURES, Signature

_EVIDENCE_LINES = 5
_NEAREST = 3
_SIGNALS = 128  # an exit code above it is 128 and the number of the signal that ended the process


class Diagnosis(NamedTuple):
    """A named cause. C(evidence) are the lines of the log that show it."""

    signature: Signature
    cause: str
    evidence: list[str]
    fix: str

    @property
    def key(self) -> str:
        return self.signature.key


class _Hit(NamedTuple):
    signature: Signature
    match: re.Match[str]
    evidence: Sequence[LogLine]


def diagnose(lines: Iterable[str], exit_code: int | None = None) -> Diagnosis | None:
    """Return the cause of a failed server's log, None if it has no name.

    What ended the innermost process counts, and there the exception that ended it before those that led to it. A hint
    (what only follows from another failure) counts where nothing else is found, the exit code where the log is mute.
    """
    log = read(lines)
    if exit_code is not None and exit_code > _SIGNALS and log.failure and not log.failure.ending:
        log = log._replace(failure=None)  # a signal leaves no traceback: that was of a request, say
    hit = _search(log)
    if hit is not None:
        return _told(hit, log)
    if log.failure is None and exit_code is not None:
        for signature in SIGNATURES:
            if exit_code in signature.exit_codes:
                return Diagnosis(signature, signature.cause, [], signature.fix)
    return None


def failure_text(diagnosis: Diagnosis | None, lines: Sequence[str]) -> tuple[str, list[str]]:
    """Return the cause in words, and the lines of a message that follow it: evidence and, if there is one, the fix.

    Without a diagnosis the end of the log has to do.
    """
    if diagnosis is None:
        return "The cause is not one of the known ones.", [f"  {line}" for line in excerpt(lines)]
    return diagnosis.cause, [*(f"  {line}" for line in diagnosis.evidence), f"Fix: {diagnosis.fix}"]


def _search(log: Log) -> _Hit | None:
    traced = list(_in_failure(log.failure)) if log.failure else []
    for hit in traced:
        if not hit.signature.is_hint:
            return hit
    if log.failure is not None and not traced:
        return None  # another line's cause would be a wrong one
    # What is said after the failure follows from it.
    spoken = list(_in_lines(log.spoken_before if log.failure else log.spoken))
    return next((hit for hit in spoken if not hit.signature.is_hint), None) or next(iter([*traced, *spoken]), None)


def _in_failure(failure: Failure) -> Iterable[_Hit]:
    whole = "\n".join(line.text for line in failure.lines)
    for message in reversed(failure.messages):
        for signature in SIGNATURES:
            if signature.within and not re.search(signature.within, whole):
                continue
            for line in message:
                match = _matches(signature, line)
                if match:
                    # What is before the line belongs to its message, such as the name of a wrong key.
                    at = message.index(line)
                    yield _Hit(signature, match, message[max(0, min(at, at + 1 - _EVIDENCE_LINES)) : at + 1])
                    break


def _in_lines(lines: Sequence[LogLine]) -> Iterable[_Hit]:
    """What a process says at a stretch belongs together; who speaks first knows best."""
    for _process, stretch in itertools.groupby(lines, key=lambda line: line.process):
        said = list(stretch)
        for signature in SIGNATURES:
            matches = ((line, _matches(signature, line)) for line in said if not signature.within)
            yield from (_Hit(signature, match, [line]) for line, match in matches if match)


def _matches(signature: Signature, line: LogLine) -> re.Match[str] | None:
    for pattern in signature.patterns:
        match = re.search(pattern, line.text)
        if match:
            return match
    return None


def _told(hit: _Hit, log: Log) -> Diagnosis:
    signature = hit.signature
    values = {name: value for name, value in hit.match.groupdict().items() if value is not None}
    nearest = _nearest(signature, values, log)
    if nearest:
        values["nearest"] = ", ".join(nearest)
    *before, telling = hit.evidence
    return Diagnosis(
        signature,
        _filled(signature.cause, signature.detail, values),
        [*(str(line) for line in before if line.text.strip()), telling.around(*hit.match.span())],
        _filled(signature.fix, signature.advice, values),
    )


def _filled(text: str, addition: str, values: dict[str, str]) -> str:
    """Return C(text), and the addition if there is a value for each of its fields."""
    try:
        return f"{text} {addition.format(**values)}".rstrip()
    except KeyError:
        return text


def _nearest(signature: Signature, values: dict[str, str], log: Log) -> list[str]:
    """Return the valid names closest to the wrong one: of the message's own list, or of all that the log names."""
    wrong = values.get("name")
    if wrong is None:
        return []
    if "choices" in values:
        known = re.findall(r"[\w.+-]+", values["choices"])
    elif signature.names:
        known = [name for line in log.lines for name in re.findall(signature.names, line.text)]
    else:
        return []
    return difflib.get_close_matches(wrong, dict.fromkeys(name for name in known if name != wrong), _NEAREST, 0.5)
