# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of the documentation that are rendered from data; README.md has two of them, one in part.

python -m docs.tables    updates README.md
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml

ROOT = Path(__file__).resolve().parents[1]
EVIDENCE = ROOT / "docs" / "evidence.yml"
README = ROOT / "README.md"
CLIENTS = ROOT / "roles" / "llm_client" / "vars" / "claude_code.yml"
BEGIN = "<!-- evidence: made of docs/evidence.yml by `make evidence` -->\n"
END = "<!-- end of evidence -->\n"
RECIPE = ROOT / "recipes" / "kimi_k2_6_hgx_b200.yml"
ESTIMATES_BEGIN = "<!-- estimates: made of recipes/kimi_k2_6_hgx_b200.yml by `make evidence` -->\n"
ESTIMATES_END = "<!-- end of estimates -->\n"


class Alternative(Protocol):
    """One of several causes."""

    cause: str
    test: str
    fix: str


class Signature(Protocol):
    """What the troubleshooting table shows of a cause."""

    key: str
    title: str
    cause: str
    fix: str
    alternatives: Sequence[Alternative]


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    cells = [list(head), *([" ".join(cell.split()).replace("|", r"\|") for cell in row] for row in rows)]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(cells[0]), *lines[1:]]) + "\n"


def evidence_table(evidence: Mapping[str, Any]) -> str:
    """Return all claims, what was shown on which hardware, and by which tests. A no is in bold."""
    return _evidence_table(evidence["claims"], {**evidence["hardware"], "shown_by": "shown by"})


def readme_table(evidence: Mapping[str, Any]) -> str:
    """Return the claims that README.md shows, without the tests."""
    return _evidence_table([claim for claim in evidence["claims"] if claim.get("readme")], evidence["hardware"])


