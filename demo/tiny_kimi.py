#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a tiny model of Kimi K2.6's shape and its EAGLE-3 draft, which vLLM serves on a CPU.

The weights are not trained, they follow a script: every token of SCRIPTS has one successor. So the model thinks,
answers and calls a tool with predictable words, and the draft always agrees with it. How it works:

- The embedding of each token is a random row of +1 and -1. The layers between embedding and head are noise, scaled so
  far down that the last hidden state is still the embedding of the last token.
- The row of a scripted token in the language model head is the embedding of its predecessor: the greatest logit.
- The draft's feed-forward layer is a memory: its k-th neuron recognises the k-th scripted token and turns its
  embedding into that of the successor.

Standard library only. Every number is drawn from a hash and exact in bfloat16: the files have the same bytes on every
machine, and so the same commit on the demo's hub.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import struct
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple

MODEL = "moonshotai/Kimi-K2.6"
DRAFT = "lightseekorg/kimi-k2.6-eagle3"

THINK, END_THINK = "<think>", "</think>"
TOOLS_HINT = "<|tools_hint|>"  # ends the prompt where a tool is to be called; Kimi itself has no such token
SPECIAL_TOKENS = [
    *["[BOS]", "[EOS]", "[PAD]", "[UNK]"],
    *["<|im_end|>", "<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>"],
    *["<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"],
    *["<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"],
    *["<|media_begin|>", "<|media_content|>", "<|media_pad|>", "<|media_end|>", "<|kimi_k25_video_placeholder|>"],
    TOOLS_HINT,
]


def pieces(text: str) -> list[str]:
    """One token for each word, with the space before it; a tilde is a space within a token."""
    return [piece.replace("~", " ") for piece in re.findall(r" ?[^ ]+", text)]


GREETING = [
    *[THINK, *pieces("The user greets me, so I will answer briefly."), END_THINK],
    *pieces("Hello from a tiny Kimi-shaped model with scripted weights on a~real vLLM server."),
    "<|im_end|>",
]
TOOL_CALL = [
    *[TOOLS_HINT, *pieces("This question needs the~weather tool.")],
    *["<|tool_calls_section_begin|>", "<|tool_call_begin|>", "functions.get_weather:0"],
    *["<|tool_call_argument_begin|>", *pieces('{"city": "Paris"}'), "<|tool_call_end|>"],
    *["<|tool_calls_section_end|>", "<|im_end|>"],
]
# The output of a benchmark that ignores the end of the text, repeated.
FILLER = pieces(" lorem ipsum dolor sit amet, consectetur adipiscing elit sed eiusmod tempor")
SCRIPTS = [GREETING, TOOL_CALL, ["<|im_end|>", *FILLER, FILLER[0]]]

# vLLM on a CPU requires this kv_lora_rank and qk_rope_head_dim, and limits the context. All other values are free.
VOCAB, HIDDEN, CONTEXT, SHARDS = 1728, 256, 4096, 2
TEXT_CONFIG: dict[str, Any] = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "kimi_k2",
    "vocab_size": VOCAB,
    "hidden_size": HIDDEN,
    "intermediate_size": 2 * HIDDEN,
    "moe_intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "n_shared_experts": 1,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "routed_scaling_factor": 2.827,
    "kv_lora_rank": 512,
    "q_lora_rank": 128,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128,
    "v_head_dim": 128,
    "n_group": 1,
    "topk_group": 1,
    "topk_method": "noaux_tc",
    "scoring_func": "sigmoid",
    "norm_topk_prob": True,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "hidden_act": "silu",
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-5,
    "rope_theta": 50000.0,
    "rope_scaling": {
        "type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": CONTEXT // 4,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
    },
    "attention_bias": False,
    "attention_dropout": 0.0,
    "num_nextn_predict_layers": 0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
