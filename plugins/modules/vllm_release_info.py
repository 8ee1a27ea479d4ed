#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(vllm_release_info)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_release_info
short_description: List the recorded releases of a vLLM server
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Returns the releases that M(hgx.inference.vllm_release) has recorded on a host.
  - A damaged record, or one of another version of this collection, is left out.
options:
  state_dir:
    description: Folder on the target that holds the releases.
    type: path
    required: true
extends_documentation_fragment: [hgx.inference._attributes.info]
"""

EXAMPLES = r"""
- name: List the releases
  hgx.inference.vllm_release_info:
    state_dir: /var/lib/hgx-inference/vllm
  register: releases

- name: Show the release to roll back to
  ansible.builtin.debug:
    var: releases.last_good
"""

RETURN = r"""
current:
  description: ID of the current release. Empty if there is none.
  returned: success
  type: str
  sample: 1f2e3d4c5b6a
last_good:
  description: ID of the newest release that passed its benchmark. Empty if there is none.
  returned: success
  type: str
  sample: 1f2e3d4c5b6a
releases:
  description: The records, newest first, with C(verdict), the verdict of their benchmark. It is empty if there is none.
  returned: success
  type: list
  elements: dict
  sample: [{id: 1f2e3d4c5b6a, created_at: "2026-11-25T17:00:00Z", title: Kimi K2.6, verdict: pass}]
commits:
  description: The commits that the recorded releases need, of all repositories.
  returned: success
  type: list
  elements: str
"""

from contextlib import suppress
from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._vllm.store import CURRENT, LAST_GOOD, Store, StoreError


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={"state_dir": {"type": "path", "required": True}},
        supports_check_mode=True,
        data=("releases",),
    )
    try:
        module.exit_json(**_releases(Store(module.params["state_dir"])))
    except StoreError as exc:
        module.fail_json(msg=str(exc))


def _releases(store: Store) -> dict[str, Any]:
    """Return what the store holds."""
    records: list[dict[str, Any]] = []
    for release in store.ids():
        with suppress(StoreError):  # a record that cannot be read must not hide the others
            records.append(store.read(release))
    for record in records:
        record["verdict"] = (store.result(record["id"]) or {}).get("verdict", "")
    return {
        "changed": False,
        "current": store.pointed(CURRENT) or "",
        "last_good": store.pointed(LAST_GOOD) or "",
        "releases": records,
        "commits": sorted({commit for record in records for commit in record["commits"].values()}),
    }


if __name__ == "__main__":
    main()
