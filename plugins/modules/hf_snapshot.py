#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hf_snapshot
short_description: Fetch model repositories into the Hugging Face cache
version_added: 0.1.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Fills the standard Hugging Face cache with all files of some repositories, each at one revision.
  - A branch or tag is resolved to a commit once. The commit is recorded and used from then on, until O(update) resolves
    it again. Other programs find it in C(refs/REVISION), and may move that without an effect on this module.
  - The hash of every file is verified, including files that another program has fetched. Verified files are
    remembered. For a complete and verified cache the module returns in milliseconds, without the network.
  - An interrupted download resumes where it stopped, even within a large file.
  - A second run on the same cache waits for the first one.
requirements:
  - huggingface_hub 2.4 and hf-xet, in the Python that runs the module (role P(hgx.inference.hf_cache#role) provides it)
options:
  models:
    description: What to fetch.
    type: list
    elements: dict
    required: true
    suboptions:
      repo:
        description: The model repository, as V(ORGANISATION/NAME).
        type: str
        required: true
      revision:
        description: Branch, tag or commit.
        type: str
        default: main
  commits:
    description:
      - Commits by repository, if another node of the cluster has already resolved the revision.
      - By default the revision is looked up.
    type: dict
    default: {}
  list_hashes:
    description:
      - RV(snapshots[].list_hash) by repository, of the node that has resolved its revision.
      - The file list of O(peer) is used only if it has this hash; otherwise that of O(endpoint) is used.
    type: dict
    default: {}
  cache_home:
    description:
      - The folder that Hugging Face programs know as E(HF_HOME). The cache is its folder C(hub).
    type: path
    required: true
  endpoint:
    description: The Hub, or a mirror of it.
    type: str
    default: https://huggingface.co
  token:
    description:
      - An access token, for private and gated repositories.
      - Without it the module uses the login, if any, that is stored in O(cache_home).
    type: str
  xet:
    description:
      - Whether to fetch files by Xet, the Hub's own storage protocol, where it offers that.
      - If Xet fails, or stalls twice, the rest is fetched by plain HTTP.
    type: bool
    default: true
  max_workers:
    description: How many files are fetched in parallel, over all repositories.
    type: int
    default: 8
  stall_timeout:
    description:
      - Seconds without a new byte after which the transfer is restarted.
      - The module fails after three restarts in a row without progress.
    type: float
    default: 60
  disk_reserve_gb:
    description:
      - Gigabytes (10^9 bytes) that must stay free on the file system of O(cache_home).
      - If the missing files of all repositories do not fit, the module fails before the first byte.
    type: float
    default: 10
  update:
    description:
      - Resolve the revisions again, even if their commits are recorded.
      - The record changes only when the new snapshot is complete.
    type: bool
    default: false
  verify:
    description: Hash every file, including verified files that have not been written to since.
    type: bool
    default: false
  prune:
    description:
      - Remove all other revisions of the repositories in O(models) from the cache, with the files that only they use.
      - Repositories that are not in O(models) are left alone.
    type: bool
    default: false
  keep_commits:
    description: Commits that O(prune) keeps.
    type: list
    elements: str
    default: []
  mode:
    description:
      - The mode of new folders in the cache, in octal notation. New files get it without the right to execute.
    type: str
    default: "0755"
  peer:
    description:
      - The address of another node that serves its own cache folder (C(hub) and C(hgx-inference)) over HTTP.
      - Files are fetched from there as soon as it has them, and from O(endpoint) if it will not have them.
      - Neither the node nor the connection to it is trusted; see O(list_hashes).
    type: str
  offer:
    description: Keep C(hgx-inference/offer.json) in O(cache_home), which tells peers what this cache will have.
    type: bool
    default: false
extends_documentation_fragment: [hgx.inference._attributes, hgx.inference._progress, hgx.inference._progress.at_once]
attributes:
  check_mode:
    support: full
    details: Queries the endpoint for revisions that are not recorded. Does not check hashes.
  diff_mode:
    support: full
    details: Shows the recorded commits and the missing bytes.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Fetch a model and its draft
  hgx.inference.hf_snapshot:
    models:
      - repo: moonshotai/Kimi-K2.6
      - repo: lightseekorg/kimi-k2.6-eagle3
    cache_home: /var/lib/huggingface
  vars:
    ansible_python_interpreter: /opt/hgx-inference/hf-venv/bin/python
  register: weights

- name: Move a gated model to the newest commit of a branch, and leave 100 GB free
  hgx.inference.hf_snapshot:
    models:
      - repo: example/gated-model
        revision: main
    update: true
    token: "{{ vault_hf_token }}"
    cache_home: /home/ubuntu/.cache/huggingface
    disk_reserve_gb: 100
  vars:
    ansible_python_interpreter: /opt/hgx-inference/hf-venv/bin/python
  become: true
  become_user: ubuntu

- name: Fetch one commit from a mirror, by plain HTTP, and remove all others
  hgx.inference.hf_snapshot:
    models:
      - repo: moonshotai/Kimi-K2.6
        revision: 0123456789abcdef0123456789abcdef01234567
    endpoint: http://mirror.internal:8080
    xet: false
    prune: true
    cache_home: /var/lib/huggingface
  vars:
    ansible_python_interpreter: /opt/hgx-inference/hf-venv/bin/python

- name: Hash 600 GB again
  hgx.inference.hf_snapshot:
    models:
      - repo: moonshotai/Kimi-K2.6
    verify: true
    cache_home: /var/lib/huggingface
  vars:
    ansible_python_interpreter: /opt/hgx-inference/hf-venv/bin/python
"""

RETURN = r"""
msg:
  description: What was done, or in check mode would be done, in one line.
  returned: always
  type: str
  sample: "moonshotai/Kimi-K2.6 at 0123456789ab: fetched 595.2 GB in 96 of 96 files"
snapshots:
  description: The snapshots, in the order of O(models).
  returned: success
  type: list
  elements: dict
  contains:
    repo:
      description: The repository.
      type: str
      sample: moonshotai/Kimi-K2.6
    revision:
      description: The revision that was asked for.
      type: str
      sample: main
    commit:
      description: The commit that the revision stands for.
      type: str
      sample: 0123456789abcdef0123456789abcdef01234567
    path:
      description: The folder of the snapshot.
      type: str
      sample: /var/lib/huggingface/hub/models--a--b/snapshots/0123456789abcdef0123456789abcdef01234567
    files:
      description: Number of files in the snapshot.
      type: int
      sample: 96
    bytes_total:
      description: Size of the snapshot, in bytes. Content that several files share counts once.
      type: int
      sample: 595203948573
    bytes_fetched:
      description: Bytes that were fetched, without those of unfinished files of an earlier run.
      type: int
      sample: 595203948573
    bytes_missing:
      description: Bytes that are still missing. Always zero outside check mode.
      type: int
      sample: 0
    list_hash:
      description: A hash of the names, sizes and hashes of the files, the same on every node; for O(list_hashes).
      type: str
      sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
bytes_total:
  description: The sum of all snapshots, in bytes.
  returned: success
  type: int
  sample: 601203948573
bytes_fetched:
  description: The sum of all snapshots, in bytes.
  returned: success
  type: int
  sample: 601203948573
bytes_missing:
  description: The sum of all snapshots, in bytes.
  returned: success
  type: int
  sample: 0
bytes_freed:
  description: Bytes that O(prune) has freed, or in check mode would free.
  returned: success
  type: int
  sample: 0
corrupt:
  description:
    - Files that were found corrupt in the cache and were fetched again.
    - Includes files that had been replaced in the snapshot by another file, and whose links were restored.
  returned: success
  type: list
  elements: str
  sample: [moonshotai/Kimi-K2.6/model-00001-of-00064.safetensors]
notes:
  description: Problems that the module has recovered from.
  returned: success
  type: list
  elements: str
  sample: ["Xet: no byte came for 60 s after 12.3 GB; resumed by Xet"]
duration:
  description: Time that the module took, in seconds.
  returned: success
  type: float
  sample: 1894.2
"""

import re
import time
import traceback
from typing import Any

from ansible.module_utils.basic import missing_required_lib

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.progress import ProgressFile
from ..module_utils._core.units import GB
from ..module_utils._hf.cache import CacheError
from ..module_utils._hf.download import Model, Request, ensure_snapshots, is_settled
from ..module_utils._hf.hub import HubError

PROGRESS_INTERVAL_S = 10.0

ARGUMENTS = {
    "models": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "repo": {"type": "str", "required": True},
            "revision": {"type": "str", "default": "main"},
        },
    },
    "commits": {"type": "dict", "default": {}},
    "list_hashes": {"type": "dict", "default": {}},
    "cache_home": {"type": "path", "required": True},
    "endpoint": {"type": "str", "default": "https://huggingface.co"},
    "token": {"type": "str", "no_log": True},
    "xet": {"type": "bool", "default": True},
    "max_workers": {"type": "int", "default": 8},
    "stall_timeout": {"type": "float", "default": 60},
    "disk_reserve_gb": {"type": "float", "default": 10},
    "update": {"type": "bool", "default": False},
    "verify": {"type": "bool", "default": False},
    "prune": {"type": "bool", "default": False},
    "keep_commits": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "mode": {"type": "str", "default": "0755"},
    "peer": {"type": "str"},
    "offer": {"type": "bool", "default": False},
    "progress_file": {"type": "path"},
    "at_once": {"type": "bool", "default": False},
}


@at_edge
def main() -> None:
    module = Module(argument_spec=ARGUMENTS, supports_check_mode=True)
    started = time.monotonic()
    try:
        progress = ProgressFile(module.params["progress_file"], PROGRESS_INTERVAL_S)
        request = request_from(module.params)
        if module.params["at_once"] and not is_settled(request):
            module.exit_json(changed=False, later=True)
        result = ensure_snapshots(request, module.check_mode, progress)
    except ImportError:
        module.fail_json(msg=missing_required_lib("huggingface_hub"), exception=traceback.format_exc())
    except (CacheError, HubError) as exc:
        module.fail_json(msg=str(exc))
    for note in result["notes"]:
        module.warn(note)
    module.exit_json(**result, duration=round(time.monotonic() - started, 3))


def request_from(params: dict[str, Any]) -> Request:
    """Return the request from the module's options."""
    if not params["models"]:
        raise CacheError("models is empty; name at least one repository.")
    if not re.fullmatch("[0-7]{3,4}", params["mode"]):
        raise CacheError(f"mode is {params['mode']!r}; give it in octal notation and quoted, such as '0755'.")
    token = (params["token"] or "").strip()
    if not re.fullmatch("[!-~]*", token):
        raise CacheError("The token contains a character that no token has, such as a space or a line break.")
    return Request(
        models=tuple(
            Model(
                **model,
                commit=params["commits"].get(model["repo"]),
                list_hash=params["list_hashes"].get(model["repo"]),
            )
            for model in params["models"]
        ),
        cache_home=params["cache_home"],
        endpoint=params["endpoint"].rstrip("/"),
        token=token or None,
        max_workers=max(1, params["max_workers"]),
        reserve_bytes=int(params["disk_reserve_gb"] * GB),
        update=params["update"],
        verify=params["verify"],
        xet=params["xet"],
        stall_s=params["stall_timeout"],
        peer=params["peer"] or None,
        offer=params["offer"],
        prune=params["prune"],
        keep=frozenset(params["keep_commits"]),
        umask=0o777 & ~int(params["mode"], 8),
    )


if __name__ == "__main__":
    main()
