#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(vllm_api_check)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_api_check
short_description: Check that an inference server answers as its clients expect
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Talks to an OpenAI- and Anthropic-compatible server as its clients do, from the host it runs on.
  - Runs all checks before it fails. The message says for each failure what came back, and what to do. A cause that
    several checks share is named once.
  - A failed check is repeated once. If it passes then, it is a warning that holds both answers.
  - Every answer is checked for broken text, markup of the model, its stop reason, its token counts and the name of its
    model. Streams are read as strictly as the clients read them.
  - Distinguishes between no answer, a refused key and another model name.
  - Proxies of the environment are not used.
options:
  further_model_names:
    description: Other names that must also be served.
    type: list
    elements: str
    default: []
  api_key:
    description: The API key. If it is empty, O(api_key_file) is read.
    type: str
    default: ""
  checks:
    description:
      - The checks to run, all by default. V(models) always runs first. If it fails, the others are not tried.
      - V(key) requires that a wrong key and no key are refused, by every endpoint that the checks use, and by
        those that generate besides.
      - V(tokenizer) also compares the usage of an answer with the server's own count of prompt and answer.
      - V(crowd) compares the answers to concurrent requests with those to the same questions alone. V(tool_calls_crowd)
        requires sound tool calls of concurrent streams.
      - The tool checks require a call with its own ID for each city, and the stop reason of an answer with calls.
        V(tool_calls_parallel) requires two calls in one answer, whole and streamed, over both APIs. If it is skipped,
        V(tool_calls_crowd) asks for single calls only.
      - V(accuracy) does tasks with exact answers, if O(accuracy) has limits for them.
      - V(image) shows two pictures of different colors. With O(image_answer) it requires that text, and that a picture
        adds to the tokens of the question.
      - V(messages) and V(messages_tools) send the requests of Claude Code. V(messages_tools) is a conversation with two
        tool calls, their results and answers, all streamed. It reports whether the answer uses the result, but does not
        require it.
      - If the server refuses the system role among the messages, they send its texts with those of the user, as
        Claude Code does, and warn.
    type: list
    elements: str
    choices:
      - models
      - key
      - chat
      - streaming
      - thinking
      - instant
      - tool_call
      - tool_call_streamed
      - tool_calls_parallel
      - tool_calls_crowd
      - image
      - long_context
      - messages
      - messages_tools
      - count_tokens
      - tokenizer
      - accuracy
      - crowd
  container:
    description:
      - Name of the server's container on this host. The functions that the model writes for V(code) of O(accuracy) are
        executed in containers of its image without network, rights or anything to write to.
      - Without it, or if no code can be executed on this host, these tasks are not tried. The check then warns, or is
        skipped if it has no other tasks.
    type: str
    default: ""
  reuse_file:
    description:
      - File on the target in which the outcome is kept.
      - A kept outcome other than V(fail) is reused while the same server process runs and the same is asked of it.
extends_documentation_fragment:
  - hgx.inference._endpoint
  - hgx.inference._endpoint.probe
  - hgx.inference._endpoint.functional
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
- name: Check everything
  hgx.inference.vllm_api_check:
    base_url: http://127.0.0.1:8001
    served_model_name: kimi-k2.6
    api_key_file: /var/lib/hgx-inference/vllm/secrets/vllm_api_key
    token_ids:
      </think>: 163607

- name: Check what Claude Code needs, for a model without vision
  hgx.inference.vllm_api_check:
    base_url: http://127.0.0.1:8001
    served_model_name: glm-5
    checks: [messages, messages_tools, count_tokens]
    skip:
      image: The model has no vision.
"""

RETURN = r"""
verdict:
  description: The outcome, V(pass), V(warn) if a check warns or nothing was proven, or V(fail).
  returned: when not in check mode
  type: str
  sample: pass
summary:
  description: The outcome in lines for people.
  returned: always
  type: list
  elements: str
  sample: ["PASS: 16 pass, 1 skipped of 17 functional checks"]
checks:
  description: Every requested check.
  returned: when not in check mode
  type: list
  elements: dict
  contains:
    name:
      description: As in O(checks).
      type: str
      sample: tool_call
    title:
      description: The display name.
      type: str
      sample: Tool call
    status:
      description: V(pass), V(warn), V(fail) or V(skipped).
      type: str
      sample: pass
    message:
      description: What was found, or why it was skipped.
      type: str
      sample: The tool was called with valid arguments.
    evidence:
      description: What came back, trimmed. With a failure its kind, such as V(unreachable), V(key) or V(model).
      type: str
      sample: 'get_weather({"city": "Paris"})'
    seconds:
      description: How long the check took.
      type: float
      sample: 1.42
    cause:
      description: The cause that the observation points to, such as V(broken) or V(calls_lost), or an empty text.
      type: str
      sample: calls_lost
