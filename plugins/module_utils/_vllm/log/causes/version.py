# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes: What this version or build of vLLM cannot do."""

from __future__ import annotations

from ...._core.causes import Alternative, Signature

# The innermost frame of the traceback is in vLLM itself.
_MISSING_PART = (
    r"cannot import name '(?P<name>\w+)' from '(?P<what>vllm[\w.]*)'",
    r"No module named '(?P<what>vllm\.[\w.]+)'",
    r"module '(?P<what>vllm[\w.]*)' has no attribute '(?P<name>\w+)'",
)
_IN_VLLM = r'File "[^"\n]*/vllm/[^"\n]*", line \d+, in [^\n]*(?:\n(?!\s*File )[^\n]*)*\Z'

VERSION = (
    Signature(
        "platform-cannot",
        "Not possible with this build of vLLM",
        (r"^\w+: MLA is not supported on (?P<what>\w+)",),
        "This build of vLLM has no latent attention (MLA), which the model uses.",
        "Set VLLM_MLA_DISABLE: '1' in vllm_env_extra, which computes it as plain attention with more memory for the KV"
        " cache; then a draft must not have MLA either. Or choose a newer image.",
        detail="Its platform is {what}.",
    ),
    Signature(
        "platform-cannot",
        "Not possible with this build of vLLM",
        (r"^AssertionError: spec(?:ulative)? decod\w+ is not supported",),
        "This build of vLLM has no speculative decoding.",
        "Serve without the draft (speculative-config: null in vllm_engine_args_extra), or choose a newer image.",
    ),
    Signature(
        "platform-cannot",
        "Not possible with this build of vLLM",
        (
            r"^\w+: (?P<what>\w[\w /-]*?) on the (?P<platform>CPU|XPU|TPU|ROCm) backend is not compatible with"
            r" (?P<other>[\w -]+)",
            r"^\w+: (?P<what>\w[\w /-]*?) (?:is|are) not (?:yet )?(?:supported|compatible|available) (?:on|for)"
            r" (?:the )?(?P<platform>CPU|XPU|TPU)\b",
        ),
        "This build of vLLM cannot do what the engine's arguments ask for on this platform.",
        "Take the setting that the evidence names out of the engine's arguments (null in vllm_engine_args_extra), or"
        " switch off what it does not go with: enable-chunked-prefill and enable-prefix-caching may be false.",
        detail="On the {platform}: {what}.",
    ),
    Signature(
        "processor-missing",
        "No code for the model's inputs",
        (
            r"Unrecognized (?P<kind>image processor|video processor|feature extractor|processing class) in"
            r" (?P<what>\S+?)\.? Should have an? ",
            r"Can't instantiate a processor, a tokenizer, an image processor or a feature extractor for this model",
        ),
        "Neither the files of the model nor the packages of the image have the code that prepares its inputs.",
        "",
        detail="It misses the {kind} of {what}.",
        alternatives=(
            Alternative(
                "This vLLM is older than the model, and brings no such code.",
                "a newer image starts with the same files.",
                "serve a version of vLLM that the recipe names (image.vllm).",
            ),
            Alternative(
                "The model's own code is not there or not run.",
                "preprocessor_config.json of the snapshot names a file in auto_map that is missing beside it, or"
                " trust-remote-code is not set.",
                "let the role hgx.inference.hf_cache fetch the model again, and set trust-remote-code.",
            ),
        ),
    ),
    Signature(
        "package-conflict",
        "Packages that do not fit each other",
        _MISSING_PART,
        "A part of vLLM needs another part that this build does not have.",
        "",
        detail="It shows in {what}.",
        within=_IN_VLLM,
        alternatives=(
            Alternative(
                "The settings lead to code that does not work in this version for this platform.",
                "an import of it in the image itself, without image.pip, fails or lacks the name.",
                "choose another image, or take out what leads there: another attention-backend, no draft"
                " (speculative-config: null), VLLM_MLA_DISABLE: '1' for a model with MLA on a CPU.",
            ),
            Alternative(
                "Two versions of vLLM are mixed: one was put on top of the other.",
                "'pip show vllm' in the container names another version than the image.",
                "take vllm out of image.pip and choose an image of that version.",
            ),
        ),
    ),
    Signature(
        "package-conflict",
        "Packages that do not fit each other",
        _MISSING_PART,
        "Code outside of vLLM, a plugin or the model's own, is made for another version of vLLM.",
        "Choose a version of that package or model for this vLLM, or another image. Packages in image.pip of the recipe"
        " come first.",
        detail="It wants {what}.",
    ),
    Signature(
        "vllm-inconsistent",
        "Part of vLLM that does not work",
        (
            r"^TypeError: (?P<what>\S+\(\)) (?:got an unexpected keyword|missing \d+ required|takes \d+ positional)",
            r"^ValueError: too many values to unpack",
        ),
        "Two parts of this vLLM do not fit each other where the settings lead: an error of this version.",
        "Take out what leads there, one by one in vllm_engine_args_extra, or choose another image. A draft comes first:"
        " speculative-config: null.",
        detail="It shows in {what}.",
        severity="hint",
        within=_IN_VLLM,
        locate=True,
    ),
)
