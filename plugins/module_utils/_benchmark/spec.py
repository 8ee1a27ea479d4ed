# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""THE schema of a workload and of a threshold: for recipes, modules, their documentation and editors.

The descriptions are in Ansible's markup.
"""

from __future__ import annotations

from .._core.schema import AMOUNT, COUNT, COUNT_OR_NONE, FLAG, NUMBER, TEXT, optional, record
from .metrics import METRICS

# A request's limits, by which goodput counts.
GOODPUT_LIMITS = ("ttft_ms", "tpot_ms", "e2el_ms")
# In a steady run the slower half of the requests takes at most this many times as long as the faster half.
SPREAD_MAX = 1.9

WORKLOAD = record(
    required=("input_len", "output_len", "max_concurrency", "sizes"),
    properties={
        "backend": {
            **TEXT,
            "default": "openai-chat",
            "description": "The kind of endpoint, as the client names it.",
        },
        "endpoint": {
            **TEXT,
            "pattern": r"^/\S+$",
            "title": "a path such as '/v1/chat/completions'",
            "default": "/v1/chat/completions",
            "description": "Path of the endpoint.",
        },
        "dataset": {
            **TEXT,
            "default": "random",
            "description": "The data set. Only with V(random) are lengths, other traffic and the prefix cache checked.",
        },
        "input_len": {**COUNT, "description": "Tokens of a prompt, without those of the chat template."},
        "output_len": {**COUNT, "description": "Tokens of an answer."},
        "max_concurrency": {**COUNT, "description": "How many requests run at the same time."},
        "warmup_prompts": {
            **COUNT_OR_NONE,
            "default": 0,
            "description": "Requests before the measured ones. A full wave has as many as run at the same time.",
        },
        "seed": optional(
            {
                **COUNT_OR_NONE,
                "description": (
                    "Seed of the random prompts. By default each run has another one, so that it does not measure what"
                    " an earlier run has left in the server's prefix cache. The result names it in C(client_command)."
                ),
            }
        ),
        "sizes": {
            "type": "object",
            "additionalProperties": COUNT,
            "description": "Number of measured requests by name of the size.",
        },
        "ends_early": optional(
            {
                "type": "array",
                "items": TEXT,
                "default": [],
                "description": (
                    "Sizes whose number of requests is an upper limit. Two waves of requests are measured first. The"
                    " rest follows unless the 95 % interval of C(steady_output_throughput) is clear of its limits. A"
                    " size of fewer than four waves, or without such a limit, is always sent as a whole."
                ),
            }
        ),
        "trust_remote_code": {
            **FLAG,
            "default": False,
            "description": "Whether the client may run the tokenizer's own code.",
        },
        "time_limit_s": {**COUNT, "default": 3600, "description": "How long the client may run, in seconds."},
        "goodput": optional(
            record(
                required=(),
                properties={
                    "ttft_ms": optional({**NUMBER, "description": "Time to the first token."}),
                    "tpot_ms": optional({**NUMBER, "description": "Time per further token."}),
                    "e2el_ms": optional({**NUMBER, "description": "The whole latency."}),
                },
                description="Limits that a request must keep to count for C(goodput_rate) and C(request_goodput).",
            )
        ),
        "spread_max": optional(
            {
                **NUMBER,
                "default": SPREAD_MAX,
                "description": (
                    "How many times as long as the faster half the slower half of the requests may take. Beyond, the"
                    " verdict is V(warn) at best, because the server was slow for a part of the time. V(0) switches"
                    " this check off."
                ),
            }
        ),
        "args": optional(
            {
                "type": "object",
                "default": {},
                "description": (
                    "Further options of the client, rendered as the filter P(hgx.inference.vllm_spec#filter) renders"
                    " engine arguments. Options that change the load, such as C(request-rate), and options that the"
                    " module sets are refused."
                ),
            }
        ),
    },
)

PHYSICAL = record(
    required=("gpus", "gpu_memory_gb_s", "active_gb"),
    properties={
        "gpus": {**COUNT, "description": "GPUs that hold one copy of the model."},
        "gpu_memory_gb_s": {
            **AMOUNT,
            "description": "Memory bandwidth of each, by its maker, in GB/s (10^9 bytes).",
        },
        "active_gb": {**AMOUNT, "description": "Weights that the model reads for a single token, in GB."},
    },
    description=(
        "What bounds the speed by physics: each step of an engine reads at least the weights of one token. A run that"
        " is faster is invalid. Without these data, a run that is much faster than published only looks odd."
    ),
)

THRESHOLD = record(
    required=("metric", "op"),
    properties={
        "metric": {
            **TEXT,
            "enum": list(METRICS),
            "title": "the name of a metric",
            "description": "Name of the metric.",
        },
        "op": {
            **TEXT,
            "enum": [">=", "<=", "=="],
            "title": "one of '>=', '<=', '=='",
            "description": "How the figure must compare with the value.",
        },
        "value": optional({**NUMBER, "description": "The limit. By default the published figure."}),
        "tolerance": optional(
            {
                "type": ["string", "number"],
                "title": "a share such as '10%' or a number",
                "description": "By how much the limit may be missed: a share such as V(10%), or a number in its unit.",
            }
        ),
        "severity": {
            **TEXT,
            "enum": ["fail", "warn", "invalid"],
            "title": "one of 'fail', 'warn', 'invalid'",
            "default": "fail",
            "description": "What a missed threshold leads to.",
        },
        "sizes": optional(
            {
                "type": "array",
                "items": TEXT,
                "minItems": 1,
                "description": "The sizes for which the threshold applies. By default all.",
            }
        ),
        "source": optional({**TEXT, "description": "Where the limit comes from, for the report."}),
    },
)
