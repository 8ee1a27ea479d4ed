# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures of a server's siblings, from the results on the controller."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..module_utils._core.verdict import PASS, WARN
from ._report.history import NO_LOAD

# The figure without ramp-up and drain, which runs of any size have.
METRIC = "steady_output_throughput"


def names(instances: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[str]:
    """Return the names of all servers; C(instances) is host -> C(vllm_instances), empty for a single server."""
    return [
        f"{host}-{each['name']}" if each else host for host, found in instances.items() for each in list(found) or [{}]
    ]


def figures(folder: Path, siblings: Iterable[str], alike: Mapping[str, Any]) -> dict[str, float]:
    """Return sibling -> the figure of its newest good result of the same load.

    C(alike) has C(metadata), C(size) and C(workload); what of them is not given need not be the same.
    """
    return {name: found for name in siblings for found in _newest(folder / name, alike)}


def threshold(found: Mapping[str, float], tolerance: str, severity: str) -> dict[str, Any]:
    """Return the threshold of a server whose siblings have these figures, of which there is at least one."""
    who = ", ".join(sorted(found))
    return {
        "metric": METRIC,
        "op": ">=",
        "value": round(statistics.median(found.values()), 2),
        "tolerance": tolerance,
        "severity": severity,
        "source": f"the median of {who}" if len(found) > 1 else f"the newest run of {who}",
    }


def _newest(folder: Path, alike: Mapping[str, Any]) -> Iterator[float]:
    for path in sorted(folder.glob("[0-9]*.json"), reverse=True):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            is_alike = all(_same(record[key], wanted) for key, wanted in alike.items())
            if is_alike and record["verdict"] in (PASS, WARN) and METRIC in record["metrics"]:
                yield float(record["metrics"][METRIC])
                return
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue  # the report says that it is damaged


def _same(found: Any, wanted: Any) -> bool:
    """Compare what is given on both sides, as text: templates make text of numbers."""
    if not isinstance(wanted, Mapping):
        return str(found) == str(wanted)
    return all(_same(found[key], wanted[key]) for key in wanted if key in found and key not in NO_LOAD)
