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
_KNOWN = ("docker", "podman", "vllm", "python", "python3", "export", "pip", "pip3", "uv", "bash", "sh", "cd")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_FENCED = re.compile(r"^[ \t]*(```+|~~~+)[^\n]*\n(.*?)(?:^[ \t]*\1|\Z)", re.MULTILINE | re.DOTALL)
# A prompt, or what a Dockerfile has. A line of '# ' is a comment or a heading, also where it holds a command.
_MARKS = re.compile(r"^\s*(?:(?:\S+@\S+[$#]|[$>])\s+|RUN\s+)")
# A line's end that continues: a backslash, also before a comment, or what other shells have.
_CONTINUED = re.compile(r"(?:\\|(?<=\s)[\^`])\s*(?:\s#.*)?$")
_OPTION = re.compile(r"\s*--?[A-Za-z]")
_JOINT = "\f"  # Stands for a line's end that continues; no line of a text holds it.
# What word processors make of quotes, spaces and dashes.
_TYPED = str.maketrans({"\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'", "\xa0": " ", "\u202f": " "})
_DASH = re.compile(r"(?<!\S)[\u2013\u2014](?=[A-Za-z]{2})")
_VALUE = r"(?:'[^']*'|\"[^\"]*\"|[^\s'\"])*"
_STARTS = re.compile(rf"(?:[A-Za-z_]\w*={_VALUE}\s+|(?:{'|'.join(_BEFORE)})\s+(?:-\w\s+)?)*(?:{'|'.join(_KNOWN)})\s")
_TOKEN = re.compile(
    r"""(?P<space>[^\S\n]+) | (?P<comment>\#[^\n\f]*) | (?P<end>&&|\|[|&]?|;+|\n|[()]|&(?!>))
    | (?P<redirection>(?:\d*|&)(?:>>?|<{1,3}-?(?![A-Za-z][\w .-]*>))(?:&[\d-]+|&?[^\S\n]*(?=[^\s;&|<>])))
    | (?P<word>(?:<[A-Za-z][\w .-]*> | \\. | '[^']*' | "(?:\\.|[^"\\])*" | [^\s;&|<>()'"\\])+)""",
    re.VERBOSE | re.DOTALL,
)
_LONGEST = 200


def code_blocks(text: str) -> list[str]:
    """Return the code blocks of a page, or the text where none of them holds anything to read."""
    plain = _DASH.sub("--", text.translate(_TYPED))
    blocks = [match[2] for match in _FENCED.finditer(plain)]
    is_code = any(re.search(r"^services:", block, re.MULTILINE) or _commands(block) for block in blocks)
    return blocks if is_code else [plain]


def without_code(text: str) -> str:
    """Return a page without its code blocks, whose comments look like headings."""
    return _FENCED.sub("", text)


def find_commands(block: str) -> Iterator[list[str]]:
    """Yield the words of each command of a known program. Raises ValueError for one whose quotes do not end."""
    for line in _commands(block):
        yield from split_commands(line)


def split_commands(line: str) -> Iterator[list[str]]:
    """Yield the words of each command of a line or script, without comments and redirections. Raises ValueError."""
    words: list[str] = []
    place, is_target = 0, False
    while place < len(line):
        match = _TOKEN.match(line, place)
        if match is None:
            raise ValueError("No closing quotation")
        place = match.end()
        if match["end"]:
            if words:
                yield words
            words = []
        elif match["word"] and not is_target:
            words.append("".join(shlex.split(match["word"].replace(_JOINT, " "))))
        if not match["space"]:
            is_target = bool(match["redirection"]) and not re.search(r"&[\d-]+$", match["redirection"])
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
        elif rest and re.fullmatch(r"-\w", rest[0]):
            rest.pop(0)
    return variables, rest


def _commands(text: str) -> list[str]:
    return [line for line in _logical_lines(text) if _STARTS.match(line)]


def _logical_lines(text: str) -> Iterator[str]:
    """Yield the lines with their continuations.

    A line goes on after a backslash, within quotes of a known program, and where options follow on the next line: a
    page has lost the backslash, or YAML folds the lines.
    """
    pending = ""
    lines = text.splitlines()
    for raw, following in zip(lines, [*lines[1:], ""], strict=True):
        if pending.endswith(_JOINT):
            if raw.lstrip().startswith("#"):
                continue
            pending += re.sub(r"^>\s+", "", raw)
        else:
            pending += raw if pending else _MARKS.sub("", raw).strip()
        continued = _CONTINUED.search(pending)
        is_known = _STARTS.match(pending)
        if continued:
            pending = f"{pending[: continued.start()].rstrip()} {_JOINT}"
        elif is_known and _is_open(pending) and pending.count("\n") < _LONGEST:
            pending += "\n"
        elif is_known and _OPTION.match(following):
            pending += f" {_JOINT}"
        else:
            yield pending
            pending = ""
    if pending:
        yield pending


def _is_open(line: str) -> bool:
    try:
        list(split_commands(line))
    except ValueError:
        return True
    return False
