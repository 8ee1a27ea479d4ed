#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file holds the documentation only: the action plugin of the same name does the work, on the controller.

DOCUMENTATION = r"""
module: recipe_import
short_description: Make a recipe of a published page or command
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Reads a C(docker run) command, a C(vllm serve) line, a Compose file, a recipe of the vLLM project, or the text of a
    page with commands and a table of figures, and writes a recipe.
  - Each value was read, or follows by a rule that is told in a comment, or is marked as missing. Nothing is guessed. A
    part of the command that is not understood ends the import.
  - Secrets of the command are left out.
options:
  src:
    description: The text, on the controller.
    type: path
    required: true
  dest:
    description: The recipe to write, on the controller. An existing file with another content is not overwritten.
    type: path
    required: true
  source:
    description: Where the text was published. By default what the line of the text says that begins with C(source).
    type: str
    default: ''
  hardware:
    description: The hardware, such as V(8xB200), or V(cpu), if the text names none, or several.
    type: str
    default: ''
  config:
    description: The C(config.json) of the model, on the controller. The sizes of weights and KV cache follow from it.
    type: path
    default: ''
extends_documentation_fragment: [hgx.inference._attributes, hgx.inference._attributes.controller]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Make a recipe of a page
  hgx.inference.recipe_import:
    src: page.md
    dest: recipes/my_model.yml
    hardware: 8xB200
  register: imported
"""

RETURN = r"""
msg:
  description: What was written, what follows by which rule, and what is missing.
  returned: success
  type: list
  elements: str
dest:
  description: The recipe, on the controller.
  returned: success
  type: str
recipe:
  description: The recipe's content.
  returned: success
  type: dict
derived:
  description: The rule by path of the value.
  returned: success
  type: dict
missing:
  description: What to do by path of the value.
  returned: success
  type: dict
"""
