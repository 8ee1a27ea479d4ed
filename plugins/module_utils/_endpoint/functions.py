# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Short functions for the model to write. The sandbox returns their results, which are compared here.

The expected results never enter the sandbox, so the code cannot claim success: it must compute them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from textwrap import dedent
from typing import Any, NamedTuple

from .sandbox import Sandbox

# A longer answer is no short function.
MOST_CODE = 20_000
_MOST_TOLD = 120
_BLOCK = re.compile(r"```[^\n`]*\n(.*?)(?:```|\Z)", re.DOTALL)

# The program in the sandbox. What the code prints goes nowhere; the results are the last line.
_DRIVER = """\
import json, os, sys, types
job = json.loads({job!r})
stdout = os.fdopen(os.dup(1), "w")
nowhere = os.open(os.devnull, os.O_RDWR)
for number in (0, 1, 2):
    os.dup2(nowhere, number)
module = sys.modules["answer"] = types.ModuleType("answer")
try:
    exec(compile(job["code"], "answer", "exec", dont_inherit=True), vars(module))
    text = json.dumps({{"results": [vars(module)[job["name"]](*given) for given in job["inputs"]]}})
except BaseException as exc:
    text = json.dumps({{"error": type(exc).__name__ + ": " + str(exc)[:200]}})
stdout.write("\\n" + text + "\\n")
stdout.flush()
os._exit(0)
"""


class Function(NamedTuple):
    """A function by its name, and pairs of its arguments and its result, as JSON has them."""

    name: str
    cases: tuple[tuple[tuple[Any, ...], Any], ...]


# The signature, what the function does, and its cases.
_TASKS: tuple[tuple[str, str, tuple[tuple[tuple[Any, ...], Any], ...]], ...] = (
    (
        "merged(spans)",
        "takes a list of [start, end] pairs of whole numbers, in any order. It returns a sorted list of such pairs in"
        " which pairs that overlap or share an end have become one",
        (
            (([[5, 8], [1, 3], [2, 4]],), [[1, 4], [5, 8]]),
            (([[1, 2], [2, 6], [9, 9]],), [[1, 6], [9, 9]]),
            (([],), []),
            (([[0, 20], [3, 4], [-7, -2], [18, 25]],), [[-7, -2], [0, 25]]),
        ),
    ),
    (
        "run_lengths(text)",
        "takes a text and returns a list with one [character, count] pair for each run of the same character, in the"
        " order of the text",
        (
            (("aaabccd",), [["a", 3], ["b", 1], ["c", 2], ["d", 1]]),
            (("",), []),
            (("abba",), [["a", 1], ["b", 2], ["a", 1]]),
            (("  xX",), [[" ", 2], ["x", 1], ["X", 1]]),
        ),
    ),
    (
        "duration(seconds)",
        'takes a whole number of seconds from 0 on. It returns a text such as "2h 5m 3s" of hours, minutes and seconds,'
        ' without the parts that are zero, and "0s" for 0',
        (
            ((7503,), "2h 5m 3s"),
            ((0,), "0s"),
            ((3600,), "1h"),
            ((61,), "1m 1s"),
            ((360059,), "100h 59s"),
        ),
    ),
    (
        "depth(text)",
        "takes a text and returns how deeply its round brackets are nested, 0 without any. It returns -1 if a bracket"
        " is closed that is not open, or is not closed at the end. Other characters do not matter",
        (
            (("f(a, (b), ((c)))",), 3),
            (("none",), 0),
            ((")(",), -1),
            (("(()",), -1),
            (("()()[(])",), 1),
        ),
    ),
)


def tasks() -> tuple[tuple[str, Function], ...]:
    """Return the tasks, each as the question and the function that it asks for."""
    return tuple(
        (
            f"Write a Python function {signature} that {task}. Use the standard library only. Answer with one block of"
            " code that has only this function.",
            Function(signature.partition("(")[0], cases),
        )
        for signature, task, cases in _TASKS
    )


def wrong_in(answer: str, function: Function, sandbox: Sandbox) -> str:
    """Return what is wrong with the function in an answer, or an empty text."""
    code = code_in(answer, function.name)
    if not code or len(code) > MOST_CODE:
        what = f"more than {MOST_CODE} characters of code" if code else f"no code of {function.name}"
        return f"The answer has {what}: {_told(answer)}"
    found = sandbox.execute(program(code, function))
    if found.trouble:
        return f"{function.name} failed: {found.trouble}: {_told(found.output)}"
    try:
        return _compared(found.output, function)
    except (ValueError, RecursionError):
        return f"{function.name} failed: its output has no results: {_told(found.output)}"


def code_in(answer: str, name: str) -> str:
    """Return the first block of code that defines a function, the whole answer if it has no block, or an empty text."""
    blocks = _BLOCK.findall(answer) or [answer]
    defines = re.compile(rf"^[ \t]*def {name}\b", re.MULTILINE)
    return next((dedent(block) for block in blocks if defines.search(block)), "")


def program(code: str, function: Function) -> bytes:
    """Return the program that calls the function in C(code) with each of its arguments. It has no expected results."""
    inputs = [given for given, _expected in function.cases]
    return _DRIVER.format(job=json.dumps({"code": code, "name": function.name, "inputs": inputs})).encode()


def _compared(output: str, function: Function) -> str:
    """Return what is wrong with the results in an output, or an empty text. Raises ValueError and RecursionError."""
    said = json.loads(output.strip().rpartition("\n")[2])
    results = said.get("results") if isinstance(said, dict) else None
    if not isinstance(results, list) or len(results) != len(function.cases):
        return f"{function.name} failed: {_told(said.get('error') if isinstance(said, dict) else said)}"
    for (given, expected), result in zip(function.cases, results):
        # As text, because in Python 1 equals True and 1.0.
        if json.dumps(result) != json.dumps(expected):
            return f"{function.name}({_arguments(given)}) returned {_told(result)}, and right is {expected!r}"
    return ""


def _arguments(given: Sequence[Any]) -> str:
    return ", ".join(map(repr, given))


def _told(value: object) -> str:
    return ascii(value[:_MOST_TOLD] if isinstance(value, str) else value)[:_MOST_TOLD]
