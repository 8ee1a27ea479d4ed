# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comparison of runs: groups, best figures and regressions. Pure."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ...module_utils._benchmark.metrics import HIGHER, METRICS
from ...module_utils._benchmark.plan import delta_percent
from ...module_utils._core.verdict import FAIL, INVALID, PASS, WARN
from . import charts, words
from .view import gpus, verdict

# By how many percent a figure may be worse than the best before it is called a regression.
TOLERANCES = {
    "steady_output_throughput": 5.0,
    "output_throughput": 5.0,
    "mean_tpot_ms": 5.0,
    "mean_ttft_ms": 20.0,
    "acceptance_length": 5.0,
}
# Keys of a workload that say how it is run or judged, not what the server must do.
NO_LOAD = {"sizes", "seed", "time_limit_s", "trust_remote_code", "goodput", "spread_max"}


class Entry(NamedTuple):
    """A run in the results folder; C(page) is the relative address of its report, or empty if there is none."""

    host: str
    stem: str
    document: Mapping[str, Any]
    page: str


class Cell(NamedTuple):
    """A figure of a run and how it compares with the best of its group."""

    figure: str
    note: str
    regression: bool


class Row(NamedTuple):
    """A run in the table."""

    when: str
    host: str
    page: str
    status: str
    cells: list[Cell]
    release: str
    gpus: str
    latest: bool


class Group(NamedTuple):
    """Runs that may be compared: same recipe, profile, load and number of requests."""

    title: str
    load: str
    findings: list[str]
    hosts: list[str]
    metrics: list[str]
    trends: list[Any]
    rows: list[Row]


def group_key(document: Mapping[str, Any]) -> str:
    """Return a text that is the same for runs that may be compared."""
    result = document["result"]
    metadata = result.get("metadata") or {}
    load = {name: value for name, value in (result.get("workload") or {}).items() if name not in NO_LOAD}
    model = metadata.get("recipe") or metadata.get("title") or (result.get("client") or {}).get("model_id")
    requests = (result.get("client") or {}).get("num_prompts")
    return json.dumps([model, metadata.get("profile"), result.get("size"), requests, load], sort_keys=True)


def groups(entries: Iterable[Entry]) -> list[Group]:
    """Return the groups of runs, the one with the newest run first. Runs without a result belong to none."""
    found: dict[str, list[Entry]] = {}
    measured = (entry for entry in entries if entry.document.get("result"))
    for entry in sorted(measured, key=lambda entry: (_time(entry), entry.host), reverse=True):
        found.setdefault(group_key(entry.document), []).append(entry)
    return [_group(f"g{number}", members) for number, members in enumerate(found.values(), 1)]


def _group(name: str, newest_first: Sequence[Entry]) -> Group:
    valid = [entry for entry in newest_first if entry.document["result"].get("verdict") in (PASS, WARN, FAIL)]
    metrics = [metric for metric in TOLERANCES if any(metric in _metrics(entry) for entry in valid)]
    best = {metric: _best(valid, metric) for metric in metrics}
    newest: dict[str, Entry] = {}
    for entry in newest_first:
        newest.setdefault(entry.host, entry)
    rows, findings = [], []
    for entry in newest_first:
        latest = newest[entry.host] is entry
        cells = [_cell(entry, metric, best[metric], valid, latest) for metric in metrics]
        rows.append(_row(entry, cells, latest))
        worse = [
            f"{words.metric_title(metric)} {cell.figure} against {words.figure(_metrics(best[metric])[metric])}"
            f" {METRICS[metric].unit} ({cell.note})"
            for metric, cell in zip(metrics, cells, strict=True)
            if cell.regression
        ]
        if worse:
            findings.append(f"{entry.host}, newest run: {'; '.join(worse)}.")
    hosts = sorted(newest)
    result = newest_first[0].document["result"]
    metadata = result.get("metadata") or {}
    title = str(metadata.get("title") or metadata.get("recipe") or "Benchmark")
    profile = f", profile {metadata['profile']}" if metadata.get("profile") else ""
    return Group(
        title=title,
        load=words.load(result.get("workload") or {}, str(result.get("size"))) + profile,
        findings=findings,
        hosts=hosts,
        metrics=metrics,
        trends=[_trend(name, metric, valid, best[metric], hosts) for metric in metrics] if len(valid) > 1 else [],
        rows=rows,
    )


def _row(entry: Entry, cells: list[Cell], latest: bool) -> Row:
    document = entry.document
    release = (document.get("release") or {}).get("id")
    return Row(
        when=words.moment(_time(entry), short=True),
        host=entry.host,
        page=entry.page,
        status=verdict(document).status,
        cells=cells,
        release=str(release or ""),
        gpus=gpus(document.get("node") or {}),
        latest=latest,
    )


def _cell(entry: Entry, metric: str, best: Entry, valid: Sequence[Entry], latest: bool) -> Cell:
    value = _metrics(entry).get(metric)
    if value is None:
        return Cell(words.NOTHING, "", False)
    if entry not in valid:
        return Cell(words.figure(value), "not compared", False)
    if entry is best:
        return Cell(words.figure(value), "best" if len(valid) > 1 else "", False)
    delta = delta_percent(value, _metrics(best)[metric])
    better_is_higher = METRICS[metric].better == HIGHER
    loss = 0.0 if delta is None else -delta if better_is_higher else delta
    regression = latest and loss > max(TOLERANCES[metric], _noise(entry, metric), _noise(best, metric))
    return Cell(words.figure(value), words.signed_percent(delta), regression)


