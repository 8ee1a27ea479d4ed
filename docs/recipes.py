# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of the bundled recipes, from the recipes themselves and from docs/recipe_args.json."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from .tables import ROOT, table

RECIPES = ROOT / "recipes"
ARGS = ROOT / "docs" / "recipe_args.json"
HEAD = ["recipe", "model", "hardware", "published", "what is unproven", "command", "figures"]


def load_recipes() -> dict[str, dict[str, Any]]:
    """Return the bundled recipes by name."""
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(RECIPES.glob("*.yml"))}


def recipes_page(recipes: Mapping[str, Mapping[str, Any]], parsed: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the recipes, and their profiles with the version of vLLM whose parser has read their command."""
    rows = ([f"`{name}`", *_row(recipe)] for name, recipe in recipes.items())
    profiles = (row for name, recipe in recipes.items() for row in _profiles(name, recipe, parsed))
    return f"{table(HEAD, rows)}\n{table(['recipe', 'profile', 'image', 'draft', 'command read by'], profiles)}"


def load_parsed() -> dict[str, dict[str, Any]]:
    """Return what the parsers have said, by recipe and profile."""
    found: dict[str, dict[str, Any]] = json.loads(ARGS.read_text(encoding="utf-8"))
    return found


def _row(recipe: Mapping[str, Any]) -> list[str]:
    hardware, load = recipe["hardware"], recipe["benchmark"]
    gpus = f"{hardware['gpu_count']} x {hardware['gpu_name']}" if hardware["gpu_count"] else "no GPU"
    nodes = recipe["engine"].get("nodes", 1)
    gpus = f"{nodes} nodes of {gpus}" if nodes > 1 else gpus
    rate = recipe["published"].get("output_throughput")
    figures = f"{rate:g} tok/s at {load['max_concurrency']} x {load['input_len']}/{load['output_len']}" if rate else ""
    return [
        _model(recipe)["repo"],
        f"{gpus}, {hardware['disk_gb']['weights']:g} GB of weights{' on each' if nodes > 1 else ''}",
        figures,
        _unproven(recipe),
        _link(recipe["command_source"]),
        _link(recipe["figures_source"]),
    ]


def _unproven(recipe: Mapping[str, Any]) -> str:
    if recipe.get("proven"):
        return "nothing"
    unknown = ["**the figures**"]
    if recipe["command_source"] != recipe["figures_source"]:
        unknown.append("whether command and figures belong together")
    if not re.fullmatch(r"[0-9a-f]{40}", _model(recipe)["revision"]):
        unknown.append("the commit and the digest, which the first run records")
    return "; ".join(unknown)


def _profiles(name: str, recipe: Mapping[str, Any], parsed: Mapping[str, Mapping[str, Any]]) -> Iterable[list[str]]:
    for profile, changes in recipe["profiles"].items():
        models = changes.get("models") or recipe["models"]
        drafts = [model["repo"] for model in models if model["role"] == "draft"]
        args = {**recipe["engine"]["args"], **((changes.get("engine") or {}).get("args") or {})}
        own = (args.get("speculative-config") or {}).get("method", "")
        tag = (changes.get("image") or {}).get("tag") or recipe["image"]["tag"]
        read = parsed.get(f"{name}/{profile}")
        outcome = "not yet" if read is None else "; ".join(read["problems"]) or f"vLLM {read['version']}"
        yield [f"`{name}`", f"`{profile}`", f"`{tag}`", drafts[0] if drafts else own, outcome]


def _model(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    model: Mapping[str, Any] = next(each for each in recipe["models"] if each["role"] == "model")
    return model


def _link(source: str) -> str:
    return re.sub(r"https://([^\s,]+)", r"[\1](https://\1)", source)


def main(folder: Path) -> None:
    """Write the page into a folder of the documentation's sources."""
    (folder / "recipes.md").write_text(recipes_page(load_recipes(), load_parsed()), encoding="utf-8")
