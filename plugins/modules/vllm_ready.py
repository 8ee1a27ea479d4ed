#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(vllm_ready)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_ready
short_description: Wait until a vLLM server answers, or find out why it does not
version_added: 0.1.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Waits until the vLLM server in a container has answered a real chat completion; C(/health) alone proves nothing.
  - Fails within seconds if the container has ended, or if its engine has failed although the container still runs. The
    message has the cause, the lines of the log that show it, and what to do.
  - If what earlier starts have compiled has broken this one, that is set aside and the server is started a second time,
    with an empty cache. A warning tells both. This happens once, and not again before a start has succeeded. It needs
    O(state_dir).
  - Shows the progress of the start, and returns how long each part of it took.
  - Masks the API key, tokens and anything that looks like a secret in its output.
options:
  container:
    description: Name of the server's container.
    type: str
    required: true
  state_dir:
    description: Folder on the target where the deployment is announced. Empty means that none is.
    type: path
  run:
    description: The deployment of M(hgx.inference.vllm_release) that is kept announced while this module waits.
    type: str
    default: ""
  span:
    description:
      - Which rank of a server across hosts the container is, as for M(hgx.inference.vllm_supervisor), and the C(run) of
        the play, the same on all ranks. The modules of all ranks talk to each other at the second port after C(port).
      - A follower is ready when the head answers. If a rank fails, this module fails on every rank with the rank, host
        and cause of the first failure, and stops its container.
    type: dict
    default: {}
  stall_timeout:
    description:
      - How long nothing may move, in seconds. V(0) means no limit.
      - A new line of the log, a byte read, a change of memory and a new process count as moves.
    type: float
    default: 900
  py_spy:
    description: The program C(py-spy) on the target, which tells where processes wait. It may be missing.
    type: path
    default: ""
  args:
    description: Options of the server by name. A warning tells which of them are not in force by its log.
    type: dict
    default: {}
  timeout:
    description: How long a start of the server may take, in seconds.
    type: int
    default: 3600
extends_documentation_fragment:
  - hgx.inference._endpoint
  - hgx.inference._attributes
  - hgx.inference._progress
  - hgx.inference._progress.at_once
attributes:
  check_mode:
    support: full
    details: Does not wait in check mode.
  diff_mode:
    support: N/A
    details: Changes nothing but a cache that is broken.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Wait for the server
  hgx.inference.vllm_ready:
    container: vllm
    base_url: http://127.0.0.1:8001
    served_model_name: kimi-k2.6
    timeout: 3600
"""

RETURN = r"""
seconds:
  description: How long the module waited, in seconds.
  returned: success, and not in check mode
  type: float
  sample: 812.4
completion:
  description: The beginning of the server's answer to "Hello".
  returned: success, and not in check mode
  type: str
  sample: The user greets me
at_fault:
  description: Whether the server failed, as opposed to being replaced, or to the module not being able to watch it.
  returned: failure
  type: bool
startup:
  description:
    - The course of the start, by the time stamps of the container's log.
    - Also available for a server that has been running for long, unless its log has been rotated.
    - In check mode that of the running server, or empty if none runs.
  returned: success
  type: dict
  contains:
    seconds:
      description: From the start of the container to the first answered completion. V(null) if the log does not say.
      type: float
      sample: 1012.3
    phases:
      description:
        - The parts of the start, in order. A part that did not occur is left out.
        - The names are V(process), V(configuration), V(engine), V(weights), V(draft), V(compile), V(kv_cache),
          V(graphs), V(api_server) and V(first_completion).
      type: list
      elements: dict
      contains:
        name:
          description: Name of the part.
          type: str
          sample: weights
        title:
          description: The part in words.
          type: str
          sample: loading weights
        seconds:
          description: How long it took.
          type: float
          sample: 789.1
        detail:
          description: Details about it, or an empty string.
          type: str
          sample: 64 shards in 789.1 s
    kv_cache_tokens:
      description: How many tokens the KV cache holds. V(null) if the log does not say.
      type: int
      sample: 1234567
    flags:
      description:
        - Options of O(args) that the log may tell of, each with RV(ignore:flag), RV(ignore:asked), RV(ignore:found),
          and RV(ignore:holds), which is V(null) if it does not.
      type: list
      elements: dict
    weights:
      description: What the log says about the weights, C(shards), C(seconds) and C(gib).
      type: dict
      sample: {"shards": 64, "seconds": 789.1, "gib": 554.2}
