#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a model of Kimi K2.6's shape and an EAGLE-3 draft for vLLM on one GPU, without weights (--load-format dummy).

    PYTHONPATH=collections python3 tests/gpu/kimi_shaped.py FOLDER      writes FOLDER/model and FOLDER/draft

It has Kimi K2.6's own widths and experts, and 6 of its 61 layers, so that it fits on the card, and yet a step
costs the GPU more than the host. Its answers are noise. Standard library only.
"""

from __future__ import annotations

import sys
from itertools import chain, islice, product
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from ansible_collections.hgx.inference.demo import tiny_kimi

VOCAB, FIRST_SPECIAL, CONTEXT = 163840, 163584, 262144
INNER, HEADS = 18432, 64
SPECIAL = [tiny_kimi.THINK, tiny_kimi.END_THINK, *tiny_kimi.SPECIAL_TOKENS]
IDS = {name: FIRST_SPECIAL + index for index, name in enumerate(SPECIAL)}
ENDS = {"bos_token_id": IDS["[BOS]"], "eos_token_id": IDS["<|im_end|>"], "pad_token_id": IDS["[PAD]"]}

QUANTIZATION: dict[str, Any] = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "quantization_status": "compressed",
    "kv_cache_scheme": None,
    "config_groups": {
        "group_0": {
            "input_activations": None,
            "output_activations": None,
            "targets": ["Linear"],
            "weights": {
                "type": "int",
                "num_bits": 4,
                "group_size": 32,
                "strategy": "group",
                "symmetric": True,
                "dynamic": False,
                "actorder": None,
                "block_structure": None,
                "observer": "minmax",
                "observer_kwargs": {},
            },
        }
    },
    "ignore": [
        "lm_head",
        "re:.*self_attn.*",
        "re:.*shared_experts.*",
        r"re:.*mlp\.(gate|up|gate_up|down)_proj.*",
        "re:vision_tower.*",
        "re:mm_projector.*",
    ],
}
TEXT = {
    **tiny_kimi.TEXT_CONFIG,
    **ENDS,
    "dtype": "bfloat16",
    "vocab_size": VOCAB,
    "intermediate_size": INNER,
    "moe_intermediate_size": 2048,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS,
    "num_experts_per_tok": 8,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,  # GPUs have kernels for this size only
    "v_head_dim": 128,
    "max_position_embeddings": CONTEXT,
    "rope_scaling": {
        **tiny_kimi.TEXT_CONFIG["rope_scaling"],
        "factor": 64.0,
        "original_max_position_embeddings": CONTEXT // 64,
    },
    "quantization_config": QUANTIZATION,
}
VISION = {
    "model_type": "kimi_k25_vision",
    "patch_size": 14,
    "init_pos_emb_height": 64,
    "init_pos_emb_width": 64,
    "init_pos_emb_time": 4,
    "pos_emb_type": "divided_fixed",
    "num_attention_heads": 16,
    "num_hidden_layers": 2,
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "merge_kernel_size": [2, 2],
    "merge_type": "sd2_tpool",
    "video_attn_type": "spatial_temporal",
    "mm_projector_type": "patchmerger",
    "mm_hidden_size": 1152,
    "projector_hidden_act": "gelu",
    "projector_ln_eps": 1e-5,
}
IMAGES = {
    "media_proc_cfg": {
        "patch_size": 14,
        "merge_kernel_size": 2,
        "temporal_merge_kernel_size": 4,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "in_patch_limit": 16384,
        "in_patch_limit_each_frame": 4096,
        "in_patch_limit_video": None,
        "patch_limit_on_one_side": 512,
        "fixed_output_tokens": None,
        "sample_fps": 2.0,
        "max_num_frames_each_video": None,
        "timestamp_mode": "hh:mm:ss.fff",
        "config_type": "media_proc.processors.moonvit.MoonViTMediaProcessorConfig",
    }
}
MODEL = {
    "architectures": ["KimiK25ForConditionalGeneration"],
    "model_type": "kimi_k25",
    "dtype": "bfloat16",
    "ignore_index": -100,
    "media_placeholder_token_id": IDS["<|media_pad|>"],
    "use_unified_vision_chunk": True,
    "video_placeholder": "<|kimi_k25_video_placeholder|>",
    "tie_word_embeddings": False,
    "vision_config": VISION,
    **ENDS,
}
DRAFT = {
    "architectures": ["LlamaForCausalLMEagle3"],
    "model_type": "llama",
    "dtype": "bfloat16",
    "vocab_size": VOCAB,
    "draft_vocab_size": VOCAB,
    "intermediate_size": INNER,
    "num_hidden_layers": 1,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS,
    "head_dim": 128,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": CONTEXT,
    "rope_theta": 50000.0,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
    **ENDS,
}
TOKENIZER = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": "[BOS]",
    "eos_token": "<|im_end|>",
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "clean_up_tokenization_spaces": False,
    "model_max_length": CONTEXT,
}


def tokenizer_json() -> dict[str, Any]:
    """A byte-level BPE tokenizer with as many words of two to four letters as the vocabulary has room for."""
    characters = tiny_kimi.byte_characters()
    pairs = ["".join(pair) for pair in product(ascii_lowercase, repeat=2)]
    starts = [characters[ord(" ")] + letter for letter in ascii_lowercase] + pairs
    merges = chain(((start[0], start[1]) for start in starts), product(starts, ascii_lowercase), product(starts, pairs))
    chosen = list(islice(merges, FIRST_SPECIAL - len(characters)))
    vocabulary = [*characters.values(), *("".join(merge) for merge in chosen)]
    if len(set(vocabulary)) != FIRST_SPECIAL:
        raise ValueError(f"{len(set(vocabulary))} different words, not {FIRST_SPECIAL}")
    reserved = [f"<|reserved_token_{number}|>" for number in range(VOCAB - FIRST_SPECIAL - len(SPECIAL))]
    tokenizer = tiny_kimi.tokenizer_json()
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    tokenizer["added_tokens"] = [
        {"id": number, "content": name, **flags, "special": name not in (tiny_kimi.THINK, tiny_kimi.END_THINK)}
        for number, name in enumerate([*SPECIAL, *reserved], start=FIRST_SPECIAL)
    ]
    tokenizer["model"]["vocab"] = {word: number for number, word in enumerate(vocabulary)}
    tokenizer["model"]["merges"] = [list(merge) for merge in chosen]
    return tokenizer


def write(folder: Path, layers: int = 6, experts: int = 384, hidden: int = 7168) -> None:
    """Write C(folder/model) and C(folder/draft)."""
    as_json = tiny_kimi.json_file
    text = {**TEXT, "num_hidden_layers": layers, "n_routed_experts": experts, "hidden_size": hidden}
    eagle = {"eagle_aux_hidden_state_layer_ids": [1, 2, layers - 1], "use_aux_hidden_state": True}
    tiny_kimi.write_folder(
        folder / "model",
        {
            "config.json": as_json({**MODEL, "text_config": text}),
            "generation_config.json": as_json({"eos_token_id": ENDS["eos_token_id"]}),
            "preprocessor_config.json": as_json(IMAGES),
            "tokenizer.json": as_json(tokenizer_json()),
            "tokenizer_config.json": as_json(TOKENIZER),
            "chat_template.jinja": tiny_kimi.CHAT_TEMPLATE.encode(),
        },
    )
    tiny_kimi.write_folder(
        folder / "draft", {"config.json": as_json({**DRAFT, "hidden_size": hidden, "eagle_config": eagle})}
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]))
