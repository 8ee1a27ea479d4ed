# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of a server's options are in force. vLLM only logs a warning when it goes on without one of them.

Read off the logs of vLLM 0.19.1, 0.26.0 and 0.32.0, and off their sources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

# What the log says, by name; the last line counts. Each pattern has one group, or none where the line says it all.
_SAID = {
    "kv_cache_dtype": re.compile(r"config: .*\bkv_cache_dtype=([\w.]+)"),
    "prefix_caching": re.compile(r"config: .*\benable_prefix_caching=(True|False)"),
    "speculative": re.compile(r"config: .*\bspeculative_config=(None|SpeculativeConfig\(method='\w+')"),
    "eager": re.compile(r"config: .*\benforce_eager=(True|False)"),
    "tensor_parallel_size": re.compile(r"config: .*\btensor_parallel_size=(\d+)"),
    "fusions": re.compile(r"Enabled custom fusions: (.+)"),
    "fusion_off": re.compile(
        r"(AllReduce fusion pass is disabled.*|Failed to initialize FlashInfer All Reduce workspace.*)"
    ),
    "attention_backend": re.compile(r"Using (?:AttentionBackendEnum\.)?([A-Z][A-Z0-9_]+) attention backend"),
    "graphs_off": re.compile(r"(Cudagraph is disabled.*|Skipping CUDA graph capture.*)"),
    "graphs": re.compile(r"Graph capturing finished in (.+)"),
}
_LONGEST = 160


class Flag(NamedTuple):
    """An option that was asked for: what is in force instead, if the log says so. C(holds) is None if it does not."""

    flag: str
    asked: str
    holds: bool | None
    found: str


def note(said: dict[str, str], text: str) -> None:
    """Add to C(said) what a line of the log says."""
    for name, pattern in _SAID.items():
        match = pattern.search(text)
        if match:
            said[name] = match.group(1).strip()[:_LONGEST]


def flags_in_force(args: Mapping[str, Any], said: Mapping[str, str]) -> list[Flag]:
    """Compare the options of a server, by name, with what its log has said (C(note)). Others are left out."""
    return [
        flag
        for flag in (
            _equal("kv-cache-dtype", args, said.get("kv_cache_dtype")),
            _equal("tensor-parallel-size", args, said.get("tensor_parallel_size")),
            _prefix_caching(args, said),
            _fusion(args, said),
            _draft(args, said),
            _graphs(args, said),
            _backend(args, said),
        )
        if flag
    ]


def shown(flag: Flag) -> str:
    """Return a sentence about a flag that is not in force."""
    return f"--{flag.flag} {flag.asked} is not in force: {flag.found}."


def _equal(name: str, args: Mapping[str, Any], found: str | None) -> Flag | None:
    if name not in args or args[name] in ("auto", None):
        return None
    asked = str(args[name])
    return Flag(name, asked, None if found is None else found == asked, found or "")


def _prefix_caching(args: Mapping[str, Any], said: Mapping[str, str]) -> Flag | None:
    off = _is_on(args, "no-enable-prefix-caching") or args.get("enable-prefix-caching") is False
    if not off and not _is_on(args, "enable-prefix-caching"):
        return None
    found = said.get("prefix_caching")
    return Flag(
        "enable-prefix-caching",
        "off" if off else "on",
        None if found is None else (found == "True") != off,
        found or "",
    )


def _fusion(args: Mapping[str, Any], said: Mapping[str, str]) -> Flag | None:
    name = "compilation_config.pass_config.fuse_allreduce_rms"
    nested = _json(args.get("compilation-config")).get("pass_config") or {}
    asked = args.get(name, args.get(name.replace("_", "-"), nested.get("fuse_allreduce_rms")))
    if str(asked).lower() != "true":
        return None
    if "fusion_off" in said:
        return Flag(name, "on", False, said["fusion_off"])
    fusions = said.get("fusions")
    return Flag(
        name, "on", None if fusions is None else "allreduce_rms" in fusions, f"fusions are {fusions}" if fusions else ""
    )


def _draft(args: Mapping[str, Any], said: Mapping[str, str]) -> Flag | None:
    asked = _json(args.get("speculative-config"))
    if not asked:
        return None
    found = said.get("speculative")
    method = str(asked.get("method", "on"))
    holds = None if found is None else found != "None" and (method == "on" or f"'{method}'" in found)
    return Flag(
        "speculative-config",
        method,
        holds,
        "" if found is None else "no speculative decoding" if found == "None" else found,
    )


def _graphs(args: Mapping[str, Any], said: Mapping[str, str]) -> Flag | None:
    if _is_on(args, "enforce-eager"):
        return None
    if "graphs" in said:
        return Flag("cuda-graphs", "on", True, f"captured in {said['graphs']}")
    if "graphs_off" in said or said.get("eager") == "True":
        return Flag("cuda-graphs", "on", False, said.get("graphs_off", "enforce_eager=True"))
    return None


def _backend(args: Mapping[str, Any], said: Mapping[str, str]) -> Flag | None:
    asked = args.get("attention-backend")
    if not asked or str(asked).lower() == "auto":
        return None
    found = said.get("attention_backend")
    return Flag(
        "attention-backend", str(asked), None if found is None else found.lower() == str(asked).lower(), found or ""
    )


def _is_on(args: Mapping[str, Any], name: str) -> bool:
    return name in args and str(args[name]).lower() in ("", "true")


def _json(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    try:
        parsed = json.loads(str(value))
    except ValueError:
        return {}
    return parsed if isinstance(parsed, Mapping) else {}