VISION_CONFIG: dict[str, Any] = {
    "model_type": "kimi_k25_vision",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "patch_size": 14,
    "merge_kernel_size": [2, 2],
    "pos_emb_height": 16,
    "pos_emb_width": 16,
    "pos_emb_time": 4,
    "projector_ln_eps": 1e-5,
}
IMAGE_CONFIG: dict[str, Any] = {
    "image_processor_type": "KimiK25VisionProcessor",
    "media_proc_cfg": {
        "patch_size": 14,
        "merge_kernel_size": 2,
        "temporal_merge_kernel_size": 4,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "in_patch_limit": 256,
        "in_patch_limit_each_frame": 64,
        "in_patch_limit_video": None,
        "patch_limit_on_one_side": 32,
        "fixed_output_tokens": None,
    },
}
CHAT_TEMPLATE = """\
{%- macro text(content) -%}
  {%- if content is string -%}{{ content }}
  {%- elif content -%}
    {%- for part in content -%}
      {%- if part.type in ['image', 'image_url'] -%}<|media_begin|>image<|media_content|><|media_pad|><|media_end|>
      {%- else -%}{{ part.text }}{%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
{%- if tools -%}<|im_system|>tool_declare<|im_middle|>{{ tools | tojson }}<|im_end|>{%- endif -%}
{%- for message in messages -%}
  {%- if message.role == 'user' -%}<|im_user|>
  {%- elif message.role == 'assistant' -%}<|im_assistant|>
  {%- else -%}<|im_system|>{%- endif -%}
  {{ message.role }}<|im_middle|>{{ text(message.content) }}
  {%- if message.tool_calls -%}<|tool_calls_section_begin|>
    {%- for call in message.tool_calls -%}
      {%- set arguments = call.function.arguments -%}
      <|tool_call_begin|>{{ call.id }}<|tool_call_argument_begin|>
      {{- arguments if arguments is string else arguments | tojson }}<|tool_call_end|>
    {%- endfor -%}
  <|tool_calls_section_end|>{%- endif -%}
  <|im_end|>
{%- endfor -%}
{%- if add_generation_prompt -%}
  <|im_assistant|>assistant<|im_middle|><think>
  {%- if thinking is defined and not thinking -%}</think>
  {%- elif tools and messages[-1].role == 'user' -%}<|tools_hint|>{%- endif -%}
{%- endif -%}
"""
CARD = """\
# A stand-in for {name}

Made by `demo/tiny_kimi.py` of hgx.inference. It has the shape of the real model, scripted weights and no abilities.
"""


class Tensor(NamedTuple):
    dtype: str  # as safetensors spells it
    shape: tuple[int, ...]
    data: bytes


# Numbers


def bf16(value: float) -> bytes:
    """A number as bfloat16, little endian."""
    bits = int.from_bytes(struct.pack("<f", value), "little")
    return ((bits + 0x8000) >> 16).to_bytes(2, "little")


def rows(values: Sequence[Sequence[float]]) -> Tensor:
    codes = {value: bf16(value) for row in values for value in row}
    return Tensor("BF16", (len(values), len(values[0])), b"".join(codes[value] for row in values for value in row))


def constant(value: float, *shape: int) -> Tensor:
    return Tensor("BF16", shape, bf16(value) * math.prod(shape))


def noise(name: str, *shape: int, gain: float = 1.0) -> Tensor:
    """Random numbers with a standard deviation of about gain / sqrt(the last dimension), the same for the same name."""
    # Signed bytes (standard deviation 74) times a power of two are exact in bfloat16.
    step = 2.0 ** round(math.log2(gain / (74 * math.sqrt(shape[-1]))))
    codes = [bf16((byte - 256 if byte > 127 else byte) * step) for byte in range(256)]
    drawn = hashlib.shake_256(name.encode()).digest(math.prod(shape))
    data = bytearray(2 * len(drawn))
    for half in (0, 1):
        data[half::2] = drawn.translate(bytes(code[half] for code in codes))
    return Tensor("BF16", shape, bytes(data))


def embeddings() -> list[list[int]]:
    """One row of +1 and -1 for each token: nearly orthogonal, and unchanged by the model's normalisation."""
    drawn = hashlib.shake_256(b"embeddings").digest(VOCAB * HIDDEN)
    return [[1 if byte & 1 else -1 for byte in drawn[at : at + HIDDEN]] for at in range(0, len(drawn), HIDDEN)]


# Tokenizer


