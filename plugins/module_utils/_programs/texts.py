# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the answers of a model: what is empty, repeats itself or is no text. Pure.

C(survey) finds only what is certain whatever the language and the prompt, also of answers to random tokens that go on
after their end. C(repetition) is for answers to a real question, in which a loop anywhere is wrong. Neither can tell
sense from nonsense.
"""

from __future__ import annotations

import collections
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

# A loop repeats at most this many words or, where words are not separated, characters.
LOOP_WORDS = 3
LOOP_CHARACTERS = 60
# It fills at least the second half of an answer, and repeats its unit this many times.
LOOP_TIMES = 8
# In an answer to a question. Rulers, dashes, frames and bars repeat characters legitimately.
_REPEATED = r"([^\s.\-=_*#~+^/\u2013-\u2015\u2500-\u259f])\1{15,}"
_FRACTION = r"(?<=\d)[.,]\d{1,40}(?!\d)"  # a third is 0.3333333333333333
WORD = r"[^\W_]+(?:['\u2019][^\W_]+)*"
_MANY_WORDS = 30
_SAME_WORD = 8
# Matrices of numbers repeat numbers legitimately, within a row and from one row to the next.
_SAME_NUMBER = 64
# A loop of several words, or of characters within text without spaces: its longest period, how often at least it is
# repeated, and how long it is at least in all.
_LONGEST_LOOP = 60
_LOOP_REPEATS = 4
_WORDS_IN_LOOP = 12
_CHARACTERS_IN_LOOP = 24
# An answer that comes twice, word by word or as a whole, has at least so many words.
_DOUBLED_WORDS = 12
# How many answers are kept, and how many characters of the start and of the end of each.
KEPT_TEXTS = 8
KEPT_CHARACTERS = 200
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def loop_of(text: str) -> str:
    """Return the few words or characters that the second half of a text, or more, repeats; empty if there are none."""
    text = text.strip()
    for period in range(1, min(LOOP_CHARACTERS, len(text) // LOOP_TIMES) + 1):
        pairs = zip(reversed(text), reversed(text[:-period]))
        repeated = period + sum(1 for _pair in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        if repeated >= max(len(text) / 2, LOOP_TIMES * period):
            unit = _rotated(text[-period:])
            return unit if len(unit.split()) <= LOOP_WORDS else ""
    return ""


def _rotated(unit: str) -> str:
    """Return the least of the rotations of a unit that start with a word: the same loop has the same name."""
    starts = [index for index in range(len(unit)) if unit[index - 1].isspace() and not unit[index].isspace()]
    return min(unit[index:] + unit[:index] for index in starts or range(len(unit))).strip() or unit


def repetition(text: str) -> str:
    """Return how an answer to a question repeats itself, as broken kernels and caches let it, or an empty text."""
    run = re.search(_REPEATED, re.sub(_FRACTION, "", text))
    if run:
        return f"it repeats {run.group(1)!r} {len(run.group(0))} times"
    words = re.findall(WORD, text)
    lower = [word.lower() for word in words]
    loop = _looped(lower, _WORDS_IN_LOOP, str.isdigit)
    if not loop:
        for part in re.findall(rf"\S{{{_CHARACTERS_IN_LOOP},}}", text):
            loop = loop or _looped(part, _CHARACTERS_IN_LOOP, lambda character: not character.isalpha())
    looped = f"it repeats {loop!r} again and again" if loop else ""
    return _monotonous(words, text) or looped or _few_words(lower) or _doubled(text.split())


def _monotonous(words: Sequence[str], text: str) -> str:
    longest = max((count for count, word in _runs(words) if not word.isdigit()), default=0)
    if longest >= _SAME_WORD:
        return f"it repeats a word {longest} times"
    rows = [re.findall(WORD, line) for line in text.splitlines()]
    if all(len(row) <= 1 for row in rows):
        rows = [list(words)]
    longest = max((count for row in rows for count, _number in _runs(row)), default=0)
    if longest >= _SAME_NUMBER and longest * 2 > len(words):
        return f"it repeats a word {longest} times"
    spoken = [word for word in words if not word.isdigit()]
    if len(spoken) >= _MANY_WORDS and collections.Counter(spoken).most_common(1)[0][1] * 2 > len(spoken):
        return "more than half of its words are the same"
    return ""


def _doubled(parts: list[str]) -> str:
    """Return how an answer comes twice, as a server or a proxy lets it that sends each chunk, or all of it, again."""
    words = [part.casefold().strip(".,;:!?") for part in parts]
    pairs = sum(first == second and first.isalpha() for first, second in zip(words, words[1:]))
    spoken = sum(map(str.isalpha, words))
    if spoken >= _DOUBLED_WORDS and pairs * 3 >= spoken:
        return "it says most of its words twice"
    once = parts[: len(parts) // 2]
    # What comes more often than twice, such as a count to ten, may be meant.
    is_half = len(parts) >= _DOUBLED_WORDS and once * 2 == parts and once[: len(once) // 2] * 2 != once
    return "it says everything twice" if is_half and spoken else ""


def _runs(words: Sequence[str]) -> list[tuple[int, str]]:
    """Return how often each word follows itself."""
    return [(sum(1 for _same in same), word) for word, same in itertools.groupby(words)]


def _looped(units: Sequence[str], least: int, is_dull: Callable[[str], bool]) -> str:
    """Return the words or characters that are repeated one after the other, unless all of them are dull."""
    for period in range(2, min(_LONGEST_LOOP, len(units) // _LOOP_REPEATS) + 1):
        matched = 0
        for index in range(period, len(units)):
            matched = matched + 1 if units[index] == units[index - period] else 0
            if matched >= max(_LOOP_REPEATS * period, least):
                loop = units[index - period + 1 : index + 1]
                if not all(map(is_dull, loop)):
                    return loop if isinstance(loop, str) else " ".join(loop)
    return ""


def _few_words(words: Sequence[str]) -> str:
    spoken = [word for word in words if not word.isdigit()]
    # Steps that are counted differ by their numbers only.
    if len(spoken) >= 2 * _MANY_WORDS and len(set(words)) * 10 < len(spoken):
        return f"it has only {len(set(spoken))} different words among {len(spoken)}"
    return ""


def is_broken(text: str) -> bool:
    """Return whether most of a text is no valid Unicode. A character may be cut off at its end."""
    wrong = sum(character == REPLACEMENT or "\ud800" <= character <= "\udfff" for character in text)
    return wrong > len(text) / 2


def excerpt(text: str) -> str:
    """Return the start and the end of a text, as valid Unicode."""
    if len(text) > 2 * KEPT_CHARACTERS:
        text = f"{text[:KEPT_CHARACTERS]} ... {text[-KEPT_CHARACTERS:]}"
    return text.encode("utf-8", errors="replace").decode("utf-8")


def survey(texts: Sequence[str]) -> dict[str, Any]:
    """Return what the answers of a run are like.

    C(count), C(empty), C(broken) and C(distinct) are numbers of answers, C(loops) is such a number by what is repeated,
    the most frequent ones first, and C(samples) are some of the texts.
    """
    loops = collections.Counter(loop for loop in map(loop_of, texts) if loop)
    step = max(1, len(texts) // KEPT_TEXTS)
    return {
        "count": len(texts),
        "empty": sum(not text.strip() for text in texts),
        "broken": sum(map(is_broken, texts)),
        "distinct": len(set(texts)),
        "looping": sum(loops.values()),
        "loops": {excerpt(loop): count for loop, count in loops.most_common(KEPT_TEXTS)},
        "samples": [excerpt(text) for text in texts[::step][:KEPT_TEXTS]],
    }
