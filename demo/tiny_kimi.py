#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a tiny model of Kimi K2.6's shape and its EAGLE-3 drafts, which vLLM serves on a CPU.

The weights are not trained, they follow SCRIPTS: in a phase of a script, every token has one successor. So the model
thinks, answers and calls tools with predictable words, and the draft always agrees with it. How it works:

- The embedding of each token has a random word of +1 and -1. The layers between embedding and head are noise, scaled so
  far down that the last hidden state is still the embedding of the last token.
- One attention head of the first layer is a memory: it looks for the last token of PHASES in the context, and writes
  which one it is into columns of the hidden state that the embeddings leave free.
- The row of a scripted token in the language model head is the word of its predecessor: the greatest logit. If the
  predecessor has several successors, the row holds the phase, too.
- The draft's feed-forward layer is a table: its k-th neuron recognises the k-th scripted token, where necessary in its
  phase, and turns its hidden state into that of the successor.

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
MLA_DRAFT = "lightseekorg/kimi-k2.6-eagle3-mla"  # of the model's own attention
PROCESSOR = "kimi_k25_vision_processing.py"  # the model's own code; vLLM before 0.22 has none

THINK, END_THINK = "<think>", "</think>"
# They end the prompt and name the script to follow. Kimi itself has no such tokens.
PARIS, ROME, BOTH = "<|weather_paris|>", "<|weather_rome|>", "<|weather_both|>"
LIST, PICTURE, SILENCE = "<|list_files|>", "<|picture|>", "<|silence|>"
HINTS = [PARIS, ROME, BOTH, LIST, PICTURE, SILENCE]
TOOL_TOKENS = [
    *["<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"],
    *["<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"],
]
SPECIAL_TOKENS = [
    *["[BOS]", "[EOS]", "[PAD]", "[UNK]"],
    *["<|im_end|>", "<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>"],
    *TOOL_TOKENS,
    *["<|media_begin|>", "<|media_content|>", "<|media_pad|>", "<|media_end|>", "<|kimi_k25_video_placeholder|>"],
    *HINTS,
]
# vLLM 0.19 removes special tokens before its parsers see them.
PLAIN_TOKENS = {THINK, END_THINK, *TOOL_TOKENS}


def pieces(text: str) -> list[str]:
    """One token for each word, with the space before it; a tilde is a space within a token."""
    return [piece.replace("~", " ") for piece in re.findall(r" ?[^ ]+", text)]


def call(name: str, arguments: list[str]) -> list[str]:
    return ["<|tool_call_begin|>", name, "<|tool_call_argument_begin|>", *arguments, "<|tool_call_end|>"]


def calls(hint: str, thoughts: str, *tools: list[str]) -> list[str]:
    section = ["<|tool_calls_section_begin|>", *(token for tool in tools for token in tool)]
    return [hint, *pieces(thoughts), *section, "<|tool_calls_section_end|>", "<|im_end|>"]


def answer(start: str, thoughts: str, text: str) -> list[str]:
    return [start, *pieces(thoughts), END_THINK, *pieces(text), "<|im_end|>"]


# The output of a benchmark that ignores the end of the text, repeated.
FILLER = pieces(" lorem ipsum dolor sit amet, consectetur adipiscing elit sed eiusmod tempor")
WEATHER = "This question needs the~weather tool."
PARIS_CALLED, ROME_CALLED = ': "Paris"}', ': "Rome"}'  # tokens of the two calls in one answer, and of no other
SCRIPTS = [
    answer(
        THINK,
        "The user greets me, so I will answer briefly.",
        "Hello from a tiny Kimi-shaped model with scripted weights on a~real vLLM server.",
    ),
    calls(PARIS, WEATHER, call("functions.get_weather:0", pieces('{"city": "Paris"}'))),
    calls(ROME, WEATHER, call("functions.get_weather:0", pieces('{"city": "Rome"}'))),
    calls(
        BOTH,
        WEATHER,
        call("functions.get_weather:0", ['{"city"', PARIS_CALLED]),
        call("functions.get_weather:1", ['{"city"', ROME_CALLED]),
    ),
    calls(
        LIST,
        "Listing the~files answers it.",
        call("functions.Bash:0", pieces('{"command": "ls", "description": "List~the~files"}')),
    ),
    answer(PICTURE, "There is a~picture to look at.", "A~picture! But scripts cannot see~its colour."),
    answer(SILENCE, "Nothing is left to~say.", ""),
    ["<|im_end|>", *FILLER, FILLER[0]],
]
# A phase of a script lasts from such a token to the next one. Of several in a context, the one in the last row counts.
PHASES = [HINTS, [PARIS_CALLED], [ROME_CALLED]]