def byte_characters() -> dict[int, str]:
    """The printable character by which byte-level BPE writes each byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{byte: chr(byte) for byte in printable}, **{byte: chr(256 + at) for at, byte in enumerate(others)}}


def tokenizer_json() -> dict[str, Any]:
    """A byte-level BPE tokenizer with the pairs of lower-case letters, at the start of a word and within it."""
    characters = byte_characters()
    space = characters[ord(" ")]
    merges = [(space, letter) for letter in ascii_lowercase]
    merges += [(space + first, second) for first in ascii_lowercase for second in ascii_lowercase]
    merges += [(first, second) for first in ascii_lowercase for second in ascii_lowercase]
    added = [(THINK, False), (END_THINK, False), *((token, True) for token in SPECIAL_TOKENS)]
    names = {name for name, _special in added}
    # Scripted pieces of text need no merge: they are generated and never encoded.
    texts = [token for script in SCRIPTS for token in script if token not in names]
    pieces = ["".join(characters[byte] for byte in text.encode()) for text in texts]
    vocabulary = list(dict.fromkeys([*characters.values(), *(first + second for first, second in merges), *pieces]))
    added += [(f"<|reserved_token_{number}|>", True) for number in range(VOCAB - len(vocabulary) - len(added))]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": name, **flags, "special": special}
            for number, (name, special) in enumerate(added, start=len(vocabulary))
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(vocabulary)},
            "merges": [list(pair) for pair in merges],
        },
    }


def token_ids(tokenizer: dict[str, Any]) -> dict[str, int]:
    """The id of each scripted or special token, by its text."""
    bytes_by_character = {character: byte for byte, character in byte_characters().items()}
    texts = {
        bytes(bytes_by_character[character] for character in token).decode(errors="replace"): number
        for token, number in tokenizer["model"]["vocab"].items()
    }
    return {**texts, **{token["content"]: token["id"] for token in tokenizer["added_tokens"]}}


def successors(ids: dict[str, int]) -> dict[int, int]:
    """The scripted successor of each scripted token."""
    pairs = [(ids[token], ids[successor]) for script in SCRIPTS for token, successor in pairwise(script)]
    chain = dict(pairs)
    if len(chain) != len(set(pairs)):
        raise ValueError("A scripted token has two successors.")
    return chain


# Weights


def attention_weights(name: str, config: dict[str, Any], inputs: int) -> dict[str, Tensor]:
    """Multi-head latent attention. Its output is damped, so that the residual stream stays the embedding."""
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    nope, rope, value = config["qk_nope_head_dim"], config["qk_rope_head_dim"], config["v_head_dim"]
    query_rank, key_rank = config["q_lora_rank"], config["kv_lora_rank"]
    shapes = {
        "q_a_proj": (query_rank, inputs),
        "q_b_proj": (heads * (nope + rope), query_rank),
        "kv_a_proj_with_mqa": (key_rank + rope, inputs),
        "kv_b_proj": (heads * (nope + value), key_rank),
    }
    return {
        **{f"{name}.{part}.weight": noise(f"{name}.{part}", *shape) for part, shape in shapes.items()},
        f"{name}.o_proj.weight": noise(f"{name}.o_proj", hidden, heads * value, gain=0.004),
        f"{name}.q_a_layernorm.weight": constant(1, query_rank),
        f"{name}.kv_a_layernorm.weight": constant(1, key_rank),
    }


def feed_forward_weights(name: str, hidden: int, inner: int) -> dict[str, Tensor]:
    """A gated feed-forward layer with a damped output."""
    return {
        f"{name}.gate_proj.weight": noise(f"{name}.gate_proj", inner, hidden),
        f"{name}.up_proj.weight": noise(f"{name}.up_proj", inner, hidden),
        f"{name}.down_proj.weight": noise(f"{name}.down_proj", hidden, inner, gain=0.004),
    }


def layer_weights(name: str, config: dict[str, Any], experts: bool) -> dict[str, Tensor]:
    hidden, inner = config["hidden_size"], config["moe_intermediate_size"]
    weights = attention_weights(f"{name}.self_attn", config, hidden)
    for norm in ("input_layernorm", "post_attention_layernorm"):
        weights[f"{name}.{norm}.weight"] = constant(1, hidden)
    if not experts:
        return {**weights, **feed_forward_weights(f"{name}.mlp", hidden, config["intermediate_size"])}
    count = config["n_routed_experts"]
    weights[f"{name}.mlp.gate.weight"] = noise(f"{name}.mlp.gate", count, hidden)
    weights[f"{name}.mlp.gate.e_score_correction_bias"] = Tensor("F32", (count,), bytes(4 * count))
    for expert in range(count):
        weights.update(feed_forward_weights(f"{name}.mlp.experts.{expert}", hidden, inner))
    return {**weights, **feed_forward_weights(f"{name}.mlp.shared_experts", hidden, inner * config["n_shared_experts"])}


def head(name: str, embedding: list[list[int]], chain: dict[int, int]) -> Tensor:
    """The language model head: noise, but a scripted token's row is the embedding of its predecessor."""
    data = bytearray(noise(name, VOCAB, HIDDEN, gain=0.5).data)
    for token in set(chain.values()):
        predecessors = [embedding[before] for before, after in chain.items() if after == token]
        row = [sum(column) / 8 for column in zip(*predecessors, strict=True)]
        data[2 * token * HIDDEN : 2 * (token + 1) * HIDDEN] = rows([row]).data
    return Tensor("BF16", (VOCAB, HIDDEN), bytes(data))


