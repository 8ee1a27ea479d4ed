# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.tests.proof.rerun import Site, apart_s


def site(seconds: float, controller_cpu_s: float) -> Site:
    return Site(seconds, tasks=87, skipped=44, changed=0, controller_cpu_s=controller_cpu_s, node_cpu_s=8.0)


@pytest.mark.parametrize(
    ("cores", "expected"),
    [(1, 65.0), (2, 40.0), (4, 27.5), (64, 27.5)],
    ids=["one core", "two", "four", "no more than the main process lets"],
)
def test_only_the_controller_s_work_shares_its_cores(cores: int, expected: float) -> None:
    assert apart_s(site(25.0, 10.0), site(100.0, 50.0), cores) == expected


def test_all_nodes_take_no_less_than_one() -> None:
    assert apart_s(site(25.0, 10.0), site(30.0, 12.0), 4) == 25.0
