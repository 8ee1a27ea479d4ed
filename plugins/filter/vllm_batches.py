# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter C(vllm_batches): how many hosts a play works on at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError

from ..module_utils._span.batches import BatchError, batches


def vllm_batches(hosts: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[int]:
    """Return the sizes of the batches; see the filter's own documentation."""
    try:
        return batches(hosts, groups)
    except BatchError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The collection's filters."""

    def filters(self) -> dict[str, Callable[..., list[int]]]:
        return {"vllm_batches": vllm_batches}
