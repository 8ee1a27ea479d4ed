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

from .areas import place, place_words, switch_words
from .parse import Failure, Log, LogLine, excerpt, read
from .signatures import SIGNATURES, Alternative, Facts, Signature

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


def diagnose(lines: Iterable[str], exit_code: int | None = None, facts: Facts | None = None) -> Diagnosis | None:
    """Return the cause of a failed server's log, None if it has no name.

    What ended the innermost process counts, and there the exception that ended it before those that led to it. A hint
    (what only follows from another failure) counts where nothing else is found, the exit code where the log is mute.
    C(facts) tell the causes of one symptom apart.
    """
    known = (facts or Facts())._replace(exit_code=exit_code)
    log = read(lines)
    if exit_code is not None and exit_code > _SIGNALS and log.failure and not log.failure.ending:
        log = log._replace(failure=None)  # a signal leaves no traceback: that was of a request, say
    hit = _search(log)
    if hit is not None:
        return _told(hit, log, known)
    if log.failure is None and exit_code is not None:
        for signature in SIGNATURES:
            if exit_code in signature.exit_codes:
                cause, fix = _decided(signature, log, known)
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


def _told(hit: _Hit, log: Log, facts: Facts) -> Diagnosis:
    signature = hit.signature
    values = {name: value for name, value in hit.match.groupdict().items() if value is not None}
    nearest = _nearest(signature, values, log)
    if nearest:
        values["nearest"] = ", ".join(nearest)
    *before, telling = hit.evidence
    cause, fix = _decided(signature, log, facts)
    cause, fix = _filled(cause, signature.detail, values), _filled(fix, signature.advice, values)
    if signature.is_hint and log.failure is not None:
        found = place(log)
        if found is not None and telling in log.failure.lines:
            cause += f" The area: {found.area.title} ({found.where})."
            fix += f" {switch_words(found.switches)}" if found.switches else ""
    return Diagnosis(
        signature,
        cause,
        [*(str(line) for line in before if line.text.strip()), telling.around(*hit.match.span())],
        fix,
    )


def _decided(signature: Signature, log: Log, facts: Facts) -> tuple[str, str]:
    """Return cause and fix, of several causes the one for which log or facts decide, or all with their tests."""
    if not signature.alternatives:
        return signature.cause, signature.fix
    said = "\n".join(line.text for line in log.lines)
    judged = [(each, _holds(each, said, facts)) for each in signature.alternatives]
    for alternative, holds in judged:
        if holds:
            return f"{signature.cause} {alternative.cause}", alternative.fix
    left = [alternative for alternative, holds in judged if holds is None] or list(signature.alternatives)
    causes = " ".join(f"({number}) {each.cause}" for number, each in enumerate(left, 1))
    tests = "\n".join(f"  ({number}) Test: {each.test} If so: {each.fix}" for number, each in enumerate(left, 1))
    return (
        f"{signature.cause} It can have several causes, the likeliest first: {causes}",
        f"find out which it is, in this order.\n{tests}{f'{chr(10)}  {signature.fix}' if signature.fix else ''}",
    )


def _holds(alternative: Alternative, said: str, facts: Facts) -> bool | None:
    """Return whether this is the cause, None if neither log nor facts tell."""
    if alternative.excludes and re.search(alternative.excludes, said, re.MULTILINE):
        return False
    known = alternative.facts(facts) if alternative.facts else None
    if known is not None:
        return known
    return True if alternative.decides and re.search(alternative.decides, said, re.MULTILINE) else None


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
