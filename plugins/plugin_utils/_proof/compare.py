# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How two proofs differ, and why the second may be slower. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ...module_utils._benchmark.metrics import HIGHER, METRICS
from ...module_utils._benchmark.plan import delta_percent
from ...module_utils._vllm.release import describe, differences, normalize, reasons, shown

_FIGURES = ("steady_output_throughput", "output_throughput", "mean_tpot_ms", "mean_ttft_ms", "acceptance_length")
_LOAD = ("dataset", "backend", "input_len", "output_len", "max_concurrency", "args")
_HOST = {
    "system": "system",
    "kernel": "kernel",
    "cpu": "processor",
    "cpus": "processors",
    "memory_gib": "memory (GiB)",
    "driver": "driver",
    "cuda": "CUDA of the driver",
    "module": "kernel module of the driver",
}
# Properties of GPUs. Of some, less is slower.
_GPU = {
    "name": "GPU model",
    "memory_total_mib": "GPU memory (MiB)",
    "sm_max_mhz": "highest GPU clock (MHz)",
    "power_limit_w": "GPU power limit (W)",
    "compute_mode": "GPU compute mode",
    "persistence": "persistence mode",
}
_LESS_IS_SLOWER = ("sm_max_mhz", "power_limit_w", "memory_total_mib")
_SHOWN_PACKAGES = 5
# Options of the server that are known to cost speed, by what a difference in them may do.
_OPTIONS = {
    "--speculative-config": "the draft decides how many tokens a step makes",
    "--enforce-eager": "without CUDA graphs each step starts its kernels one by one",
    "--no-enable-prefix-caching": "without the prefix cache each prompt is computed in full",
    "--max-num-seqs": "fewer requests at a time make less throughput",
    "--max-num-batched-tokens": "it divides the time between prompts and answers",
    "--kv-cache-dtype": "a wider type halves what the KV cache holds",
    "--tensor-parallel-size": "fewer GPUs share the work",
    "--attention-backend": "other kernels",
}


class Difference(NamedTuple):
    """One difference. C(slower) is why it may make the second slower; empty if it is not known to."""

    area: str
    what: str
    slower: str = ""


class Figure(NamedTuple):
    """A figure of both, and by how many percent the second is worse (positive) or better."""

    metric: str
    first: float
    second: float
    worse_percent: float | None


class Comparison(NamedTuple):
    """What differs. C(same_load) is whether the figures may be compared at all."""

    differences: list[Difference]
    figures: list[Figure]
    same_load: bool


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> Comparison:
    """Return how the contents of two proofs differ."""
    found = [
        *_release(first["release"], second["release"]),
        *_weights(first.get("weights") or [], second.get("weights") or []),
        *_packages(first.get("packages"), second.get("packages")),
        *_node(first.get("node") or {}, second.get("node") or {}),
    ]
    load = list(_load(first.get("benchmark") or {}, second.get("benchmark") or {}))
    return Comparison([*found, *load], list(_figures(first, second)), not load)


def text(comparison: Comparison, first: str, second: str) -> list[str]:
    """Return a comparison in lines; C(first) and C(second) are names of the proofs."""
    if not comparison.differences:
        lines = [f"{first} and {second} were proven with the same release, weights, driver and hardware."]
    else:
        count = len(comparison.differences)
        lines = [f"{second} differs from {first} in {count} way{'' if count == 1 else 's'}:"]
        lines += [f"  {each.area:<9} {each.what}" for each in comparison.differences]
    for figure in comparison.figures:
        change = ""
        if figure.worse_percent is not None and comparison.same_load:
            word = "worse" if figure.worse_percent > 0 else "better"
            change = f", {abs(figure.worse_percent):.1f} % {word}" if figure.worse_percent else ", the same"
        unit = METRICS[figure.metric].unit
        lines.append(f"  {'figure':<9} {figure.metric} {figure.first:.5g} -> {figure.second:.5g} {unit}{change}")
    if not comparison.same_load:
        lines.append("The loads differ, so the figures do not compare.")
    causes = [each for each in comparison.differences if each.slower]
    if causes:
        lines.append(f"Why {second} may be slower:")
        lines += [f"  {each.area:<9} {each.what}: {each.slower}" for each in causes]
    elif comparison.same_load and any((figure.worse_percent or 0) > 5 for figure in comparison.figures):
        lines.append(f"{second} is slower, and nothing that was recorded explains it. Check its GPUs for throttling.")
    return lines


