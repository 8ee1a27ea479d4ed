# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes: The command line, the draft and speculation."""

from __future__ import annotations

from ...._core.causes import Signature

COMMAND_LINE = (
    Signature(
        "unknown-flag",
        "Unknown option",
        (r"error: unrecognized arguments: (?P<name>--?[^\s=]+)", r"error: unrecognized arguments: "),
        "The command line has an option that this version of vLLM does not know.",
        "Correct the option in vllm_engine_args_extra or in the recipe, or choose an image that knows it.",
        detail="It is {name}.",
        advice="Nearest known: {nearest}.",
        names=r"--[a-z][a-z0-9-]+",
    ),
    Signature(
        "unknown-parser",
        "Unknown tool or reasoning parser",
        (
            r"invalid (?P<kind>tool call|reasoning) parser: (?P<name>\S+) \(chose from \{(?P<choices>.*)\}",
            r"(?P<kind>Tool|Reasoning) parser '(?P<name>[^']+)' not found\. Available parsers: (?P<choices>.*)",
            r"(?P<kind>Tool|Reasoning) parser '(?P<name>[^']+)' not found",
        ),
        "This version of vLLM has no parser of that name.",
        "Correct tool-call-parser or reasoning-parser of the engine's arguments.",
        detail="It is {name!r}.",
        advice="Nearest known: {nearest}.",
    ),
    Signature(
        "bad-json",
        "Option with broken JSON",
        (
            r"error: argument (?P<name>[^\s:]+): Value .* cannot be converted to <function loads",
            r"error: argument (?P<name>[^\s:]+): .*(?:[Ii]nvalid JSON|JSONDecodeError)",
            r"Invalid JSON: ",
        ),
        "The value of an option is not valid JSON.",
        "Give the value as a mapping in YAML; it becomes JSON then. By hand: double quotes inside, single quotes"
        " around.",
        detail="The option is {name}.",
    ),
    Signature(
        "bad-choice",
        "Option with a value that is not among its choices",
        (
            r"error: argument (?P<option>[^\s:]+): invalid choice: '?(?P<name>[^'\s(]+)'? \(choose from"
            r" (?P<choices>.*)\)",
            r"Input should be (?P<choices>'.*') \[type=(?:literal_error|enum), input_value='?(?P<name>[^',]+)",
        ),
        "An option has a value that this version of vLLM does not know.",
        "Choose one of the values that the message lists.",
        detail="It is {name!r}.",
        advice="Nearest: {nearest}.",
    ),
    Signature(
        "bad-nested-key",
        "Unknown key inside a JSON option",
        (r"[Uu]nexpected keyword argument \[type=", r"type=unexpected_keyword_argument", r"type=extra_forbidden"),
        "An option that takes JSON has a key that this version of vLLM does not know.",
        "Correct the key: the evidence names it. Its documentation is that of the class it names.",
    ),
    Signature(
        "bad-argument",
        "Option with a wrong value",
        (
            r"^(?:\S+\.py|vllm(?: \w+)*): error: (?P<why>.+)",
            r"^error: (?P<why>argument .+)",
        ),
        "vLLM does not accept its command line.",
        "Correct the option in vllm_engine_args_extra or in the recipe.",
        detail="{why}.",
    ),
    Signature(
        "model-len-beyond-model",
        "max-model-len beyond what the model can",
        (
            r"max_model_len \((?P<asked>\d+)\) is greater than the derived max_model_len \(\w+=(?P<limit>\d+)",
            r"max_model_len=(?P<asked>\d+) cannot be larger than \w+=(?P<limit>\d+)",
        ),
        "max-model-len is larger than the model's context.",
        "Lower max-model-len, or leave it out: the model's own limit is the default.",
        detail="{asked} tokens are asked for, the model can {limit}.",
    ),
    Signature(
        "batch-too-small",
        "max-num-batched-tokens too small",
        (
            r"max_num_batched_tokens \((?P<asked>\d+)\) is smaller than max_model_len \((?P<needed>\d+)\)",
            r"max_num_batched_tokens \((?P<asked>\d+)\) must be greater than or equal to max_num_seqs"
            r" \((?P<needed>\d+)\)",
            r"Consider increasing max_num_batched_tokens or decreasing num_speculative_tokens",
            r"max_num_scheduled_tokens is set to -?\d+, which does not allow any tokens",
        ),
        "max-num-batched-tokens is too small for the other settings.",
        "Raise max-num-batched-tokens, or lower max-model-len, max-num-seqs or num_speculative_tokens.",
        detail="It is {asked}, at least {needed} are needed.",
    ),
    Signature(
        "tp-does-not-divide",
        "Tensor parallelism that does not divide the model",
        (
            r"attention heads \((?P<what>\d+)\) must be divisible by tensor parallel size \((?P<tp>\d+)\)",
            r"^(?:AssertionError|ValueError): (?P<what>\d+) is not divisible by (?P<tp>\d+)$",
            r"[Nn]umber of (?:\w+ )*heads.{0,60}(?:divisible|divided) by.{0,40}(?:TP|tensor)",
            r"is not divisible by (?:min_thread|the tensor|tp)|size_[kn] must (?:be )?divisible by",
            r"is not divisible by weight quantization block_[nk]",
            r"size_k = (?P<what>\d+),? is not divisible by (?:b_scales|group_size)",
            r"input size is not aligned with the quantized weight shape",
        ),
        "The model cannot be split over that number of GPUs.",
        "Choose a tensor-parallel-size that divides the model's attention heads and the blocks of its quantization."
        " Where a kernel of the experts says so, enable-expert-parallel: true does not split them.",
        detail="{what} is not divisible by {tp}.",
    ),
    Signature(
        "too-few-gpus",
        "More ranks than GPUs",
        (
            r"World size \((?P<wanted>\d+)\) is larger than the number of available GPUs \((?P<found>\d+)\)",
            r"required GPUs exceeds the total number of available GPUs",
            # Those are of memory that the GPUs share.
            r"^(?!.*transport/p2p\.cc).*(?<!CUDA driver error: )invalid device ordinal",
            r"local rank \d+ is out of bounds",
            r"Tensor parallel size may exceed available GPUs",
        ),
        "The server is to use more GPUs than its container sees.",
        "Give the container all GPUs (vllm_gpus), lower tensor-parallel-size, or see with nvidia-smi whether one is"
        " lost.",
        detail="{wanted} are needed, {found} are there.",
    ),
)

