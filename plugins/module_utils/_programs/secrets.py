# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mask known secrets in text, in every form that a program may print them in. Pure, standard library only."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"
# A secret of this many characters is masked wherever it occurs.
ANYWHERE_LENGTH = 8
# A shorter one may be a part of many words, so it is masked only where it is a word of its own, and not within a path
# or a name such as kimi-k2.6, with which later tasks work. Below this length ("a", "123") it is not masked by its value
# at all: it would hide the whole output, and anybody can guess it.
WORD_LENGTH = 4
# What people give where a program insists on a key. Masking it would hide other meanings of the word.
_PLACEHOLDERS = frozenset(("true", "false", "none", "null", "empty", "dummy", "unset"))


class Known:
    """The secrets that a run knows, and how to mask them in text."""

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        self._anywhere: list[str] = []
        self._words: list[str] = []
        self.add(*secrets)

    @property
    def texts(self) -> list[str]:
        """What is masked wherever it occurs: the secrets and their other forms, the longest first."""
        return list(self._anywhere)

    def add(self, *secrets: str | None) -> None:
        """Know these secrets, too, and each line of those that have several."""
        for secret in filter(None, secrets):
            secret = secret.strip()
            lines = [line.strip() for line in secret.splitlines()]
            long = {text for text in (secret, *lines) if len(text) >= ANYWHERE_LENGTH}
            self._anywhere = _longest_first({*self._anywhere, *(form for text in long for form in _forms(text))})
            if not long and len(secret) >= WORD_LENGTH and secret.lower() not in _PLACEHOLDERS:
                self._words = _longest_first({*self._words, secret, quote(secret, safe=""), _base64(secret)})

    def clear(self) -> None:
        """Know nothing, as when another run begins in the same process."""
        self._anywhere, self._words = [], []

    def masked_in(self, value: Any) -> Any:
        """Return C(value), with every known secret in its texts and names masked."""
        if isinstance(value, dict):
            return {self.masked_in(key): self.masked_in(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.masked_in(item) for item in value]
        return self.masked(value) if isinstance(value, str) else value

    def masked(self, text: str) -> str:
        """Return C(text) with every known secret masked."""
        for secret in self._anywhere:
            if secret in text:
                text = text.replace(secret, MASK)
        for word in self._words:
            if word in text:
                text = re.sub(rf"(?<![\w/.-]){re.escape(word)}(?![\w/-]|\.\w)", MASK, text)
        return text


def _forms(secret: str) -> set[str]:
    """Return a secret as programs print it: plain, and escaped or encoded for JSON, Python, URLs, HTML and shells."""
    escaped = json.dumps(secret)[1:-1]
    percent = {quote(secret), quote(secret, safe=""), quote_plus(secret), quote(quote(secret, safe=""), safe="")}
    raw = secret.encode("utf-8", "replace")
    found = {
        secret,
        " ".join(secret.split()),
        escaped,
        json.dumps(escaped)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        *percent,
        *(re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), text) for text in percent),
        html.escape(secret),
        html.escape(secret, quote=False),
        shlex.quote(secret).strip("'"),
        raw.hex(),
        raw.hex().upper(),
    }
    for before in range(3):  # the text before it decides at which bit of a character it begins
        coded = base64.b64encode(b"\0" * before + raw).decode()
        core = coded[(0, 2, 3)[before] : 8 * (before + len(raw)) // 6]
        found |= {core, core.replace("+", "-").replace("/", "_")}
    return {form for form in found if len(form) >= ANYWHERE_LENGTH}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode()


def _longest_first(texts: Iterable[str]) -> list[str]:
    return sorted(texts, key=lambda text: (-len(text), text))
