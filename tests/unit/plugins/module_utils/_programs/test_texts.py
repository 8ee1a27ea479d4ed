# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is seen of an answer without knowing its language."""

from __future__ import annotations

import json
import random
import time

import pytest

from ansible_collections.hgx.inference.demo.tiny_kimi import FILLER
from ansible_collections.hgx.inference.plugins.module_utils._programs.texts import excerpt, is_broken, loop_of, survey


@pytest.mark.parametrize(
    ("text", "loop"),
    [
        ("!" * 200, "!"),
        ("word " * 32, "word"),
        ("The sea is " + "the cat " * 40, "cat the"),
        ("a b c " * 20, "a b c"),
        ("哈" * 50, "哈"),
        ("абв" * 30, "абв"),
        ("0,0,0,0,0,0,0,0,0,0,0", ",0"),
        ("So: " + "\n- x" * 30, "- x"),
        ("It begins well, then " + "<|im_end|>" * 40, "<|im_end|>"),
        ("=" * 80, "="),
    ],
)
def test_a_loop_has_one_name(text: str, loop: str) -> None:
    assert loop_of(text) == loop
    assert loop_of(text[: len(text) * 9 // 10]) == loop


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "Yes.",
        "no no no",
        "Buffalo buffalo Buffalo buffalo buffalo buffalo Buffalo buffalo",
        "".join(FILLER) * 20,  # what the demo's model says when the end of the text is ignored
        "| Name | tok/s |\n| --- | --- |\n" + "".join(f"| run {n} | 1,{n:03} |\n" for n in range(40)),
        "|---|---|---|---|---|---|---|---|\n| a | b | c | d | e | f | g | h |\n| 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 |",
        "def f(a):\n    return a\n\n\ndef g(a):\n    return f(a)\n\n\nprint(f(1))\nprint(g(2))\n",
        "".join(f"{n}. Schritt {n * n}: prüfen\n" for n in range(50)),
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20",
        "----------\nThe rule above is no loop, because a text follows it.\n",
        "用户发送了一串随机的字符,看起来没有任何意义,所以我会礼貌地询问用户想要什么。",
        "ありがとうございます。次の手順に従ってください。",
        "사용자가 무작위 문자열을 보냈으므로 의미를 물어보겠습니다.",
        "مرحبا، يبدو أن النص عشوائي. هل يمكنك التوضيح من فضلك؟",
        "हाँ, यह पाठ यादृच्छिक लगता है। कृपया स्पष्ट करें।",
        "😀😃😄😁😆😅😂🤣🥲☺️😊😇🙂🙃😉😌😍🥰",
        '{"a": [1, 2, 3], "b": {"c": null, "d": null, "e": null}}',
        "AAAATTGCGCATTAGCATCGATTTACGACTTAGCGGCATCTACG",
    ],
)
def test_honest_texts_are_no_loops_and_valid(text: str) -> None:
    assert loop_of(text) == ""
    assert not is_broken(text)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("The last character was cut off: \ufffd", False),
        ("\ufffd\ufffd\ufffda", True),
        ("\ud83d\ude00", True),  # two halves of a character that were never joined
        ("", False),
    ],
)
def test_text_that_is_no_unicode(text: str, broken: bool) -> None:
    assert is_broken(text) == broken


def test_a_survey() -> None:
    texts = ["!" * 200, "!" * 100, "la la " * 30, "", " \n", "\ufffd\ufffdx", "Fine.", "Fine.", "x" * 3 + "y" * 999]
    assert survey(texts) == {
        "count": 9,
        "empty": 2,
        "broken": 1,
        "distinct": 8,
        "looping": 4,
        "loops": {"!": 2, "la": 1, "y": 1},
        "samples": ["!" * 200, "!" * 100, "la la " * 30, "", " \n", "\ufffd\ufffdx", "Fine.", "Fine."],
    }


def test_what_is_kept_is_small_and_valid() -> None:
    texts = ["ab\ud800" + "x" * 10_000 + str(number) for number in range(1000)]
    found = survey(texts)
    assert len(json.dumps(found)) < 8 * 500
    assert found["samples"][0].startswith("ab?x")
    assert excerpt("short") == "short"


def test_a_survey_takes_seconds_at_most() -> None:
    luck = random.Random(0)
    texts = ["".join(luck.choices("ab ", k=9000)) for _ in range(128)]
    texts += [("a" * 8 + "b") * 1000 + "c" for _ in range(128)]
    start = time.monotonic()
    survey(texts)
    assert time.monotonic() - start < 10