# vLLM on a CPU requires this kv_lora_rank and qk_rope_head_dim. All other values are free; few and small heads keep the
# prompts of coding agents, 30000 tokens, affordable.
VOCAB, HIDDEN, CONTEXT, SHARDS = 1792, 256, 65536, 2
TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": "[BOS]",
    "eos_token": "<|im_end|>",
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "add_bos_token": False,
    "clean_up_tokenization_spaces": False,
    "model_max_length": CONTEXT,
}
TEXT_CONFIG: dict[str, Any] = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "kimi_k2",
    "vocab_size": VOCAB,
    "hidden_size": HIDDEN,
    "intermediate_size": 2 * HIDDEN,
    "moe_intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "n_shared_experts": 1,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "routed_scaling_factor": 2.827,
    "kv_lora_rank": 512,
    "q_lora_rank": 128,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 64,
    "v_head_dim": 64,
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
LLAMA_KEYS = {
    *["vocab_size", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "hidden_act"],
    *["max_position_embeddings", "rms_norm_eps", "rope_theta", "attention_bias", "attention_dropout"],
    *["tie_word_embeddings", "torch_dtype", "bos_token_id", "eos_token_id", "pad_token_id"],
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
# Older versions of vLLM know them, like Kimi's own code, by other names.
VISION_CONFIG.update(
    {f"init_{name}": VISION_CONFIG[name] for name in ("pos_emb_height", "pos_emb_width", "pos_emb_time")}
)
IMAGE_CONFIG: dict[str, Any] = {
    "auto_map": {"AutoImageProcessor": f"{PROCESSOR.removesuffix('.py')}.KimiK25VisionProcessor"},
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
{#- The script to follow depends on what came since the model spoke last. -#}
{%- set turn = namespace(asked='', picture=false, results=false, strange=false) -%}
{%- for message in messages -%}
  {%- if message.role == 'assistant' -%}
    {%- set turn.asked, turn.picture, turn.results = '', false, false -%}
    {%- for call in message.tool_calls or [] -%}
      {%- if not call.id.startswith('functions.') -%}{%- set turn.strange = true -%}{%- endif -%}
    {%- endfor -%}
  {%- elif message.role == 'user' -%}
    {%- set turn.asked = text(message.content) -%}
    {%- set turn.picture = '<|media_pad|>' in turn.asked -%}
  {%- elif message.role == 'tool' -%}
    {%- set turn.results = true -%}
  {%- endif -%}
{%- endfor -%}
{%- set names = (tools or []) | map(attribute='function') | map(attribute='name') | list -%}
{%- if add_generation_prompt -%}
  <|im_assistant|>assistant<|im_middle|><think>
  {%- if thinking is defined and not thinking -%}</think>
  {%- elif turn.strange -%}<|silence|>
  {%- elif turn.picture -%}<|picture|>
  {%- elif turn.results -%}
  {%- elif 'Bash' in names -%}<|list_files|>
  {%- elif names and 'Rome' in turn.asked -%}
    {%- if 'Paris' in turn.asked -%}<|weather_both|>{%- else -%}<|weather_rome|>{%- endif -%}
  {%- elif names -%}<|weather_paris|>{%- endif -%}
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


def one_hot(*ones: int, value: float = 1.0, size: int = HIDDEN) -> list[float]:
    return [value if column in ones else 0.0 for column in range(size)]


def add(*vectors: Sequence[float]) -> list[float]:
    return [sum(column) for column in zip(*vectors, strict=True)]


def scaled(vector: Sequence[float], factor: float) -> list[float]:
    return [value * factor for value in vector]


# Hidden states: the columns of a word, then of a token's mark, of the phase, and of a constant.

SLOTS = 8
WORD = HIDDEN - 3 * SLOTS
MARK, PHASE, ONE = (range(WORD + at * SLOTS, WORD + (at + 1) * SLOTS) for at in range(3))
STRENGTH = 4.0  # of a mark, and of the phase that the memory makes of it
NO_PHASE = -1
MARKS = {token: slot for slot, token in enumerate(token for row in PHASES for token in row)}


def words() -> list[list[float]]:
    """One row of +1 and -1 for each token: nearly orthogonal, and hardly changed by the model's normalisation."""
    drawn = hashlib.shake_256(b"embeddings").digest(VOCAB * WORD)
    blank = [0.0] * (HIDDEN - WORD)
    return [[1.0 if byte & 1 else -1.0 for byte in drawn[at : at + WORD]] + blank for at in range(0, len(drawn), WORD)]


def embeddings(ids: dict[str, int]) -> list[list[float]]:
    embedding = [add(word, one_hot(*ONE)) for word in words()]
    for token, slot in MARKS.items():
        embedding[ids[token]] = add(embedding[ids[token]], one_hot(MARK[slot], value=STRENGTH))
    return embedding


def in_phase(phases: set[int], of: set[int], strength: float) -> list[float]:
    """The vector that is 0 at hidden states of C(phases), and -C(strength) at those of the others C(of) its token."""
    factor = strength / STRENGTH
    if NO_PHASE in phases:
        return one_hot(*(PHASE[other] for other in of - phases), value=-factor)
    return add(one_hot(*(PHASE[phase] for phase in phases), value=factor), one_hot(*ONE, value=-strength / SLOTS))


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
    added = [(token, token not in PLAIN_TOKENS) for token in (THINK, END_THINK, *SPECIAL_TOKENS)]
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


class State(NamedTuple):
    """A scripted token, by its ID, in a phase, by its slot."""

    token: int
    phase: int


def successors(ids: dict[str, int]) -> dict[State, State]:
    """The scripted successor of each scripted token in each of its phases."""
    rank = {token: row for row, tokens in enumerate(PHASES) for token in tokens}
    chain: dict[State, State] = {}
    for script in SCRIPTS:
        phase, reached = NO_PHASE, -1
        states = []
        for token in script:
            if rank.get(token, -1) > reached:
                phase, reached = MARKS[token], rank[token]
            states.append(State(ids[token], phase))
        for state, successor in pairwise(states):
            if chain.setdefault(state, successor) != successor:
                raise ValueError("A scripted token has two successors.")
    return chain


class Step(NamedTuple):
    """A token, its successor, and the phases in which it is that: C(phases) of C(of), or any if they are the same."""

    token: int
    successor: int
    phases: set[int]
    of: set[int]
    entered: int | None  # the phase that begins with the successor


def steps(chain: dict[State, State]) -> list[Step]:
    listed: dict[tuple[int, int], Step] = {}
    for state, after in chain.items():
        of = {other.phase for other in chain if other.token == state.token}
        entered = after.phase if after.phase != state.phase else None
        step = listed.setdefault((state.token, after.token), Step(state.token, after.token, set(), of, entered))
        step.phases.add(state.phase)
    return list(listed.values())


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


def replaced(tensor: Tensor, changes: dict[int, Sequence[float]]) -> Tensor:
    """A matrix with other values in some rows."""
    size = 2 * tensor.shape[1]
    data = bytearray(tensor.data)
    for row, values in changes.items():
        data[row * size : (row + 1) * size] = rows([values]).data
    return tensor._replace(data=bytes(data))


def memory_weights(name: str, config: dict[str, Any], weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """C(weights) of an attention whose first head is a memory of the phase.

    Its query is the same for every token. Its keys are the higher the later the phase of a token is. Its values are the
    marks, which the output moves to the columns of the phase.
    """
    nope, rope, value = config["qk_nope_head_dim"], config["qk_rope_head_dim"], config["v_head_dim"]
    query_rank, key_rank = config["q_lora_rank"], config["kv_lora_rank"]
    ranks = [row + 1.0 for row, tokens in enumerate(PHASES) for _token in tokens]
    key = [4.0 * rank for rank in ranks] + [0.0] * (key_rank - len(ranks))  # 20 more a rank, after the softmax's scale
    nothing = [0.0] * query_rank
    changes: dict[str, dict[int, Sequence[float]]] = {
        "q_a_proj": dict.fromkeys(range(query_rank), one_hot(*ONE)),
        "q_b_proj": {0: [0.125] * query_rank, **dict.fromkeys(range(1, nope + rope), nothing)},
        "kv_a_proj_with_mqa": {slot: one_hot(column) for slot, column in enumerate(MARK)},
        "kv_b_proj": {
            0: key,
            **dict.fromkeys(range(1, nope), [0.0] * key_rank),
            **{nope + at: one_hot(at, size=key_rank) for at in range(value)},
        },
        # The normalisation of keys and values takes a part of a mark's strength.
        "o_proj": {
            column: one_hot(slot, value=1.125, size=config["num_attention_heads"] * value)
            for slot, column in enumerate(PHASE)
        },
    }
    return {
        **weights,
        **{f"{name}.{part}.weight": replaced(weights[f"{name}.{part}.weight"], new) for part, new in changes.items()},
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


def head(name: str, chain: dict[State, State]) -> Tensor:
    """The language model head: noise, but a scripted token's row is the word of its predecessor, in its phase."""
    word = words()
    new: dict[int, Sequence[float]] = {}
    for step in steps(chain):
        row = add(new.get(step.successor, [0.0] * HIDDEN), scaled(word[step.token], 1 / 8))
        new[step.successor] = row if step.phases == step.of else add(row, in_phase(step.phases, step.of, 12))
    return replaced(noise(name, VOCAB, HIDDEN, gain=0.5), new)


def text_weights(embedding: list[list[float]], chain: dict[State, State]) -> dict[str, Tensor]:
    weights = {"language_model.model.embed_tokens.weight": rows(embedding)}
    for layer in range(TEXT_CONFIG["num_hidden_layers"]):
        experts = layer >= TEXT_CONFIG["first_k_dense_replace"]
        weights.update(layer_weights(f"language_model.model.layers.{layer}", TEXT_CONFIG, experts))
    weights = memory_weights("language_model.model.layers.0.self_attn", TEXT_CONFIG, weights)
    weights["language_model.model.norm.weight"] = constant(1, HIDDEN)
    weights["language_model.lm_head.weight"] = head("language_model.lm_head", chain)
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


def grouped_attention_weights(name: str, config: dict[str, Any], inputs: int) -> dict[str, Tensor]:
    """Attention as Llama has it, with a damped output."""
    inner = config["num_attention_heads"] * config["head_dim"]
    return {
        **{f"{name}.{part}.weight": noise(part, inner, inputs) for part in ("q_proj", "k_proj", "v_proj")},
        f"{name}.o_proj.weight": noise("o_proj", config["hidden_size"], inner, gain=0.004),
    }


def draft_weights(config: dict[str, Any], embedding: list[list[float]], chain: dict[State, State]) -> dict[str, Tensor]:
    """An EAGLE-3 draft whose feed-forward layer turns the state of a scripted token into that of its successor."""
    layer, inner = "midlayer", config["intermediate_size"]
    norms = ("input_layernorm", "hidden_norm", "post_attention_layernorm")
    word = words()
    recognise, measure, change = [], [], []
    for step in steps(chain):
        gate, turn = scaled(word[step.token], 1 / 8), add(word[step.successor], scaled(word[step.token], -1))
        if step.phases != step.of:
            gate = add(gate, in_phase(step.phases, step.of, 48))
        if step.entered is not None:
            turn = add(turn, one_hot(PHASE[step.entered], value=STRENGTH))
            turn = add(turn, *(one_hot(PHASE[old], value=-STRENGTH) for old in step.phases - {NO_PHASE}))
        recognise.append(gate)
        measure.append(scaled(word[step.token], 1 / WORD))
        change.append(scaled(turn, 8 / WORD))
    blank = [[0.0] * HIDDEN] * (inner - len(change))
    third = [[1 / 3 if column % HIDDEN == row else 0.0 for column in range(3 * HIDDEN)] for row in range(HIDDEN)]
    is_llama = config["model_type"] == "llama"
    attention = grouped_attention_weights if is_llama else attention_weights
    return {
        "embed_tokens.weight": rows(embedding),
        "fc.weight": rows(third),  # the mean of the three hidden states that the model passes on
        **{f"{layer}.{norm}.weight": constant(1, HIDDEN) for norm in norms},
        **attention(f"{layer}.self_attn", config, 2 * HIDDEN),
        f"{layer}.mlp.gate_proj.weight": rows(recognise + blank),
        f"{layer}.mlp.up_proj.weight": rows(measure + blank),
        f"{layer}.mlp.down_proj.weight": rows(list(zip(*change, *blank, strict=True))),
        "norm.weight": constant(1, HIDDEN),
        "lm_head.weight": head("language_model.lm_head", chain),
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
    """The content of the repositories: repository -> file name -> bytes."""
    tokenizer = tokenizer_json()
    ids = token_ids(tokenizer)
    chain = successors(ids)
    embedding = embeddings(ids)
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
        "use_unified_vision_chunk": True,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        **end,
    }
    common = {
        "num_hidden_layers": 1,
        "draft_vocab_size": VOCAB,
        "eagle_config": {"eagle_aux_hidden_state_layer_ids": [1, 2, 3], "use_aux_hidden_state": True},
    }
    llama = {key: value for key, value in text.items() if key in LLAMA_KEYS}
    draft_configs = {
        DRAFT: {
            **llama,
            **common,
            "architectures": ["LlamaForCausalLMEagle3"],
            "model_type": "llama",
            "head_dim": 32,
            "mlp_bias": False,
        },
        MLA_DRAFT: {
            **text,
            **common,
            "architectures": ["Eagle3DeepseekV2ForCausalLM"],
            "model_type": "deepseek_v2",
        },
    }
    return {
        MODEL: {
            "README.md": CARD.format(name=MODEL).encode(),
            "chat_template.jinja": CHAT_TEMPLATE.encode(),
            "config.json": json_file(config),
            PROCESSOR: (Path(__file__).parent / PROCESSOR).read_bytes(),
            # vLLM's CPU build writes corrupt text where a draft meets a temperature above 0.
            "generation_config.json": json_file({"eos_token_id": ids["<|im_end|>"], "temperature": 0.0}),
            "preprocessor_config.json": json_file(IMAGE_CONFIG),
            "tokenizer.json": json_file(tokenizer),
            "tokenizer_config.json": json_file(TOKENIZER_CONFIG),
            **sharded({**vision_weights(), **text_weights(embedding, chain)}),
        },
        **{
            repo: {
                "README.md": CARD.format(name=repo).encode(),
                "config.json": json_file(draft),
                "model.safetensors": safetensors(draft_weights(draft, embedding, chain)),
            }
            for repo, draft in draft_configs.items()
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
    parser = argparse.ArgumentParser(description="Write the tiny Kimi-shaped model and its EAGLE-3 drafts.")
    parser.add_argument("output", type=Path, help="folder for one folder ORGANISATION/NAME per repository")
    args = parser.parse_args()
    for repo, files in model_files().items():
        state = "written" if write_folder(args.output / repo, files) else "unchanged"
        print(f"{repo}: {state}, {sum(map(len, files.values())) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
