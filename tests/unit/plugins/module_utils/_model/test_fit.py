# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a model fits a machine."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._model.fit import (
    NO,
    UNKNOWN,
    YES,
    Demand,
    Machine,
    judge_fit,
    judge_gpus,
    machine,
    split_of,
    verdict,
)

from .test_architecture import LLAMA_8B, config

TP8 = {"tensor-parallel-size": 8, "kv-cache-dtype": "fp8"}
B200 = Machine(8, 179, 2900, 22500)


def demand(recipe: str = "kimi_k2_6_hgx_b200", args: dict[str, Any] | None = None, **more: Any) -> Demand:
    return Demand(**{"config": config(recipe), "args": args or TP8, "requests": 32, "tokens": 10240, **more})


def judged(of: Demand, on: Machine) -> dict[str, str]:
    return {line.name: line.verdict for line in judge_fit(of, on)}


def test_the_first_recipe_loads_as_was_reported() -> None:
    """vLLM reports about 72 GiB on each of 8 GPUs."""
    lines = judge_fit(demand(weights_gb=595, image_gb=60, memory_gib=200), B200)
    (line,) = [line for line in lines if line.name == "GPU memory"]
    assert float(re.findall(r"- ([\d.]+) GiB of weights", line.words)[0]) == pytest.approx(72, abs=0.5)
    assert "routed experts 570.8 GB / 8" in line.words
    assert verdict(lines) == YES


@pytest.mark.parametrize(
    ("recipe", "on", "outcome"),
    [
        ("kimi_k2_6_hgx_b200", "8xB200", {"GPU memory": YES, "context": YES, "load": YES}),
        ("kimi_k2_6_hgx_b200", "HGX H200", {"GPU memory": YES, "context": YES}),  # verified by vLLM
        ("kimi_k2_6_hgx_b200", "8xH100", {"GPU memory": NO}),
        ("glm_5_2", "hgx_b200", {"context": YES}),  # a million tokens, as vLLM's recipe says
        ("glm_5_2", "8xH200", {"GPU memory": YES, "context": NO}),  # served there, but not with all of the context
        ("minimax_m3", "8xH200", {"GPU memory": YES}),  # "a tight fit"
        ("deepseek_v4_flash_hgx_h100", "8 x H100", {"GPU memory": YES, "context": YES, "load": YES}),
        ("kimi_k2_6_hgx_b200", "4xB200", {"GPUs": NO}),
    ],
)
def test_what_is_known_of_others(recipe: str, on: str, outcome: dict[str, str]) -> None:
    found = judged(demand(recipe), machine(on))
    assert {name: found[name] for name in outcome} == outcome


def test_data_parallel_ranks_copy_all_but_the_experts() -> None:
    ranks = {"data-parallel-size": 8, "enable-expert-parallel": True, "kv-cache-dtype": "fp8"}
    split = split_of(ranks)
    assert (split.gpus, split.ways("experts"), split.ways("dense"), split.ways("copied")) == (8, 8, 1, 1)
    assert "routed experts 822.1 GB / 8" in judge_fit(demand("deepseek_v4_pro", ranks), B200)[1].words
    assert "4 requests of" in judge_fit(demand("deepseek_v4_pro", ranks), B200)[3].words


def test_the_numbers_of_the_arithmetic_are_the_ones_judged() -> None:
    args = {"max-model-len": 4096, "gpu-memory-utilization": 0.5}
    on = Machine(1, 24)
    gpu, context, load = judge_fit(Demand(LLAMA_8B, args, 4, 1000), on)[1:4]
    assert gpu.words.startswith("0.5 x 24 GiB - 15.0 GiB of weights")
    assert (gpu.verdict, context.verdict) == (NO, NO)
    gpu, context, load = judge_fit(Demand(LLAMA_8B, {**args, "gpu-memory-utilization": 0.97}, 4, 1000), on)[1:4]
    assert "= 0.3 GiB for the KV cache" in gpu.words
    assert (gpu.verdict, context.verdict, load.verdict) == (YES, NO, NO)


@pytest.mark.parametrize(("given", "tokens"), [("4k", 4000), ("4K", 4096), ("0.5M", 524288), (4096, 4096)])
def test_a_context_is_given_as_vllm_takes_it(given: Any, tokens: int) -> None:
    assert f"one request of {tokens:,} tokens" in context(given)


@pytest.mark.parametrize("given", ["auto", -1, None])
def test_a_context_that_vllm_chooses_is_the_models(given: Any) -> None:
    assert "one request of 262,144 tokens" in context(given)


def context(given: Any) -> str:
    demand = Demand(config("kimi_k2_6_hgx_b200"), {"tensor-parallel-size": 8, "max-model-len": given}, 1, 1)
    return next(line.words for line in judge_gpus(demand, machine("8xB200")) if line.name == "context")


def test_without_an_architecture_the_weights_are_split_evenly() -> None:
    lines = judge_fit(demand(config={}, weights_gb=595), B200)
    assert "595 GB / 8" in lines[1].words
    assert (lines[1].verdict, lines[2].name, lines[2].verdict) == (YES, "context", UNKNOWN)
    assert judge_fit(demand(config={}), B200)[1].verdict == UNKNOWN


@pytest.mark.parametrize(
    ("on", "outcome"),
    [
        (Machine(8, 179, 100, 600), {"disk": NO, "main memory": NO}),
        (Machine(8, 179), {"disk": UNKNOWN, "main memory": UNKNOWN}),
        (Machine(8, 179, 2900, 22500), {"disk": YES, "main memory": YES}),
    ],
)
def test_disk_and_memory(on: Machine, outcome: dict[str, str]) -> None:
    found = judged(demand(weights_gb=610, image_gb=60, memory_gib=200), on)
    assert {name: found[name] for name in outcome} == outcome


def test_an_unknown_size_is_not_zero() -> None:
    assert judged(demand(config={}, image_gb=60, memory_gib=None), B200)["disk"] == UNKNOWN
    assert judged(demand(config={}, image_gb=60), Machine(8, 179, None, 50))["disk"] == NO


def test_a_server_without_a_gpu_has_no_judgement_of_gpus() -> None:
    assert list(judged(demand(weights_gb=1), Machine(0, 0, 8, 100))) == ["disk", "main memory"]


def test_a_machine_by_its_numbers() -> None:
    assert machine({"gpu_count": 2, "gpu_memory_gib": 24, "disk_gb": 100}) == Machine(2, 24, None, 100)


@pytest.mark.parametrize("given", ["8xB900", "", {"gpu_count": 8}, {"gpu_count": 8, "gpu_memory_gib": 1, "ram": 2}])
def test_an_unknown_machine_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="gpu_memory_gib"):
        machine(given)
