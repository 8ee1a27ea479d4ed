# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.process import Answer, output_lines, run


def test_both_streams_in_order() -> None:
    assert run(["sh", "-c", "echo one; echo two >&2; echo three; exit 3"], 60) == Answer(3, "one\ntwo\nthree\n")


def test_streams_apart_and_input() -> None:
    answer = run(["sh", "-c", "cat; echo $LC_ALL >&2"], 60, stdin=b"given", merge=False)
    assert answer == Answer(0, "given", "C\n")


def test_what_is_not_there() -> None:
    assert run(["no-such-program"], 60) == Answer(None, "", missing=True)


def test_what_cannot_be_run() -> None:
    answer = run(["/"], 60)
    assert answer.rc is None and "denied" in answer.output


def test_what_takes_too_long() -> None:
    answer = run(["sleep", "60"], 0.05)
    assert answer.rc is None and answer.timed_out


def test_lines_come_one_by_one() -> None:
    assert list(output_lines(["sh", "-c", "echo one; printf '\\377two'"], 60)) == ["one\n", "\ufffdtwo"]
    assert list(itertools.islice(output_lines(["yes"], 60), 2)) == ["y\n", "y\n"], "more than any memory holds"


@pytest.mark.parametrize(
    ("argv", "limit_s", "words"),
    [
        (["sh", "-c", "echo why >&2; exit 3"], 60, "why"),
        (["sh", "-c", "exit 3"], 60, "sh ended with the exit code 3"),
        (["sleep", "60"], 0.05, r"or after 0\.05 s"),
        (["no-such-program"], 60, "no-such-program"),
    ],
)
def test_lines_of_what_fails(argv: list[str], limit_s: float, words: str) -> None:
    with pytest.raises(OSError, match=words):
        list(output_lines(argv, limit_s))
