# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shared options of modules that send requests to a served model."""

from __future__ import annotations

import yaml

from ..module_utils._endpoint.spec import FUNCTIONAL, REAL_TEXT
from ..plugin_utils._documentation import documented


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  base_url:
    description: Address of the server as seen from the target, without a path.
    type: str
    required: true
  served_model_name:
    description: The name under which the model is served.
    type: str
    required: true
  api_key_file:
    description: File on the target that holds the API key. If it is missing or empty, no key is sent.
    type: path
"""

    # For modules that keep their outcome. It extends the one above.
    PROBE = r"""
options:
  timeout:
    description: Seconds within which a single answer must be complete. At most 64 MiB of it are read.
    type: int
    default: 300
  reuse_file:
    description:
      - File on the target in which the outcome is kept.
      - A kept outcome is reused while the same server process runs and the options are the same.
    type: path
  reuse_max_age:
    description: Maximum age of a reused outcome, in seconds.
    type: int
    default: 86400
"""

    # What the functional checks expect of the model, and how much real text is sent. Annotated, because yamllint of
    # ansible-test takes the value of a plain assignment for a literal.
    FUNCTIONAL: str = yaml.safe_dump({"options": documented(FUNCTIONAL)})
    REAL_TEXT: str = yaml.safe_dump({"options": documented(REAL_TEXT)})
