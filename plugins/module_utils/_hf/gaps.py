# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find what a repository lacks although all files that it lists are there: a list proves only what it names."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from .cache import RepoCache, RepoFile

_INDEX = re.compile(r"\.(safetensors|bin)\.index\.json$")
_SHARD = re.compile(r"(.*-)0*(\d+)(-of-)(0*)(\d+)(\.\w+)")
_WEIGHTS = (".safetensors", ".gguf")
_OTHER_WEIGHTS = (*_WEIGHTS, ".bin")
# What a program that loads the model reads beside the weights, and cannot be empty. Folders, and files of other names,
# have what others left there.
_READ = re.compile(r"[^/]*(?:config|index|tokenizer|vocab)[^/]*\.json|[^/]*\.(?:model|tiktoken)")
# Content that a model needs. A picture that is a pointer harms nothing.
_NEEDED = (*_WEIGHTS, ".bin", ".pt", ".pth", ".json", ".model", ".tiktoken", ".jinja", ".py", ".txt")
_POINTER = b"version https://git-lfs.github.com/spec/"
_LONGEST_POINTER = 1024
_NAMED = 3


def listed_gap(files: Sequence[RepoFile]) -> str:
    """Return what is missing by the list of files alone, or an empty text."""
    if not files:
        return "it lists no file at all. Check the endpoint, and for a proxy on the way."
    empty = [file.path for file in files if file.path.endswith(_WEIGHTS) and not file.size]
    if empty:
        return f"{_names(empty)} of its weights {'are' if empty[1:] else 'is'} empty (0 bytes)."
    empty = [file.path for file in files if _READ.fullmatch(file.path) and not file.size]
    if empty:
        return f"{_names(empty)} {'are' if empty[1:] else 'is'} empty (0 bytes)."
    paths = {file.path for file in files}
    if any(_INDEX.search(path) for path in paths):
        return ""  # the index knows better
    # Weights of an older form count only where there are no others.
    kinds = _WEIGHTS if any(path.endswith(_WEIGHTS) for path in paths) else _OTHER_WEIGHTS
    missing = sorted({path for shard in paths if shard.endswith(kinds) for path in _siblings(shard)} - paths)
    return (
        f"it lists only some of its weights; {_names(missing)} {'are' if missing[1:] else 'is'} missing."
        if missing
        else ""
    )


def snapshot_gap(cache: RepoCache, commit: str, files: Sequence[RepoFile]) -> str:
    """Return what is missing in a snapshot whose files are all there, or an empty text. Raises OSError."""
    pointers = [
        file.path for file in files if file.path.endswith(_NEEDED) and _is_pointer(cache.content(commit, file), file)
    ]
    if pointers:
        return (
            f"{_names(pointers)} {'are pointers' if pointers[1:] else 'is a pointer'} of Git LFS without the content."
        )
    has_safetensors = any(file.path.endswith(".safetensors") for file in files)
    for file in files:
        kind = _INDEX.search(file.path)
        if kind and (kind[1] == "safetensors" or not has_safetensors):
            wanted = _indexed(cache.content(commit, file))
            if wanted is None:
                return f"{file.path}, which names the files of the weights, cannot be read."
            folder = os.path.dirname(file.path)
            sizes = {file.path: file.size for file in files}
            missing = sorted(name for name in wanted if not sizes.get(os.path.normpath(os.path.join(folder, name))))
            if missing:
                return (
                    f"{file.path} names {len(wanted)} files of weights, but {_names(missing)} "
                    f"{'are' if missing[1:] else 'is'} not listed, or empty."
                )
    return ""


def _siblings(path: str) -> Iterable[str]:
    """Return all shards of a set, given the path of one: C(model-00001-of-00064.safetensors)."""
    match = _SHARD.fullmatch(path)
    if not match:
        return []
    start, number, of, zeros, count, end = match.groups()
    width = len(path) - len(start) - len(of) - len(zeros) - len(count) - len(end)
    if not 0 < int(number) <= int(count) <= 10_000:
        return []
    return [f"{start}{shard:0{width}d}{of}{zeros}{count}{end}" for shard in range(1, int(count) + 1)]


def _is_pointer(path: str, file: RepoFile) -> bool:
    if file.size > _LONGEST_POINTER:
        return False
    with open(path, "rb") as stream:
        return stream.read(len(_POINTER)) == _POINTER


def _indexed(path: str) -> set[str] | None:
    """Return the files that an index names, or None if it cannot be read as one."""
    with open(path, "rb") as stream:
        content = stream.read()
    try:
        found: Any = json.loads(content)["weight_map"].values()
        names = set(found)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return names if names and all(isinstance(name, str) for name in names) else None


def _names(paths: list[str]) -> str:
    more = f" and {len(paths) - _NAMED} more" if paths[_NAMED:] else ""
    return f"{', '.join(paths[:_NAMED])}{more}"
