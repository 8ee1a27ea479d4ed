# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes by architecture, against sizes that their makers or vLLM's recipes name."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.hgx.inference.plugins.module_utils._model.architecture import (
    UnknownShape,
    read_cache,
    read_shape,
)
from ansible_collections.hgx.inference.tests.support.recipe_args import ROOT

LLAMA_8B = {
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
}


def config(recipe: str) -> dict[str, Any]:
    data = yaml.safe_load((ROOT / "recipes" / f"{recipe}.yml").read_text(encoding="utf-8"))
    return dict(data["architecture"]["config"])


@pytest.mark.parametrize(
    ("recipe", "gigabytes"),
    [
        ("kimi_k2_6_hgx_b200", 595),  # 64 shards
        ("minimax_m3", 854.1),  # 427.04e9 parameters of 16 bits
        ("deepseek_v4_pro", 865),
        ("deepseek_v4_flash_hgx_h100", 160),
        ("glm_5_2", 753),  # 743e9 parameters and a draft layer of 9.7e9, of 8 bits
    ],
)
def test_weights_on_disk(recipe: str, gigabytes: float) -> None:
    assert read_shape(config(recipe)).bytes / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_a_dense_model() -> None:
    assert read_shape(LLAMA_8B).bytes == pytest.approx(2 * 8.03e9, rel=0.001)
    # 32 layers, key and value, 8 heads of 128 values, 2 bytes
    assert read_cache(LLAMA_8B, "auto", 1).per_token == 32 * 2 * 8 * 128 * 2
    assert read_cache(LLAMA_8B, "fp8", 4).per_token == 32 * 2 * 2 * 128
    # More GPUs than heads: each keeps one.
    assert read_cache(LLAMA_8B, "auto", 16).per_token == 32 * 2 * 1 * 128 * 2


@pytest.mark.parametrize(
    ("recipe", "dtype", "per_token"),
    [
        ("kimi_k2_6_hgx_b200", "fp8", 61 * 576),
        ("kimi_k2_6_hgx_b200", "auto", 61 * 576 * 2),
        ("glm_5_2", "fp8_e4m3", 78 * (656 + 132)),
        ("minimax_m3", "auto", 60 * 2 * 1 * 128 * 2 + 57 * 128 * 2),
        ("deepseek_v4_flash_hgx_h100", "fp8", 21 * (584 + 132) / 4 + 20 * 584 / 128),
    ],
)
def test_cache_on_one_of_eight_gpus(recipe: str, dtype: str, per_token: float) -> None:
    assert read_cache(config(recipe), dtype, 8).per_token == per_token


def test_an_index_of_four_bits_is_smaller() -> None:
    wide, narrow = (read_cache(config("deepseek_v4_pro"), "fp8", 8, fp4) for fp4 in (False, True))
    assert wide.per_token - narrow.per_token == 30 * (132 - 68) / 4


@pytest.mark.parametrize(
    "changed",
    [
        {"vocab_size": "128256"},
        {"hidden_size": -4096},
        {"num_hidden_layers": -32},
        {"vocab_size": 0},
        {"num_attention_heads": 0},
        {"quantization_config": "fp8"},
        {"quantization_config": {"quant_method": "fp8", "ignore": ["re:["]}},
        {"num_local_experts": 8, "n_shared_experts": "one"},
        {"num_local_experts": 8, "moe_layer_freq": 0.5, "mlp_layer_types": 7},
    ],
)
def test_a_config_of_another_form_is_unknown(changed: dict[str, Any]) -> None:
    with pytest.raises(UnknownShape):
        read_shape({**LLAMA_8B, **changed})


def test_a_cache_of_another_form_is_unknown() -> None:
    with pytest.raises(UnknownShape):
        read_cache({**LLAMA_8B, "num_key_value_heads": "eight"}, "auto", 1)


def test_a_window_counts_for_each_request() -> None:
    mixed = {**LLAMA_8B, "sliding_window": 1024, "layer_types": ["full_attention", "sliding_attention"] * 16}
    cache = read_cache(mixed, "auto", 8)
    assert (cache.per_token, cache.per_request) == (16 * 2 * 128 * 2, 16 * 1024 * 2 * 128 * 2)


@pytest.mark.parametrize(
    ("quantization", "bits"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 8 + 32 / 128**2),
        ({"quant_method": "fp8"}, 8),
        ({"quant_method": "mxfp4"}, 4.25),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, 4.5),
        ({"config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 128}}}}, 4.125),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "exclude_modules": ["*self_attn*"]}, 4.5),
        ({"quant_method": "fp8", "modules_to_not_convert": ["mlp"]}, 16),
    ],
)
def test_bits_of_a_weight(quantization: dict[str, Any], bits: float) -> None:
    parts = {part.name: part.bits for part in read_shape({**LLAMA_8B, "quantization_config": quantization}).parts}
    assert parts["dense layers"] == bits
    assert parts["embeddings and head"] == 16
    if "exclude_modules" in quantization:
        assert parts["attention"] == 16


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"num_hidden_layers": None}, "no num_hidden_layers"),
        ({"quantization_config": {"quant_method": "gguf"}}, "quantization gguf"),
        ({"vocab_size": "many"}, "vocab_size of the config is no whole number"),
    ],
)
def test_what_is_unknown_is_no_size(broken: dict[str, Any], words: str) -> None:
    with pytest.raises(UnknownShape, match=words):
        read_shape({**LLAMA_8B, **broken})


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"layer_types": ["linear_attention"] * 32}, "linear_attention are not known"),
        ({"model_type": "deepseek_v4"}, "compress_ratios"),
        ({"kv_lora_rank": 512}, "no qk_rope_head_dim"),
    ],
)
def test_an_unknown_kind_of_layer_is_no_cache(broken: dict[str, Any], words: str) -> None:
    with pytest.raises(UnknownShape, match=words):
        read_cache({**LLAMA_8B, **broken}, "auto", 8)
