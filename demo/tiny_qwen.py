#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a tiny model of Qwen3's shape: dense, with grouped-query attention, tokens and script of the tiny Kimi.

It has no memory of phases, so it knows only the first script: it thinks, greets, and calls no tools.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "collections"))

from ansible_collections.hgx.inference.demo import tiny_kimi
from ansible_collections.hgx.inference.demo.tiny_kimi import HIDDEN, VOCAB, Tensor, constant, noise

MODEL = "hgx-inference/tiny-qwen3"
LAYERS, HEADS, PAIRS, HEAD_DIM = 2, 4, 2, 64
CHAT_TEMPLATE = """\
{%- macro text(content) -%}
  {%- if content is string -%}{{ content }}
  {%- elif content -%}{%- for part in content -%}{{ part.text }}{%- endfor -%}{%- endif -%}
{%- endmacro -%}
{%- for message in messages -%}
  <|im_user|>{{ message.role }}<|im_middle|>{{ text(message.content) }}<|im_end|>
{%- endfor -%}
{%- if add_generation_prompt -%}
  <|im_assistant|>assistant<|im_middle|><think>
  {%- if enable_thinking is defined and not enable_thinking -%}</think>{%- endif -%}
{%- endif -%}
"""


def layer(name: str) -> dict[str, Tensor]:
    """Attention and feed-forward with damped outputs, so that the hidden state stays the embedding."""
    shapes = {"q_proj": HEADS * HEAD_DIM, "k_proj": PAIRS * HEAD_DIM, "v_proj": PAIRS * HEAD_DIM}
    return {
        **{f"{name}.self_attn.{part}.weight": noise(f"{name}.{part}", size, HIDDEN) for part, size in shapes.items()},
        f"{name}.self_attn.o_proj.weight": noise(f"{name}.o_proj", HIDDEN, HEADS * HEAD_DIM, gain=0.004),
        **{f"{name}.self_attn.{norm}.weight": constant(1, HEAD_DIM) for norm in ("q_norm", "k_norm")},
        **{f"{name}.{norm}.weight": constant(1, HIDDEN) for norm in ("input_layernorm", "post_attention_layernorm")},
        **tiny_kimi.feed_forward_weights(f"{name}.mlp", HIDDEN, 2 * HIDDEN),
    }


def model_files() -> dict[str, bytes]:
    """Return the content of the repository: file name -> bytes."""
    tokenizer = tiny_kimi.tokenizer_json()
    ids = tiny_kimi.token_ids(tokenizer)
    chain = tiny_kimi.successors(ids)
    end = {"bos_token_id": ids["[BOS]"], "eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["[PAD]"]}
    config: dict[str, Any] = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": VOCAB,
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": PAIRS,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "max_position_embeddings": tiny_kimi.CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 50000.0,
        "attention_bias": False,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        **end,
    }
    weights = {"model.embed_tokens.weight": tiny_kimi.rows(tiny_kimi.embeddings(ids))}
    for number in range(LAYERS):
        weights.update(layer(f"model.layers.{number}"))
    weights["model.norm.weight"] = constant(1, HIDDEN)
    weights["lm_head.weight"] = tiny_kimi.head("lm_head", chain)
    return {
        "README.md": tiny_kimi.CARD.format(name="Qwen3").encode(),
        "chat_template.jinja": CHAT_TEMPLATE.encode(),
        "config.json": tiny_kimi.json_file(config),
        "generation_config.json": tiny_kimi.json_file({"eos_token_id": ids["<|im_end|>"], "temperature": 0.0}),
        "tokenizer.json": tiny_kimi.json_file(tokenizer),
        "tokenizer_config.json": tiny_kimi.json_file(tiny_kimi.TOKENIZER_CONFIG),
        "model.safetensors": tiny_kimi.safetensors(weights),
    }


def main(root: Path) -> None:
    """Write the repository below a folder of repositories."""
    folder = root / MODEL
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in model_files().items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
