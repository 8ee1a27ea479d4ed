# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the functional checks, and tell their outcomes: each failure is repeated once, each cause is told once."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from .._core.verdict import FAIL, PASS, SKIPPED, WARN
from . import findings
from .answers import FORM_ERRORS, AnswerError
from .checks import CHECKS, Check, NotApplicable, model_list
from .client import BROKEN, ERROR, FORM, KEY_REFUSED, TIMEOUT, UNREACHABLE, ApiError
from .probe import Probe

# What an answer that is none is like, by its kind.
_OF_KIND = {ERROR: findings.ERROR_IN_200, FORM: findings.FORM, BROKEN: findings.CUT}
# Concurrent checks that do not disturb each other.
WORKERS = 4
# Errors that say themselves what to do.
_PLAIN = (UNREACHABLE, KEY_REFUSED, TIMEOUT)


class Result(NamedTuple):
    """The outcome of one check. C(cause) is one of C(findings), a kind of C(ApiError), or empty."""

    name: str
    title: str
    status: str
    message: str
    evidence: str
    seconds: float
    cause: str = ""


def run_checks(
    probe: Probe, names: Collection[str], skip: Mapping[str, str], warn: Mapping[str, str] | None = None
) -> list[Result]:
    """Run the checks C(names), except those of C(skip), whose values are the reasons.

    The failures of those of C(warn) are warnings; its values are the reasons, too. The list of models always comes
    first. If it fails, no other check is tried.
    """
    first = _run(CHECKS[0], probe)
    wanted = [check for check in CHECKS[1:] if check.name in names]
    if first.status == FAIL:
        return _advised([first, *(_skipped(check, "Not tried: see the list of models.") for check in wanted)])
    probe = _knowing_model(probe)
    results = {first.name: first}
    results.update({check.name: _skipped(check, skip[check.name]) for check in wanted if check.name in skip})
    left = [check for check in wanted if check.name not in skip]
    with ThreadPoolExecutor(WORKERS) as pool:
        together = list(pool.map(lambda check: _run(check, probe), [check for check in left if not check.alone]))
    results.update({result.name: result for result in together})
    results.update({check.name: _run(check, probe) for check in left if check.alone})
    found = [results[check.name] for check in CHECKS if check.name in results]
    return _advised([_lenient(result, warn or {}) for result in _not_of_load(found)])


def verdict(results: Collection[Result]) -> str:
    """Return the verdict. The list of models alone proves nothing."""
    statuses = [result.status for result in results]
    for status in (FAIL, WARN):
        if status in statuses:
            return status
    return PASS if statuses.count(PASS) > 1 or len(results) == 1 else WARN


def summary(results: Collection[Result]) -> list[str]:
    """Return the outcome in lines for people, the failures first in full. A common cause has one line."""
    statuses = (PASS, WARN, FAIL, SKIPPED)
    counts = {status: sum(result.status == status for result in results) for status in statuses}
    words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    lines = [f"{verdict(results).upper()}: {words} of {len(results)} functional checks"]
    for status in (FAIL, WARN, SKIPPED, PASS):
        group = [result for result in results if result.status == status]
        for result in group:
            same = [other for other in group if result.cause and other.cause == result.cause]
            if same and result is not same[0]:
                continue
            titles = "; ".join(other.title for other in same or [result])
            lines.append(f"  {status:7} {titles}: {result.message}")
    return lines


def _run(check: Check, probe: Probe) -> Result:
    """Run a check, and once more if it fails: what fails once only is a warning."""
    first = _try(check, probe)
    if first.status != FAIL or first.evidence == TIMEOUT or first.cause == findings.OPEN:
        return first
    second = _try(check, probe)
    seconds = round(first.seconds + second.seconds, 2)
    if second.status == FAIL:
        return first._replace(seconds=seconds)
    message = f"It failed once, and passed when it was repeated. First: {first.message} Then: {second.message}"
    evidence = f"first: {first.evidence}; then: {second.evidence}"
    return first._replace(status=WARN, message=message, evidence=evidence, seconds=seconds, cause="")


def _try(check: Check, probe: Probe) -> Result:
    started = time.monotonic()
    status, cause = FAIL, ""
    try:
        found = check.run(probe)
    except NotApplicable as exc:
        return _skipped(check, str(exc))
    except ApiError as exc:
        message, evidence, cause = str(exc), exc.kind, _cause(exc, check)
    except AnswerError as exc:
        message, evidence, cause = probe.api.quoted(exc), "answer", exc.cause
    except FORM_ERRORS as exc:
        said = probe.api.quoted(f"{type(exc).__name__}: {exc}")
        message, evidence, cause = f"The answer does not have the expected form ({said}).", "form", findings.FORM
    else:
        status, cause = (WARN if found.warning else PASS), found.cause
        message, evidence = f"{found.message} {found.warning}".strip(), probe.api.quoted(found.evidence)
    seconds = round(time.monotonic() - started, 2)
    return Result(check.name, check.title, status, message, evidence, seconds, cause)


def _cause(exc: ApiError, check: Check) -> str:
    known = _OF_KIND.get(exc.kind) or findings.OF_STATUS.get(exc.status)
    if known:
        return known
    if exc.status >= 500:
        return findings.ENGINE_FAILED
    return exc.kind if exc.kind in _PLAIN and not check.alone else ""


def _not_of_load(results: Sequence[Result]) -> list[Result]:
    """Return the results, where a fault of tool calls that one request shows, too, is not one of the load."""
    causes = [result.cause for result in results if result.status == FAIL and result.cause in findings.OF_CALLS]
    return [
        result._replace(cause=causes[0]) if causes and result.cause == findings.CALLS_LOST_UNDER_LOAD else result
        for result in results
    ]


def _lenient(result: Result, warn: Mapping[str, str]) -> Result:
    if result.status != FAIL or result.name not in warn:
        return result
    return result._replace(status=WARN, message=f"{result.message} Only a warning: {warn[result.name]}")


def _advised(results: Sequence[Result]) -> list[Result]:
    """Add to each message what to do; the same advice is given once, with a failure if there is one."""
    told: dict[str, str] = {}
    advice = {result.name: _advice(result) for result in results}
    for status in (FAIL, WARN):
        for result in results:
            if result.status == status:
                told.setdefault(advice[result.name], result.title)
    return [
        result._replace(message=_with_advice(result, advice[result.name], told))
        if result.status in (FAIL, WARN) and advice[result.name]
        else result
        for result in results
    ]


def _with_advice(result: Result, advice: str, told: Mapping[str, str]) -> str:
    message = result.message if result.message.endswith((".", "!", "?", "'")) else f"{result.message}."
    return f"{message} {advice}" if told[advice] == result.title else f"{message} See {told[advice]!r}."


def _advice(result: Result) -> str:
    if result.cause in _PLAIN:
        return ""
    return findings.ADVICE.get(result.cause) or next(check.advice for check in CHECKS if check.name == result.name)


def _skipped(check: Check, reason: str) -> Result:
    return Result(check.name, check.title, SKIPPED, reason, "", 0.0)


def _knowing_model(probe: Probe) -> Probe:
    """Return the probe with the length of the context, and the other names of the model."""
    try:
        entries = {entry["id"]: entry for entry in model_list(probe.api.get("/v1/models"))}
    except (ApiError, *FORM_ERRORS):
        return probe  # it answered a moment ago; if it is gone now, the checks report it
    entry = entries.get(probe.model) or {}
    root = entry.get("root")
    aliases = (root, *(name for name, other in entries.items() if other.get("root") == root)) if root else ()
    return probe._replace(max_model_len=entry.get("max_model_len"), aliases=aliases)
