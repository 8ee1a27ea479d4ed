# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures that follow from published ones by arithmetic. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DERIVED = "derived"


def derived_figures(published: Mapping[str, float], workload: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures that follow from the published ones and are not published themselves, by metric.

    With C requests at a time that each have N output tokens, by Little's law:

    - C(mean_e2el_ms) = TTFT + (N - 1) x TPOT, or C x N / output_throughput if no TPOT is published. The latter is an
      upper bound, because the throughput includes ramp-up and drain.
    - C(mean_tpot_ms) = (mean_e2el_ms - mean_ttft_ms) / (N - 1).
    - C(steady_output_throughput) = C x N / mean_e2el_ms.
    - C(acceptance_length) = mean_itl_ms / mean_tpot_ms: tokens for each streamed chunk, 1 without a draft.

    Latencies are in milliseconds, throughputs in tokens per second. What cannot be derived is left out.
    """
    count, length = int(workload["max_concurrency"]), int(workload["output_len"])
    figures = dict(published)
    ttft, tpot, rate = (figures.get(name) for name in ("mean_ttft_ms", "mean_tpot_ms", "output_throughput"))
    latency = None
    if ttft and tpot:
        latency = ttft + (length - 1) * tpot
    elif rate:
        latency = 1000 * count * length / rate
    if latency:
        figures.setdefault("mean_e2el_ms", latency)
        figures.setdefault("steady_output_throughput", 1000 * count * length / latency)
        if ttft and length > 1 and latency > ttft:
            figures.setdefault("mean_tpot_ms", (latency - ttft) / (length - 1))
    itl, tpot = figures.get("mean_itl_ms"), figures.get("mean_tpot_ms")
    if itl and tpot:
        figures.setdefault("acceptance_length", itl / tpot)
    return {name: round(value, 4) for name, value in figures.items() if name not in published}


def with_derived_values(
    thresholds: list[dict[str, Any]], published: Mapping[str, float], workload: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the thresholds, with the derived figure for each that has V(derived) as its source and no value."""
    figures = derived_figures(published, workload)
    return [
        {**each, "value": figures[each["metric"]], "source": _derivation(published, workload)}
        if each["source"] == DERIVED and each["value"] is None and each["metric"] in figures
        else each
        for each in thresholds
    ]


def _derivation(published: Mapping[str, float], workload: Mapping[str, Any]) -> str:
    names = ("output_throughput", "mean_ttft_ms", "mean_tpot_ms", "mean_itl_ms")
    used = [f"{name} {published[name]:g}" for name in names if name in published]
    load = f"{workload['max_concurrency']} requests of {workload['output_len']} tokens"
    return f"{DERIVED} from the published {', '.join(used)}, for {load} at a time"
