# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shared options of the modules for Lambda."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  api_key:
    description:
      - A key of the Lambda Cloud API. By default that of the environment variable E(LAMBDA_API_KEY).
      - It is sent to O(api_url) and nowhere else, and never shown, logged or stored.
    type: str
  api_url:
    description:
      - Address of the API. Plain C(http) is accepted on the loopback interface only.
      - The environment variable E(LAMBDA_API_URL) sets another default.
    type: str
    default: https://cloud.lambda.ai/api/v1
  api_timeout:
    description: Seconds that one request may take, with all its retries.
    type: float
    default: 60
  request_interval:
    description:
      - Seconds between two requests of this user, over all processes; a launch waits twelve times as long.
      - The environment variable E(LAMBDA_API_INTERVAL) sets another default. Lambda allows one request in a second.
    type: float
    default: 1
  state_dir:
    description:
      - Folder on the controller for the journal of launches, the locks and the rate limit.
      - By default C(hgx-inference/lambda) below E(XDG_STATE_HOME), which is C(~/.local/state) if not set.
    type: path
notes:
  - Runs on the controller; use C(hosts=localhost) or C(delegate_to=localhost).
"""