def _noise(entry: Entry, metric: str) -> float:
    """Return the uncertainty of the figure in percent, as far as the run knows it."""
    interval, steady = entry.document["result"].get("steady_interval"), _metrics(entry).get("steady_output_throughput")
    if metric == "acceptance_length" or not interval or not steady:
        return 0.0
    return float(100 * interval / steady)


def _best(entries: Sequence[Entry], metric: str) -> Entry:
    measured = [entry for entry in entries if metric in _metrics(entry)]
    # Of equal runs the earliest.
    measured.reverse()
    choose = max if METRICS[metric].better == HIGHER else min
    return choose(measured, key=lambda entry: _metrics(entry)[metric])


def _trend(name: str, metric: str, newest_first: Sequence[Entry], best: Entry, hosts: Sequence[str]) -> Any:
    oldest_first = [entry for entry in reversed(newest_first) if metric in _metrics(entry)]
    points = [
        charts.Point(
            x=index,
            y=_metrics(entry)[metric],
            label=f"{entry.host}, {words.moment(_time(entry))}",
            shape=hosts.index(entry.host),
            special="best" if entry is best else "",
        )
        for index, entry in enumerate(oldest_first)
    ]
    published = (newest_first[0].document["result"].get("published") or {}).get(metric)
    title = words.metric_title(metric)
    return title, charts.trend(f"{name}-{metric.replace('_', '-')}", title, METRICS[metric].unit, points, published)


def _metrics(entry: Entry) -> Mapping[str, float]:
    found: Mapping[str, float] = entry.document["result"].get("metrics") or {}
    return found


def _time(entry: Entry) -> str:
    return str(entry.document.get("made_at") or "")


# --- a sweep: the same server at several settings ---


class SweepRow(NamedTuple):
    """A setting of a sweep."""

    name: str
    concurrency: str
    engine_args: str
    chosen: bool
    status: str
    cells: list[str]
    reason: str


SWEEP_METRICS = ("steady_output_throughput", "output_throughput", "mean_tpot_ms", "mean_ttft_ms", "acceptance_length")


def is_sweep(record: Mapping[str, Any]) -> bool:
    """Return whether a record is that of a sweep."""
    return isinstance(record.get("points"), list)


def sweep_rows(sweep: Mapping[str, Any]) -> tuple[list[str], list[SweepRow]]:
    """Return the metrics that any point has, and a row for each point, including points without figures."""
    points = [{**point, "metrics": point.get("metrics") or {}} for point in sweep["points"]]
    metrics = [metric for metric in SWEEP_METRICS if any(metric in point["metrics"] for point in points)]
    rows = [
        SweepRow(
            name=str(point.get("name") or ""),
            concurrency=str(point.get("concurrency") or ""),
            engine_args=_arguments(point.get("engine_args")),
            chosen=is_chosen(sweep, point),
            status=str(point.get("verdict") or ""),
            cells=[words.with_unit(metric, point["metrics"].get(metric)) for metric in metrics],
            reason=str(point.get("reason") or ""),
        )
        for point in points
    ]
    return metrics, rows


def is_chosen(sweep: Mapping[str, Any], point: Mapping[str, Any]) -> bool:
    """Return whether C(point) is the recipe's own setting."""
    chosen = sweep.get("recipe_point")
    return chosen is not None and (chosen.get("name") if isinstance(chosen, Mapping) else chosen) == point.get("name")


def _arguments(arguments: Any) -> str:
    if not arguments:
        return ""
    if isinstance(arguments, Mapping):
        return ", ".join(
            f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in arguments.items()
        )
    return str(arguments)


def fronts(sweep: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return title and chart of throughput against TPOT and against TTFT. Invalid points are not drawn."""
    drawn = []
    valid = [point for point in sweep["points"] if point.get("verdict") != INVALID]
    servers = list(dict.fromkeys(_arguments(point.get("engine_args")) for point in sweep["points"]))
    for metric in ("mean_tpot_ms", "mean_ttft_ms"):
        points = [
            charts.Point(
                x=point["metrics"][metric],
                y=rate,
                label=str(point.get("name") or point.get("concurrency") or ""),
                shape=servers.index(_arguments(point.get("engine_args"))),
                special="recipe" if is_chosen(sweep, point) else "",
            )
            for point in valid
            if metric in (point.get("metrics") or {}) and (rate := throughput_of(point["metrics"])) is not None
        ]
        if points:
            title = words.metric_title(metric)
            name = metric.replace("_", "-")
            draw = functools.partial(charts.front, points, f"{title}, ms", name)
            drawn.append((f"Throughput against {title}", charts.both(draw)))
    return drawn


def throughput_of(metrics: Mapping[str, float]) -> float | None:
    """Return the steady throughput, or that of the whole run if there is no other."""
    return metrics.get("steady_output_throughput", metrics.get("output_throughput"))
