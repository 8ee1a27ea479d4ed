# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters C(vllm_batches) and C(vllm_followers): which hosts belong together, as they run one server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils._span.batches import BatchError, batches, followers


def vllm_batches(hosts: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[int]:
    """Return the sizes of the batches; see the filter's own documentation."""
    try:
        return batches(hosts, groups)
    except BatchError as exc:
        raise AnsibleFilterError(str(exc)) from exc


def vllm_followers(groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the hosts without an API of their own; see the filter's own documentation."""
    return sorted(followers(groups))


class FilterModule:
    """The collection's filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"vllm_batches": vllm_batches, "vllm_followers": vllm_followers}
