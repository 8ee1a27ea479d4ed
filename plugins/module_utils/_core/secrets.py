# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recognise, read and mask secrets.

Everything that leaves a run is masked in one place, where it leaves: the result of a module by C(edge.Module), that of
an action by C(plugin_utils/_edge.py), and a stored result, a report, a support bundle or a line of progress where it is
written. Whoever learns a secret tells C(KNOWN). No other place masks anything, except where a text is cut (C(quoted)):
half a secret is not recognised any more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .._programs.secrets import MASK, Known

# The secrets of this run.
KNOWN = Known()

# Names of secrets, with any prefix: HF_TOKEN, --api-key, client_secret.
_NAMES = r"(?:api|access|secret|private)[_-]?keys?|token|secrets?|passw(?:or)?ds?|authorization"
# Names too short to match inside others: DB_PASS and SSH_KEY, but not bypass or monkey. Headers for others hold keys.
_SHORT_NAMES = r"(?:^|[_\W])(?:key|key_id|pass(?:phrase)?|pat|credential)s?|(?:_|-)(?<!allowed.)headers"
_SECRET_NAME = re.compile(rf"(?:{_NAMES}|{_SHORT_NAMES})$", re.IGNORECASE)
_CERTAIN_NAME = re.compile(rf"(?:{_NAMES})$", re.IGNORECASE)

_NAME = rf"[\w-]*(?:{_NAMES})"
# A match keeps its group "keep"; the rest is masked.
_PATTERNS = (
    # A telling name and its value: api_key='x', "token": ["x"], API_KEY=x, --api-key x
    re.compile(rf"(?P<keep>\b{_NAME}['\"]?\s*[=:]\s*['\"])[^'\"]+", re.IGNORECASE),
    re.compile(rf"(?P<keep>\b{_NAME}['\"]?\s*[=:]\s*\[)[^\]]+", re.IGNORECASE),
    re.compile(rf"(?P<keep>\b{_NAME}=)(?!None\b)[^\s'\",;&)\[\]]+", re.IGNORECASE),
    re.compile(r"(?P<keep>\b[A-Z0-9_]+_(?:KEY|KEY_ID|PASS|PASSPHRASE|PAT|CREDENTIAL)S?=)(?!None\b)[^\s'\",;&)\[\]]+"),
    re.compile(rf"(?P<keep>--{_NAME}[ =])(?!\[)[^\s'\"]+", re.IGNORECASE),
    re.compile(r"(?P<keep>\bAuthorization['\"]?\s*[=:]\s*['\"]?\w+\s+)[^\s'\"]+", re.IGNORECASE),
    re.compile(r"(?P<keep>\bBearer\s+)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE),
    re.compile(r"(?P<keep>\bx-api-key['\"]?\s*:\s*['\"]?)[^\s'\"]+", re.IGNORECASE),
    re.compile(r"(?P<keep>\bhf_)[A-Za-z0-9]{8,}"),
    re.compile(r"(?P<keep>\bsk-)[A-Za-z0-9_-]{8,}"),
    # Who asks, in an address; and an address that is signed, so that it opens to anybody.
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://)[^\s/@'\"]+(?=@)", re.IGNORECASE),
    re.compile(
        r"(?P<keep>\bhttps?://[^\s?'\"<>]+\?)[^\s'\"<>)]*"
        r"(?:signature|credential|policy|key-pair-id|token|sig|key)=[^\s'\"<>)]*",
        re.IGNORECASE,
    ),
)


class SecretError(Exception):
    """A secret cannot be read; the message says from where and why."""


def learn_environment() -> None:
    """Know the values of the environment's variables whose names are those of secrets; a path is none."""
    named = [value for name, value in os.environ.items() if is_secret_name(name)]
    KNOWN.add(*(value for value in named if not os.path.exists(os.path.expanduser(value))))


def read_secret(path: str | None) -> str | None:
    """Return the secret in a file, or None if the file is missing or empty. Raises SecretError."""
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as stream:
            secret = stream.read().strip() or None
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise SecretError(f"The API key cannot be read from {path}: it is not text in UTF-8.") from None
    except OSError as exc:
        raise SecretError(f"The API key cannot be read from {path}: {exc.strerror}.") from exc
    KNOWN.add(secret)
    return secret


def is_secret_name(name: str) -> bool:
    """Return whether a variable, an option or a key of this name holds a secret."""
    return bool(_SECRET_NAME.search(name))


def scrub(text: str) -> str:
    """Return C(text) without the secrets of this run and without anything that looks like one."""
    found = KNOWN.masked(text)
    for pattern in _PATTERNS:
        found = pattern.sub(lambda match: match["keep"] + MASK, found)
    return text if found == text else found  # as it is, with what Ansible has tagged it with


def quoted(text: object, limit: int) -> str:
    """Return a text of another program on one line, scrubbed, and cut at C(limit) characters."""
    line = " ".join(scrub(str(text)).split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def scrubbed(value: Any) -> Any:
    """Return C(value) with each text in it scrubbed, also names, and what a telling name or option precedes masked.

    Lists and tuples become lists.
    """
    if isinstance(value, Mapping):
        return {_name(key): _masked_value(str(key), inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(item, str) for item in value):
            return _masked_argv(value)
        return [scrubbed(item) for item in value]
    return scrub(value) if isinstance(value, str) else value


def _name(key: Any) -> Any:
    return scrub(key) if isinstance(key, str) else key


def _masked_value(name: str, value: Any) -> Any:
    # A variable's name is in capitals. Elsewhere "key" may be the name of something, as in {"key": "team"}.
    certain = is_secret_name(name) if name.isupper() else bool(_CERTAIN_NAME.search(name))
    if certain and isinstance(value, str) and value:
        return MASK
    if certain and isinstance(value, (list, tuple)):
        return [MASK if isinstance(item, str) else scrubbed(item) for item in value]
    return scrubbed(value)


def _masked_argv(argv: Sequence[str]) -> list[str]:
    """Return texts, which may be an argument vector, with the values of secret options and variables masked."""
    kept: list[str] = []
    is_secret = False
    for argument in argv:
        name, equals, _value = argument.partition("=")
        is_option = argument.startswith("--")
        if is_option:
            is_secret = not equals and is_secret_name(name)  # some take several values
        if equals and is_secret_name(name):
            kept.append(f"{scrub(name)}={MASK}")
        else:
            kept.append(MASK if is_secret and not is_option else scrub(argument))
    return kept
