# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter C(vllm_span): the nodes that the server of a host runs across, from the groups of the inventory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils._span.topology import PORT, TopologyError, span_of


def vllm_span(
    host: str,
    groups: Mapping[str, Sequence[str]],
    variables: Mapping[str, Mapping[str, Any]],
    nodes: Any = 1,
    network: str = "",
    port: Any = PORT,
) -> dict[str, Any]:
    """Return the span; see the filter's own documentation."""
    try:
        return dict(span_of(str(host), groups, variables, int(nodes), str(network), int(port)) or {})
    except (TopologyError, ValueError) as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The collection's filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"vllm_span": vllm_span}
