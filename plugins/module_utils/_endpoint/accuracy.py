# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small set of tasks with exact answers, so that a fast and broken server cannot pass.

It tells a broken server from a working one, and says nothing of how good a model is. The tasks are of our own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from .._core.schema import check
from . import functions, inputs, texts
from .answers import CALLED, ENDED, FULL, Answer, AnswerError
from .probe import Probe
from .sandbox import Sandbox

# Requests at the same time.
CONCURRENCY = 8
# The kind of the tasks whose answer is executed, and room for their answer with thoughts, in tokens.
CODE = "code"
_CODE_TOKENS = 4096
_NO_SANDBOX = "There is no sandbox."
# Lines of the text in which a sentence is hidden: about 2,000 tokens.
_LINES = 100
_SUMS = ((17, 23, 5), (48, 19, -7), (36, 27, 88), (91, 14, -60), (125, 8, 13), (64, 33, 9), (77, 12, -24), (52, 46, 31))
_ORDERS = (
    ("Anna Berg", "Oslo", 3, True),
    ("Luis Ortega", "Quito", 12, False),
    ("Mei Tanaka", "Nara", 7, True),
    ("Omar Haddad", "Tunis", 25, False),
    ("Ida Novak", "Brno", 1, True),
    ("Paul Weber", "Ulm", 40, False),
)
_DEPTHS = ((0.02, "4719"), (0.35, "8260"), (0.65, "1573"), (0.98, "6938"))
_TOOLS = (
    {
        "name": "get_weather",
        "description": "The weather in a city at this moment",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
    {
        "name": "book_table",
        "description": "Book a table in a restaurant",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "guests": {"type": "integer", "minimum": 1},
                "time": {"type": "string", "pattern": r"^\d\d:\d\d$"},
                "seating": {"type": "string", "enum": ["inside", "outside"]},
                "dishes": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["city", "guests", "time"],
            "additionalProperties": False,
        },
    },
)
_REQUESTS = (
    "What is the weather in Paris right now? Use a tool.",
    "Book a table in Paris for 4 guests at 19:30, outside. Use a tool.",
    "Book a table in Rome for 2 guests at 12:00; we want soup and bread. Use a tool.",
    "Is it raining in Rome? Use a tool.",
    "Book a table for one in Paris at 08:15, inside. Use a tool.",
    "Book a table in Rome for 11 guests at 21:45. Use a tool.",
)


class Task(NamedTuple):
    """A question, and what its answer must have.

    C(answer) is a number, a JSON object, a function to execute, or None for a call that fits its schema.
    """

    kind: str
    question: str
    answer: str | Mapping[str, Any] | functions.Function | None


class Score(NamedTuple):
    """The outcome of the tasks of a kind. C(wrong) is the first wrong answer in words, C(cause) what it points to."""

    kind: str
    right: int
    total: int
    wrong: str
    cause: str

    @property
    def share(self) -> float:
        return self.right / self.total


def _tasks() -> Iterable[Task]:
    for first, second, third in _SUMS:
        sign = "+" if third > 0 else "-"
        question = f"What is {first} * {second} {sign} {abs(third)}? Answer with the number only."
        yield Task("arithmetic", question, str(first * second + third))
    for name, city, count, paid in _ORDERS:
        text = f"{name} from {city} ordered {count} lamps and has {'' if paid else 'not '}paid for them."
        question = (
            f"{text} Answer with one JSON object only, with the keys name (text), city (text), lamps (number) and paid"
            " (true or false)."
        )
        yield Task("json", question, {"name": name, "city": city, "lamps": count, "paid": paid})
    for depth, code in _DEPTHS:
        needle = f"The code of the boathouse is {code}."
        lines = inputs.haystack(_LINES).split("\n")
        lines.insert(round(depth * len(lines)), needle)
        question = "\n".join(lines) + "\n\nWhat is the code of the boathouse? Answer with the number only."
        yield Task("needle", question, code)
    for question in _REQUESTS:
        yield Task("tool_calls", question, None)
    for question, function in functions.tasks():
        yield Task(CODE, question, function)


TASKS = tuple(_tasks())
KINDS = tuple(dict.fromkeys(task.kind for task in TASKS))


def measure(probe: Probe, kinds: Iterable[str], sandbox: Sandbox | None = None) -> list[Score]:
    """Do the tasks of some kinds, several at a time; those with code only with a sandbox. Raises ApiError."""
    tried = set(kinds) - (set() if sandbox else {CODE})
    wanted = [task for task in TASKS if task.kind in tried]
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        outcomes = list(pool.map(lambda task: _tried(probe, task, sandbox), wanted))
    scores = []
    for kind in dict.fromkeys(task.kind for task in wanted):
        found = [outcome for task, outcome in zip(wanted, outcomes) if task.kind == kind]
        wrong = [outcome for outcome in found if outcome[0]]
        scores.append(Score(kind, len(found) - len(wrong), len(found), *(wrong or [("", "")])[0]))
    return scores


def _tried(probe: Probe, task: Task, sandbox: Sandbox | None) -> tuple[str, str]:
    """Return what is wrong with the answer to a task, or an empty text, and the cause that it points to."""
    tools = [{"type": "function", "function": tool} for tool in _TOOLS]
    further: dict[str, dict[str, Any]] = {
        "tool_calls": {"tools": tools},
        CODE: {"max_tokens": probe.room(_CODE_TOKENS)},
    }
    more: dict[str, Any] = further.get(task.kind, {})
    asked = task.question.rpartition("\n")[2]
    try:
        answer = probe.chat(task.question, (*ENDED, *CALLED, *FULL), counted=False, **more)
    except AnswerError as exc:
        return f"{asked!r}: {exc}", exc.cause
    if task.answer is None:
        return _unfit_call(answer, asked), ""
    if isinstance(task.answer, functions.Function):
        return functions.wrong_in(answer.text, task.answer, sandbox) if sandbox else _NO_SANDBOX, ""
    right = (
        texts.has_number(answer.text, task.answer)
        if isinstance(task.answer, str)
        else _json_in(answer.text) == task.answer
    )
    return "" if right else f"{asked!r} was answered {answer.text!r}, and right is {task.answer!r}", ""


def _unfit_call(answer: Answer, asked: str) -> str:
    """Return why the calls of an answer do not fit the schema of their tool. Which tool is right does not matter."""
    known = {str(tool["name"]): tool["parameters"] for tool in _TOOLS}
    if not answer.tool_calls:
        return f"{asked!r} led to no call, but to {answer.text!r}"
    for call in answer.tool_calls:
        problems: list[str] = []
        arguments = _json_in(call.arguments)
        if call.name not in known or not isinstance(arguments, dict):
            problems.append("no such tool, or no JSON object")
        else:
            check(arguments, known[call.name], "", problems)  # type: ignore[arg-type]
        if problems:
            return f"{asked!r} led to {call.name}({call.arguments}): {problems[0]}"
    return ""


def _json_in(text: str) -> Any:
    """Return the JSON object in a text, such as one in a block of code, or None."""
    start, end = text.find("{"), text.rfind("}")
    try:
        return json.loads(text[start : end + 1]) if 0 <= start < end else None
    except (ValueError, RecursionError):
        return None
