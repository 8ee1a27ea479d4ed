# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Firewall rule sets: compare what their rules admit, so that none is widened by accident."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict, Union
from urllib.parse import quote

from .client import ApiError, Client, LambdaError, Repeat, Uncertain, poll

PROTOCOLS = ("tcp", "udp", "icmp", "all")
READ_BACK = 5  # how long a change may take to show, in request intervals; with Lambda's rate limit these are seconds


Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
ALL_PORTS = (1, 65535)
# Addresses that are nowhere on the internet: all others together are the whole internet.
SPECIAL = [
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/3",
    )
]


class Rule(NamedTuple):
    """Traffic that is admitted. C(ports) is None for ICMP, which has none."""

    protocol: str
    network: Network
    ports: tuple[int, int] | None
    description: str

    @property
    def protocols(self) -> tuple[str, ...]:
        """Return what the rule admits; C(all) stands for the protocols without a name here, too."""
        return PROTOCOLS if self.protocol == "all" else (self.protocol,)

    @property
    def span(self) -> tuple[int, int]:
        return self.ports or ALL_PORTS

    def admits(self, protocol: str, first: int, last: int) -> bool:
        """Return whether the rule admits a protocol on a range of ports from its network."""
        ports = protocol == "icmp" or (self.span[0] <= first and last <= self.span[1])
        return protocol in self.protocols and ports

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
    field = "rules"
    try:
        rules = []
        for rule in raw["rules"]:
            field = "port_range"
            ports = rule.get("port_range")
            pair = (int(ports[0]), int(ports[1])) if ports else None
            field = "source_network"
            network = ipaddress.ip_network(rule["source_network"], strict=False)
            field = "protocol"
            rules.append(Rule(str(rule["protocol"]), network, pair, str(rule.get("description") or "")))
        field = "id, name, region or instance_ids"
        ids = [str(id_) for id_ in raw.get("instance_ids") or []]
        names = (raw["id"], raw["name"], raw["region"]["name"])
        if not all(isinstance(name, str) for name in names):
            raise TypeError(names)
        return Ruleset(*names, rules, ids)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as exc:
        raise LambdaError(
            f"The API describes the firewall rule set {raw.get('name')!r} in a way that is not understood "
            f"(field {field}), so it is left alone. Check it in the Lambda console."
        ) from exc


def widened(old: list[Rule], new: list[Rule]) -> list[Rule]:
    """Return the new rules that admit what the old rules together do not."""
    return [rule for rule in new if not is_covered(rule, old)]


def is_covered(rule: Rule, others: list[Rule]) -> bool:
    """Return whether C(others) together admit everything that the rule does."""
    for protocol in rule.protocols:
        for first, last in port_ranges(protocol, rule, others):
            networks = joined([other.network for other in others if other.admits(protocol, first, last)])
            if not any(within(rule.network, network) for network in networks):
                return False
    return True


def port_ranges(protocol: str, rule: Rule, others: list[Rule]) -> list[tuple[int, int]]:
    """Return the ports of a rule, cut where another one begins or ends."""
    if protocol == "icmp":
        return [ALL_PORTS]
    start, end = rule.span
    cuts = {other.span[0] for other in others} | {other.span[1] + 1 for other in others}
    starts = sorted({start, *(cut for cut in cuts if start < cut <= end)})
    return list(zip(starts, [*(cut - 1 for cut in starts[1:]), end]))


def joined(networks: Iterable[Network]) -> list[Network]:
    """Add networks up: two halves become the whole."""
    found = list(networks)
    four = [network for network in found if isinstance(network, ipaddress.IPv4Network)]
    six = [network for network in found if isinstance(network, ipaddress.IPv6Network)]
    return [*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six)]


def within(inner: Network, outer: Network) -> bool:
    if isinstance(inner, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)


def open_to_world(rules: list[Rule]) -> tuple[Rule, float] | None:
    """Return a rule and the share of all addresses that it admits with the others, if that is the internet, else None.

    That is all public IPv4 addresses, or more than half of all.
    """
    for rule in rules:
        for protocol in rule.protocols:
            for first, last in port_ranges(protocol, rule, rules):
                networks = joined([other.network for other in rules if other.admits(protocol, first, last)])
                share = sum(network.num_addresses for network in networks) / 2**32
                whole = any(network.prefixlen == 0 for network in joined([*networks, *SPECIAL]))
                if whole or share > 0.5:
                    return rule, share
    return None


def bodies(rules: list[Rule]) -> list[str]:
    return sorted(str(rule.body()) for rule in rules)


def named(name: str, region: str, found: list[Ruleset]) -> str:
    """Return C(the rule set kimi-api in us-east-1)."""
    return f"the {len(found)} rule sets {name} in {region}" if found[1:] else f"the rule set {name} in {region}"


