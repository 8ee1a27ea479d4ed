# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter C(vllm_cli_args): a mapping of options as an argument vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils._vllm.args import ArgsError, render_args


def vllm_cli_args(options: Any) -> list[str]:
    """Return the argument vector of C(options); see the filter's own documentation."""
    if not isinstance(options, Mapping):
        raise AnsibleFilterError(f"vllm_cli_args needs a mapping of options, not {type(options).__name__}.")
    try:
        return render_args(options)
    except ArgsError as exc:
        raise AnsibleFilterError(f"vllm_cli_args: {exc}") from exc


class FilterModule:
    """The collection's filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"vllm_cli_args": vllm_cli_args}
