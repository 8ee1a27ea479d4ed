# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the answers of a model: what is empty, repeats itself or is no text. Pure.

It finds only what is certain whatever the language and the prompt. It cannot tell sense from nonsense.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Sequence
from typing import Any

# A loop repeats at most this many words or, where words are not separated, characters.
LOOP_WORDS = 3
LOOP_CHARACTERS = 60
# It fills at least the second half of an answer, and repeats its unit this many times.
LOOP_TIMES = 8
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
