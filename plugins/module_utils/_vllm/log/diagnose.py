# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Name the cause of a server's failure, with its evidence and what to do. The causes are data, in signatures."""

from __future__ import annotations

import difflib
import functools
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..._core.causes import Facts, Signature
from .areas import place, place_words, switch_words
from .parse import Failure, Log, LogLine, excerpt, read
from .signatures import SIGNATURES

_EVIDENCE_LINES = 5
_NEAREST = 3
_END = re.compile(r"(?:\\+n?|[\s.:])+$")  # of a message that was quoted, maybe several times
_SIGNALS = 128  # an exit code above it is 128 and the number of the signal that ended the process
_FROM_OUTSIDE = (_SIGNALS + 9, _SIGNALS + 15)
_LAST_LINES = 20
# What a shell says of a program that is not there; mostly it was only tried.
_TRIED = re.compile(r"^(?:\S*/)?(?:ba|da)?sh: (?:line )?\d+: ")


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


def diagnose(lines: Iterable[str], exit_code: int | None = None, facts: Facts | None = None) -> Diagnosis | None:
    """Return the cause of a failed server's log, None if it has no name.

    What ended the innermost process counts, and there the exception that ended it before those that led to it. A hint
    (what only follows from another failure) counts where nothing else is found, the exit code where the log is mute.
    C(facts) tell the causes of one symptom apart.
    """
    known = facts or Facts()
    log = read(lines)
    if exit_code is not None and exit_code > _SIGNALS and log.failure and not log.failure.ending:
        log = log._replace(failure=None)  # a signal leaves no traceback: that was of a request, say
    if exit_code in _FROM_OUTSIDE and log.failure is None:
        # Who ended it from outside did not do so for a line long before.
        newest = set(map(id, log.lines[-_LAST_LINES:]))
        log = log._replace(spoken=[line for line in log.spoken if id(line) in newest])
    hit = _search(log)
    if hit is not None:
        return _told(hit, log, known)
    if log.failure is None and exit_code is not None:
        for signature in SIGNATURES:
            if exit_code in signature.exit_codes:
                cause, fix = signature.decided(signature.cause, _all_of(log), known)
                return Diagnosis(signature, cause, [], fix)
    return None


def failure_text(diagnosis: Diagnosis | None, lines: Sequence[str]) -> tuple[str, list[str]]:
    """Return the cause in words, and the lines of a message that follow it: evidence and, if there is one, the fix.

    Without a diagnosis they name the area in which it failed, or have the end of the log.
    """
    if diagnosis is not None:
        return diagnosis.cause, [*(f"  {line}" for line in diagnosis.evidence), *f"Fix: {diagnosis.fix}".splitlines()]
    found = place(read(lines))
    if found is None:
        return "The cause is not one of the known ones.", [f"  {line}" for line in excerpt(lines)]
    cause, fix = place_words(found)
    return cause, [*(f"  {line}" for line in found.evidence), f"Fix: {fix}"]


def _search(log: Log) -> _Hit | None:
    traced = list(_in_failure(log.failure)) if log.failure else []
    for hit in traced:
        if not hit.signature.is_hint:
            return hit
    if log.failure is not None and not traced:
        return None  # another line's cause would be a wrong one
    # What is said after the failure follows from it.
    outside = log.failure is None and not any(line.process or line.level for line in log.lines)
    before = [line for line in log.spoken_before if not _TRIED.match(line.text)]
    spoken = list(_in_lines(before if log.failure else log.spoken, outside))
    return next((hit for hit in spoken if not hit.signature.is_hint), None) or next(iter([*traced, *spoken]), None)


def _in_failure(failure: Failure) -> Iterable[_Hit]:
    whole = "\n".join(line.text for line in failure.lines)
    for message in reversed(failure.messages):
        for signature in SIGNATURES:
            if signature.outside or not _belongs(signature, whole):
                continue
            for line in message:
                match = _matches(signature, line)
                if match:
                    # What is before the line belongs to its message, such as the name of a wrong key.
                    at = message.index(line)
                    yield _Hit(signature, match, message[max(0, min(at, at + 1 - _EVIDENCE_LINES)) : at + 1])
                    break


def _in_lines(lines: Sequence[LogLine], outside: bool) -> Iterable[_Hit]:
    """What a process says at a stretch belongs together; who speaks first knows best.

    C(outside) is whether no line is of a server.
    """
    for _process, stretch in itertools.groupby(lines, key=lambda line: line.process):
        said = list(stretch)
        for signature in SIGNATURES:
            if signature.within or (signature.outside and not outside):
                continue
            matches = ((line, _matches(signature, line)) for line in said)
            yield from (_Hit(signature, match, [line]) for line, match in matches if match)


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """There are more patterns than re remembers."""
    return re.compile(pattern)


def _belongs(signature: Signature, traceback: str) -> bool:
    """Return whether a signature may be searched in this traceback."""
    if signature.without and _compiled(signature.without).search(traceback):
        return False
    return not signature.within or bool(_compiled(signature.within).search(traceback))


def _matches(signature: Signature, line: LogLine) -> re.Match[str] | None:
    for pattern in signature.patterns:
        match = _compiled(pattern).search(line.text)
        if match:
            return match
    return None


def _told(hit: _Hit, log: Log, facts: Facts) -> Diagnosis:
    signature = hit.signature
    values = {name: _END.sub("", value) for name, value in hit.match.groupdict().items() if value is not None}
    nearest = _nearest(signature, values, log)
    if nearest:
        values["nearest"] = ", ".join(nearest)
    *before, telling = hit.evidence
    seen = _filled(signature.cause, signature.detail, values)
    cause, fix = signature.decided(seen, _all_of(log), facts._replace(values=values))
    fix = _filled(fix, signature.advice, values)
    evidence = [str(line) for line in before if line.text.strip()]
    if signature.is_hint or signature.locate:
        found = place(log)
        if found is not None and log.failure is not None and telling in log.failure.lines:
            cause += f" The area: {found.area.title} ({found.where})."
            switches = [switch for switch in found.switches if switch.take_out not in fix]
            fix += f" {switch_words(switches)}" if switches else ""
        elif found is not None and log.failure is None and found.evidence[0] is not telling:
            cause += f" What was said before is of the area: {found.area.title}."
            evidence.append(str(found.evidence[0]))
    return Diagnosis(signature, cause, [*evidence, telling.around(*hit.match.span())], fix)


def _all_of(log: Log) -> str:
    return "\n".join(line.text for line in log.lines)


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
