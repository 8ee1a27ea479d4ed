# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and filters of the inventory, with names that mean harm."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._lambda.inventory import (
    ADDRESS,
    PLAIN,
    Filters,
    host_names,
    host_vars,
)
from ansible_collections.hgx.inference.plugins.module_utils._lambda.records import Instance, parse_instance
from ansible_collections.hgx.inference.tests.support.lambda_api_server import LambdaApi

NONE: dict[str, Any] = {"regions": [], "types": [], "names": [], "statuses": [], "tags": {}}


def instance(**fields: Any) -> Instance:
    return parse_instance(LambdaApi().add(**{"name": "kimi", "tags": [{"key": "team", "value": "a"}], **fields}))


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ({}, True),
        ({"regions": ["us-east-1", "x"]}, True),
        ({"regions": ["x"]}, False),
        ({"types": ["gpu_8x_b200_sxm6"]}, True),
        ({"types": ["gpu_1x_a10"]}, False),
        ({"names": ["ki*"]}, True),
        ({"names": ["mi*"]}, False),
        ({"statuses": ["booting"]}, False),
        ({"tags": {"team": "a"}}, True),
        ({"tags": {"team": "b"}}, False),
        ({"tags": {"team": "a", "more": "x"}}, False),
    ],
)
def test_filters(filters: dict[str, Any], passes: bool) -> None:
    assert Filters(**{**NONE, **filters}).pass_(instance()) is passes


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("kimi-1.eu", True),
        (None, False),
        ("", False),
        ("localhost", False),
        ("127.0.0.1", False),
        ("all", False),
        ("inference", False),
        ("kimi,other", False),
        ("{{ lookup('pipe', 'id') }}", False),
        ("-oProxyCommand=x", False),
        ("a b", False),
        ("kimi[0:9]", False),
        ("../../etc", False),
        ("x" * 200, False),
    ],
)
def test_a_name_that_is_not_fit_for_a_host_gives_way_to_the_id(name: str | None, good: bool) -> None:
    one = instance()
    assert host_names([one], [name], {"inference"}) == [name if good else one["id"]]


def test_two_of_one_name_are_two_hosts() -> None:
    found = [instance(), instance(), instance()]
    assert host_names(found, ["a", "b", "a"], set()) == [found[0]["id"], "b", found[2]["id"]]


@pytest.mark.parametrize("text", ["203.0.113.7", "node-7.example", "2001:db8::1", "[::1]"])
def test_addresses(text: str) -> None:
    assert ADDRESS.fullmatch(text)


@pytest.mark.parametrize("text", ["-oProxyCommand=x", "a b", "{{ x }}", "", "a;b", "$(id)"])
def test_what_is_no_address(text: str) -> None:
    assert not ADDRESS.fullmatch(text)


@pytest.mark.parametrize("text", ["{{ x }}", "{% raw %}", "lookup('pipe', 'id')", "a|b", "a\n", "x[0]", "f(x)", '"'])
def test_what_could_be_evaluated_is_not_plain(text: str) -> None:
    assert not PLAIN.fullmatch(text)


def test_host_variables_have_a_prefix() -> None:
    variables = host_vars(instance())
    assert variables["lambda_region"] == "us-east-1"
    assert all(name.startswith("lambda_") for name in variables)
