# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Firewall rule sets: what covers what, and that none is widened unawares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._lambda.client import Client, LambdaError
from ansible_collections.hgx.inference.plugins.module_utils._lambda.firewall import (
    Rule,
    RulesetManager,
    parse_ruleset,
    wanted_rule,
)
from ansible_collections.hgx.inference.plugins.module_utils._lambda.http import HttpTransport
from ansible_collections.hgx.inference.tests.support.lambda_api_server import KEY, Fault, LambdaServer

OFFICE = "203.0.113.0/24"
PLACE = ("kimi-api", "us-east-1")


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
    assert old.covers(new) is covered


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


def test_a_rule_set_in_use_is_not_removed(server: LambdaServer) -> None:
    have(server, rule())
    next(iter(server.api.rulesets.values()))["instance_ids"] = ["i-1"]
    with pytest.raises(LambdaError, match="is used by i-1"):
        manager(server).absent(*PLACE)
