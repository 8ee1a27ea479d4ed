# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a deployment fits a machine, with the arithmetic. Pure.

The preflight judges a host with it, and the plan judges hardware that does not exist yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .._core.units import GB, GIB
from .architecture import Cache, Part, Shape, UnknownShape, read_cache, read_shape

YES, NO, UNKNOWN = "yes", "no", "unknown"
_NOT_KNOWN = "the host's, which is not known here"
# What nvidia-smi shows of a GPU's memory, in GiB.
GPU_MEMORY_GIB = {"B200": 179.0, "H200": 140.4, "H100": 79.6}
# An estimate: CUDA's own memory, graphs, activations, buffers of NCCL and a draft. vLLM measures it at its start.
OVERHEAD_GIB = 8.0
# vLLM's own share of a GPU's memory; newer versions take 0.92.
UTILIZATION = 0.9


class Machine(NamedTuple):
    """Hardware to judge. None means unknown."""

    gpu_count: int
    gpu_memory_gib: float
    memory_gib: float | None = None
    disk_gb: float | None = None
    name: str = ""


class Demand(NamedTuple):
    """What a deployment needs a machine for. None means unknown.

    C(config) are the keys of the model's config.json, C(args) the engine's options by name, C(requests) and C(tokens)
    the load: how many requests run at a time, and the tokens of each. Of C(nodes) each is such a machine, and has all
    of the weights on its disk.
    """

    config: Mapping[str, Any]
    args: Mapping[str, Any]
    requests: int
    tokens: int
    weights_gb: float | None = None
    image_gb: float | None = None
    memory_gib: float | None = None
    nodes: int = 1


class Line(NamedTuple):
    """One judgement: V(yes), V(no) or V(unknown), and the arithmetic in words."""

    name: str
    verdict: str
    words: str


class Split(NamedTuple):
    """How the GPUs share a model."""

    tensor: int
    pipeline: int
    data: int
    experts_over_data: bool

    @property
    def gpus(self) -> int:
        """How many GPUs the server uses."""
        return self.tensor * self.pipeline * self.data

    def ways(self, spread: str) -> int:
        """Return over how many GPUs a part of the weights is spread."""
        if spread == "copied":
            return self.pipeline
        ways = self.tensor * self.pipeline
        return ways * self.data if spread == "experts" and self.experts_over_data else ways


def machine(given: Any) -> Machine:
    """Return the machine of a text such as V(8xB200) or V(HGX H200), or of a mapping. Raises ValueError."""
    if isinstance(given, Mapping):
        wanted = {"gpu_count", "gpu_memory_gib"}
        others = set(given) - set(Machine._fields)
        if not wanted <= set(given) or others:
            raise ValueError(f"a machine has {', '.join(Machine._fields)}; the first two are needed")
        memory, disk = (None if given.get(name) is None else float(given[name]) for name in ("memory_gib", "disk_gb"))
        name = str(given.get("name") or "")
        return Machine(int(given["gpu_count"]), float(given["gpu_memory_gib"]), memory, disk, name)
    found = re.fullmatch(r"\s*(?:(hgx)[\s_-]*|(\d+)\s*x\s*)?(\w+?)\s*", str(given), re.IGNORECASE)
    name = found[3].upper() if found else ""
    if not found or name not in GPU_MEMORY_GIB:
        known = ", ".join(f"8x{each}" for each in GPU_MEMORY_GIB)
        raise ValueError(
            f"{str(given)!r} is not hardware that is known here, such as {known}. For other hardware give its numbers:"
            " {gpu_count: 8, gpu_memory_gib: 141, memory_gib: 2000, disk_gb: 7000}; the last two may be left out."
        )
    count = 8 if found[1] else int(found[2] or 1)
    return Machine(count, GPU_MEMORY_GIB[name], name=f"{count} x {name}")


def judge_fit(demand: Demand, on: Machine) -> list[Line]:
    """Return the judgements on GPUs, GPU memory, context, load, disk and main memory."""
    return [*judge_gpus(demand, on), _disk(demand, on, _shape(demand.config)[0]), _memory(demand, on)]


def judge_gpus(demand: Demand, on: Machine, overhead_gib: float = OVERHEAD_GIB) -> list[Line]:
    """Return the judgements on GPUs, GPU memory, context and load; none without GPUs.

    C(overhead_gib) is an estimate. What does not fit without it certainly does not fit.
    """
    split = split_of(demand.args)
    shape, trouble = _shape(demand.config)
    if not on.gpu_count:
        return []
    return [_gpus(split, on, demand.nodes), *_gpu_memory(demand, on, split, shape, trouble, overhead_gib)]


def verdict(lines: Iterable[Line]) -> str:
    """Return the worst judgement."""
    found = {line.verdict for line in lines}
    return next((each for each in (NO, UNKNOWN) if each in found), YES)


def split_of(args: Mapping[str, Any]) -> Split:
    """Return how the GPUs share the model by the engine's options."""
    return Split(
        int(args.get("tensor-parallel-size") or 1),
        int(args.get("pipeline-parallel-size") or 1),
        int(args.get("data-parallel-size") or 1),
        bool(args.get("enable-expert-parallel")),
    )


def weights_gb(config: Mapping[str, Any]) -> float | None:
    """Return the size of the weights by the model's config.json, in GB, or None if it is unknown."""
    shape, _trouble = _shape(config)
    return shape.bytes / GB if shape else None


def _shape(config: Mapping[str, Any]) -> tuple[Shape | None, str]:
    if not config:
        return None, "the architecture of the model is unknown"
    try:
        return read_shape(config), ""
    except UnknownShape as exc:
        return None, str(exc)


