# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Functions that a model wrote: right ones, wrong ones, and those that claim success."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._endpoint import functions
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.sandbox import Outcome, Sandbox
from ansible_collections.hgx.inference.tests.support import sandbox_docker
from ansible_collections.hgx.inference.tests.support.sandbox_docker import SOLUTIONS

FUNCTIONS = {function.name: function for _question, function in functions.tasks()}
DEPTH = FUNCTIONS["depth"]
DEPTH_RESULTS = [expected for _given, expected in DEPTH.cases]


class Answering(Sandbox):
    """A sandbox that executes nothing."""

    output = ""

    def execute(self, program: bytes) -> Outcome:
        return Outcome(self.output, "")


def wrong(answer: str, name: str = "depth") -> str:
    return functions.wrong_in(answer, FUNCTIONS[name], Sandbox("image", 20))


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return sandbox_docker.install(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_right_function_is_right(docker: Path, name: str) -> None:
    assert wrong(f"Here it is:\n\n```python\n{SOLUTIONS[name]}```\nIt is short.", name) == ""


def test_every_question_names_its_function() -> None:
    assert set(FUNCTIONS) == set(SOLUTIONS)
    for question, function in functions.tasks():
        assert f"Write a Python function {function.name}(" in question
        assert "\n" not in question


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("def depth(text):\n    return 3", "depth('none') returned 3, and right is 0"),
        ("def depth(text):\n    return bool(text)", "returned True, and right is 3"),
        ("def depth(text):\n    return text.count('(') - 1.0", "returned 3.0, and right is 3"),
        ("def depth(text):\n    return {1}", "Object of type set is not JSON serializable"),
        ("def depth(text):\n    return 1 / 0", "depth failed: 'ZeroDivisionError: division by zero'"),
        ("def depth(text) return", "SyntaxError"),
        ("def depth(text):\n    return '\ud800'", "UnicodeEncodeError"),
        ("import sys\ndef depth(text):\n    sys.exit(0)", "SystemExit"),
        ("import os\ndef depth(text):\n    os._exit(0)", "depth failed"),
        ("import os\ndef depth(text):\n    os._exit(125)", "the exit code 125"),
        ("def depth(text):\n    ...\ndel depth", "KeyError"),
        ("print('{\"results\": [3, 0, -1, -1, 1]}')\ndef depth(text): pass", "returned None, and right is 3"),
        ("def depth(text):\n    print('ok, all passed')", "returned None"),
    ],
)
def test_a_wrong_function_is_wrong(docker: Path, written: str, words: str) -> None:
    assert words in wrong(f"```python\n{written}\n```")


def test_it_need_not_be_in_a_block_nor_the_first_one() -> None:
    solution = SOLUTIONS["depth"]
    indented = solution.replace("\n", "\n   ")
    for answer in (
        solution,
        f"```python\n{solution}",
        f"```sh\npython3 x.py\n```\n```py\n{solution}```\n```\nprint(depth(''))\n```",
        f"1. So:\n   ```python\n   {indented}```",
    ):
        assert functions.code_in(answer, "depth").rstrip() == solution.rstrip()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("I cannot.", "has no code of depth: 'I cannot.'"),
        ("```python\ndef depths(text): return 0\n```", "has no code of depth"),
        (
            f"```python\ndef depth(text): return 0\n{'#' * functions.MOST_CODE}\n```",
            "than 20000 characters",
        ),
    ],
)
def test_what_is_no_short_function_is_not_executed(docker: Path, answer: str, words: str) -> None:
    assert words in wrong(answer)
    assert not docker.exists()


def test_the_sandbox_does_not_learn_the_results() -> None:
    secret = functions.Function("f", (((1,), 424242),))
    assert b"424242" not in functions.program("def f(n): return n", secret)


@pytest.mark.parametrize(
    "output",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"results": 5}',
        '{"results": []}',
        json.dumps({"results": DEPTH_RESULTS}) + "\nmore",
        json.dumps({"results": [*DEPTH_RESULTS, 1]}),
        json.dumps({"results": [str(result) for result in DEPTH_RESULTS]}),
        json.dumps({"results": DEPTH_RESULTS})[:-1],
        '{"results": [NaN, 0, -1, -1, 1]}',
        '{"results": ' + "[" * 30000,
        '{"results": [' + "9" * 60000 + ", 0, -1, -1, 1]}",
        '{"error": {"error": "{{ x }}"}}',
    ],
)
def test_any_other_output_is_wrong(monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    monkeypatch.setattr(Answering, "output", output)
    found = functions.wrong_in(SOLUTIONS["depth"], DEPTH, Answering("image"))
    assert found
    assert len(found) < 300


def test_the_right_output_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answering, "output", f"WARNING: no swap limit\n\n{json.dumps({'results': DEPTH_RESULTS})}\n")
    assert functions.wrong_in(SOLUTIONS["depth"], DEPTH, Answering("image")) == ""