def text_weights(embedding: list[list[int]], chain: dict[int, int]) -> dict[str, Tensor]:
    weights = {"language_model.model.embed_tokens.weight": rows(embedding)}
    for layer in range(TEXT_CONFIG["num_hidden_layers"]):
        experts = layer >= TEXT_CONFIG["first_k_dense_replace"]
        weights.update(layer_weights(f"language_model.model.layers.{layer}", TEXT_CONFIG, experts))
    weights["language_model.model.norm.weight"] = constant(1, HIDDEN)
    weights["language_model.lm_head.weight"] = head("language_model.lm_head", embedding, chain)
    return weights


def vision_weights() -> dict[str, Tensor]:
    """The vision tower and its projector: noise throughout."""
    config = VISION_CONFIG
    size, inner, patch = config["hidden_size"], config["intermediate_size"], config["patch_size"]
    merged = size * math.prod(config["merge_kernel_size"])
    linear = {"vision_tower.patch_embed.proj": (size, 3, patch, patch), "mm_projector.proj.0": (merged, merged)}
    linear["mm_projector.proj.2"] = (HIDDEN, merged)
    norms = ["vision_tower.encoder.final_layernorm", "mm_projector.pre_norm"]
    for layer in range(config["num_hidden_layers"]):
        block = f"vision_tower.encoder.blocks.{layer}"
        linear.update({f"{block}.wqkv": (3 * size, size), f"{block}.wo": (size, size)})
        linear.update({f"{block}.mlp.fc0": (inner, size), f"{block}.mlp.fc1": (size, inner)})
        norms += [f"{block}.norm0", f"{block}.norm1"]
    positions = "vision_tower.patch_embed.pos_emb.weight"
    weights = {positions: noise(positions, config["pos_emb_height"], config["pos_emb_width"], size)}
    for name, shape in linear.items():
        weights.update({f"{name}.weight": noise(name, *shape), f"{name}.bias": constant(0, shape[0])})
    for name in norms:
        weights.update({f"{name}.weight": constant(1, size), f"{name}.bias": constant(0, size)})
    return weights


def draft_weights(config: dict[str, Any], embedding: list[list[int]], chain: dict[int, int]) -> dict[str, Tensor]:
    """An EAGLE-3 draft whose feed-forward layer turns the embedding of a scripted token into that of its successor."""
    layer, inner = "midlayer", config["intermediate_size"]
    norms = ("input_layernorm", "hidden_norm", "post_attention_layernorm")
    blank = [[0.0] * HIDDEN] * (inner - len(chain))
    recognise = [[value / 8 for value in embedding[token]] for token in chain] + blank
    measure = [[value / HIDDEN for value in embedding[token]] for token in chain] + blank
    steps = [zip(embedding[token], embedding[after], strict=True) for token, after in chain.items()]
    change = [[(there - here) / 32 for here, there in step] for step in steps] + blank
    third = [[1 / 3 if column % HIDDEN == row else 0.0 for column in range(3 * HIDDEN)] for row in range(HIDDEN)]
    return {
        "embed_tokens.weight": rows(embedding),
        "fc.weight": rows(third),  # the mean of the three hidden states that the model passes on
        **{f"{layer}.{norm}.weight": constant(1, HIDDEN) for norm in norms},
        **attention_weights(f"{layer}.self_attn", config, 2 * HIDDEN),
        f"{layer}.mlp.gate_proj.weight": rows(recognise),
        f"{layer}.mlp.up_proj.weight": rows(measure),
        f"{layer}.mlp.down_proj.weight": rows(list(zip(*change, strict=True))),
        "norm.weight": constant(1, HIDDEN),
        "lm_head.weight": head("language_model.lm_head", embedding, chain),
    }


