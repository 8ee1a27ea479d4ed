# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The size of a model's weights and of its KV cache, from the keys of its config.json. Pure.

It knows decoders with mixture of experts or without, with grouped-query attention, with DeepSeek's latent attention
(MLA), with that and an indexer (DSA), and with DeepSeek-V4's compressed attention. Of another kind of layer it says so.
"""

from __future__ import annotations

import fnmatch
import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

# Where the layers of a kind keep something for each token.
_FULL = ("full_attention", "attention", "indexed_attention", "minimax_m3_sparse")
_SLIDING = ("sliding_attention",)
_V4 = {0: "sliding", 4: "compressed", 128: "heavily compressed"}
# Bytes of a token in the packed form for sparse MLA: 512 values of 8 bits with 4 scales of 32 bits, 64 of 16 bits.
_SPARSE_MLA = 656
# The same for DeepSeek-V4: 448 values of 8 bits, 64 of 16 bits, 8 bytes of scales.
_V4_TOKEN = 584
# An index of 8 bits has a scale of 32 bits for each 128 values, one of 4 bits has one of 8 bits for each 32.
_FP8_INDEX, _FP4_INDEX = 1 + 4 / 128, 0.5 + 1 / 32
_F32 = 4
_Result = TypeVar("_Result")


class UnknownShape(Exception):
    """The config lacks a key, or has a kind of layer that is not known here."""


class Part(NamedTuple):
    """A part of the weights. C(spread) is how the GPUs share it: V(experts), V(dense), or V(copied) to each."""

    name: str
    parameters: float
    bits: float
    spread: str

    @property
    def bytes(self) -> float:
        """The size of the part on disk, scales included."""
        return self.parameters * self.bits / 8


class Cache(NamedTuple):
    """A part of the KV cache on one GPU: bytes of each token, and of each request whatever its length."""

    words: str
    per_token: float
    per_request: float = 0.0


class Shape(NamedTuple):
    """What is known of a model: its weights in parts, and the longest context in tokens."""

    parts: tuple[Part, ...]
    context: int

    @property
    def bytes(self) -> float:
        """The size of the weights on disk."""
        return sum(part.bytes for part in self.parts)


def _told(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """Let a config of another form than its keys have elsewhere be an UnknownShape."""

    @functools.wraps(function)
    def read(*args: Any, **kwargs: Any) -> _Result:
        try:
            return function(*args, **kwargs)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, re.error) as exc:
            raise UnknownShape(f"the config has another form than is known here ({exc})") from exc

    return read


@_told
def read_shape(config: Mapping[str, Any]) -> Shape:
    """Return the shape of a model by its config.json. Raises UnknownShape."""
    text = _text(config)
    layers, hidden = _number(text, "num_hidden_layers"), _number(text, "hidden_size")
    bits = _bits(config)
    dense = _dense_layers(text, layers)
    experts = _experts(text)
    width = _expert_width(text) if experts else 0
    shared = _optional(text, "n_shared_experts", "num_shared_experts") if experts else 0
    drafts = _optional(text, "num_nextn_predict_layers") if experts else 0
    dense_width = _optional(text, "dense_intermediate_size", *(["intermediate_size"] if dense else []))
    attention, copied = _attention(text, hidden)
    embeddings = _number(text, "vocab_size") * hidden * (1 if text.get("tie_word_embeddings") else 2)
    moe = layers - dense
    parts = [
        Part("routed experts", moe * experts * 3 * hidden * width, bits("mlp.experts.0.up_proj"), "experts"),
        Part("shared experts", moe * shared * 3 * hidden * width, bits("mlp.shared_experts.up_proj"), "dense"),
        Part("dense layers", dense * 3 * hidden * dense_width, bits("mlp.up_proj"), "dense"),
        Part("attention", layers * attention, bits("self_attn.o_proj"), "dense"),
        Part("attention, on each GPU", layers * copied, bits("self_attn.o_proj"), "copied"),
        Part("routers", moe * experts * hidden, 16, "copied"),
        Part("embeddings and head", embeddings, 16, "dense"),
        Part("draft layer's experts", drafts * experts * 3 * hidden * width, bits("mlp.experts.0.up_proj"), "experts"),
        Part("vision tower", _vision(config), 16, "copied"),
    ]
    if not embeddings or any(part.parameters < 0 for part in parts):
        raise UnknownShape("the config has sizes that no model has")
    return Shape(tuple(part for part in parts if part.parameters), _optional(text, "max_position_embeddings"))


@_told
def read_cache(config: Mapping[str, Any], cache_dtype: str, tensor_parallel: int, fp4_index: bool = False) -> Cache:
    """Return what one GPU keeps in its KV cache, by C(--kv-cache-dtype). Raises UnknownShape."""
    text = _text(config)
    eight = cache_dtype.startswith(("fp8", "int8"))
    size, layers = (1 if eight else 2), _number(text, "num_hidden_layers")
    index = _optional(text, "index_head_dim") * (_FP4_INDEX if fp4_index else _FP8_INDEX)
    if text.get("compress_ratios") or text.get("model_type") == "deepseek_v4":
        return _v4_cache(text, layers, index)
    if "kv_lora_rank" in text:
        return _latent_cache(text, layers, size, eight, index)
    return _grouped_cache(text, layers, size, tensor_parallel)


def _latent_cache(text: Mapping[str, Any], layers: int, size: int, eight: bool, index: float) -> Cache:
    """Latent attention has one vector for all heads, which each GPU keeps whole."""
    width = _number(text, "kv_lora_rank") + _number(text, "qk_rope_head_dim")
    if not index:
        return Cache(f"{layers} layers x {width} values x {size} byte, on each GPU", layers * width * size)
    each = _SPARSE_MLA if eight else width * size
    words = f"{layers} layers x ({each} bytes + {index:g} of the index), on each GPU"
    return Cache(words, layers * (each + index))


def _grouped_cache(text: Mapping[str, Any], layers: int, size: int, tensor_parallel: int) -> Cache:
    heads = _optional(text, "num_key_value_heads") or _number(text, "num_attention_heads")
    width = _optional(text, "head_dim") or _number(text, "hidden_size") // _number(text, "num_attention_heads")
    own = max(1, math.ceil(heads / tensor_parallel))
    full, sliding = _kinds(text, layers)
    indexed, index = _block_index(text)
    per_token = full * 2 * own * width * size + indexed * index * 2
    window = _optional(text, "sliding_window")
    words = f"{full} layers x 2 x {own} of {heads} heads x {width} values x {size} byte"
    words += f" + {indexed} layers x {index} values of the index x 2 byte" if indexed else ""
    words += f" + a window of {window} tokens in {sliding} layers" if sliding else ""
    return Cache(words, per_token, sliding * window * 2 * own * width * size)


def _v4_cache(text: Mapping[str, Any], layers: int, index: float) -> Cache:
    """Return the cache of compressed attention: a state for each 4 or 128 tokens, a window, and unfinished states.

    The unfinished states have twice as many values of 32 bits, twice that with overlap, as those of 4 tokens have.
    """
    ratios = [int(ratio) for ratio in text.get("compress_ratios") or ()][:layers]
    counts = {name: ratios.count(ratio) for ratio, name in _V4.items()}
    if len(ratios) != layers or sum(counts.values()) != layers:
        raise UnknownShape(f"compress_ratios has {sum(counts.values())} known of {layers} layers")
    window, width = _number(text, "sliding_window"), _number(text, "head_dim")
    csa, hca = counts["compressed"], counts["heavily compressed"]
    per_token = csa * (_V4_TOKEN + index) / 4 + hca * _V4_TOKEN / 128
    states = csa * 8 * 4 * width * _F32 + hca * 128 * 2 * width * _F32
    words = (
        f"{csa} layers x ({_V4_TOKEN} bytes + {index:g} of the index) / 4 + {hca} layers x {_V4_TOKEN} bytes / 128,"
        f" and for each request a window of {window} tokens in {layers} layers and unfinished states"
    )
    return Cache(words, per_token, layers * window * _V4_TOKEN + states)


def _kinds(text: Mapping[str, Any], layers: int) -> tuple[int, int]:
    """Return how many layers keep all tokens, and how many a window of them."""
    kinds = list(text.get("layer_types") or ["full_attention"] * layers)[:layers]
    full = sum(kind in _FULL for kind in kinds)
    sliding = sum(kind in _SLIDING for kind in kinds)
    if full + sliding != layers:
        others = sorted({str(kind) for kind in kinds} - {*_FULL, *_SLIDING})
        raise UnknownShape(f"layers of the kind {', '.join(others) or 'unknown'} are not known here")
    return full, sliding


def _block_index(text: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many layers have an index of blocks, as MiniMax-M3 has it, and its width."""
    sparse = text.get("sparse_attention_config") or {}
    return sum(map(int, sparse.get("sparse_attention_freq") or ())), int(sparse.get("sparse_index_dim") or 0)


