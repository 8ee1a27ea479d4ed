#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file holds the documentation only: the action plugin of the same name does the work, on the controller.

DOCUMENTATION = r"""
module: load_recipe
short_description: Load and validate a recipe
version_added: 0.1.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Reads one recipe file on the controller, checks it against the schema and merges a profile into it.
  - All problems of the file are reported at once, each with the path of its key.
  - For an unknown name the message suggests the nearest valid one.
options:
  recipe:
    description:
      - Name of a bundled recipe, such as V(kimi_k2_6_hgx_b200), or the path of a file that ends in C(.yml).
    type: str
    required: true
  profile:
    description: The profile to merge into the recipe.
    type: str
    default: published
  price_usd_per_hour:
    description: The price of the host, if it is known from elsewhere than the recipe; V(0) if it is not.
    type: float
    default: 0.0
extends_documentation_fragment: [hgx.inference._attributes.info, hgx.inference._attributes.controller]
"""

EXAMPLES = r"""
- name: Load the published recipe
  hgx.inference.load_recipe:
    recipe: kimi_k2_6_hgx_b200
  register: loaded

- name: Load a recipe of your own for coding agents
  hgx.inference.load_recipe:
    recipe: recipes/my_model.yml
    profile: agentic
"""

RETURN = r"""
recipe:
  description:
    - The recipe with every default filled in and the profile merged. The profiles themselves are left out.
    - RV(ignore:recipe.name) is the file's name without its ending, RV(ignore:recipe.profile) the profile.
  returned: success
  type: dict
path:
  description: The file that was read, on the controller.
  returned: success
  type: str
  sample: recipes/kimi_k2_6_hgx_b200.yml
price_usd_per_hour:
  description: O(price_usd_per_hour) or that of the recipe, by which the callback P(hgx.inference.phases#callback) tells
    what a run has cost; V(null) if neither is known.
  returned: success
  type: float
  sample: 53.52
"""
