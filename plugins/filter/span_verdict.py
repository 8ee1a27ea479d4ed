# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters about the nodes of one server: whether they fit together, and whether their all-reduce is fast enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..module_utils._core.units import GB
from ..module_utils._span.judge import Node, Span, collective_verdict, verdict
from ..module_utils._vllm.release import describe_shared, normalize


def span_verdict(
    span: Mapping[str, Any],
    reports: Mapping[str, Mapping[str, Any]],
    records: Mapping[str, Mapping[str, Any]] | None = None,
    rdma: bool = False,
) -> dict[str, Any]:
    """Return the verdict; see the filter's own documentation."""
    nodes = []
    for host in span["hosts"]:
        record = (records or {}).get(host) or {}
        lines = describe_shared(normalize(record["container"])) if record else []
        nodes.append(_node(host, reports, "peers")._replace(release=record.get("id", ""), lines=lines))
    return verdict(Span(span["name"], nodes, int(span["port"]), records is not None, rdma))


def span_collective_verdict(
    span: Mapping[str, Any], reports: Mapping[str, Mapping[str, Any]], least_gb_s: Any = 0
) -> dict[str, Any]:
    """Return the verdict; see the filter's own documentation."""
    nodes = [_node(host, reports, "missing") for host in span["hosts"]]
    return collective_verdict(Span(span["name"], nodes, int(span["port"])), float(least_gb_s) * GB)


def _node(host: str, reports: Mapping[str, Mapping[str, Any]], key: str) -> Node:
    """Return a node with its report, which has C(key) unless the module failed."""
    found = reports.get(host) or {}
    return Node(host, found if key in found else {}, trouble=str(found.get("msg") or ""))


class FilterModule:
    """The collection's filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"span_verdict": span_verdict, "span_collective_verdict": span_collective_verdict}
