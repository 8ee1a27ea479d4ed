# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept of the API's data, and the arithmetic and the words that come from it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._lambda import records
from ansible_collections.hgx.inference.plugins.module_utils._lambda.client import LambdaError
from ansible_collections.hgx.inference.tests.support.lambda_api_server import LambdaApi

LAUNCHED = {"hgx-managed-by": "hgx.inference", "hgx-launched-at": "2026-11-25T12:00:00Z", "hgx-owner": "eve"}
NOON = 1795608000.0


def instance(**fields: Any) -> records.Instance:
    return records.parse_instance(LambdaApi().add(**fields))


def test_an_instance_keeps_what_is_known_and_no_token() -> None:
    found = instance(name="kimi", tags=records.render_tags(LAUNCHED), firewall_rulesets=[{"id": "r1"}])
    assert found["price_usd_per_hour"] == 45.92
    assert (found["type"], found["gpus"], found["region"]) == ("gpu_8x_b200_sxm6", 8, "us-east-1")
    assert (found["managed"], found["owner"], found["firewall_rulesets"]) == (True, "eve", ["r1"])
    assert "s3cret" not in str(found)
    assert set(found) == set(records.Instance.__annotations__)


@pytest.mark.parametrize(
    ("fields", "key", "value"),
    [
        ({"ip": "-oProxyCommand=reboot"}, "ip", None),
        ({"ip": "node.example"}, "ip", None),
        ({"ip": "2001:db8::1"}, "ip", "2001:db8::1"),
        ({"name": None}, "name", None),
        ({"name": "{{ lookup('pipe', 'id') }}"}, "name", "{{ lookup('pipe', 'id') }}"),
        ({"tags": None}, "tags", {}),
        ({"tags": [{"key": "a", "value": "{{ b }}"}, {"value": "x"}, "odd"]}, "tags", {"a": "{{ b }}"}),
        ({"instance_type": None}, "price_usd_per_hour", None),
        ({"instance_type": {"price_cents_per_hour": "129"}}, "price_usd_per_hour", 1.29),
        ({"instance_type": {"price_cents_per_hour": 1e-9}}, "price_usd_per_hour", None),
        ({"region": "odd"}, "region", "unknown"),
        ({"file_system_names": ["a", 1]}, "file_systems", ["a"]),
    ],
)
def test_odd_values_do_no_harm(fields: dict[str, Any], key: str, value: Any) -> None:
    assert dict(instance(**fields))[key] == value


@pytest.mark.parametrize("raw", [None, [], {"id": "x"}, {"id": 1, "status": "active"}, {"status": "active"}])
def test_an_instance_without_id_or_status_is_none(raw: Any) -> None:
    with pytest.raises(LambdaError, match="without id or status"):
        records.parse_instance(raw)


def offer(*regions: str, price: float = 45.92) -> records.Offer:
    return records.Offer("gpu_8x_b200_sxm6", "8x B200", price, list(regions))


def test_a_misspelt_type_is_corrected() -> None:
    types = LambdaApi().answer("GET", "/instance-types", None)
    assert records.parse_offer(types, "gpu_1x_a10").price_usd_per_hour == 1.29
    with pytest.raises(LambdaError, match="Did you mean gpu_8x_b200_sxm6"):
        records.parse_offer(types, "gpu_8x_b200")


def test_no_price_no_launch() -> None:
    with pytest.raises(LambdaError, match="no price for x"):
        records.parse_offer({"x": {"instance_type": {}}}, "x")


@pytest.mark.parametrize(("limit", "good"), [(None, True), (45.92, True), (60, True), (45.91, False), (0, False)])
def test_the_price_limit(limit: float | None, good: bool) -> None:
    if good:
        records.refuse_dear_offer(offer(), limit)
    else:
        with pytest.raises(LambdaError, match=r"costs 45\.92 USD an hour, more than max_price_per_hour"):
            records.refuse_dear_offer(offer(), limit)