DRAFT = (
    Signature(
        "draft-mismatch",
        "Draft model that does not fit",
        (
            r"[Tt]arget and draft model should have the same",
            r"[Ee]agle3? is only supported for .* models",
            r"Model architectures \['\w*(?:[Ee]agle|EAGLE|MTP|Medusa)\w*'\] are not supported",
            r"[Dd]raft model .*(?:does not match|mismatch|incompatible|not supported)",
            r"does not support EAGLE3 interface",
        ),
        "The draft model does not fit: not for this model, or not for this version of vLLM.",
        "Take the draft, its method and num_speculative_tokens from the recipe, and an image of the version that it"
        " is made for.",
    ),
    Signature(
        "draft-settings",
        "Speculation with settings that do not go together",
        (
            r"num_speculative_tokens(?! \+).{0,40}must be (?:provided|divisible|greater|less|a positive|set|equal)",
            r"num_speculative_tokens ?(?:=|:) ?\d+ (?:must be divisible|is greater|exceeds)",
            r"draft_tensor_parallel_size",
            r"(?:Unsupported|Unknown|Invalid) speculative method|speculative method .{0,40}(?:not supported|unknown)",
            r"only (?:one of|supports?) .{0,60}speculative",
        ),
        "The settings of speculation contradict each other, the draft, or what this version of vLLM admits.",
        "Correct speculative-config as the evidence says: method, num_speculative_tokens and"
        " draft_tensor_parallel_size as in the recipe. Without it (speculative-config: null in"
        " vllm_engine_args_extra) the server starts, at a cost of 60 to 90 % of the output on real text.",
        within=r"validation error for SpeculativeConfig|create_speculative_config|config/speculative\.py",
    ),
    Signature(
        "draft-mismatch",
        "Draft model that does not fit",
        (
            r"Model architectures \['(?P<what>[^']+)'\] are not supported",
            r"have the same vocabulary size",
            r"is only supported for .* models\. Got",
            r"does not match|mismatch",
            r"does not recognize this architecture",
        ),
        "The draft model does not fit: not for this model, or not for this version of vLLM.",
        "Take the draft, its method and num_speculative_tokens from the recipe, and an image of the version that it"
        " is made for.",
        within=r"validation error for SpeculativeConfig|create_speculative_config|config/speculative\.py",
    ),
    Signature(
        "draft-mismatch",
        "Draft model that does not fit",
        (
            r"Attempted to load weight",
            r"Tried to load weights of size",
            r"[Ss]ize mismatch",
            r"The size of tensor",
            r"shapes cannot be multiplied",
            r"expanded size of the tensor",
            r"no module or parameter named",
            r"weights were not initialized",
        ),
        "The draft model does not fit: its weights have other shapes or names than this model and this vLLM expect.",
        "Take a draft made for exactly this model, and an image of the version that it is made for.",
        within=r"(?s)(?:spec_decode/|drafter\.load_model|models/\S*eagle|models/\S*_mtp)"
        r".*(?:load_model|load_weights|weight_utils|weight_loader)|drafter\.load_model",
    ),
    Signature(
        "draft-mismatch",
        "Draft model that does not fit",
        (
            r"[Ss]ize mismatch|The size of tensor|shapes cannot be multiplied|expanded size of the tensor",
            r"shape mismatch|must match the existing size|invalid for input of size",
        ),
        "Speculative decoding fails on the shape of a tensor: the draft model and the model, or the draft and this"
        " version of vLLM, expect different sizes.",
        "Find out which: with the draft taken out (speculative-config: null in vllm_engine_args_extra) the server"
        " must start; that costs 60 to 90 % of the output on real text. Then take draft, method,"
        " num_speculative_tokens and image from the recipe together, or a newer image.",
        within=r"spec_decode/|models/\S*eagle|models/\S*_mtp",
        locate=True,
    ),
    Signature(
        "draft-mismatch",
        "Draft model that does not fit",
        (r"^KeyError: ", r"^AssertionError"),
        "The draft model cannot be loaded: mostly its weights have other shapes or names than this model and this"
        " vLLM expect.",
        "Take a draft made for exactly this model, and an image of the version that it is made for.",
        # The code of a draft that is loaded already raises them, too: only while it is loaded do they tell of a misfit.
        within=r"(?s)drafter\.load_model"
        r"|(?:spec_decode/|models/\S*eagle|models/\S*_mtp).*(?:load_model|load_weights|weight_utils)",
    ),
)

