# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read published figures, the load and the hardware from a page's text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .server import NotUnderstood, read_options

_LATENCIES = {
    "ttft": r"ttft|time to first token",
    "tpot": r"tpot|time per output token",
    "itl": r"itl|inter[- ]token latency",
    "e2el": r"e2el?|end[- ]to[- ]end latency",
}
_STATISTICS = {"mean": r"mean|average|avg", "median": r"median|p50", "p90": r"p90", "p95": r"p95", "p99": r"p99"}
_THROUGHPUTS = {
    "total_token_throughput": r"total.*(?:throughput|tok(?:ens)?\s*/\s*s|tps)",
    "output_throughput": r"(?:output|generation).*(?:throughput|tok(?:ens)?\s*/\s*s|tps)",
    "request_throughput": r"request.*throughput",
}
_UNIT = r"ms|milliseconds?|[\u00b5\u03bcu]s|s(?:ec(?:onds?)?)?"
_MILLISECONDS = {"m": 1.0, "\u00b5": 0.001, "\u03bc": 0.001, "u": 0.001, "s": 1000.0}
# A whole number, as a thousands separator or none allows; no share, no factor and no decimal comma.
_NUMBER = re.compile(
    rf"(?<![\w.,])(\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?)(?!\.?\d|,\d|\s*%)(?:\s*({_UNIT})\b)?(?!\w)",
    re.IGNORECASE,
)
_LABEL_UNIT = re.compile(rf"(?:[(\[]|\bin\s|,)\s*({_UNIT})\s*(?:[)\]]|$)", re.IGNORECASE)
_PER_PART = re.compile(r"(?:\bper[- ]|/\s*)(?:gpu|user|node)\b", re.IGNORECASE)
_CELL = re.compile(r"\s*\|\s*")
_HARDWARE = re.compile(
    r"(?<![\w.])(?:(?P<hgx>HGX)\s+|(?P<count>[1-9]\d*)\s*[x×]\s*(?:NVIDIA\s+)?)(?P<name>[ABH]\d{2,3})\b", re.IGNORECASE
)
_LOAD = {
    "backend": "backend",
    "endpoint": "endpoint",
    "dataset-name": "dataset",
    "random-input-len": "input_len",
    "input-len": "input_len",
    "random-output-len": "output_len",
    "output-len": "output_len",
    "max-concurrency": "max_concurrency",
    "num-warmups": "warmup_prompts",
    "seed": "seed",
    "trust-remote-code": "trust_remote_code",
}
# Options that say where the server is, or how the result is printed. Our own client decides them.
_OWN = {
    *(
        "model",
        "served-model-name",
        "tokenizer",
        "base-url",
        "host",
        "port",
        "save-result",
        "result-dir",
        "ready-check",
    ),
    *("result-filename", "disable-tqdm", "percentile-metrics", "metric-percentiles", "save-detailed", "label"),
    *("ready-check-timeout-sec", "ignore-eos"),
}


class Hardware(NamedTuple):
    """The hardware that a page names."""

    gpu_count: int
    gpu_name: str
    is_hgx: bool


def read_figures(text: str) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return the figures by metric, and those of which the page has several, which cannot be told apart."""
    found: dict[str, list[float]] = {}
    for metric, value in _labelled(text.splitlines()):
        if value not in found.setdefault(metric, []):
            found[metric].append(value)
    found = {metric: [int(each) if each.is_integer() else each for each in values] for metric, values in found.items()}
    single = {metric: values[0] for metric, values in found.items() if len(values) == 1}
    return single, {metric: values for metric, values in found.items() if len(values) > 1}


def read_load(words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the load of the words after C(vllm bench serve) as a recipe has it, and the options that are our own."""
    _positional, options = read_options(words)
    load: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in options.items():
        if name in _LOAD:
            load[_LOAD[name]] = value
        elif name == "num-prompts":
            load["sizes"] = {"full": value}
        elif name not in _OWN:
            others[name] = value
    if others:
        load["args"] = others
    return load, sorted(set(options) & _OWN - {"model", "served-model-name"})


def read_hardware(text: str) -> list[Hardware]:
    """Return the hardware that a text names, each once."""
    found: dict[tuple[int, str], Hardware] = {}
    for match in _HARDWARE.finditer(text):
        count = 8 if match["hgx"] else int(match["count"])
        key = (count, match["name"].upper())
        found[key] = Hardware(*key, is_hgx=bool(match["hgx"]) or (key in found and found[key].is_hgx))
    return list(found.values())


