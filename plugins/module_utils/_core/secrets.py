# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recognise, read and mask secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MASK = "********"
# Names of secrets, with any prefix: HF_TOKEN, --api-key, client_secret.
_NAMES = r"(?:api|access|secret|private)[_-]?keys?|token|secrets?|passw(?:or)?ds?|authorization"
# Names too short to match inside others: DB_PASS and SSH_KEY, but not bypass or monkey. Headers for others hold keys.
_SHORT_NAMES = r"(?:^|[_\W])(?:key|key_id|pass(?:phrase)?|pat|credential)s?|(?:_|-)(?<!allowed.)headers"
_SECRET_NAME = re.compile(rf"(?:{_NAMES}|{_SHORT_NAMES})$", re.IGNORECASE)

_NAME = rf"[\w-]*(?:{_NAMES})"
# A match keeps its group "keep"; the rest is masked.
_PATTERNS = (
    # A telling name and its value: api_key='x', "token": ["x"], API_KEY=x, --api-key x
    re.compile(rf"(?P<keep>\b{_NAME}['\"]?\s*[=:]\s*['\"])[^'\"]+", re.IGNORECASE),
    re.compile(rf"(?P<keep>\b{_NAME}['\"]?\s*[=:]\s*\[)[^\]]+", re.IGNORECASE),
    re.compile(rf"(?P<keep>\b{_NAME}=)(?!None\b)[^\s'\",;&)\[\]]+", re.IGNORECASE),
    re.compile(rf"(?P<keep>--{_NAME}[ =])(?!\[)[^\s'\"]+", re.IGNORECASE),
    re.compile(r"(?P<keep>\bAuthorization['\"]?\s*[=:]\s*['\"]?\w+\s+)[^\s'\"]+", re.IGNORECASE),
    re.compile(r"(?P<keep>\bBearer\s+)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE),
    re.compile(r"(?P<keep>\bx-api-key['\"]?\s*:\s*['\"]?)[^\s'\"]+", re.IGNORECASE),
    re.compile(r"(?P<keep>\bhf_)[A-Za-z0-9]{8,}"),
    re.compile(r"(?P<keep>\bsk-)[A-Za-z0-9_-]{8,}"),
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://)[^\s/:@]+:[^\s/@]+(?=@)", re.IGNORECASE),
)


class SecretError(Exception):
    """A secret cannot be read; the message says from where and why."""


def read_secret(path: str | None) -> str | None:
    """Return the secret in a file, or None if the file is missing or empty. Raises SecretError."""
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().strip() or None
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise SecretError(f"The API key cannot be read from {path}: it is not text in UTF-8.") from None
    except OSError as exc:
        raise SecretError(f"The API key cannot be read from {path}: {exc.strerror}.") from exc


def is_secret_name(name: str) -> bool:
    """Return whether a variable, an option or a key of this name holds a secret."""
    return bool(_SECRET_NAME.search(name))


def scrub(text: str, secrets: Iterable[str | None] = ()) -> str:
    """Return C(text) without the given secrets and without anything that looks like one."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(lambda match: match["keep"] + MASK, text)
    return text


def mask_value(name: str, value: str, secrets: Iterable[str | None] = ()) -> str:
    """Return the value of a variable or key of this name without what is secret of it."""
    return MASK if value and is_secret_name(name) else scrub(value, secrets)


def mask_argv(argv: Sequence[str]) -> list[str]:
    """Return C(argv) with the values of secret options and variables masked."""
    kept: list[str] = []
    is_secret = False
    for argument in argv:
        name, equals, _value = argument.partition("=")
        is_option = argument.startswith("--")
        if is_option:
            is_secret = not equals and is_secret_name(name)  # some take several values
        if equals and is_secret_name(name):
            kept.append(f"{name}={MASK}")
        else:
            kept.append(MASK if is_secret and not is_option else scrub(argument))
    return kept


def mask_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by name, with secret values masked."""
    masked: dict[str, Any] = {}
    for option, value in options.items():
        values = [str(each) for each in (value if isinstance(value, (list, tuple)) else [value])]
        shown = mask_argv([f"--{option}", *values])[1:]
        masked[option] = value if shown == values else shown
    return masked
