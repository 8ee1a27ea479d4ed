# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The causes that an observation points to, and what to do about each.

A check's own advice applies where what was seen points to no cause.
"""

from __future__ import annotations

BROKEN = "broken"
BROKEN_UNDER_LOAD = "broken_under_load"
MIXED_UP = "mixed_up"
THOUGHTS_LEAK = "thoughts_leak"
CALLS_LEAK = "calls_leak"
CALLS_IN_REASONING = "calls_in_reasoning"
SPECIAL_LEAK = "special_leak"
BROKEN_CHARACTERS = "broken_characters"
CALLS_LOST = "calls_lost"
CALLS_MISSING = "calls_missing"
CALLS_LOST_UNDER_LOAD = "calls_lost_under_load"
BROKEN_CALLS = "broken_calls"
CALL_IDS = "call_ids"
STOPPED = "stopped"
MISCOUNTED = "miscounted"
OTHER_MODEL = "other_model"
PROTOCOL = "protocol"
CUT = "cut"
SYSTEM_ROLE = "system_role"
SYSTEM_ROLE_IN_OTHER_WORDS = "system_role_in_other_words"
ERROR_IN_200 = "error_in_200"
FORM = "form"
ENGINE_FAILED = "engine_failed"
OPEN = "open"
REDIRECTED = "redirected"
TOO_LARGE = "too_large"
THROTTLED = "throttled"
NO_BACKEND = "no_backend"
PROMPT_CUT = "prompt_cut"
INACCURATE = "inaccurate"

# What a proxy or gateway says in place of the server, by the HTTP status.
OF_STATUS = {
    **dict.fromkeys((301, 302, 303, 307, 308), REDIRECTED),
    413: TOO_LARGE,
    429: THROTTLED,
    **dict.fromkeys((408, 502, 503, 504), NO_BACKEND),
}

# The kinds of markup in C(texts).
MARKUP = {"thoughts": THOUGHTS_LEAK, "calls": CALLS_LEAK, "special": SPECIAL_LEAK}

# What becomes of calls that a parser does not follow.
OF_CALLS = (CALLS_LOST, CALLS_MISSING, BROKEN_CALLS, PROTOCOL, CALLS_LEAK, CALLS_IN_REASONING)

_NEWER_PARSER = "vLLM before 0.20 breaks and loses calls of Kimi in streams: try a newer vLLM."

ADVICE = {
    BROKEN: (
        "The engine computes wrong values. Restart it: once the KV cache holds NaN, every answer is broken. If it"
        " happens again, check the weights (hf_cache_verify), then try a newer image, another attention backend,"
        " --kv-cache-dtype auto, or no draft."
    ),
    BROKEN_UNDER_LOAD: (
        "Kernels or the KV cache break answers under load: try another vLLM, --kv-cache-dtype auto, or no draft."
    ),
    MIXED_UP: (
        "Answers are mixed up under load: a proxy or gateway in front of the server, or the prefix cache, confuses"
        " requests. Nobody else may use this server until that is fixed. Try without --enable-prefix-caching, and"
        " without the proxy."
    ),
    THOUGHTS_LEAK: "See --reasoning-parser, and transformers: it must know the token </think>.",
    CALLS_LEAK: "The tool parser did not read the call: see --enable-auto-tool-choice and --tool-call-parser.",
    CALLS_IN_REASONING: (
        "The reasoning parser took the call for thoughts: see --reasoning-parser, which must fit the model and the"
        " --tool-call-parser. vLLM 0.19 does so if the tokens of a call are special ones in tokenizer.json."
    ),
    SPECIAL_LEAK: "Check transformers and the tokenizer's files: special tokens must not be text.",
    BROKEN_CHARACTERS: (
        "The server cuts characters of several bytes in pieces: check transformers and the tokenizer's files, or try a"
        " newer vLLM."
    ),
    CALLS_LOST: f"The tool parser lost the call: see --tool-call-parser. {_NEWER_PARSER}",
    CALLS_MISSING: (
        f"The model or the tool parser left a call out: see --tool-call-parser and the chat template. {_NEWER_PARSER}"
    ),
    CALLS_LOST_UNDER_LOAD: (
        f"Calls are lost or broken if several are streamed at once. {_NEWER_PARSER} Until then, clients must not stream"
        " requests with tools."
    ),
    BROKEN_CALLS: f"See --tool-call-parser. {_NEWER_PARSER}",
    CALL_IDS: (
        "Kimi's template needs the ids functions.NAME:INDEX, and with others the model ends later turns after its"
        " thoughts. See --tool-call-parser, and check that no proxy rewrites the ids."
    ),
    STOPPED: (
        "The engine or a gateway ended the answer: abort is a dropped request or a restarted engine, content_filter is"
        " a gateway's filter. The server's log has the reason."
    ),
    MISCOUNTED: (
        "Somebody else counts: a gateway estimates the usage, or another tokenizer counts it. Budgets, costs and the"
        " figures of the benchmark are wrong by that factor."
    ),
    OTHER_MODEL: "A gateway sends the requests to another model: correct its route, or the address and the port.",
    PROTOCOL: "Clients drop such an answer. Try a newer vLLM, and the server without the proxy in front of it.",
    CUT: "Something ends the stream early: the server's log has the reason, or a proxy's time limit does.",
    SYSTEM_ROLE: (
        "Claude Code 2.1.154 and newer send one. 2.1.310 and newer send the request again without it and work, at the"
        " price of one failed request in each conversation; those before cannot work with this server. Use vLLM 0.23 or"
        " newer, or a newer client."
    ),
    SYSTEM_ROLE_IN_OTHER_WORDS: (
        "Claude Code 2.1.154 and newer send one. 2.1.310 and newer send the request again without it at the words of"
        " vLLM before 0.23, but they do not know these and give up. Use vLLM 0.23 or newer, without the proxy in front"
        " of it. If the chat template refuses the role, use another one (--chat-template)."
    ),
    ERROR_IN_200: "The status claims success, so clients read the error as an answer: the server's log has the reason.",
    FORM: "This is no answer of this API: another program or version answers, or a gateway rewrites the answers.",
    INACCURATE: (
        "A working server of this model answers them. Check the weights (hf_cache_verify) and the quantization, then"
        " try --kv-cache-dtype auto, another attention backend, or no draft. See the chat template and the parsers."
    ),
    ENGINE_FAILED: "The engine has failed: see the server's log.",
    REDIRECTED: (
        "An inference server redirects nothing: correct the address and its scheme, and check for a proxy or a sign-in"
        " page on the way."
    ),
    TOO_LARGE: (
        "A proxy before the server limits the size of requests: raise its limit, such as client_max_body_size of nginx."
    ),
    THROTTLED: (
        "A gateway before the server limits the number of requests: raise its limit, or check the server itself."
    ),
    NO_BACKEND: (
        "A proxy got no answer of the server in time, or the server refuses work: see the server's log, and the"
        " backends and time limits of the proxy."
    ),
    PROMPT_CUT: (
        "Parts of a long prompt do not reach the model: check for a gateway that shortens prompts, and --max-model-len,"
        " which must not exceed what the model was made for (--hf-overrides, RoPE scaling)."
    ),
    OPEN: (
        "Check that the server was started with its key (vllm_api_key), that the key guard is active, and that this is"
        " the server."
    ),
}
