#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(vllm_image_choice)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_image_choice
short_description: Choose the first tag of an image that there is
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Takes the first tag whose image is on the host, so that nothing changes by itself. Otherwise it takes the first one
    that the registry does not lack for certain.
  - A registry that does not answer, refuses or needs a login lacks nothing for certain.
  - Warns if it is not the first tag.
options:
  name:
    description: Repository of the image.
    type: str
    required: true
  tags:
    description: Its tags, in order of preference.
    type: list
    elements: str
    required: true
extends_documentation_fragment: [hgx.inference._attributes.info]
"""

EXAMPLES = r"""
- name: Choose an image
  hgx.inference.vllm_image_choice:
    name: vllm/vllm-openai
    tags: [cu130-nightly, v0.19.1-cu130]
  register: choice
"""

RETURN = r"""
tag:
  description: The chosen tag.
  returned: success
  type: str
  sample: v0.19.1-cu130
"""


from ..module_utils._core.edge import Module, at_edge
from ..module_utils._docker.cli import DockerError, inspect_image
from ..module_utils._docker.engine import info
from ..module_utils._docker.registry import Answer, find_image, first_available, has_login, registry_url

_TIMEOUT_S = 10.0


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "name": {"type": "str", "required": True},
            "tags": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    images = {f"{module.params['name']}:{tag}": tag for tag in module.params["tags"]}
    first, *_others = images
    chosen = first_available(list(images), _is_here, _ask)
    if chosen != first:
        module.warn(
            f"{chosen} is used in place of {first}, which is neither on this host nor in its registry"
            " (vllm_image_fallback). The published figures were not measured with it."
        )
    module.exit_json(changed=False, tag=images[chosen])


def _is_here(image: str) -> bool:
    try:
        return inspect_image(image) is not None
    except DockerError:  # a host without an engine has no image
        return False


def _ask(image: str) -> Answer:
    try:
        engine = info() or {}
    except DockerError:
        engine = {}
    if has_login(image) or engine.get("HttpProxy") or engine.get("HttpsProxy"):
        return Answer("unknown", "only the engine can ask")
    mirrors = tuple((engine.get("RegistryConfig") or {}).get("Mirrors") or ())
    return find_image(image, registry_url(image, mirrors), _TIMEOUT_S)


if __name__ == "__main__":
    main()