class RulesetManager:
    """Ensures that a rule set of a region has the given rules, or is absent.

    If the API has several of one name, each of them is changed or removed.
    """

    def __init__(self, client: Client, check_mode: bool) -> None:
        self._client = client
        self._check = check_mode

    def find(self, name: str, region: str) -> list[Ruleset]:
        """Return the rule sets of this name in this region. Raises LambdaError if one is not understood."""
        found = []
        for raw in self._client.get_list("/firewall-rulesets"):
            place = raw.get("region")
            if raw.get("name") == name and (not isinstance(place, dict) or place.get("name") in (None, region)):
                found.append(parse_ruleset(raw))
        return found

    def present(self, name: str, region: str, rules: list[Rule], allow_widening: bool, allow_world: bool) -> Outcome:
        world = open_to_world(rules)
        if world and not allow_world:
            rule, share = world
            told = f"The rule {rule} lets in"
            if rule.network.prefixlen:
                told = f"The rule {rule} and others together let in {100 * share:.4g} % of all addresses, that is,"
            raise LambdaError(
                f"{told} the whole internet. Name the networks that may connect, or set allow_world=true."
            )
        found = self.find(name, region)
        if not found:
            return self._create(name, region, rules)
        for ruleset in found:
            wider = widened(ruleset.rules, rules)
            if wider and not allow_widening:
                raise LambdaError(
                    f"The firewall rule set {name} in {region} exists and does not admit {'; '.join(map(str, wider))} "
                    f"yet. It is used by {len(ruleset.instance_ids)} instances. Set allow_widening=true to allow it."
                )
        other = [ruleset for ruleset in found if bodies(ruleset.rules) != bodies(rules)]
        if other and not self._check:
            for ruleset in other:
                path = f"/firewall-rulesets/{quote(ruleset.id, safe='')}"
                self._client.call("PATCH", path, {"rules": [rule.body() for rule in rules]})
            self._require(name, region, rules, [ruleset.id for ruleset in found])
        verb = "Would change" if self._check else "Changed"
        which = named(name, region, found)
        msg = (
            f"{verb} {which}." if other else f"{which[0].upper()}{which[1:]} {'are' if found[1:] else 'is'} up to date."
        )
        return self._outcome(bool(other), msg, found[0].id, (other or found)[0].rules, rules)

    def _require(self, name: str, region: str, rules: list[Rule], ids: list[str]) -> list[Ruleset]:
        """Read the rule sets back. Raises LambdaError if they do not admit exactly what was asked for."""
        problem = ""
        for _left_s in poll(self._client.clock, READ_BACK * self._client.interval_s, self._client.interval_s or 1.0):
            kept = [ruleset for ruleset in self.find(name, region) if not ids or ruleset.id in ids]
            problem = "" if kept and {ruleset.id for ruleset in kept} >= set(ids) else "the API does not list it"
            for ruleset in kept:
                wider, missing = widened(rules, ruleset.rules), widened(ruleset.rules, rules)
                if wider:
                    problem = f"it admits {'; '.join(map(str, wider))}, too"
                elif missing:
                    problem = f"it does not admit {'; '.join(map(str, missing))}"
            if not problem:
                return kept
        raise LambdaError(
            f"Lambda has accepted the rules of the rule set {name} in {region}, but {problem}. Run again, or change it "
            "in the Lambda console."
        )

    def _create(self, name: str, region: str, rules: list[Rule]) -> Outcome:
        if self._check:
            return self._outcome(True, f"Would create the rule set {name} in {region}.", None, [], rules)
        body = {"name": name, "region": region, "rules": [rule.body() for rule in rules]}
        try:
            self._client.call("POST", "/firewall-rulesets", body, Repeat.REFUSED)
        except Uncertain as exc:
            if not self.find(name, region):
                raise LambdaError(f"{exc} The rule set {name} was not created; run again.") from exc
        made = self._require(name, region, rules, [])
        return self._outcome(True, f"Created the rule set {name} in {region}.", made[0].id, [], rules)

    def absent(self, name: str, region: str) -> Outcome:
        found = self.find(name, region)
        if not found:
            return self._outcome(False, f"There is no rule set {name} in {region}.", None, [], [])
        used = [id_ for ruleset in found for id_ in ruleset.instance_ids]
        if used:
            raise LambdaError(f"The rule set {name} in {region} is used by {', '.join(used)}. Release them first.")
        if not self._check:
            for ruleset in found:
                self._remove(ruleset.id)
            for _left_s in poll(
                self._client.clock, READ_BACK * self._client.interval_s, self._client.interval_s or 1.0
            ):
                if not self.find(name, region):
                    break
            else:
                raise LambdaError(
                    f"Lambda has accepted the removal of the rule set {name} in {region}, but still lists it. Run "
                    "again, or remove it in the Lambda console."
                )
        verb = "Would remove" if self._check else "Removed"
        return self._outcome(True, f"{verb} {named(name, region, found)}.", found[0].id, found[0].rules, [])

    def _remove(self, id_: str) -> None:
        try:
            self._client.call("DELETE", f"/firewall-rulesets/{quote(id_, safe='')}")
        except ApiError as exc:
            if exc.status != 404:  # a first try, whose answer was lost, has removed it
                raise

    @staticmethod
    def _outcome(changed: bool, msg: str, id_: str | None, before: list[Rule], after: list[Rule]) -> Outcome:
        diff = {"before": {"rules": [str(rule) for rule in before]}, "after": {"rules": [str(rule) for rule in after]}}
        return {"changed": changed, "msg": msg, "id": id_, "diff": diff}
