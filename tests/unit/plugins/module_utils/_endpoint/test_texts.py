# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# ruff: noqa: RUF001

"""The judgement of texts: what broken servers write, and what sound ones do."""

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._endpoint import texts
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.answers import AnswerError
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.checks import CROWD_QUESTIONS, _require_own_answer
from ansible_collections.hgx.inference.tests.support.inference_server import ANSWERS, INCOHERENT


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("!" * 40, "it repeats '!' 40 times"),
        ("Paris is" + "0" * 20, "it repeats '0' 20 times"),
        ("The the " + "the " * 8, "it repeats a word 9 times"),
        ("a b " * 5 + "a a c " * 20, "more than half"),
        ("\ufffd\ufffdab\ufffd", "full of replacement characters"),
        ("Paris\0 is", "control characters"),
        ("the sea " * 10, "it repeats 'the sea' again"),
        ("The sea. the sea, " * 10, "it repeats 'the sea' again"),
        ("over and again " * 8, "it repeats 'over and again' again"),
        ("Paris. " + "one, two, red\n" * 8, "again and again"),
        ("你好" * 20, "it repeats '你好' again"),
        ("你好，" * 12, "it repeats"),
        ("abc" * 30, "it repeats 'abc' again"),
        ("0 " * 100, "it repeats a word 100 times"),
        (
            " ".join(["sea", "ship"][bin(number).count("1") % 2] for number in range(90)),
            "only 2 different words among 90",
        ),
        ("It it is is a a tower tower with with a a lamp lamp.", "it says most of its words twice"),
        ("It shows ships the way to the coast.\nIt shows ships the way to the coast.", "it says everything twice"),
        (INCOHERENT, "its words form no sentence"),
        ("the of lighthouse is a for ships the and sea a in tower the to light guides an of coast", "no sentence"),
        (
            "Grüße тестовый 中文灯塔 lamp кирпич 船只方向海面照明 zebra function строка кобальт мотор 船只方向",
            "letters are of 3 scripts",
        ),
    ],
)
def test_degenerate_texts(text: str, words: str) -> None:
    assert words in texts.degenerate(text)


LANGUAGE = [
    "\n".join("0 0 0 0 0 0 0 0" for _row in range(16)),
    "".join(f"Step {step}: Add {step} to the total and write it down.\n" for step in range(1, 15)),
    "1/3 = 0.3333333333333333333333333, and 2/3 = 0.6666666666666666666666667.",
    "Impungushe ensundu esheshayo yeqa phezu kwenja evilaphayo kanti ikati lilele esihlalweni sami esidala lapha.",
    "Row, row, row your boat, gently down the stream.\n" * 3,
    "".join(f"7 x {factor} = {7 * factor}\n" for factor in range(1, 21)),
    "".join(f"- name: {name}\n  state: present\n" for name in "abcd"),
    "Paris.",
    "Ha ha ha ha, no!!!",
    "A frame:\n" + "\u2500" * 40 + "\n\u2502 a \u2502\n" + "\u2501" * 30,
    "~" * 20 + "\nBelow a line, " + "\u2014" * 20 + " and half done: " + "\u2588" * 20,
    "# Title\n" + "=" * 60 + "\n" + "-" * 60,
    "x = 1 +\n" + "^" * 20 + "\n" + "/" * 30 + "\n src/a.c | 22 " + "+" * 20,
    '<h3 id="mep">MeP</h3>\n\n<h3 id="msp430">MSP430</h3>\n\n<h3 id="sparc">SPARC</h3>',
    "def f(x):\n" + " " * 24 + "return x",
    "one two three four five six seven eight nine ten " * 4,
    "| a | b | c |\n|---|---|---|\n| yes | no | yes |\n| no | yes | yes |\n| yes | yes | no |",
    "| " + " | ".join("abcdefgh") + " |\n" + "| --- " * 8 + "|\n" + "| 0 " * 8 + "|",
    "Rhine - North Sea\nDanube - Black Sea\nVolga - Caspian Sea\nElbe - North Sea\nEbro - Mediterranean Sea",
    "Rhine (North Sea), Danube (Black Sea), Volga (Caspian Sea), Seine (Channel), Ebro (Mediterranean), Elbe",
    "matrix = [\n" + "    [0, 0, 0, 0],\n" * 4 + "]\nIt holds zeros.",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20",
    "It has 1,234,567 inhabitants on 1 000 000 km².",
    "灯塔是一种位于海岸、港口或河道，用以指引船只方向的建筑物。",
    "Маяк указывает путь кораблям, которые идут к берегу.",
    "Ein Leuchtturm weist Schiffen den Weg und warnt vor Untiefen; er steht meist an der Küste oder auf einer Insel.",
    "Majakka on torni, joka ohjaa laivoja merellä ja varoittaa karikoista; se rakennetaan saarelle ja valo näkyy.",
    "The capital is Paris (Париж, 巴黎).",
    "Row, row, row your boat, gently down the stream, merrily, merrily, merrily, merrily, life is but a dream.",
    "Hello from a tiny Kimi-shaped model with scripted weights on a real vLLM server.",
    *ANSWERS.values(),
]


@pytest.mark.parametrize("text", ["0 " * 70, "0\n" * 70, "0." + "3" * 60, "one two tree " * 40])
def test_numbers_and_words_that_are_repeated_beyond_any_use(text: str) -> None:
    assert texts.degenerate(text)