def _evidence_table(claims: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    rows = ([claim["what"], *(_answer(claim[key]) for key in columns)] for claim in claims)
    return table(["", *columns.values()], rows)


def troubleshooting_table(signatures: Iterable[Signature]) -> str:
    """Return the known causes of failed servers, sorted by title."""
    known = sorted(signatures, key=lambda signature: signature.title.lower())
    rows = ([f"**{_plain(one.title)}** `{one.key}`", *map(_plain, _cause_and_fix(one))] for one in known)
    return table(["what", "cause", "fix"], rows)


def clients_table(tried: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return which versions of Claude Code work with which of vLLM. Neighbours with the same outcome share a row."""
    servers = itertools.groupby(tried["__llm_client_vllm_tried"], lambda one: one["accepts_system_role"])
    columns = {accepts: [one["version"] for one in group] for accepts, group in servers}
    rows = []
    for outcomes, group in itertools.groupby(tried["__llm_client_claude_code_tried"], _outcomes):
        versions = [one["version"] for one in group]
        name = versions[0] if len(versions) == 1 else f"{versions[0]} to {versions[-1]} ({len(versions)} tried)"
        rows.append([name, *(outcomes[accepts] for accepts in columns)])
    heads = [f"vLLM {', '.join(versions)}" for versions in columns.values()]
    return table(["Claude Code", *heads], rows)


def _outcomes(client: Mapping[str, Any]) -> dict[bool, str]:
    """Return what becomes of this client if the server refuses the role system, and if it accepts it."""
    failed = client["failed_requests"]
    works = f"works; {failed} request of each conversation fails" if failed else "works"
    return {False: works if client["refused"] == "works" else "**fails**", True: client["accepted"]}


def _cause_and_fix(one: Signature) -> tuple[str, str]:
    """Return both, with each of several causes and how to find out which it is."""
    if not one.alternatives:
        return one.cause, one.fix
    causes = [f"({number}) {each.cause}" for number, each in enumerate(one.alternatives, 1)]
    fixes = [f"({number}) Test: {each.test} If so: {each.fix}" for number, each in enumerate(one.alternatives, 1)]
    return " ".join([one.cause, *causes]), " ".join([*fixes, one.fix]).rstrip()


def with_evidence(readme: str, evidence: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    """Return the README with its part of the evidence and its estimates up to date."""
    readme = _with_part(readme, (BEGIN, END), readme_table(evidence))
    return _with_part(readme, (ESTIMATES_BEGIN, ESTIMATES_END), estimates_table(recipe))


def _with_part(readme: str, marks: tuple[str, str], part: str) -> str:
    before, begin, rest = readme.partition(marks[0])
    _old, end, after = rest.partition(marks[1])
    if not end:
        raise ValueError(f"README.md lacks the marks {marks}")
    return f"{before}{begin}\n{part}{end}{after}"


class Estimate(NamedTuple):
    """How long a part of a first run takes in the best and in the worst case, in minutes."""

    name: str
    low: float
    high: float
    basis: str

    def row(self) -> list[str]:
        """Return the row of a table."""
        low, high = f"{self.low:.0f}", f"{self.high:.0f}"
        return [self.name, low if low == high else f"{low}-{high}", self.basis]


def estimates(recipe: Mapping[str, Any], size: str = "smoke") -> list[Estimate]:
    """Return what a first run with a size takes, by the data of a recipe, and at last all of it and a changed run."""
    guessed, weights_gb = recipe["estimates"], recipe["hardware"]["disk_gb"]["weights"]
    fast, slow = guessed["download_mb_s"]
    image_low, image_high = guessed["image_min"]
    fetch = Estimate(
        f"weights, up to {weights_gb} GB, and image beside them",
        max(image_low, weights_gb * 1000 / fast / 60),
        max(image_high, weights_gb * 1000 / slow / 60),
        f"{fast} to {slow} MB/s for weights, an unknown speed; the image may take {image_low}-{image_high}, a guess",
    )
    start_low, start_high = guessed["start_min"]
    why = "one report of 789 s for the load; compilation comes on top"
    start = Estimate("load and start", start_low, start_high, why)
    load = recipe["benchmark"]
    steady = next(one["value"] for one in recipe["thresholds"] if one["metric"] == "steady_output_throughput")
    requests = load["sizes"][size] + load["warmup_prompts"]
    minutes, first, most = (
        (count + load["warmup_prompts"]) * load["output_len"] / steady / 60
        for count in (load["sizes"][size], 2 * load["max_concurrency"], load["sizes"]["quick"])
    )
    basis = (
        f"{requests} requests of {load['output_len']} tokens, warm-up included, at {steady} tok/s;"
        f" `quick` takes {first:.0f}, or {most:.0f} if two waves do not decide"
    )
    benchmark = Estimate(f"benchmark `{size}`", minutes, minutes, basis)
    low, high = start.low + minutes, start.high + minutes
    cost = _cost(recipe, fetch.low + low, fetch.high + high)
    return [
        *(fetch, start, benchmark),
        Estimate(f"**first run with `{size}`**", fetch.low + low, fetch.high + high, cost),
        Estimate("changed configuration, weights cached", low, high, _cost(recipe, low, high)),
    ]


def _cost(recipe: Mapping[str, Any], low: float, high: float) -> str:
    price = recipe["hardware"].get("price_usd_per_hour")
    return f"{price * low / 60:.0f}-{price * high / 60:.0f} USD at {price} USD an hour" if price else "price unknown"


def estimates_table(recipe: Mapping[str, Any]) -> str:
    """Return what a first run takes and costs."""
    return table(["phase", "minutes", "basis"], (one.row() for one in estimates(recipe)))


def load_recipe() -> dict[str, Any]:
    recipe: dict[str, Any] = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    return recipe


def load_evidence() -> dict[str, Any]:
    evidence: dict[str, Any] = yaml.safe_load(EVIDENCE.read_text(encoding="utf-8"))
    return evidence


def load_clients() -> dict[str, Any]:
    clients: dict[str, Any] = yaml.safe_load(CLIENTS.read_text(encoding="utf-8"))
    return clients


def _answer(answer: bool | str) -> str:
    """Return the text of a cell, with a no in bold."""
    text = ("yes" if answer else "no") if isinstance(answer, bool) else answer
    word, semicolon, rest = text.partition(";")
    return f"**{word}**{semicolon}{rest}" if word == "no" else text


def _plain(text: str) -> str:
    """Escape text so that Markdown shows it unchanged."""
    for character in r"\`*_[]{}<>$":
        text = text.replace(character, f"\\{character}" if character not in "<>" else html.escape(character))
    return text


if __name__ == "__main__":
    text = with_evidence(README.read_text(encoding="utf-8"), load_evidence(), load_recipe())
    README.write_text(text, encoding="utf-8")
