# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shared options of the Lambda modules, and the client they configure."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import env_fallback

from .client import DEFAULT_URL, Client, default_state_dir
from .http import HttpTransport

OPTIONS: dict[str, Any] = {
    "api_key": {"type": "str", "no_log": True, "fallback": (env_fallback, ["LAMBDA_API_KEY"])},
    "api_url": {"type": "str", "default": DEFAULT_URL, "fallback": (env_fallback, ["LAMBDA_API_URL"])},
    "api_timeout": {"type": "float", "default": 60},
    "request_interval": {"type": "float", "default": 1, "fallback": (env_fallback, ["LAMBDA_API_INTERVAL"])},
    "state_dir": {"type": "path"},
}


def state_dir(params: dict[str, Any]) -> str:
    return str(params["state_dir"] or default_state_dir())


def make_client(params: dict[str, Any]) -> Client:
    """Return the client for a module's parameters. Raises LambdaError for invalid ones."""
    return Client(
        HttpTransport(),
        params["api_key"],
        params["api_url"],
        params["api_timeout"],
        params["request_interval"],
        state_dir(params),
    )