def _attention(text: Mapping[str, Any], hidden: int) -> tuple[float, float]:
    """Return the parameters of a layer's attention: those that the GPUs share, and those that each has."""
    heads = _number(text, "num_attention_heads")
    lora = _optional(text, "o_lora_rank")
    if lora:  # DeepSeek-V4
        width, rank = _number(text, "head_dim"), _number(text, "q_lora_rank")
        out = heads * width * lora + (_optional(text, "o_groups") or 1) * lora * hidden
        return rank * heads * width + out, hidden * (rank + width)
    if "kv_lora_rank" in text:
        rank, kept = _optional(text, "q_lora_rank"), _number(text, "kv_lora_rank")
        nope, rope, value = (_number(text, f"{name}_head_dim") for name in ("qk_nope", "qk_rope", "v"))
        query = (rank or hidden) * heads * (nope + rope)
        index = _optional(text, "index_head_dim") * (rank * _optional(text, "index_n_heads") + hidden)
        shared = query + kept * heads * (nope + value) + heads * value * hidden
        return shared, hidden * (rank + kept + rope) + index
    width = _optional(text, "head_dim") or hidden // heads
    pairs = _optional(text, "num_key_value_heads") or heads
    return hidden * width * (2 * heads + 2 * pairs), 0.0


def _vision(config: Mapping[str, Any]) -> float:
    vision = config.get("vision_config") or {}
    width, layers, inner = (
        _optional(vision, name, f"vt_{name}") for name in ("hidden_size", "num_hidden_layers", "intermediate_size")
    )
    return float(layers * (4 * width * width + 2 * width * inner)) if inner else 0.0


