# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the commands in a text, such as a page with code blocks. Nothing is run or expanded. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

# Words before the command's own.
_BEFORE = ("sudo", "nohup", "exec", "time", "env")
_KNOWN = ("docker", "podman", "vllm", "python", "python3", "export", "pip", "pip3", "uv", "bash", "sh")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_MARKS = re.compile(r"^\s*(?:[$#>]\s+|```\w*|RUN\s+)")
_VALUE = r"(?:'[^']*'|\"[^\"]*\"|[^\s'\"])*"
_STARTS = re.compile(rf"(?:[A-Za-z_]\w*={_VALUE}\s+|(?:{'|'.join(_BEFORE)})\s+)*(?:{'|'.join(_KNOWN)})\s")
_SEPARATORS = ("&&", ";", "||", "|", "&")
_LONGEST = 200


def find_commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command of a known program.

    Raises ValueError for one whose quotes do not end.
    """
    for line in _logical_lines(text):
        if _STARTS.match(line):
            yield from split_commands(line)


def split_commands(line: str) -> Iterator[list[str]]:
    """Yield the words of each command of a line, without comments. Raises ValueError."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for word in _without_comment(list(lexer)):
        if word in _SEPARATORS:
            if words:
                yield words
            words = []
        else:
            words.append(word)
    if words:
        yield words


def split_assignments(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the variables that stand before a command, and the command without them and without C(sudo)."""
    variables: dict[str, str] = {}
    rest = list(words)
    while rest and (_ASSIGNMENT.match(rest[0]) or rest[0] in _BEFORE):
        word = rest.pop(0)
        if "=" in word:
            name, _equals, value = word.partition("=")
            variables[name] = value
    return variables, rest


def _without_comment(words: Sequence[str]) -> list[str]:
    first = next((index for index, word in enumerate(words) if word.startswith("#")), len(words))
    return list(words[:first])


def _logical_lines(text: str) -> Iterator[str]:
    """Yield the lines with their continuations: after a backslash, and within quotes of a known program."""
    pending = ""
    lines = text.splitlines()
    for number, raw in enumerate(lines):
        line = raw if pending else _MARKS.sub("", raw).strip()
        pending = f"{pending}{line}"
        if pending.rstrip().endswith("\\"):
            pending = pending.rstrip()[:-1].rstrip() + " "
            continue
        if _STARTS.match(pending) and _is_open(pending) and number + 1 < len(lines) and pending.count("\n") < _LONGEST:
            pending += "\n"
            continue
        yield pending
        pending = ""
    if pending:
        yield pending


def _is_open(line: str) -> bool:
    try:
        shlex.split(line)
    except ValueError:
        return True
    return False