"""

from contextlib import suppress

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.progress import ControllerGone, ProgressFile
from ..module_utils._core.secrets import SecretError, read_secret
from ..module_utils._docker.cli import DockerError, inspect_container
from ..module_utils._endpoint.options import ENDPOINT
from ..module_utils._programs.stacks import installed
from ..module_utils._vllm.caches import folder_of, succeeded
from ..module_utils._vllm.companions import connect
from ..module_utils._vllm.container import start_without_cache, stop
from ..module_utils._vllm.deployment import conclude, finish, give_sign_of_life
from ..module_utils._vllm.log.in_force import Flag, shown
from ..module_utils._vllm.ready import Limits, NotReady, Server, answers, newest_start, wait_until_ready
from ..module_utils._vllm.release import LABEL

ALIVE_S = 30.0
AT_ONCE_S = 5.0
# All ranks of a server end with the first one, which serves nobody any more.
RANK_STOP_S = 1
_ASIDE = (
    "What earlier starts have compiled broke this one, so it was set aside in {0} and the server was started again and"
    " compiles anew. The first start said: {1}"
)


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            **ENDPOINT,
            "container": {"type": "str", "required": True},
            "state_dir": {"type": "path"},
            "run": {"type": "str", "default": ""},
            "args": {"type": "dict", "default": {}},
            "stall_timeout": {"type": "float", "default": 900},
            "py_spy": {"type": "path", "default": ""},
            "timeout": {"type": "int", "default": 3600},
            "span": {"type": "dict", "default": {}},
            "progress_file": {"type": "path"},
            "at_once": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        words = f"Would wait for {params['container']} to answer at {params['base_url']}."
        module.exit_json(changed=False, msg=words, startup=newest_start(params["container"]))
    try:
        key = read_secret(params["api_key_file"])
    except SecretError as exc:
        module.fail_json(msg=str(exc))
    server = Server(params["container"], params["base_url"], params["served_model_name"], key)
    if params["at_once"] and not answers(server, AT_ONCE_S):
        module.exit_json(changed=False, later=True)
    limits = Limits(params["timeout"], params["stall_timeout"] or float("inf"), installed(params["py_spy"]))
    progress = ProgressFile(params["progress_file"], interval_s=10, watched=True)

    def report(line: str, force: bool = False) -> None:
        # This module outlives a play that was killed, which deploys no longer.
        if params["state_dir"] and progress.unseen_s() < ALIVE_S:
            give_sign_of_life(params["state_dir"], params["run"])
        progress.report(line, force=force)

    aside = ""
    companions = connect(params["span"], params["state_dir"] or "") if params["span"] else None
    try:
        try:
            ready = wait_until_ready(server, limits, report, params["args"], companions)
        except NotReady as exc:
            if companions and exc.at_fault:
                stop(server.container, 0, progress, RANK_STOP_S)
            elif params["state_dir"] and exc.at_fault:
                aside = start_without_cache(server.container, params["state_dir"], progress)
            if not aside:
                raise
            module.warn(_ASIDE.format(aside, str(exc).splitlines()[0]))
            ready = wait_until_ready(server, limits, report, params["args"])
    except (NotReady, DockerError, ControllerGone) as exc:
        if isinstance(exc, ControllerGone) and params["state_dir"]:
            finish(params["state_dir"], params["run"])
        twice = f"\nThis was the second start, with an empty cache: the old one is in {aside}." if aside else ""
        module.fail_json(msg=f"{exc}{twice}", at_fault=isinstance(exc, NotReady) and exc.at_fault)
    if params["state_dir"]:
        with suppress(DockerError):
            served = inspect_container(server.container) or {"Config": {}}
            conclude(params["state_dir"], (served["Config"].get("Labels") or {}).get(LABEL, ""))
            if not aside:
                succeeded(folder_of(served))
    if companions:
        companions.close()
    for flag in ready["startup"]["flags"]:
        if flag["holds"] is False:
            module.warn(shown(Flag(**flag)))
    module.exit_json(changed=bool(aside), **ready)


if __name__ == "__main__":
    main()
