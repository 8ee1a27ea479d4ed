# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node has proven, as metrics, from the records of its releases on disk.

Alarms compare what a server does now with these figures. They are those of the current release only, so that each
server has one; Prometheus keeps the earlier ones.
"""

from __future__ import annotations

import calendar
import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from .exposition import Family, Labels

# In the folder of a release: figures at several concurrencies, as a sweep has measured them.
POINTS = "points.json"


def signature(state_dir: str) -> list[tuple[str, int, int]]:
    """Return what changes when the records of the releases do: they are megabytes, and seldom change."""
    folder = os.path.join(state_dir, "releases")
    found = [(pointed(state_dir, "current"), 0, 0)]
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        for file in ("release.json", "benchmark.json", POINTS):
            with suppress(OSError):
                path = os.path.join(folder, name, file)
                state = os.stat(path)
                found.append((path, state.st_mtime_ns, state.st_size))
    return found


def read(state_dir: str, server: str) -> list[Family]:
    """Return the metrics of the releases below C(state_dir); C(server) is the name of the server's container."""
    current = pointed(state_dir, "current")
    folder = os.path.join(state_dir, "releases")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    releases = {}
    for name in names:
        record = read_json(os.path.join(folder, name, "release.json"))
        if isinstance(record, dict) and record.get("id") == name:
            releases[name] = (record, _mapping(read_json(os.path.join(folder, name, "benchmark.json"))))
    points = read_json(os.path.join(folder, current, POINTS)) if current in releases else None
    return families(server, current, releases, points if isinstance(points, list) else [])


def families(
    server: str,
    current: str,
    releases: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
    points: Iterable[Any] = (),
) -> list[Family]:
    """Return the metrics of C(releases), ID -> record and benchmark result; the latter is empty if nothing is proven.

    C(points) are further measurements of the current release, each with C(concurrency) and C(metrics).
    """
    own: Labels = {"server": server}
    found = [
        Family(
            "hgx_release_info",
            "A recorded release; current is 1 for the one that is to run.",
            [
                ({**own, "release": name, **_told(record), "current": str(int(name == current))}, 1)
                for name, (record, _result) in releases.items()
            ],
        ),
        Family(
            "hgx_release_proven",
            "1 for the verdict that a release was promoted with.",
            [
                ({**own, "release": name, "verdict": str(result["verdict"])}, 1)
                for name, (_record, result) in releases.items()
                if result.get("verdict")
            ],
        ),
        Family(
            "hgx_proof_timestamp_seconds",
            "When the benchmark of a release has ended.",
            [
                ({**own, "release": name}, _epoch(str(result.get("finished_at", ""))))
                for name, (_record, result) in releases.items()
            ],
        ),
    ]
    if current in releases:
        found += _proof(own, current, releases[current][1], points)
    return found


def _proof(own: Labels, release: str, result: Mapping[str, Any], points: Iterable[Any]) -> Iterable[Family]:
    """Return the figures of the current release."""
    labels = {**own, "release": release}
    figures, workload = _mapping(result.get("metrics")), _mapping(result.get("workload"))
    yield Family(
        "hgx_proof_figure",
        "A figure that the current release was proven with, in the unit of its name.",
        [({**labels, "metric": str(name)}, _number(value)) for name, value in sorted(figures.items())],
    )
    checks = [check for check in result.get("checks") or [] if isinstance(check, dict) and "op" in check]
    limits = {(str(check["name"]), str(check["op"])): _number(check.get("limit")) for check in checks}
    yield Family(
        "hgx_proof_limit",
        "A limit that the figure of the same name has met.",
        [({**labels, "metric": name, "op": op}, limit) for (name, op), limit in limits.items()],
    )
    yield Family(
        "hgx_proof_workload",
        "The load of the proof: its concurrency, and the lengths of input and output in tokens.",
        [
            ({**labels, "part": part}, _number(value))
            for part, value in (
                ("concurrency", workload.get("max_concurrency")),
                ("input_len", figures.get("mean_input_len", workload.get("input_len"))),
                ("output_len", figures.get("mean_output_len", workload.get("output_len"))),
            )
        ],
    )
    measured = [{"concurrency": workload.get("max_concurrency"), "metrics": figures}] if figures else []
    by_concurrency = {
        concurrency: _number(_mapping(point.get("metrics")).get("mean_tpot_ms"))
        for point in (*(point for point in points if isinstance(point, dict)), *measured)
        for concurrency in [_number(point.get("concurrency"))]
        if concurrency
    }
    known = [(at, tpot) for at, tpot in sorted(by_concurrency.items()) if tpot]
    yield Family(
        "hgx_proof_point_concurrency",
        "A concurrency at which the release was measured.",
        [({**labels, "point": f"{at:g}"}, at) for at, _tpot in known],
    )
    yield Family(
        "hgx_proof_point_tpot_seconds",
        "The mean time per output token at that concurrency.",
        [({**labels, "point": f"{at:g}"}, tpot / 1000) for at, tpot in known],
    )


def _told(record: Mapping[str, Any]) -> dict[str, str]:
    """Return what tells a release from another one for a person."""
    image = _mapping(record.get("image"))
    return {
        "recipe": str(record.get("recipe") or ""),
        "profile": str(record.get("profile") or ""),
        "image": str(image.get("name") or ""),
        "digest": str(image.get("digest") or image.get("id") or ""),
    }


def pointed(state_dir: str, name: str) -> str:
    """Return the name of the release that a link of a state directory points to; empty without one."""
    with suppress(OSError):
        return os.path.basename(os.readlink(os.path.join(state_dir, name)))
    return ""


def _epoch(text: str) -> float | None:
    with suppress(ValueError):
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    return None


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def read_json(path: str) -> Any:
    """Return what a file holds, or None if that cannot be read."""
    with suppress(OSError, ValueError), open(path, encoding="utf-8") as stream:
        return json.load(stream)
    return None
