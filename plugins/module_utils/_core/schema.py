# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Validate data against a JSON Schema, with readable problems, and turn the schema into an argument specification.

One schema serves recipes, modules, their documentation and editors. A validator from PyPI would have to be
installed on every target; this one supports the keywords that our schemas use: type, title, properties, required,
additionalProperties, propertyNames, items, minItems, enum, pattern, minimum, maximum, default. A test compares it with
a complete validator.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
FLAG = {"type": "boolean"}
AMOUNT = {"type": "number", "minimum": 0.001, "title": "a number greater than 0"}
COUNT = {"type": "integer", "minimum": 1}
COUNT_OR_NONE = {"type": "integer", "minimum": 0}

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (Mapping,),
    "null": (type(None),),
}
_WORDS = {
    "string": "a text",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}
_ANSIBLE = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "array": "list", "object": "dict"}
# A longer list would fill Ansible's message; the module checks such names itself.
_CHOICES_MAX = 10


def record(required: Iterable[str], properties: Mapping[str, Schema], **more: Any) -> dict[str, Any]:
    """Return the schema of a mapping with these keys and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def mapping(values: Schema, **more: Any) -> dict[str, Any]:
    """Return the schema of a mapping with any keys, whose values are alike."""
    return {"type": "object", "additionalProperties": dict(values), **more}


def optional(schema: Schema) -> dict[str, Any]:
    """Return the schema of a value that may also be null, which means its default."""
    more = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, **more, "type": [*types(schema), "null"]}


def types(schema: Schema) -> list[str]:
    """Return the types that a value may have, or an empty list for any."""
    found = schema.get("type", [])
    return [found] if isinstance(found, str) else list(found)


def check(value: Any, schema: Schema, path: str, problems: list[str]) -> Any:
    """Return C(value) with defaults filled in; append what is wrong with it to C(problems), as C(PATH: sentence)."""
    allowed = types(schema)
    if value is None and "null" in allowed:
        return default(schema)
    if allowed and not any(_is(value, name) for name in allowed):
        problems.append(f"{path or 'The recipe'}: {shown(value)} is not {words(schema)}.")
        return value
    if "enum" in schema and value not in schema["enum"]:
        problems.append(f"{path}: {unknown(value, schema['enum'])}")
    elif _breaks_limits(value, schema):
        problems.append(f"{path}: {shown(value)} is not {words(schema)}.")
    if isinstance(value, Mapping):
        return _check_mapping(value, schema, path, problems)
    if isinstance(value, (list, tuple)):
        if len(value) < schema.get("minItems", 0):
            problems.append(f"{path}: the list must not be empty.")
        return [check(item, schema.get("items", {}), f"{path}[{index}]", problems) for index, item in enumerate(value)]
    return value


def default(schema: Schema) -> Any:
    """Return the default of an absent value, or None. For a mapping it includes the defaults of its keys."""
    value = copy.deepcopy(schema.get("default"))
    return check(value, schema, "", []) if isinstance(value, dict) else value


def argument_spec(schema: Schema) -> dict[str, Any]:
    """Return the options of Ansible's argument specification for the keys of a mapping."""
    options = {}
    for name, inner in schema["properties"].items():
        kind = types(inner)[0]
        # Nothing in our schemas is secret, but Ansible takes names such as token_ids for it.
        option: dict[str, Any] = {"type": _ANSIBLE[kind], "no_log": False}
        if name in schema["required"]:
            option["required"] = True
        if inner.get("default") is not None:
            option["default"] = copy.deepcopy(inner["default"])
        if len(inner.get("enum", ())) in range(1, _CHOICES_MAX):
            option["choices"] = list(inner["enum"])
        if kind == "array":
            option["elements"] = _ANSIBLE[types(inner["items"])[0]]
        if inner.get("properties"):
            option["options"] = argument_spec(inner)
        options[name] = option
    return options


def words(schema: Schema) -> str:
    """Return in words what a value must be."""
    if "title" in schema:
        return str(schema["title"])
    kind = types(schema)[0]
    if kind == "integer":
        return "a whole number of 1 or more" if schema.get("minimum") == 1 else "a whole number"
    return _WORDS[kind]


def shown(value: Any) -> str:
    """Return a value as a message shows it."""
    text = repr(str(value) if isinstance(value, str) else value)
    return text if len(text) <= 60 else text[:57] + "..."


def unknown(name: Any, known: Iterable[Any]) -> str:
    """Return a message that a name is unknown, with the nearest or all known names."""
    names = [str(each) for each in known]
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(names))}."
    return f"unknown name {str(name)!r}{hint}"


def _check_mapping(value: Mapping[str, Any], schema: Schema, path: str, problems: list[str]) -> dict[str, Any]:
    fields: Mapping[str, Schema] = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    names: Sequence[str] = schema.get("propertyNames", {}).get("enum", ())
    checked: dict[str, Any] = {}
    for key, item in value.items():
        where = _join(path, key)
        if key in fields:
            continue
        if others is False or (names and key not in names):
            problems.append(f"{where}: {unknown(key, names or fields)}")
        elif others is not True:
            item = check(item, others, where, problems)
        checked[key] = item
    for key, field in fields.items():
        if key in value:
            checked[key] = check(value[key], field, _join(path, key), problems)
        elif key in schema["required"]:
            problems.append(f"{_join(path, key)}: missing; it must be {words(field)}.")
        else:
            checked[key] = default(field)
    return checked


def _is(value: Any, name: str) -> bool:
    # A bool is an int in Python, but "yes" in place of a number is a mistake.
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _breaks_limits(value: Any, schema: Schema) -> bool:
    if isinstance(value, str):
        return "pattern" in schema and not re.search(schema["pattern"], value)
    if isinstance(value, (int, float)):
        return not schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return False


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)