def given_hardware(text: str) -> Hardware:
    """Return the hardware that a person gives; V(cpu) means a server without a GPU. Raises NotUnderstood."""
    if text.strip().lower() == "cpu":
        return Hardware(0, "", is_hgx=False)
    named = read_hardware(text)
    other = re.fullmatch(r"\s*([1-9]\d*)\s*x\s*(\w[\w -]*?)\s*", text)
    if len(named) == 1:
        return named[0]
    if other is None:
        raise NotUnderstood(f"the hardware {text!r}: give it as 8xB200, or cpu")
    return Hardware(int(other[1]), other[2], is_hgx=False)


def _labelled(lines: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield the metrics and values of tables and of lines such as C(Mean TTFT (ms): 2264.48)."""
    rows = [[cell for cell in _CELL.split(line.strip().strip("|")) if cell is not None] for line in lines]
    head: list[str] = []
    for line, row in zip(lines, rows, strict=True):
        if "|" not in line:
            head = []
            if re.search(r"(?<!\S)--\w", line):  # options, such as --goodput ttft:500
                continue
            label, colon, rest = line.partition(":")
            if colon:
                yield from _values(label, rest)
            continue
        if all(re.fullmatch(r":?-+:?", cell) for cell in row if cell):
            continue
        if _metrics(row[0]) or not head:
            for number, cell in enumerate(row[1:], 1):
                # A column may be a statistic: mean, P99.
                statistic = head[number] if number < len(head) and _statistics(head[number]) else ""
                yield from _values(f"{row[0]} {statistic}" if not _statistics(row[0]) else row[0], cell)
        elif len(row) == len(head):
            for label, cell in zip(head, row, strict=True):
                yield from _values(label, cell)
        if not head and not any(_NUMBER.search(cell) for cell in row[1:]):
            head = row


def _values(label: str, cell: str) -> Iterable[tuple[str, float]]:
    """Yield the metrics of a label with the numbers of its cell. A share of users is no figure of the server."""
    metrics = _metrics(label)
    text = re.sub(r"\(.*?\)", "", cell)
    numbers = _NUMBER.findall(text)
    if len(metrics) == 1:
        metrics *= len(numbers)
    if len(numbers) != len(metrics) or (_PER_PART.search(text) and "throughput" in "".join(metrics)):
        return
    # A number's unit stands behind it, or behind a later one, or at the label.
    unit = next((match[1] for match in [_LABEL_UNIT.search(label), _LABEL_UNIT.search(cell)] if match), "ms")
    for metric, (number, own) in reversed(list(zip(metrics, numbers, strict=True))):
        unit = own or unit
        yield (
            metric,
            round(
                float(number.replace(",", "")) * (_MILLISECONDS[unit[0].lower()] if metric.endswith("_ms") else 1), 6
            ),
        )


def _metrics(label: str) -> list[str]:
    """Return the metrics that a label names, as in C(TTFT, mean / P99), in the order of its statistics."""
    plain = label.lower()
    for latency, pattern in _LATENCIES.items():
        if re.search(rf"\b(?:{pattern})\b", plain):
            return [f"{name}_{latency}_ms" for name in _statistics(plain)] or [f"mean_{latency}_ms"]
    if re.search(r"\buser|\bpeak\b|\bmax", plain) or _PER_PART.search(plain):
        return []
    # What stands in brackets explains, as in "Total (input + output)".
    words = re.sub(r"\(.*?\)", "", plain)
    sides = [side for side in ("input", "output") if side in words]
    for metric, pattern in _THROUGHPUTS.items():
        if re.search(pattern, plain):
            wanted = {"total_token_throughput": [[], ["input", "output"]]}.get(metric, [["output"], []])
            if sides in wanted:
                return [metric]
    return []


def _statistics(label: str) -> list[str]:
    """Return the statistics that a label names, in its order."""
    places = {name: re.search(rf"\b(?:{words})\b", label.lower()) for name, words in _STATISTICS.items()}
    return [name for _place, name in sorted((match.start(), name) for name, match in places.items() if match)]


def merged_load(loads: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the load of several commands, as far as they agree."""
    every = list(loads)
    first = every[0] if every else {}
    return {key: value for key, value in first.items() if all(load.get(key) == value for load in every)}
