#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hf_snapshot
short_description: Bring a model repository into the Hugging Face cache
version_added: 0.1.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Fills the standard Hugging Face cache with all files of one repository at one revision.
  - A branch or tag is resolved to a commit once. The commit is recorded in the cache (C(refs/REVISION)) and used
    from then on, until O(update) asks to resolve it again.
  - A cache that is complete by the sizes recorded in it is answered for in milliseconds and without the network.
  - An interrupted download goes on where it stopped, also within a large file.
requirements:
  - huggingface_hub 2.4 and hf-xet, in the Python that runs the module (role P(hgx.inference.hf_cache#role) provides it)
options:
  repo:
    description: The model repository, as V(ORGANISATION/NAME).
    type: str
    required: true
  revision:
    description: Branch, tag or commit.
    type: str
    default: main
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
  max_workers:
    description: How many files are fetched at the same time.
    type: int
    default: 8
  disk_reserve_gb:
    description:
      - Gigabytes (10^9 bytes) that must stay free on the file system of O(cache_home).
      - If what is missing does not fit, the module fails before the first byte.
    type: float
    default: 10
  update:
    description:
      - Resolve O(revision) again, even if its commit is recorded.
      - The record moves only when the new snapshot is complete.
    type: bool
    default: false
  progress_file:
    description: Where the module keeps one line saying how far it is. Set by the action plugin.
    type: path
attributes:
  check_mode:
    description: Can run in check mode and say what would be fetched. Asks the endpoint where the cache is not complete.
    support: full
  diff_mode:
    description: Returns the recorded commit and what is missing, before and after.
    support: full
  action:
    description: Shows the progress of the download while it runs.
    support: full
"""

EXAMPLES = r"""
- name: Fetch a model
  hgx.inference.hf_snapshot:
    repo: moonshotai/Kimi-K2.6
    cache_home: /var/lib/huggingface
  vars:
    ansible_python_interpreter: /opt/hgx-inference/hf-venv/bin/python
  register: model

- name: Move a gated model to the newest commit of a branch, and leave 100 GB free
  hgx.inference.hf_snapshot:
    repo: example/gated-model
    revision: main
    update: true
    token: "{{ vault_hf_token }}"
    cache_home: /home/ubuntu/.cache/huggingface
    disk_reserve_gb: 100
  vars:
    ansible_python_interpreter: /opt/hgx-inference/hf-venv/bin/python
  become: true
  become_user: ubuntu

- name: Fetch one commit from a mirror
  hgx.inference.hf_snapshot:
    repo: moonshotai/Kimi-K2.6
    revision: 0123456789abcdef0123456789abcdef01234567
    endpoint: http://mirror.internal:8080
    cache_home: /var/lib/huggingface
  vars:
    ansible_python_interpreter: /opt/hgx-inference/hf-venv/bin/python
"""

RETURN = r"""
msg:
  description: What was done, or in check mode would be done, in one sentence.
  returned: always
  type: str
  sample: "moonshotai/Kimi-K2.6 at 0123456789ab: fetched 595.2 GB in 96 of 96 files"
repo:
  description: The repository.
  returned: success
  type: str
  sample: moonshotai/Kimi-K2.6
revision:
  description: The revision that was asked for.
  returned: success
  type: str
  sample: main
commit:
  description: The commit that the revision stands for.
  returned: success
  type: str
  sample: 0123456789abcdef0123456789abcdef01234567
path:
  description: The folder of the snapshot.
  returned: success
  type: str
  sample: /var/lib/huggingface/hub/models--moonshotai--Kimi-K2.6/snapshots/0123456789abcdef0123456789abcdef01234567
files:
  description: Number of files in the snapshot.
  returned: success
  type: int
  sample: 96
bytes_total:
  description: Size of the snapshot, in bytes. Content that several files share counts once.
  returned: success
  type: int
  sample: 595203948573
bytes_fetched:
  description: Bytes that were fetched. Bytes of files that an earlier run left unfinished are not among them.
  returned: success
  type: int
  sample: 595203948573
bytes_missing:
  description: Bytes that are still to be fetched. Not zero in check mode only.
  returned: success
  type: int
  sample: 0
duration:
  description: Time that the module took, in seconds.
  returned: success
  type: float
  sample: 1894.2
"""

import time
import traceback

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..module_utils._hf_cache import CacheError
from ..module_utils._hf_download import HubError, Request, ensure_snapshot
from ..module_utils._progress import ProgressFile


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repo": {"type": "str", "required": True},
            "revision": {"type": "str", "default": "main"},
            "cache_home": {"type": "path", "required": True},
            "endpoint": {"type": "str", "default": "https://huggingface.co"},
            "token": {"type": "str", "no_log": True},
            "max_workers": {"type": "int", "default": 8},
            "disk_reserve_gb": {"type": "float", "default": 10},
            "update": {"type": "bool", "default": False},
            "progress_file": {"type": "path"},
        },
        supports_check_mode=True,
    )
    started = time.monotonic()
    params = module.params
    request = Request(
        repo=params["repo"],
        revision=params["revision"],
        cache_home=params["cache_home"],
        endpoint=params["endpoint"].rstrip("/"),
        token=(params["token"] or "").strip() or None,
        max_workers=max(1, params["max_workers"]),
        reserve_bytes=int(params["disk_reserve_gb"] * 1e9),
        update=params["update"],
    )
    try:
        result = ensure_snapshot(request, module.check_mode, ProgressFile(params["progress_file"]))
    except ImportError:
        module.fail_json(msg=missing_required_lib("huggingface_hub"), exception=traceback.format_exc())
    except (CacheError, HubError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result, duration=round(time.monotonic() - started, 3))


if __name__ == "__main__":
    main()
