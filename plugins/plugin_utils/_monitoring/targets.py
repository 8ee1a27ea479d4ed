# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Prometheus scrapes, derived from the inventory, and the configuration files made of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from ...module_utils._gateway.backends import ports
from ...module_utils._span.batches import followers

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ANY = ("", "*", "0.0.0.0", "::")
_STATE_DIR = "/var/lib/hgx-inference/vllm"


class TargetError(Exception):
    """A target that Prometheus could not reach; the message has a line for each."""


class Target(TypedDict):
    """One address to scrape. C(job) is V(vllm), V(gateway), V(node) or the user's own.

    C(server) is the container of a vLLM server, and empty for the others. C(state_dir) has its API key.
    """

    job: str
    node: str
    server: str
    address: str
    state_dir: str


def targets(
    hosts: Mapping[str, Mapping[str, Any]], nodes: Sequence[str], gateways: Sequence[str], own: str
) -> list[Target]:
    """Return the targets of the Prometheus on the host C(own); C(hosts) has the variables of all hosts.

    Raises TargetError.
    """
    found: list[Target] = []
    problems: list[str] = []
    serving = set(nodes) - followers(hosts[own].get("groups") or {})
    for name in dict.fromkeys([*nodes, *gateways]):
        for job, server, listens, variable, port, state_dir in _listeners(
            hosts[name], name in serving, name in gateways
        ):
            if name == own:
                address = "127.0.0.1" if listens in (*_ANY, *_LOOPBACK) else listens
            elif listens in _LOOPBACK:
                problems.append(
                    f"{server or job} of {name} listens on {listens}, which {own} cannot reach. Set {variable} of"
                    f" {name} to its address on a private network, or run a Prometheus on each node."
                )
                continue
            else:
                address = str(hosts[name].get("ansible_host") or name) if listens in _ANY else listens
            address = f"[{address}]" if ":" in address else address
            found.append(
                {"job": job, "node": name, "server": server, "address": f"{address}:{port}", "state_dir": state_dir}
            )
    if problems:
        raise TargetError("\n".join(problems))
    return found


def _listeners(
    host: Mapping[str, Any], serves: bool, is_gateway: bool
) -> Iterable[tuple[str, str, str, str, int, str]]:
    """Yield job, server, address, the variable that sets the address, port and state directory of what a host has."""
    if serves:
        bind = str(host.get("vllm_bind_address") or "127.0.0.1")
        for server, port, state_dir in _servers(host):
            yield "vllm", server, bind, "vllm_bind_address", port, state_dir
    if is_gateway:
        address = str(host.get("gateway_metrics_address") or "127.0.0.1")
        yield "gateway", "", address, "gateway_metrics_address", int(host.get("gateway_metrics_port") or 9405), ""
    address = str(host.get("monitoring_node_address") or "127.0.0.1")
    yield "node", "", address, "monitoring_node_address", int(host.get("monitoring_node_port") or 9100), ""


def _servers(host: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Return container, port and state directory of each vLLM server of a host: of one, or of its instances."""
    name, state_dir = str(host.get("vllm_container_name") or "vllm"), str(host.get("vllm_state_dir") or _STATE_DIR)
    found = [(f"-{instance}" if instance else "", port) for instance, port in ports(host)]
    return [(f"{name}{suffix}", port, f"{state_dir}{suffix}") for suffix, port in found if port]


def job_of(target: Mapping[str, Any], keyed: bool) -> str:
    """Return the name of a target's scrape job. Servers with keys have one each, since a job has one key."""
    if keyed and target["job"] == "vllm":
        return f"vllm-{target['node']}-{target['server']}"
    return str(target["job"])


def target_files(found: Sequence[Mapping[str, Any]], keyed: bool = False) -> dict[str, list[dict[str, Any]]]:
    """Return the content of each file of targets, by the name of its job."""
    files: dict[str, list[dict[str, Any]]] = {}
    for target in found:
        labels = {"job": str(target["job"]), "node": str(target["node"])}
        if target.get("server"):
            labels["server"] = str(target["server"])
        files.setdefault(job_of(target, keyed), []).append({"targets": [str(target["address"])], "labels": labels})
    return files


def prometheus_config(
    found: Sequence[Mapping[str, Any]], folder: str, interval: str, alertmanager: str, keyed: bool = False
) -> dict[str, Any]:
    """Return the configuration of Prometheus, whose files of targets and rules are below C(folder).

    With C(keyed) a server's key is read from the file keys/JOB at each scrape.
    """
    jobs = dict.fromkeys(job_of(target, keyed) for target in found)
    keys = {job_of(target, keyed) for target in found if keyed and target["job"] == "vllm"}
    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [f"{folder}/rules/*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [
            {
                "job_name": job,
                "file_sd_configs": [{"files": [f"{folder}/targets/{job}.json"]}],
                **({"authorization": {"credentials_file": f"{folder}/keys/{job}"}} if job in keys else {}),
            }
            for job in jobs
        ],
    }


def alertmanager_config(receiver: Mapping[str, Any], group_wait: str) -> dict[str, Any]:
    """Return the configuration of Alertmanager. Without C(receiver) alarms are shown and go nowhere."""
    return {
        "route": {
            "receiver": "hgx-inference",
            "group_by": ["alertname", "node"],
            "group_wait": group_wait,
            "group_interval": "5m",
            "repeat_interval": "12h",
        },
        # What is down explains what is slow.
        "inhibit_rules": [
            {
                "source_matchers": ['alertname=~"NodeDown|VllmDown|VllmStalled"'],
                "target_matchers": ['severity=~"warn|info"'],
                "equal": ["node"],
            }
        ],
        "receivers": [{"name": "hgx-inference", **receiver}],
    }