@pytest.mark.parametrize(
    ("wanted", "bound", "expected"),
    [
        ([], None, ["b", "a"]),
        (["a", "b"], None, ["a", "b"]),
        (["c"], None, []),
        ([], "a", ["a"]),
        (["b"], "a", []),
        (["us-south-1", "a"], None, ["us-south-1", "a"]),
        ([], "us-south-1", []),
    ],
)
def test_regions(wanted: list[str], bound: str | None, expected: list[str]) -> None:
    assert records.regions_to_try(offer("us-south-1", "b", "a"), wanted, bound) == expected


@pytest.mark.parametrize(
    ("regions", "wanted", "bound", "waited_s", "words"),
    [
        ([], [], None, 0, "no free gpu_8x_b200_sxm6 anywhere. Nothing was launched. Set"),
        (["b"], ["a"], None, 600, "in a after 10 min. Nothing was launched. There is capacity in b: name it"),
        (
            ["us-south-1"],
            [],
            None,
            0,
            "outside us-south-1. Nothing was launched. There is capacity in us-south-1 (no firewall",
        ),
        (["b"], [], "a", 0, "in a, where the file systems are. Nothing was launched. There is capacity in b"),
    ],
)
def test_no_capacity(regions: list[str], wanted: list[str], bound: str | None, waited_s: float, words: str) -> None:
    assert words in records.explain_no_capacity(offer(*regions), wanted, bound, waited_s)


def test_what_cannot_be_changed() -> None:
    found = instance(file_system_names=["weights"])
    assert records.differences(found, "gpu_8x_b200_sxm6", ["us-east-1"], "laptop", ["weights"]) == []
    assert records.differences(found, None, [], None, []) == []
    problems = records.differences(found, "gpu_1x_a10", ["us-west-1"], "other", ["weights", "more"])
    assert [problem.split()[0] for problem in problems] == ["it", "it", "its", "it"]


def test_time_and_money() -> None:
    found = instance(tags=records.render_tags({**LAUNCHED, "hgx-expires-at": "2026-11-25T13:00:00Z"}))
    assert records.parse_time(records.iso_time(NOON)) == NOON
    assert records.age_hours(found, NOON + 5400) == 1.5
    assert records.cost_usd(found, NOON + 5400) == 68.88
    assert not records.is_expired(found, NOON + 3599)
    assert records.is_expired(found, NOON + 3600)


@pytest.mark.parametrize(
    "text",
    ["2026-11-25T12:00:00Z", "2026-11-25 12:00:00+00:00", "2026-11-25T13:00+01:00", " 2026-11-25T12:00:00.000000z"],
)
def test_an_expiry_is_kept_in_utc(text: str) -> None:
    assert records.with_utc_expiry({"hgx-expires-at": text, "team": "a"}) == {
        "hgx-expires-at": "2026-11-25T12:00:00Z",
        "team": "a",
    }
    assert records.is_expired(instance(tags=[{"key": "hgx-expires-at", "value": text}]), NOON)


@pytest.mark.parametrize("text", ["", "2026-12-01", "2026-12-01T00:00:00", "tomorrow", "8"])
def test_an_expiry_that_is_no_time_with_a_zone_is_refused(text: str) -> None:
    with pytest.raises(LambdaError, match="would never expire"):
        records.with_utc_expiry({"hgx-expires-at": text})


@pytest.mark.parametrize(
    "text", [None, "", "tomorrow", "2026-12-01", "2026-12-01T00:00:00", "{{ now() }}", "2026-13-45T00:00:00Z"]
)
def test_times_that_are_none(text: str | None) -> None:
    assert records.parse_time(text) is None
    found = instance(tags=[{"key": "hgx-launched-at", "value": text or ""}, {"key": "hgx-expires-at", "value": "x"}])
    assert records.cost_usd(found, NOON) is None
    assert not records.is_expired(found, NOON)