def _release(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterable[Difference]:
    for name in ("recipe", "profile", "collection_version"):
        if first.get(name) != second.get(name):
            yield Difference("release", f"{name} {first.get(name) or 'none'} -> {second.get(name) or 'none'}")
    images = [_digest(each.get("image") or {}) for each in (first, second)]
    if images[0] != images[1]:
        yield Difference("image", f"{images[0]} -> {images[1]}", "another build may have other kernels")
    # A reason about the image's name is told above, by its digest.
    lines = [
        [line for line in shown(describe(normalize(each["container"]))) if not line.startswith("image ")]
        for each in (first, second)
    ]
    for words in reasons(*differences(lines[0], lines[1])):
        option = words.split(" ")[0].split(".")[0]
        yield Difference("argument" if words.startswith("--") else "container", words, _OPTIONS.get(option, ""))


def _digest(image: Mapping[str, Any]) -> str:
    return f"{image.get('name') or '?'} ({str(image.get('digest') or image.get('id') or 'unknown build')[:19]})"


def _weights(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> Iterable[Difference]:
    by_repo = [{str(each["repo"]): each for each in weights} for weights in (first, second)]
    for repo in dict.fromkeys([*by_repo[0], *by_repo[1]]):
        here, there = by_repo[0].get(repo), by_repo[1].get(repo)
        if here is None or there is None:
            yield Difference("weights", f"{repo} {'removed' if there is None else 'added'}", "another model or draft")
        elif here["commit"] != there["commit"]:
            words = f"{repo} commit {here['commit'][:12]} -> {there['commit'][:12]}"
            yield Difference("weights", words, "other weights: a draft of another commit may be accepted less")
        elif here["tree_sha256"] is None or there["tree_sha256"] is None:
            yield Difference("weights", f"{repo}: unknown whether the files are the same, one host has no list of them")
        elif here["tree_sha256"] != there["tree_sha256"]:
            yield Difference(
                "weights", f"{repo} has other files at the same commit", "one of them is damaged or altered"
            )


def _packages(first: Sequence[str] | None, second: Sequence[str] | None) -> Iterable[Difference]:
    if not first or not second:
        return
    words = [f"{line} removed" for line in first if line not in second] + [
        f"{line} added" for line in second if line not in first
    ]
    if words:
        more = f" and {len(words) - _SHOWN_PACKAGES} more" if len(words) > _SHOWN_PACKAGES else ""
        yield Difference("packages", ", ".join(words[:_SHOWN_PACKAGES]) + more)


def _node(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterable[Difference]:
    for name, title in _HOST.items():
        here, there = first.get(name), second.get(name)
        if here != there:
            yield Difference("node", f"{title} {_told(here)} -> {_told(there)}", _host_slower(name, here, there))
    fabrics = [(each.get("fabric") or {}).get("state") for each in (first, second)]
    if fabrics[0] != fabrics[1]:
        slower = "GPUs exchange their results over the fabric" if fabrics[0] == "complete" else ""
        yield Difference("fabric", f"{_told(fabrics[0])} -> {_told(fabrics[1])}", slower)
    yield from _gpus(first.get("gpus") or [], second.get("gpus") or [])


def _host_slower(name: str, here: Any, there: Any) -> str:
    if name in ("cpus", "memory_gib") and _is_less(there, here):
        return "the server's own work, such as tokenizing and scheduling, has less to run on"
    if name in ("driver", "cuda") and there is not None and _version(there) < _version(here):
        return "an older driver"
    return ""


def _gpus(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> Iterable[Difference]:
    if len(first) != len(second):
        slower = "fewer GPUs" if len(second) < len(first) else ""
        yield Difference("GPUs", f"{len(first)} -> {len(second)}", slower)
    for name, title in _GPU.items():
        here, there = ([gpu.get(name) for gpu in gpus] for gpus in (first, second))
        if first and second and sorted(set(map(str, here))) != sorted(set(map(str, there))):
            slower = ""
            if name in _LESS_IS_SLOWER and _is_less(_least(there), _least(here)):
                slower = "the slowest GPU sets the pace of all"
            yield Difference("GPUs", f"{title} {_listed(here)} -> {_listed(there)}", slower)
    for gpu in second:
        slowed = [reason for reason in gpu.get("slowed_by") or [] if "slowdown" in reason]
        if slowed:
            yield Difference(
                "GPUs",
                f"GPU {gpu['index']} is slowed down ({', '.join(slowed)})",
                "the slowest GPU sets the pace of all",
            )
        width = gpu.get("pcie_width") or {}
        if _is_less(width.get("current"), width.get("max")):
            words = f"GPU {gpu['index']} has {width['current']} of {width['max']} PCIe lanes"
            yield Difference("GPUs", words, "it is slower in what crosses the PCIe bus, such as loading")


def _load(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterable[Difference]:
    here, there = (each.get("workload") or {} for each in (first, second))
    for name in _LOAD:
        if here.get(name) != there.get(name):
            yield Difference("load", f"{name} {_told(here.get(name))} -> {_told(there.get(name))}")


def _figures(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterable[Figure]:
    here, there = ((each.get("benchmark") or {}).get("metrics") or {} for each in (first, second))
    for metric in _FIGURES:
        if here.get(metric) is not None and there.get(metric) is not None:
            delta = delta_percent(there[metric], here[metric])
            worse = delta if delta is None or METRICS[metric].better != HIGHER else -delta
            yield Figure(metric, here[metric], there[metric], worse)


def _is_less(value: Any, other: Any) -> bool:
    return isinstance(value, (int, float)) and isinstance(other, (int, float)) and value < other


def _least(values: Sequence[Any]) -> Any:
    known = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    return min(known) if known else None


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(dict.fromkeys(_told(value) for value in values))


def _told(value: Any) -> str:
    return "unknown" if value is None else str(value)


def _version(text: Any) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", str(text))]
