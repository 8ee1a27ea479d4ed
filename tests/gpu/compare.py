#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what benchmark.sh measured: module and client by hand, pair by pair, and the steady estimate by size."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

FIGURES = {"output_throughput": "tok/s", "mean_tpot_ms": "ms"}


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def main() -> None:
    folder = Path(sys.argv[1])
    pairs = []
    for path in sorted(folder.glob("hand-*.json")):
        record = read(folder / path.name.replace("hand", "module"))
        pairs.append((record["metrics"], read(path), record["verdict"]))
    for name, unit in FIGURES.items():
        ratios = [module[name] / hand[name] for module, hand, _verdict in pairs]
        for number, (module, hand, _verdict) in enumerate(pairs, start=1):
            compared = f"module {module[name]:.2f}, by hand {hand[name]:.2f} {unit}"
            print(f"{name:18} pair {number}: {compared}, {100 * (module[name] / hand[name] - 1):+.2f} %")
        print(f"{name:18} median of the ratios: {100 * (statistics.median(ratios) - 1):+.2f} %")
        # What the server itself varies by: no comparison can be finer.
        by_hand = [hand[name] for _module, hand, _verdict in pairs]
        print(f"{name:18} runs by hand among themselves: {100 * (max(by_hand) / min(by_hand) - 1):.2f} % apart")
    for number, (module, hand, verdict) in enumerate(pairs, start=1):
        counts = [f"{who['completed']:.0f} completed, {who['failed']:.0f} failed" for who in (module, hand)]
        print(f"pair {number}: module {counts[0]} ({verdict}); by hand {counts[1]}")
    full = folder / "size-full.json"
    if full.exists():
        short = sorted(folder.glob("size-smoke-*.json"))
        steady = [read(path)["metrics"]["steady_output_throughput"] for path in short]
        long = read(full)["metrics"]["steady_output_throughput"]
        each = ", ".join(f"{value:.0f} ({100 * (value / long - 1):+.1f} %)" for value in steady)
        print(f"steady, 128 requests: {each} tok/s; 512: {long:.0f} tok/s")
        print(f"median of 128 against 512: {100 * (statistics.median(steady) / long - 1):+.2f} %")


if __name__ == "__main__":
    main()
