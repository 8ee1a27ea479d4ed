# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judge texts of a model: broken output, leaked markup, and words that an answer must contain."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from .._programs.texts import WORD, repetition

THOUGHTS, CALLS, SPECIAL = "thoughts", "calls", "special"

# Marks of a model's own format, which the server must parse out of every answer.
_MARKUP = {
    THOUGHTS: (r"think(?:ing)?>|\u25c1/?think\u25b7|\[/?THINK\]|</?(?:thoughts?|reasoning|reflection)>|assistantfinal"),
    CALLS: (
        r"<[|\uff5c]tool[\w\u2581]*[|\uff5c]>|</?(?:\w+:)?tool_calls?>|</?tool_response>|\[/?TOOL_CALLS\]"
        r"|</?function_calls?>|</?[|\uff5c]DSML[|\uff5c]|</?arg_(?:key|value)>|<function=|<invoke name="
        r"|\bfunctions\.[\w-]+:\d+\s*(?:<|\{)"
    ),
    SPECIAL: (
        r"<[|\uff5c][^\s<>|\uff5c]{1,60}[|\uff5c]>|\[(?:EOS|BOS|PAD|UNK)\]|</s>\s*$"
        r"|<(?:eos|bos|pad|unk|sop|eop|(?:end|start)_of_(?:turn|utterance))>|</?assistant>"
        r"|\[gMASK\]|\[/?INST\]|\]~!?b[\[\]]|\[e~\[|<(?:unused|extra_id_|SPECIAL_)\d+>|<0x[0-9A-F]{2}>"
    ),
}

_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
# Prose without any of the commonest words of its language is none.
_PROSE_WORDS = 16
_COMMON_SHARE = 0.05
_COMMON_WORDS = """
    a an and are as at be but by can for from has have if in is it its not of on or that the this to was what when which
    who will with you your der die das und ist nicht ein eine zu den von mit sich auf für im dem des le la les et est
    un une de du que qui dans en pour pas sur il elle el los las y es por con una se su al lo como más gli di che è per
    non sono del della o e os um uma para com não é ao do da het een van niet op te dat och att det som är på av til er
    i og ikke w na z się nie to jest że v je si ve bir bu için ile ja ei että oli az és egy hogy nem în și care cu nu là
    và của có dan yang ini untuk ya wa kwa ni yn eta va dhe të u koji ki so za
    og að er ekki on ja ei un ir ar nav kad yra agus na ar mae yr i'r els amb per què die en nie vir kanti ngoba futhi
    ukuthi noma kakhulu lapha kwaye okanye iyo waa oo ku ka da ta ba awọn ti fun ang ng sa mga kaj estas ne in je se ali
    one two three four five six seven eight nine ten
"""
_COMMON = frozenset(_COMMON_WORDS.split())
_DETERMINERS = frozenset(("the", "a", "an"))
_NEVER_AFTER_DETERMINERS = _DETERMINERS | {"of", "is", "are", "and", "was", "to", "in", "for", "with", "that", "on"}
_SCRIPT_LETTERS = 60
_SCRIPT_SHARE = 0.1
_EASTERN = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO")

CITIES = {
    "paris": (
        *("paris", "parigi", "parijs", "paryz", "pariz", "parizs", "parize", "paryzius", "pariisi", "париж", "παρισι"),
        *("巴黎", "パリ", "파리", "باريس", "پاریس", "פריז", "पेरिस", "ปารีส"),
    ),
    "rome": (
        *("rome", "roma", "rom", "rzym", "rim", "rooma", "рим", "ρωμη", "罗马", "羅馬", "ローマ", "로마", "روما"),
        *("רומא", "रोम", "โรม"),
    ),
}
COLOURS = {
    "red": (
        *("red", "reddish", "crimson", "scarlet", "vermilion", "ruby", "#ff0000", "rot", "rouge", "rojo", "roja"),
        *(
            "rosso",
            "vermelho",
            "rood",
            "czerwony",
            "kirmizi",
            "красный",
            "红",
            "紅",
            "赤",
            "빨간",
            "빨강",
            "احمر",
            "लाल",
        ),
        *("255, 0, 0", "255,0,0"),
    ),
    "green": (
        *("green", "greenish", "lime", "emerald", "chartreuse", "#00ff00", "grun", "vert", "verde", "groen"),
        *("zielony", "yesil", "зеленый", "зелёный", "绿", "綠", "緑", "초록", "녹색", "اخضر", "हरा"),
        *("0, 255, 0", "0,255,0"),
    ),
    "blue": (
        *(
            "blue",
            "bluish",
            "#0000ff",
            "blau",
            "bleu",
            "azul",
            "blu",
            "blauw",
            "niebieski",
            "mavi",
            "синий",
            "蓝",
            "藍",
        ),
        *("青", "파란", "파랑", "ازرق", "नीला", "0, 0, 255", "0,0,255"),
    ),
    "yellow": (
        *("yellow", "yellowish", "#ffff00", "gelb", "jaune", "amarillo", "giallo", "amarelo", "geel", "желтый"),
        *("zołty", "sari", "жёлтый", "黄", "黃", "노란", "노랑", "اصفر", "पीला", "255, 255, 0", "255,255,0"),
    ),
}
_FAMILIES: Mapping[str, Sequence[str]] = {**CITIES, **COLOURS}


