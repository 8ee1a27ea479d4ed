# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Firewall rule sets: compare what their rules admit, so that none is widened by accident."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict
from urllib.parse import quote

from .client import Client, LambdaError, Repeat, Uncertain

PROTOCOLS = ("tcp", "udp", "icmp", "all")


class Rule(NamedTuple):
    """Traffic that is admitted. C(ports) is None for ICMP, which has none."""

    protocol: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    ports: tuple[int, int] | None
    description: str

    def covers(self, other: Rule) -> bool:
        """Return whether this rule alone admits everything that C(other) does."""
        mine, others = self.network, other.network
        if isinstance(mine, ipaddress.IPv4Network):
            inside = isinstance(others, ipaddress.IPv4Network) and others.subnet_of(mine)
        else:
            inside = isinstance(others, ipaddress.IPv6Network) and others.subnet_of(mine)
        ports = self.ports is None or (
            other.ports is not None and self.ports[0] <= other.ports[0] and other.ports[1] <= self.ports[1]
        )
        return inside and self.protocol in ("all", other.protocol) and ports

    def __str__(self) -> str:
        ports = "" if self.ports is None else f" {'-'.join(str(port) for port in sorted(set(self.ports)))}"
        return f"{self.protocol}{ports} from {self.network}"

    def body(self) -> dict[str, Any]:
        """Return the rule in the API's form."""
        ports = {"port_range": list(self.ports)} if self.ports else {}
        told = {"protocol": self.protocol, "source_network": str(self.network), "description": self.description}
        return {**told, **ports}


@dataclass(frozen=True)
class Ruleset:
    id: str
    name: str
    region: str
    rules: list[Rule]
    instance_ids: list[str]


class Outcome(TypedDict):
    changed: bool
    msg: str
    id: str | None
    diff: dict[str, dict[str, Any]]


def wanted_rule(protocol: str, network: str, ports: str | None, description: str) -> Rule:
    """Return a rule from a module's options. Raises LambdaError for an invalid one."""
    try:
        source = ipaddress.IPv4Network(network)  # the API has no IPv6
    except ValueError as exc:
        message = f"source_networks: {network!r} is not an IPv4 network such as 203.0.113.0/24: {exc}."
        raise LambdaError(message) from exc
    if protocol == "icmp":
        if ports:
            raise LambdaError(f"ports {ports!r}: the protocol icmp has none.")
        return Rule(protocol, source, None, description)
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", ports or "")
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise LambdaError(
            f"ports {ports!r} of a {protocol} rule: give a port such as 8001, or a range such as 8001-8010."
        )
    return Rule(protocol, source, (first, last), description)


def parse_ruleset(raw: dict[str, Any]) -> Ruleset:
    """Return a rule set from the API's form. Raises LambdaError if it is not understood."""
    try:
        rules = []
        for rule in raw["rules"]:
            ports = rule.get("port_range")
            network = ipaddress.ip_network(rule["source_network"], strict=False)
            pair = (int(ports[0]), int(ports[1])) if ports else None
            rules.append(Rule(str(rule["protocol"]), network, pair, str(rule.get("description") or "")))
        ids = [str(id_) for id_ in raw.get("instance_ids") or []]
        return Ruleset(str(raw["id"]), str(raw["name"]), str(raw["region"]["name"]), rules, ids)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as exc:
        raise LambdaError(
            f"The API describes the firewall rule set {raw.get('name')!r} in a way that is not understood "
            f"({type(exc).__name__}: {exc}), so it is left alone. Check it in the Lambda console."
        ) from exc


def widened(old: list[Rule], new: list[Rule]) -> list[Rule]:
    """Return the new rules that admit what no single old rule does."""
    return [rule for rule in new if not any(known.covers(rule) for known in old)]


class RulesetManager:
    """Ensures that a rule set of a region has the given rules, or is absent."""

    def __init__(self, client: Client, check_mode: bool) -> None:
        self._client = client
        self._check = check_mode

    def find(self, name: str, region: str) -> Ruleset | None:
        for raw in self._client.get_list("/firewall-rulesets"):
            place = raw.get("region")
            if raw.get("name") == name and isinstance(place, dict) and place.get("name") == region:
                return parse_ruleset(raw)
        return None

    def present(self, name: str, region: str, rules: list[Rule], allow_widening: bool, allow_world: bool) -> Outcome:
        open_ = [rule for rule in rules if rule.network.prefixlen == 0]
        if open_ and not allow_world:
            raise LambdaError(
                f"The rule {open_[0]} lets in the whole internet. Name the networks that may connect, or set "
                "allow_world=true."
            )
        found = self.find(name, region)
        if found is None:
            return self._create(name, region, rules)
        wider = widened(found.rules, rules)
        if wider and not allow_widening:
            raise LambdaError(
                f"The firewall rule set {name} in {region} exists and does not admit {'; '.join(map(str, wider))} "
                f"yet. It is used by {len(found.instance_ids)} instances. Set allow_widening=true to allow it."
            )
        changed = sorted(map(Rule.body, found.rules), key=str) != sorted(map(Rule.body, rules), key=str)
        if changed and not self._check:
            path = f"/firewall-rulesets/{quote(found.id, safe='')}"
            self._client.call("PATCH", path, {"rules": [rule.body() for rule in rules]})
        verb = "Would change" if self._check else "Changed"
        msg = (
            f"{verb} the rule set {name} in {region}." if changed else f"The rule set {name} in {region} is up to date."
        )
        return self._outcome(changed, msg, found.id, found.rules, rules)

    def _create(self, name: str, region: str, rules: list[Rule]) -> Outcome:
        if self._check:
            return self._outcome(True, f"Would create the rule set {name} in {region}.", None, [], rules)
        body = {"name": name, "region": region, "rules": [rule.body() for rule in rules]}
        try:
            self._client.call("POST", "/firewall-rulesets", body, Repeat.REFUSED)
        except Uncertain as exc:
            if self.find(name, region) is None:
                raise LambdaError(f"{exc} The rule set {name} was not created; run again.") from exc
        made = self.find(name, region)
        return self._outcome(True, f"Created the rule set {name} in {region}.", made.id if made else None, [], rules)

    def absent(self, name: str, region: str) -> Outcome:
        found = self.find(name, region)
        if found is None:
            return self._outcome(False, f"There is no rule set {name} in {region}.", None, [], [])
        if found.instance_ids:
            raise LambdaError(
                f"The rule set {name} in {region} is used by {', '.join(found.instance_ids)}. Release them first."
            )
        if not self._check:
            self._client.call("DELETE", f"/firewall-rulesets/{quote(found.id, safe='')}")
        verb = "Would remove" if self._check else "Removed"
        return self._outcome(True, f"{verb} the rule set {name} in {region}.", found.id, found.rules, [])

    @staticmethod
    def _outcome(changed: bool, msg: str, id_: str | None, before: list[Rule], after: list[Rule]) -> Outcome:
        diff = {"before": {"rules": [str(rule) for rule in before]}, "after": {"rules": [str(rule) for rule in after]}}
        return {"changed": changed, "msg": msg, "id": id_, "diff": diff}