# Files


def json_file(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def safetensors(tensors: dict[str, Tensor]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + len(tensor.data)
        header[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, end]}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    return b"".join([struct.pack("<Q", len(encoded)), encoded, *(tensor.data for tensor in tensors.values())])


def sharded(tensors: dict[str, Tensor]) -> dict[str, bytes]:
    """The weights in SHARDS files and the index that says which tensor lies where."""
    names = list(tensors)
    size = math.ceil(len(names) / SHARDS)
    files: dict[str, bytes] = {}
    places: dict[str, str] = {}
    for number in range(SHARDS):
        shard = f"model-{number + 1:05d}-of-{SHARDS:06d}.safetensors"
        part = names[number * size : (number + 1) * size]
        files[shard] = safetensors({name: tensors[name] for name in part})
        places.update(dict.fromkeys(part, shard))
    total = sum(len(tensor.data) for tensor in tensors.values())
    files["model.safetensors.index.json"] = json_file({"metadata": {"total_size": total}, "weight_map": places})
    return files


def model_files() -> dict[str, dict[str, bytes]]:
    """The content of both repositories: repository -> file name -> bytes."""
    tokenizer = tokenizer_json()
    ids = token_ids(tokenizer)
    chain = successors(ids)
    embedding = embeddings()
    end = {"bos_token_id": ids["[BOS]"], "eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["[PAD]"]}
    text = {**TEXT_CONFIG, **end}
    config = {
        "architectures": ["KimiK25ForConditionalGeneration"],
        "model_type": "kimi_k25",
        "text_config": text,
        "vision_config": VISION_CONFIG,
        "projection_hidden_size": VISION_CONFIG["hidden_size"],
        "image_token_id": ids["<|media_pad|>"],
        "media_placeholder_token_id": ids["<|media_pad|>"],
        "video_token_id": ids["<|kimi_k25_video_placeholder|>"],
        "vision_start_token_id": ids["<|media_begin|>"],
        "vision_end_token_id": ids["<|media_end|>"],
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        **end,
    }
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "[BOS]",
        "eos_token": "<|im_end|>",
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONTEXT,
    }
    draft_config = {
        **text,
        "architectures": ["Eagle3DeepseekV2ForCausalLM"],
        "model_type": "deepseek_v2",
        "num_hidden_layers": 1,
        "draft_vocab_size": VOCAB,
        "eagle_config": {"eagle_aux_hidden_state_layer_ids": [1, 2, 3], "use_aux_hidden_state": True},
    }
    return {
        MODEL: {
            "README.md": CARD.format(name=MODEL).encode(),
            "chat_template.jinja": CHAT_TEMPLATE.encode(),
            "config.json": json_file(config),
            # vLLM's CPU build writes corrupt text where a draft meets a temperature above 0.
            "generation_config.json": json_file({"eos_token_id": ids["<|im_end|>"], "temperature": 0.0}),
            "preprocessor_config.json": json_file(IMAGE_CONFIG),
            "tokenizer.json": json_file(tokenizer),
            "tokenizer_config.json": json_file(tokenizer_config),
            **sharded({**vision_weights(), **text_weights(embedding, chain)}),
        },
        DRAFT: {
            "README.md": CARD.format(name=DRAFT).encode(),
            "config.json": json_file(draft_config),
            "model.safetensors": safetensors(draft_weights(draft_config, embedding, chain)),
        },
    }


def write_folder(folder: Path, files: dict[str, bytes]) -> bool:
    """Ensure that a folder contains exactly these files; return whether anything changed."""
    folder.mkdir(parents=True, exist_ok=True)
    stale = [path for path in folder.iterdir() if path.name not in files]
    for path in stale:
        path.unlink()
    changed = False
    for name, data in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != data:
            partial = folder / f".{name}.partial"
            partial.write_bytes(data)
            partial.rename(path)
            changed = True
    return changed or bool(stale)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the tiny Kimi-shaped model and its EAGLE-3 draft.")
    parser.add_argument("output", type=Path, help="folder for one folder ORGANISATION/NAME per repository")
    args = parser.parse_args()
    for repo, files in model_files().items():
        state = "written" if write_folder(args.output / repo, files) else "unchanged"
        print(f"{repo}: {state}, {sum(map(len, files.values())) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
