#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(vllm_text_probe)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_text_probe
short_description: Measure how many drafted tokens a model accepts on real text
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Sends prompts to a vLLM server, and reads the number of accepted draft tokens from its counters.
  - A benchmark on random tokens says little about speculative decoding, because such text is not predictable.
  - Judges nothing.
options:
  sets:
    description: Lists of prompts, by the name of the set.
    type: dict
    required: true
extends_documentation_fragment:
  - hgx.inference._endpoint
  - hgx.inference._endpoint.probe
  - hgx.inference._endpoint.real_text
  - hgx.inference._attributes
attributes:
  check_mode:
    support: full
    details: Sends nothing in check mode.
  diff_mode:
    support: N/A
    details: Changes nothing but O(reuse_file).
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Measure the acceptance of the draft on code
  hgx.inference.vllm_text_probe:
    base_url: http://127.0.0.1:8001
    served_model_name: kimi-k2.6
    sets:
      code: [Write a binary search in C., Explain what a mutex is.]
"""

RETURN = r"""
acceptance_length:
  description: Tokens per step of the model; 1 if no draft is ever accepted, null without a draft.
  returned: when not in check mode
  type: float
  sample: 2.9
per_position:
  description: Share of the steps in which the first, second, ... drafted token was accepted.
  returned: when not in check mode
  type: list
  elements: float
  sample: [0.84, 0.63, 0.44]
output_tokens:
  description: Tokens of all answers.
  returned: when not in check mode
  type: int
  sample: 4096
output_throughput:
  description: Tokens of all answers per second.
  returned: when not in check mode
  type: float
  sample: 412.6
sets:
  description: The same for each set, with its name, its number of prompts and of output tokens.
  returned: when not in check mode
  type: list
  elements: dict
  sample: [{name: code, prompts: 8, output_tokens: 2048, acceptance_length: 3.1, per_position: [0.9, 0.7, 0.5]}]
unreadable:
  description:
    - Number of answers that are empty, no valid Unicode or repeat a few words. The drafts of such answers are right, so
      the acceptance says nothing.
  returned: when not in check mode
  type: int
  sample: 0
undisturbed:
  description: Whether the server generated nothing for other clients during the probe.
  returned: when not in check mode
  type: bool
  sample: true
summary:
  description: The outcome in one line for people.
  returned: always
  type: str
  sample: 2.9 tokens are accepted per step on real text (code 3.1, prose 2.7)
reused:
  description: Whether this is the outcome kept in O(reuse_file).
  returned: when not in check mode
  type: bool
  sample: false
"""

from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.schema import argument_spec
from ..module_utils._core.secrets import SecretError, read_secret
from ..module_utils._endpoint import server as api_server
from ..module_utils._endpoint import text_probe
from ..module_utils._endpoint.answers import FORM_ERRORS
from ..module_utils._endpoint.client import Api, ApiError
from ..module_utils._endpoint.options import PROBE
from ..module_utils._endpoint.spec import REAL_TEXT
from ..module_utils._programs.turns import measuring


def measure(params: dict[str, Any], key: str | None) -> dict[str, Any]:
    """Measure, or return the kept outcome. Raises ApiError, OSError, and FORM_ERRORS for a malformed answer."""
    api = Api(params["base_url"], key, params["timeout"])
    sets = {name: prompts[: params["prompts"]] for name, prompts in params["sets"].items()}
    question = {
        **{name: params[name] for name in ("base_url", "served_model_name", "output_len", "concurrency")},
        "sets": sets,
    }
    fingerprint = api_server.fingerprint(api_server.describe(api)["started_at"], question)
    known = api_server.recall(api, params["reuse_file"], fingerprint, params["reuse_max_age"])
    if known is not None:
        return {**known, "reused": True}
    with measuring():
        found = text_probe.probe(api, params["served_model_name"], sets, params["output_len"], params["concurrency"])
    found["summary"] = text_probe.summary(found)
    if found["undisturbed"]:
        api_server.keep(params["reuse_file"], fingerprint, found)
    return {**found, "reused": False}


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            **PROBE,
            "sets": {"type": "dict", "required": True},
            **argument_spec(REAL_TEXT),
        },
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=False, summary=f"Would send prompts of real text to {params['base_url']}.")
    try:
        key = read_secret(params["api_key_file"])
    except SecretError as exc:
        module.fail_json(msg=str(exc))
    try:
        found = measure(params, key)
    except ApiError as exc:
        module.fail_json(msg=f"Real text could not be measured: {exc}")
    except FORM_ERRORS as exc:
        module.fail_json(msg=f"An answer does not have the expected form ({type(exc).__name__}: {exc}).")
    except OSError as exc:
        module.fail_json(msg=f"The outcome cannot be kept in {params['reuse_file']}: {exc.strerror}.")
    if found.get("unreadable"):
        module.warn(found["summary"])
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
