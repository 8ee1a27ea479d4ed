# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Firewall rule sets: what covers what, and that none is widened unawares."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._lambda.client import Client, LambdaError
from ansible_collections.hgx.inference.plugins.module_utils._lambda.firewall import (
    Rule,
    RulesetManager,
    is_covered,
    open_to_world,
    parse_ruleset,
    wanted_rule,
    widened,
)
from ansible_collections.hgx.inference.plugins.module_utils._lambda.http import HttpTransport
from ansible_collections.hgx.inference.tests.support.lambda_api_server import KEY, Fault, LambdaServer

OFFICE = "203.0.113.0/24"
PLACE = ("kimi-api", "us-east-1")
HOLE = ipaddress.IPv4Network("203.0.113.7/32")


def rule(network: str = OFFICE, ports: str | None = "8001", protocol: str = "tcp") -> Rule:
    return wanted_rule(protocol, network, ports, "")


@pytest.mark.parametrize(
    ("old", "new", "covered"),
    [
        (rule(), rule(), True),
        (rule(), rule("203.0.113.7/32"), True),
        (rule(ports="8000-8010"), rule(), True),
        (rule(protocol="all", ports="1-65535"), rule(), True),
        (rule(protocol="all", ports="22"), rule(), False),
        (rule("0.0.0.0/0"), rule(), True),
        (rule("203.0.113.7/32"), rule(), False),
        (rule(), rule(ports="8001-8002"), False),
        (rule(), rule(protocol="udp"), False),
        (rule(), rule(protocol="icmp", ports=None), False),
        (rule(), rule(protocol="all"), False),
    ],
)
def test_covers(old: Rule, new: Rule, covered: bool) -> None:
    assert is_covered(new, [old]) is covered


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([rule("10.0.0.0/9"), rule("10.128.0.0/9")], rule("10.0.0.0/8")),
        ([rule(ports="8000-8004"), rule(ports="8005-8010")], rule(ports="8000-8010")),
        (
            [rule("10.0.0.0/9", "1-99"), rule("10.128.0.0/9", "50-99"), rule("10.128.0.0/9", "1-49", "all")],
            rule("10.0.0.0/8", "1-99"),
        ),
        ([rule(protocol="all", ports="1-65535")], rule(protocol="icmp", ports=None)),
    ],
)
def test_rules_are_added_up(old: list[Rule], new: Rule) -> None:
    assert widened(old, [new]) == []
    for number in range(len(old)):
        assert widened(old[:number] + old[number + 1 :], [new]) == [new]


@pytest.mark.parametrize("gap", [8004, 8007])
def test_one_port_that_is_left_out_is_not_covered(gap: int) -> None:
    old = [rule(ports=f"8000-{gap - 1}"), rule(ports=f"{gap + 1}-8010")]
    assert not is_covered(rule(ports="8000-8010"), old)
    assert is_covered(rule(ports="8000-8010"), [*old, rule(ports=f"{gap}")])


def test_rules_of_protocols_that_are_named_do_not_make_all() -> None:
    every = rule(protocol="all", ports="1-65535")
    named = [rule(protocol=name, ports="1-65535") for name in ("tcp", "udp")] + [rule(protocol="icmp", ports=None)]
    assert widened([every], named) == []
    assert widened(named, [every]) == [every]


HALVES = ["0.0.0.0/1", "128.0.0.0/1"]


