# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Render a mapping of options as a vLLM command line, and read one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


class ArgsError(Exception):
    """An option that cannot be rendered."""


def render_args(options: Mapping[str, Any]) -> list[str]:
    """Return the argument vector for C(options), in their order.

    ``true`` gives ``--key`` and ``false`` ``--no-key``; ``null`` leaves the option out, so that a profile can remove
    it. A mapping becomes compact JSON, a list several values. A dotted key (``compilation_config.level``) addresses a
    value inside a JSON option, so it always takes a value, also a boolean one.

    Raises ArgsError for a key or a value that has no rendering.
    """
    argv: list[str] = []
    for key, value in options.items():
        argv.extend(_render_option(key, value))
    return argv


def option_values(argv: Sequence[str]) -> dict[str, str]:
    """Return the options of a command line by name, as in C(max-model-len): the first value where it is given last.

    An option without a value has an empty one. vLLM takes underscores for dashes. This is for command lines of which
    nothing else is known.
    """
    options: dict[str, str] = {}
    for word, following in zip(argv, [*argv[1:], ""]):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            options[option_name(name)] = value if equals else "" if following.startswith("--") else following
    return options


def option_name(name: str) -> str:
    """Return the one spelling of an option's name. What follows a dot is a name inside of a value, and stays."""
    option, dot, inside = name.partition(".")
    return f"{option.replace('_', '-')}{dot}{inside}"


def _render_option(key: str, value: Any) -> list[str]:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ArgsError(
            f"{key!r} is not the name of an option: write it without leading dashes, as in 'max-model-len'."
        )
    if value is None:
        return []
    if isinstance(value, bool) and "." not in key:
        return [f"--{key}" if value else f"--no-{key}"]
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not value:
            raise ArgsError(f"{key}: an empty list has no rendering; use null to leave the option out.")
        return [f"--{key}", *(_render_value(key, item) for item in value)]
    return [f"--{key}", _render_value(key, value)]


def _render_value(key: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return json.dumps(value, separators=(",", ":"))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        if str(value).startswith("--"):
            raise ArgsError(f"{key}: the value {value!r} would be read as another option.")
        return str(value)
    raise ArgsError(f"{key}: a value of type {type(value).__name__} has no rendering.")