def markup(text: str) -> tuple[str, str] | None:
    """Return the kind of markup in C(text), one of the names above, and the mark; None if there is none."""
    for kind, pattern in _MARKUP.items():
        found = re.search(pattern, text)
        if found:
            return kind, found.group(0)
    return None


def degenerate(text: str) -> str:
    """Return why C(text) is gibberish, as broken kernels and caches produce it, or an empty text if it is not."""
    if not text.strip():
        return "it is empty"
    if text.count("\ufffd") * 10 > len(text):
        return "it is full of replacement characters"
    if re.search(_CONTROL, text):
        return "it contains control characters"
    return repetition(text) or _incoherent(text)


def likeness(text: str, other: str) -> float:
    """Return which share of the telling words of the shorter text is in the other one, from 0 to 1."""
    first, second = _telling(text), _telling(other)
    smaller = min(len(first), len(second))
    return len(first & second) / smaller if smaller else float(text.strip() == other.strip())


def folded(text: str) -> str:
    """Return C(text) without accents, case and other forms of the same characters."""
    plain = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize(
        "NFC", "".join(character for character in plain if not unicodedata.combining(character))
    ).casefold()


def names(text: str, subject: str) -> bool:
    """Return whether C(text) names C(subject), in any language if it is a city or colour that is known here."""
    said = folded(text)
    for name in _FAMILIES.get(folded(subject), (subject,)):
        word = folded(name)
        # Languages without spaces have no boundaries of words.
        if word in said and (not word.isascii() or re.search(rf"(?<!\w){re.escape(word)}(?!\w)", said)):
            return True
    return False


def has_number(text: str, number: str) -> bool:
    """Return whether C(text) has C(number), with or without separators of thousands."""
    plain = re.sub(r"\d", lambda digit: str(unicodedata.decimal(digit.group())), unicodedata.normalize("NFKC", text))
    return number in re.sub(r"(?<=\d)\D{1,4}(?=\d)", "", plain)


def _incoherent(text: str) -> str:
    letters = [_script(character) for character in text if character.isalpha()]
    scripts = [name for name, count in Counter(letters).items() if count >= _SCRIPT_SHARE * len(letters)]
    if len(letters) >= _SCRIPT_LETTERS and len(scripts) > 2:
        return f"its letters are of {len(scripts)} scripts"
    for line in text.splitlines():
        words = [word.lower() for word in re.findall(WORD, line) if not word.isdigit()]
        # Code, tables and lists are no prose.
        marks = len(re.findall(r"[^\w\s.'\u2019]", line))
        if len(words) < _PROSE_WORDS or marks * 4 > len(words) or not all(_is_latin(word) for word in words):
            continue
        if sum(word in _COMMON for word in words) < _COMMON_SHARE * len(words):
            return "its words form no sentence"
    words = [word.lower() for word in re.findall(WORD, text)]
    after = [second for first, second in zip(words, words[1:]) if first in _DETERMINERS]
    misplaced = sum(word in _NEVER_AFTER_DETERMINERS for word in after)
    if misplaced >= 3 and misplaced * 5 >= 2 * len(after):
        return "its words form no sentence"
    return ""


def _script(character: str) -> str:
    name = unicodedata.name(character, "UNKNOWN").split(" ")[0]
    return "EASTERN" if name.split("-")[0] in _EASTERN else name


def _is_latin(word: str) -> bool:
    return all(_script(character) == "LATIN" for character in word if character.isalpha())


def _telling(text: str) -> set[str]:
    """Return the words of C(text) that say what it is about; of languages without spaces, the pairs of characters."""
    words = {folded(word) for word in re.findall(WORD, text)}
    found = {word for word in words if word.isascii() and len(word) > 3 and word not in _COMMON}
    for word in words:
        if not word.isascii():
            found.update(word[index : index + 2] for index in range(max(1, len(word) - 1)))
    return found