@pytest.mark.parametrize(
    ("rules", "share"),
    [
        ([rule("0.0.0.0/0")], 1.0),
        ([rule("0.0.0.0/0", None, "icmp")], 1.0),
        ([rule(network) for network in HALVES], 1.0),
        ([rule(str(network)) for network in ipaddress.ip_network("0.0.0.0/0").subnets(5)], 1.0),
        ([rule("0.0.0.0/1", "8001"), rule("128.0.0.0/1", "8000-8010")], 1.0),
        ([rule("0.0.0.0/1", "8001"), rule("128.0.0.0/1", "1-65535", "all")], 1.0),
        # With a hole, however small or large.
        ([rule(str(net)) for net in ipaddress.IPv4Network("0.0.0.0/0").address_exclude(HOLE)], 1 - 2**-32),
        ([rule("0.0.0.0/1"), rule("128.0.0.0/2")], 0.75),
        # All that is public.
        ([rule("1.0.0.0/8"), rule("0.0.0.0/1"), rule("128.0.0.0/2"), rule("192.0.0.0/3")], 0.875),
    ],
    ids=str,
)
def test_the_world_in_pieces_is_the_world(server: LambdaServer, rules: list[Rule], share: float) -> None:
    found = open_to_world(rules)
    assert found is not None
    assert found[1] == share
    with pytest.raises(LambdaError, match=r"whole internet.*allow_world=true"):
        have(server, *rules)
    assert server.api.rulesets == {}
    assert have(server, *rules, world=True)


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [rule("0.0.0.0/1")],
        [rule("0.0.0.0/1", "8001"), rule("128.0.0.0/1", "8002")],
        [rule("0.0.0.0/1", "8001", "tcp"), rule("128.0.0.0/1", "8001", "udp")],
        [rule("10.0.0.0/8"), rule("172.16.0.0/12"), rule("192.168.0.0/16")],
        [rule(f"{number}.0.0.0/8") for number in range(1, 100)],
    ],
    ids=str,
)
def test_many_networks_are_not_the_world(rules: list[Rule]) -> None:
    assert open_to_world(rules) is None


@pytest.mark.parametrize(
    ("protocol", "network", "ports", "words"),
    [
        ("tcp", "203.0.113.7/24", "8001", "is not an IPv4 network such as"),
        ("tcp", "office", "8001", "is not an IPv4 network such as"),
        ("tcp", OFFICE, None, "give a port such as 8001"),
        ("tcp", OFFICE, "0", "give a port such as 8001"),
        ("tcp", OFFICE, "9-8", "give a port such as 8001"),
        ("tcp", OFFICE, "65536", "give a port such as 8001"),
        ("icmp", OFFICE, "8", "the protocol icmp has none"),
        ("all", OFFICE, None, "give a port such as 8001"),
        ("tcp", "2001:db8::/64", "8001", "is not an IPv4 network such as"),
    ],
)
def test_rules_that_cannot_be(protocol: str, network: str, ports: str | None, words: str) -> None:
    with pytest.raises(LambdaError, match=words):
        wanted_rule(protocol, network, ports, "")


@pytest.mark.parametrize("rules", [None, [None], [{"protocol": "tcp"}], [{"protocol": "tcp", "source_network": "x"}]])
def test_a_rule_set_that_is_not_understood_is_left_alone(rules: Any) -> None:
    with pytest.raises(LambdaError, match="left alone"):
        parse_ruleset({"id": "1", "name": "api", "region": {"name": "us-east-1"}, "rules": rules})


@pytest.fixture
def server() -> Iterator[LambdaServer]:
    with LambdaServer() as server:
        yield server


def manager(server: LambdaServer, check: bool = False) -> RulesetManager:
    return RulesetManager(Client(HttpTransport(), KEY, server.url, interval_s=0), check)


def have(server: LambdaServer, *rules: Rule, check: bool = False, widen: bool = False, world: bool = False) -> bool:
    return manager(server, check).present(*PLACE, list(rules), widen, world)["changed"]


def test_life_of_a_rule_set(server: LambdaServer) -> None:
    assert have(server, rule(), check=True)
    assert server.api.rulesets == {}
    assert have(server, rule())
    assert not have(server, rule())
    (made,) = server.api.rulesets.values()
    assert made["rules"] == [
        {"protocol": "tcp", "source_network": OFFICE, "description": "", "port_range": [8001, 8001]}
    ]
    with pytest.raises(LambdaError, match=r"does not admit tcp 8001 from 198\.51\.100\.0/24 yet.*allow_widening"):
        have(server, rule(), rule("198.51.100.0/24"))
    assert have(server, rule(), rule("198.51.100.0/24"), widen=True)
    assert have(server, rule("203.0.113.7/32"))
    assert [one["source_network"] for one in made["rules"]] == ["203.0.113.7/32"]
    assert manager(server, check=True).absent(*PLACE)["changed"]
    assert manager(server).absent(*PLACE)["changed"]
    assert not manager(server).absent(*PLACE)["changed"]


def test_the_world_is_not_let_in_by_accident(server: LambdaServer) -> None:
    with pytest.raises(LambdaError, match="lets in the whole internet"):
        have(server, rule("0.0.0.0/0"))
    assert have(server, rule("0.0.0.0/0"), world=True)