@pytest.mark.parametrize("text", LANGUAGE)
def test_texts_that_are_language(text: str) -> None:
    assert texts.degenerate(text) == ""
    assert texts.markup(text) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("A thought.</think>Paris", texts.THOUGHTS),
        ("<think>", texts.THOUGHTS),
        ("\u25c1/think\u25b7Paris", texts.THOUGHTS),
        ("<|tool_calls_section_begin|>", texts.CALLS),
        ('functions.get_weather:0{"city"', texts.CALLS),
        ('<tool_call>{"name"', texts.CALLS),
        ('<invoke name="x">', texts.CALLS),
        ("<\uff5ctool\u2581calls\u2581begin\uff5c>", texts.CALLS),
        ("Paris<|im_end|>", texts.SPECIAL),
        ("Paris[EOS]", texts.SPECIAL),
        ("Paris</s>", texts.SPECIAL),
        ("[THINK]Hm.[/THINK]Paris", texts.THOUGHTS),
        ("<thought>Hm.</thought>Paris", texts.THOUGHTS),
        ("analysisHm.assistantfinalParis", texts.THOUGHTS),
        ("<minimax:tool_call>", texts.CALLS),
        ("<\uff5cDSML\uff5cfunction_calls>", texts.CALLS),
        ("</\uff5cDSML\uff5cinvoke>", texts.CALLS),
        ("<arg_key>city</arg_key>", texts.CALLS),
        ("[gMASK]<sop>Paris", texts.SPECIAL),
        ("Paris[e~[", texts.SPECIAL),
        ("]~b]ai\nParis", texts.SPECIAL),
        ("Paris<0x0A>", texts.SPECIAL),
        ("[INST] Paris", texts.SPECIAL),
        ("Paris<unused99>", texts.SPECIAL),
    ],
)
def test_markup(text: str, kind: str) -> None:
    found = texts.markup(text)
    assert found is not None
    assert found[0] == kind


@pytest.mark.parametrize(
    "text",
    ["f <| g |> h", "List<String>", "a > b", "<s>old</s> new", "a[0]", "it calls f()", "<0x1", "[THINK", "x[e]"],
)
def test_other_marks_are_no_markup(text: str) -> None:
    assert texts.markup(text) is None


@pytest.mark.parametrize(
    ("text", "subject", "named"),
    [
        ("Roma", "rome", True),
        ("Rom", "rome", True),
        ("Romania", "rome", False),
        ("罗马市", "rome", True),
        ("París, France", "Paris", True),
        ("Parisian", "paris", False),
        ("Η πρωτεύουσα είναι το Παρίσι.", "Paris", True),
        ("फ़्रांस की राजधानी पेरिस है।", "Paris", True),
        ("Róma", "rome", True),
        ("Ρώμη", "rome", True),
        ("RGB(255, 0, 0)", "red", True),
        ("RGB(255, 0, 0)", "yellow", False),
        ("rgb(255,255,0)", "yellow", True),
        ("rgb(255,255,0)", "red", False),
        ("rgb(0, 255, 0)", "green", True),
        ("rgb(0, 0, 255)", "green", False),
        ("أحمر", "red", True),
        ("żółty", "yellow", True),
        ("빨강", "red", True),
        ("Crimson.", "red", True),
        ("It is **RED**!", "red", True),
        ("rendered", "red", False),
        ("Lime green", "green", True),
        ("Hello from a tiny model.", "Hello from a tiny", True),
        ("Hello", "Hello from a tiny", False),
    ],
)
def test_names(text: str, subject: str, named: bool) -> None:
    assert texts.names(text, subject) is named


@pytest.mark.parametrize(
    "text",
    [
        "985024",
        "985,024",
        "985 024",
        "985.024",
        "985\u202f024",
        "**985024**",
        "9 8 5 0 2 4",
        "985{,}024",
        "It is 985'024.",
        "٩٨٥٠٢٤",
    ],
)
def test_a_number_in_any_writing(text: str) -> None:
    assert texts.has_number(text, "985024")
    assert not texts.has_number(text, "985025")


ALONE = dict(zip(CROWD_QUESTIONS, ANSWERS.values(), strict=True))


@pytest.mark.parametrize("question", CROWD_QUESTIONS)
def test_another_wording_of_the_same_answer_is_right(question: str) -> None:
    others = {
        "Say": "Hi there. Sailors see it from afar, so that their ships stay clear of the coast.",
        "Write": "def backwards(values):  # the last comes first\n    return list(reversed(values))",
        "Explain": "天空: Rayleigh scattering.",
        "List": "1. Rhine → North Sea\n2. Danube → Black Sea",
    }
    _require_own_answer(question, others[question.split()[0]], ALONE)
    _require_own_answer(question, ALONE[question], ALONE)
    in_russian = {
        "Say": "Маяк стоит у моря.",
        "Explain": "Свет рассеивается, и небо синее.",
        "List": "Рейн: Северное море",
    }
    _require_own_answer(question, in_russian.get(question.split()[0], "print(list[::-1])"), ALONE)
    # A scripted model says the same to everything.
    _require_own_answer(question, "Hello.", dict.fromkeys(CROWD_QUESTIONS, "Hello."))


@pytest.mark.parametrize("question", CROWD_QUESTIONS)
def test_the_answer_to_another_question_is_noticed(question: str) -> None:
    for other, said in ALONE.items():
        if other != question:
            with pytest.raises(AnswerError, match="is that to"):
                _require_own_answer(question, said, ALONE)
    with pytest.raises(AnswerError, match="nothing to do with it"):
        _require_own_answer(question, "Bananas are yellow because they ripen.", ALONE)