SPECULATION = (
    Signature(
        "kv-page-size",
        "KV caches that do not go together",
        (r"page size of the layer is not divisible by the", r"No common block size for \d+ \([^)]*;"),
        "The KV caches of the model and of its draft cannot be laid out together: their pages or blocks have sizes of"
        " which neither is a multiple of the other.",
        "Take kv-cache-dtype out of the engine's arguments (vllm_engine_args_extra: {kv-cache-dtype: null}; it costs"
        " 7 % of the output and half of the tokens that the cache holds), set another block-size, or take another"
        " draft.",
    ),
    Signature(
        "speculation-shapes",
        "Speculation that does not suit the CUDA graphs",
        (
            r"cudagraph shapes that are both a multiple of (?P<tokens>\d+) \(num_speculative_tokens \+ 1\)"
            r".* and (?P<tp>\d+) \(tensor_parallel_size\)",
            r"cudagraph shapes that are both a multiple",
        ),
        "num_speculative_tokens + 1 and tensor-parallel-size do not go together.",
        "Set num_speculative_tokens so that one is a multiple of the other (3 suits eight GPUs), or switch sequence"
        " parallelism off.",
        detail="They are {tokens} and {tp}.",
    ),
    Signature(
        "speculation-beyond-batch",
        "Batch larger than what was compiled",
        (r"Shape: (?P<tokens>\d+) out of considered ranges: \[\(\d+, (?P<limit>\d+)",),
        "The tokens of the draft came on top of a full batch, for which nothing was compiled: an error of this"
        " version of vLLM.",
        "Set another max-num-batched-tokens, which makes such a batch rarer, or choose an image with a newer vLLM.",
        detail="The batch had {tokens} tokens, {limit} were compiled.",
    ),
)