server:
  description: Facts about the server.
  returned: when not in check mode
  type: dict
  contains:
    started_at:
      description: When its process was started, in seconds since 1970, or null.
      type: float
      sample: 1795624276.6
    version:
      description: Its version, or null.
      type: str
      sample: 0.32.0
reused:
  description: Whether this is the outcome kept in O(reuse_file).
  returned: when not in check mode
  type: bool
  sample: false
"""

import re
from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.schema import argument_spec
from ..module_utils._core.schema import check as schema_check
from ..module_utils._core.secrets import SecretError, read_secret
from ..module_utils._core.verdict import FAIL
from ..module_utils._endpoint import results as api_results
from ..module_utils._endpoint import server as api_server
from ..module_utils._endpoint.checks import CHECK_NAMES
from ..module_utils._endpoint.client import Api
from ..module_utils._endpoint.options import PROBE
from ..module_utils._endpoint.probe import Expected, Probe
from ..module_utils._endpoint.spec import FUNCTIONAL
from ..module_utils._programs.turns import measuring


def check(params: dict[str, Any], key: str | None) -> dict[str, Any]:
    """Run the checks, or return the kept outcome. Raises OSError if the outcome cannot be kept."""
    api = Api(params["base_url"], key, params["timeout"])
    names = params["checks"] or list(CHECK_NAMES)
    server = api_server.describe(api)
    question = {name: value for name, value in params.items() if name not in ("api_key", "api_key_file", "timeout")}
    fingerprint = api_server.fingerprint(server["started_at"], {**question, "key": api.key_hash})
    known = api_server.recall(api, params["reuse_file"], fingerprint, params["reuse_max_age"])
    if known is not None:
        return {**known, "server": server, "reused": True}
    context = params["long_context"]
    expected = Expected(
        params["answer"],
        params["instant_template_kwargs"],
        context["tokens"],
        context["recall"],
        params["token_ids"],
        params["tool_call_ids"],
        "tool_calls_parallel" not in params["skip"],
        params["image_answer"],
        params["accuracy"],
    )
    names_served = tuple(params["further_model_names"])
    probe = Probe(api, params["served_model_name"], names_served, expected, container=params["container"])
    with measuring():
        results = api_results.run_checks(probe, names, params["skip"], params["warn"])
    outcome = {
        "verdict": api_results.verdict(results),
        "summary": api_results.summary(results),
        "checks": [result._asdict() for result in results],
    }
    if outcome["verdict"] != FAIL:
        api_server.keep(params["reuse_file"], fingerprint, outcome)
    return {**outcome, "server": server, "reused": False}


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            **PROBE,
            "further_model_names": {"type": "list", "elements": "str", "default": []},
            "api_key": {"type": "str", "default": "", "no_log": True},
            "checks": {"type": "list", "elements": "str", "choices": list(CHECK_NAMES)},
            "container": {"type": "str", "default": ""},
            **argument_spec(FUNCTIONAL),
        },
        supports_check_mode=True,
    )
    params = module.params
    problems: list[str] = []
    schema_check(params["accuracy"], FUNCTIONAL["properties"]["accuracy"], "accuracy", problems)
    if problems:
        module.fail_json(msg=" ".join(problems))
    for option in ("skip", "warn"):
        unknown = sorted(set(params[option]) - set(CHECK_NAMES))
        if unknown:
            module.fail_json(
                msg=f"{option}: there is no check {', '.join(unknown)}; there are {', '.join(CHECK_NAMES)}."
            )
    try:
        re.compile(params["tool_call_ids"])
    except re.error as exc:
        module.fail_json(msg=f"tool_call_ids: {params['tool_call_ids']!r} is no regular expression: {exc}.")
    if module.check_mode:
        module.exit_json(changed=False, summary=[f"Would check the answers of {params['base_url']}."])
    try:
        key = params["api_key"] or read_secret(params["api_key_file"])
    except SecretError as exc:
        module.fail_json(msg=str(exc))
    try:
        outcome = check(params, key)
    except OSError as exc:
        module.fail_json(msg=f"The outcome cannot be kept in {params['reuse_file']}: {exc.strerror}.")
    if outcome["verdict"] == FAIL:
        module.fail_json(msg="\n".join(outcome["summary"]), **outcome)
    module.exit_json(changed=False, **outcome)


if __name__ == "__main__":
    main()
