# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""THE schema of what the functional checks expect of a model, and of the probe with real text.

It is for recipes, modules, their documentation and editors. The descriptions are in Ansible's markup.
"""

from __future__ import annotations

from .._core.schema import COUNT, COUNT_OR_NONE, FLAG, NUMBER, TEXT, mapping, optional, record
from .accuracy import KINDS
from .checks import CHECK_NAMES

FUNCTIONAL = record(
    required=(),
    properties={
        "skip": optional(
            mapping(
                {**TEXT, "title": "a reason"},
                propertyNames={"enum": list(CHECK_NAMES)},
                default={},
                description="Checks that the model cannot pass, each with the reason. They are reported as skipped.",
            )
        ),
        "warn": optional(
            mapping(
                {**TEXT, "title": "a reason"},
                propertyNames={"enum": list(CHECK_NAMES)},
                default={},
                description="Checks whose failure is only a warning, each with the reason. V(models) always counts.",
            )
        ),
        "answer": optional(
            {
                **TEXT,
                "default": "Paris",
                "description": "Text that the answer to the question for the capital of France must contain.",
            }
        ),
        "image_answer": optional(
            {
                **TEXT,
                "default": "",
                "description": (
                    "Text that the answer about a picture must contain, for a model that cannot see what is in it. By"
                    " default the answer must name the color of each picture."
                ),
            }
        ),
        "instant_template_kwargs": optional(
            mapping(
                {},
                default={"thinking": False},
                description="Arguments of the chat template that disable thinking.",
            )
        ),
        "long_context": optional(
            record(
                required=(),
                properties={
                    "tokens": optional(
                        {
                            **COUNT,
                            "description": (
                                "Length of the text. By default what fits into the context that the server reports."
                                " At most 2000000 tokens and 64 MiB are sent."
                            ),
                        }
                    ),
                    "recall": optional(
                        {
                            **FLAG,
                            "default": True,
                            "description": "Whether the sentences must be found, or only a sound answer given.",
                        }
                    ),
                },
                default={},
                description="The check V(long_context), which sends a long text and asks for sentences within it.",
            )
        ),
        "token_ids": optional(
            mapping(
                COUNT_OR_NONE,
                default={},
                description="Texts that must be a single token, each with the ID of the token.",
            )
        ),
        "accuracy": optional(
            mapping(
                {**NUMBER, "minimum": 0, "maximum": 1, "title": "a share from 0 to 1"},
                propertyNames={"enum": list(KINDS)},
                default={},
                description=(
                    "Share of the tasks that must be right, by their kind: V(arithmetic), V(json) for facts in a form,"
                    " V(needle) for a sentence at several depths of a text, V(tool_calls) for calls that fit their"
                    " schema, V(code) for functions in Python, which are executed in a container without network or"
                    " rights. Other kinds are not tried, and without any the check V(accuracy) is skipped."
                ),
            )
        ),
        "tool_call_ids": optional(
            {
                **TEXT,
                "default": "",
                "description": (
                    "Regular expression that the ID of each tool call must match, where the model's template needs a"
                    " form. Any ID is right by default."
                ),
            }
        ),
    },
)

REAL_TEXT = record(
    required=(),
    properties={
        "prompts": optional(
            {**COUNT, "default": 8, "description": "Number of prompts to send from each set, at most all of them."}
        ),
        "output_len": optional({**COUNT, "default": 256, "description": "Maximum length of an answer, in tokens."}),
        "concurrency": optional({**COUNT, "default": 4, "description": "Number of concurrent prompts."}),
    },
    description="Amount of real text to answer, to measure the acceptance of draft tokens.",
)
