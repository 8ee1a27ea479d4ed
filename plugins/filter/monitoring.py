# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters of the role monitoring: what is scraped, and the configuration files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils._monitoring import rules, targets


def monitoring_targets(
    nodes: Sequence[str], *, hosts: Mapping[str, Mapping[str, Any]], own: str, gateways: Sequence[str] = ()
) -> list[targets.Target]:
    """Return the targets; see the filter's own documentation."""
    try:
        return targets.targets(hosts, nodes, gateways, own)
    except targets.TargetError as exc:
        raise AnsibleFilterError(str(exc)) from exc


def monitoring_config(
    found: Sequence[Mapping[str, Any]],
    *,
    folder: str,
    interval: str,
    alertmanager: str,
    keyed: bool = False,
    receiver: Mapping[str, Any] | None = None,
    group_wait: str = "30s",
    alarms: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the configuration files; see the filter's own documentation."""
    try:
        return {
            "targets": targets.target_files(found, keyed),
            "prometheus": targets.prometheus_config(found, folder, interval, alertmanager, keyed),
            "alertmanager": targets.alertmanager_config(receiver or {}, group_wait),
            "rules": rules.rules(alarms or {}),
            "keys": {
                targets.job_of(target, keyed): {"node": target["node"], "state_dir": target["state_dir"]}
                for target in found
                if keyed and target["job"] == "vllm"
            },
        }
    except rules.RuleError as exc:
        raise AnsibleFilterError(f"monitoring_alarms: {exc}") from exc


class FilterModule:
    """The collection's filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"monitoring_targets": monitoring_targets, "monitoring_config": monitoring_config}
