# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write an imported recipe as YAML, with a comment at each value that was not read. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from .compose import Imported

_ORDER = (
    *("title", "command_source", "figures_source", "proven", "hardware", "models", "architecture", "image"),
    *("container", "engine", "profiles", "benchmark", "published", "thresholds", "clients"),
)
_WIDTH = 118


def render(imported: Imported, origin: str) -> str:
    """Return the file. C(origin) is what was read, for its first lines."""
    head = (
        f"Imported from {origin}. A value without a comment was read there. Check the others before you use the recipe."
    )
    lines = ["# yaml-language-server: $schema=recipe.schema.json", "---", *_comment(head)]
    for note in imported.notes:
        lines += _comment(note)
    missing_parts = {path.split(".")[0] for path in imported.missing} - set(imported.data)
    for key in [*_ORDER, *(key for key in imported.data if key not in _ORDER)]:
        if key in imported.data:
            lines += _section(key, imported.data[key], imported)
        elif key in missing_parts:
            lines += [line for path, what in _below(imported, key) for line in _comment(f"missing: {path}: {what}")]
    return "\n".join(lines) + "\n"


def summary(imported: Imported) -> list[str]:
    """Return in lines what was read, what follows by a rule, and what is missing."""
    read = [path for path in _paths(imported.data) if not _known(path, imported)]
    return [
        f"{len(read)} values were read, {len(imported.derived)} follow by a rule, {len(imported.missing)} are missing.",
        *(f"derived  {path}: {why}" for path, why in imported.derived.items()),
        *(f"missing  {path}: {what}" for path, what in imported.missing.items()),
        *(f"note     {note}" for note in imported.notes),
    ]


def _section(key: str, value: Any, imported: Imported) -> Iterator[str]:
    for path, what in _below(imported, key):
        if not _has(imported.data, path):
            yield from _comment(f"missing: {path}: {what}")
    yield from _lines(key, value, "", imported, key)


def _lines(key: str, value: Any, indent: str, imported: Imported, path: str) -> Iterator[str]:
    why = imported.derived.get(path)
    lacks = imported.missing.get(path)
    comment = f" # derived: {why}" if why else f" # missing: {lacks}" if lacks and _has(imported.data, path) else ""
    nested = isinstance(value, dict) and value and path.count(".") < 2 and not path.startswith("architecture.")
    if nested:
        yield f"{indent}{key}:{comment}"
        for name, inner in value.items():
            yield from _lines(str(name), inner, f"{indent}  ", imported, f"{path}.{name}")
        return
    flow = None if isinstance(value, (dict, list)) else False
    text = yaml.safe_dump({key: value}, sort_keys=False, default_flow_style=flow, width=_WIDTH, allow_unicode=True)
    first, *rest = text.rstrip("\n").split("\n")
    plain = first[1:-1] if first.startswith("{") and flow is None else first
    yield f"{indent}{plain}{comment}"
    yield from (f"{indent}{line}" for line in rest)


def _below(imported: Imported, key: str) -> Iterable[tuple[str, str]]:
    return [(path, what) for path, what in imported.missing.items() if path.split(".")[0] == key]


def _has(data: Any, path: str) -> bool:
    for key in path.split("."):
        if not isinstance(data, dict) or key not in data:
            return False
        data = data[key]
    return True


def _known(path: str, imported: Imported) -> bool:
    parts = path.split(".")
    above = {".".join(parts[:number]) for number in range(1, len(parts) + 1)}
    return bool(above & (set(imported.derived) | set(imported.missing)))


def _paths(data: Any, path: str = "") -> Iterator[str]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from _paths(value, f"{path}.{key}" if path else str(key))
    else:
        yield path


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH)]