def _gpus(split: Split, on: Machine, nodes: int) -> Line:
    factors = {"tensor": split.tensor, "pipeline": split.pipeline, "data": split.data}
    words = " x ".join(f"{size} {name} parallel" for name, size in factors.items() if size > 1 or name == "tensor")
    have = f"{on.gpu_count} on each of {nodes} nodes" if nodes > 1 else f"{on.gpu_count}"
    return Line("GPUs", YES if on.gpu_count * nodes >= split.gpus else NO, f"{words} = {split.gpus} of {have}")


def _gpu_memory(
    demand: Demand, on: Machine, split: Split, shape: Shape | None, trouble: str, overhead_gib: float
) -> Iterable[Line]:
    weights, made_of = _weights(demand, split, shape)
    if weights is None:
        yield Line("GPU memory", UNKNOWN, f"the size of the weights is unknown: {trouble}")
        return
    share = float(demand.args.get("gpu-memory-utilization") or UTILIZATION)
    left = share * on.gpu_memory_gib - weights - overhead_gib
    words = (
        f"{share:g} x {on.gpu_memory_gib:g} GiB - {weights:.1f} GiB of weights ({made_of}) - {overhead_gib:g} GiB for"
        f" graphs, activations and buffers (an estimate) = {left:.1f} GiB for the KV cache"
    )
    yield Line("GPU memory", YES if left > 0 else NO, words)
    try:
        cache = read_cache(demand.config, *_cache_options(demand.args, split)) if shape else None
    except UnknownShape as exc:
        cache, trouble = None, str(exc)
    if cache is None or shape is None:
        yield Line("context", UNKNOWN, f"the size of the KV cache is unknown: {trouble}")
        return
    yield from _cache_lines(demand, split, shape, cache, left)


def _cache_lines(demand: Demand, split: Split, shape: Shape, cache: Cache, left: float) -> Iterable[Line]:
    """Judge one request of the full context, without which vLLM does not start, and the load."""
    per_token = cache.per_token / split.pipeline
    context = _tokens(demand.args.get("max-model-len")) or shape.context
    one = (context * per_token + cache.per_request) / GIB
    basis = f"{per_token:,.0f} bytes a token: {cache.words}"
    if context:
        words = f"one request of {context:,} tokens takes {one:.1f} of {left:.1f} GiB ({basis})"
        yield Line("context", YES if one <= left else NO, words)
    each = -(-demand.requests // split.data)
    load = each * (demand.tokens * per_token + cache.per_request) / GIB
    room = max(0.0, left * GIB / per_token) if per_token else 0
    words = (
        f"{each} requests of {demand.tokens:,} tokens take {load:.1f} of {left:.1f} GiB, which hold {room:,.0f} tokens"
    )
    yield Line("load", YES if load <= left else NO, words)


def _tokens(given: Any) -> int:
    """Return a length as vLLM takes it, such as V(32k) or V(32K); 0 if vLLM is to take what fits."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", str(given or ""))
    return int(float(found[1]) * {"": 1, "k": 1000, "K": 1024, "m": 10**6, "M": 2**20}[found[2]]) if found else 0


def _cache_options(args: Mapping[str, Any], split: Split) -> tuple[str, int, bool]:
    attention = args.get("attention-config")
    fp4 = isinstance(attention, Mapping) and bool(attention.get("use_fp4_indexer_cache"))
    fp4 = fp4 or bool(args.get("attention_config.use_fp4_indexer_cache"))
    return str(args.get("kv-cache-dtype") or "auto"), split.tensor, fp4


def _weights(demand: Demand, split: Split, shape: Shape | None) -> tuple[float | None, str]:
    """Return the weights on one GPU in GiB, and what they are made of."""
    if shape is None:
        if demand.weights_gb is None:
            return None, ""
        return demand.weights_gb * GB / split.gpus / GIB, f"{demand.weights_gb:g} GB / {split.gpus}"
    on_one = {part: part.bytes / split.ways(part.spread) for part in shape.parts}
    words = ", ".join(
        _part(part, split.ways(part.spread)) for part in sorted(on_one, key=lambda part: -on_one[part])[:4]
    )
    return sum(on_one.values()) / GIB, f"{words}{', and less' if len(on_one) > 4 else ''}"


def _part(part: Part, ways: int) -> str:
    return f"{part.name} {part.bytes / GB:.1f} GB" + (f" / {ways}" if ways > 1 else "")


def _disk(demand: Demand, on: Machine, shape: Shape | None) -> Line:
    weights, words = demand.weights_gb, "weights"
    if weights is None and shape:
        weights, words = shape.bytes / GB, "weights by the architecture"
    known = {words: weights, "the image": demand.image_gb}
    told = [f"{value:,.0f} GB for {name}" if value is not None else f"{name} unknown" for name, value in known.items()]
    needed = sum(value for value in known.values() if value is not None)
    text = f"{' + '.join(told)}, of {_NOT_KNOWN if on.disk_gb is None else f'{on.disk_gb:,.0f} GB'}"
    if on.disk_gb is not None and needed > on.disk_gb:
        return Line("disk", NO, text)
    return Line("disk", UNKNOWN if on.disk_gb is None or None in known.values() else YES, text)


def _memory(demand: Demand, on: Machine) -> Line:
    need = "unknown" if demand.memory_gib is None else f"{demand.memory_gib:g} GiB"
    text = f"{need} of {_NOT_KNOWN if on.memory_gib is None else f'{on.memory_gib:,.0f} GiB'}"
    if demand.memory_gib is None or on.memory_gib is None:
        return Line("main memory", UNKNOWN, text)
    return Line("main memory", YES if demand.memory_gib <= on.memory_gib else NO, text)