@pytest.mark.parametrize("kind", ["cut_after", "cut_before"])
def test_a_lost_answer_makes_no_second_one(server: LambdaServer, kind: str) -> None:
    server.faults = [Fault(kind, method="POST")]
    if kind == "cut_before":
        with pytest.raises(LambdaError, match="was not created; run again"):
            have(server, rule())
    else:
        assert have(server, rule())
    have(server, rule())
    assert len(server.api.rulesets) == 1


def test_a_rule_set_in_use_is_closed_by_an_empty_list(server: LambdaServer) -> None:
    have(server, rule())
    (made,) = server.api.rulesets.values()
    made["instance_ids"] = ["i-1"]
    assert manager(server, check=True).present(*PLACE, [], False, False)["changed"]
    assert made["rules"] != []
    assert have(server)
    assert made["rules"] == []
    assert not have(server)


WIDE = {"protocol": "tcp", "source_network": "0.0.0.0/0", "description": "", "port_range": [1, 65535]}


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (lambda rules: [*rules, WIDE], "it admits tcp 1-65535 from 0.0.0.0/0, too"),
        (lambda rules: [WIDE], "it admits tcp 1-65535 from 0.0.0.0/0, too"),
        (lambda rules: [], "it does not admit tcp 8001 from 203.0.113.0/24"),
        (lambda rules: [{**rules[0], "protocol": "udp"}], "it admits udp 8001 from 203.0.113.0/24, too"),
    ],
)
def test_what_the_api_keeps_is_read_again(server: LambdaServer, kept: Any, words: str) -> None:
    server.api.kept_rules = kept
    for _run in ("created", "changed"):
        with pytest.raises(LambdaError, match=words):
            have(server, rule(), widen=True)


def test_rules_that_the_api_keeps_in_another_form_are_the_same(server: LambdaServer) -> None:
    halves = [rule("203.0.113.0/25"), rule("203.0.113.128/25")]
    server.api.kept_rules = lambda rules: [{**rules[0], "source_network": OFFICE, "description": None}]
    assert have(server, *halves)


def test_rules_that_stay_are_told(server: LambdaServer) -> None:
    have(server, rule())
    server.api.kept_rules = lambda rules: [WIDE]
    with pytest.raises(
        LambdaError, match="has accepted the rules of the rule set kimi-api in us-east-1, but it admits"
    ):
        have(server)
    server.api.keeps_rulesets = True
    with pytest.raises(LambdaError, match=r"has accepted the removal .* but still lists it"):
        manager(server).absent(*PLACE)


def test_all_rule_sets_of_the_name_are_meant(server: LambdaServer) -> None:
    have(server, rule())
    ((id_, made),) = server.api.rulesets.items()
    twin = {**made, "id": "twin", "rules": [*made["rules"]]}
    server.api.rulesets = {"elsewhere": {**made, "region": {"name": "us-west-1"}}, id_: made, "twin": twin}
    assert not have(server, rule())
    twin["rules"] = []
    with pytest.raises(LambdaError, match="does not admit tcp 8001"):
        have(server, rule())
    assert manager(server).present(*PLACE, [], False, False)["msg"] == (
        "Changed the 2 rule sets kimi-api in us-east-1."
    )
    assert (made["rules"], twin["rules"]) == ([], [])
    assert not have(server)
    assert manager(server).absent(*PLACE)["changed"]
    assert list(server.api.rulesets) == ["elsewhere"]


@pytest.mark.parametrize("region", ["us-east-1", None, {"id": "us-east-1"}])
def test_a_rule_set_of_the_name_in_a_region_that_is_not_understood(server: LambdaServer, region: Any) -> None:
    have(server, rule())
    next(iter(server.api.rulesets.values()))["region"] = region
    with pytest.raises(LambdaError, match="left alone"):
        have(server)


def test_a_removal_whose_answer_is_lost_is_a_removal(server: LambdaServer) -> None:
    have(server, rule())
    server.faults = [Fault("cut_after", method="DELETE")]
    assert manager(server).absent(*PLACE)["changed"]
    assert not server.api.rulesets


def test_a_rule_set_in_use_is_not_removed(server: LambdaServer) -> None:
    have(server, rule())
    next(iter(server.api.rulesets.values()))["instance_ids"] = ["i-1"]
    with pytest.raises(LambdaError, match="is used by i-1"):
        manager(server).absent(*PLACE)
