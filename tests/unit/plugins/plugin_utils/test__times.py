# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.plugin_utils._times import Times


@pytest.fixture
def times() -> Times:
    """A run of an hour, in which one play comes twice."""
    found = Times()
    found.play("Prepare", 0.0)
    found.task("apt | Install", 1.0)
    found.play("Cache", 600.0)
    found.task("prefetch | Pull the image", 600.0)
    found.beside("prefetch | Pull the image")
    found.task("download | Fetch", 601.0)
    found.task("report", 1799.0)
    found.play("Serve", 1800.0)
    found.task("wait | Wait", 1800.0)
    found.task("settle", 3000.0)
    found.play("Cache", 3001.0)
    found.task("download | Fetch", 3001.0)
    return found


def test_where_the_minutes_went(times: Times) -> None:
    assert [(one.name, one.seconds, one.told()) for one in times.phases(3600.0)] == [
        ("Prepare", 600.0, "Install 10 min"),
        ("Cache", 1799.0, "Fetch 30 min, beside these: Pull the image"),
        ("Serve", 1201.0, "Wait 20 min"),
    ]


def test_what_they_cost(times: Times) -> None:
    times.price("a", 50.0)
    assert times.table(3600.0) == [
        "Prepare     10 min      8.33 USD  Install 10 min",
        "Cache       30 min     24.99 USD  Fetch 30 min, beside these: Pull the image",
        "Serve       20 min     16.68 USD  Wait 20 min",
        "Total       60 min     50.00 USD  at 50.00 USD an hour",
    ]
    times.price("b", 10.0)
    assert times.table(3600.0)[-1].endswith("60.00 USD  at 60.00 USD an hour, all 2 nodes together")


def test_an_unknown_price_is_not_zero(times: Times) -> None:
    assert times.table(3600.0)[-1] == "Total       60 min"  # no play has loaded a recipe
    times.price("a", 50.0)
    times.price("b", None)
    assert times.table(3600.0)[-1] == "Total       60 min  cost unknown: no price per hour of b"
    document = times.as_dict(3600.0)
    assert document is not None
    assert (document["usd_per_hour"], document["cost"]) == (None, "cost unknown: no price per hour of b")


def test_without_the_callback_nothing_is_known() -> None:
    assert Times().as_dict(1.0) is None


def test_plays_without_hosts_have_no_tasks() -> None:
    times = Times()
    times.play("Require a host", 0.0)
    assert [line.split() for line in times.table(1.0)] == [["Require", "a", "host", "1", "s"], ["Total", "1", "s"]]