def _experts(text: Mapping[str, Any]) -> int:
    return _optional(text, "n_routed_experts", "num_local_experts", "num_experts")


def _expert_width(text: Mapping[str, Any]) -> int:
    return _optional(text, "moe_intermediate_size") or _number(text, "intermediate_size")


def _dense_layers(text: Mapping[str, Any], layers: int) -> int:
    """Return how many layers have no experts."""
    if not _experts(text):
        return layers
    frequency = text.get("moe_layer_freq")
    if isinstance(frequency, Sequence) and not isinstance(frequency, str):
        return sum(not each for each in frequency[:layers])
    kinds = text.get("mlp_layer_types")
    if kinds:
        return sum(kind == "dense" for kind in kinds[:layers])
    return _optional(text, "first_k_dense_replace")


def _bits(config: Mapping[str, Any]) -> Callable[[str], float]:
    """Return a function that gives the bits of a weight in a module, its scales included."""
    text = _text(config)
    found = config.get("quantization_config") or text.get("quantization_config") or {}
    method = str(found.get("quant_method") or found.get("quant_algo") or "").lower()
    ignored = [str(name) for name in found.get("ignore") or found.get("exclude_modules") or ()]
    ignored += [str(name) for name in found.get("modules_to_not_convert") or ()]
    plain = 32.0 if "float32" in str(text.get("dtype") or text.get("torch_dtype") or "") else 16.0
    quantized = _quantized_bits(found, method)

    def bits(module: str) -> float:
        if text.get("expert_dtype") == "fp4" and ".experts." in module:
            return 4 + 8 / 32
        if quantized is None or any(_names(pattern, f"model.layers.1.{module}") for pattern in ignored):
            return plain
        return quantized

    return bits


def _quantized_bits(found: Mapping[str, Any], method: str) -> float | None:
    if not found:
        return None
    if method == "fp8":
        block = found.get("weight_block_size") or []
        return 8 + (32 / math.prod(block) if block else 0)
    if method in ("mxfp4", "mxfp8"):
        return (4 if method == "mxfp4" else 8) + 8 / 32
    if "nvfp4" in f"{method} {found.get('quant_algo', '')}".lower():
        return 4 + 8 / 16
    groups = list((found.get("config_groups") or {}).values())
    weights = (groups[0].get("weights") or {}) if groups else {}
    if "num_bits" in weights:
        size = weights.get("group_size") or 0
        return float(weights["num_bits"]) + (16 / size if size > 0 else 0)
    raise UnknownShape(f"the quantization {method or 'of this kind'} is not known here")


def _names(pattern: str, module: str) -> bool:
    """Return whether a pattern of modules that stay as they are means this one."""
    if pattern.startswith("re:"):
        return re.match(pattern[3:], module) is not None
    if "*" in pattern:
        return fnmatch.fnmatch(module, pattern)
    return pattern in module.split(".") or module.endswith(pattern)


def _text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = config.get("text_config")
    return inner if isinstance(inner, Mapping) else config


def _optional(text: Mapping[str, Any], *keys: str) -> int:
    """Return the first of the keys that is set, 0 if none is. Raises UnknownShape."""
    return next((_number(text, key) for key in keys if text.get(key)), 0)


def _number(text: Mapping[str, Any], key: str) -> int:
    value = text.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UnknownShape(f"the config has no {key}" if value is None else f"{key} of the config is no whole number")
    return value
