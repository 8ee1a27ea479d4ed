# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The choice of driver and Fabric Manager versions that fit each other."""

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._nvidia.packages import (
    NoFit,
    choose_driver,
    choose_fabric_manager,
    pinned,
    version_key,
)

DRIVER = "nvidia-driver-580-open"
AVAILABLE = {
    DRIVER: ["580.126.20-0ubuntu1", "580.126.20-0ubuntu0.24.04.1", "580.95.05-0ubuntu1"],
    "nvidia-open": ["590.48.01-1", "580.95.05-1"],
    "nvidia-fabricmanager-580": ["580.105.08-1", "580.95.05-1"],
    "nvidia-fabricmanager": ["590.48.01-1ubuntu1", "580.95.05-1ubuntu1"],
}


def test_versions_are_compared_by_their_numbers() -> None:
    assert version_key("580.126.20") > version_key("580.95.05") > version_key("580") > version_key("")


@pytest.mark.parametrize(
    ("packages", "exact", "with_fabric", "version"),
    [
        ([DRIVER], "", False, "580.126.20"),
        ([DRIVER], "", True, "580.95.05"),  # the newest has no Fabric Manager yet
        ([DRIVER], "580.95.05", False, "580.95.05"),
        (["nvidia-open"], "", False, "580.95.05"),  # a name with the versions of all branches
        ([DRIVER, "nvidia-open"], "", False, "580.95.05"),  # what both have
    ],
)
def test_driver(packages: list[str], exact: str, with_fabric: bool, version: str) -> None:
    assert choose_driver(packages, "580", exact, "580", AVAILABLE, with_fabric) == version


@pytest.mark.parametrize(
    ("packages", "branch", "exact", "minimum", "with_fabric", "words"),
    [
        (["nvidia-driver-600-open"], "600", "", "", False, "No repository of this host has nvidia-driver-600-open."),
        ([DRIVER], "580", "580.1.1", "", False, "version 580.1.1 of nvidia-driver-580-open. Available: 580.126.20, "),
        (["nvidia-open"], "570", "", "", False, "version 570.* of nvidia-open. Available: 590.48.01, 580.95.05."),
        ([DRIVER], "580", "580.126.20", "", True, "Driver: 580.126.20. Fabric Manager: 580.105.08, 580.95.05."),
        ([DRIVER], "580", "", "590", False, "The newest fitting driver is 580.126.20, but at least 590 is needed."),
    ],
)
def test_no_driver(packages: list[str], branch: str, exact: str, minimum: str, with_fabric: bool, words: str) -> None:
    with pytest.raises(NoFit) as caught:
        choose_driver(packages, branch, exact, minimum, AVAILABLE, with_fabric)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("version", "package"),
    [
        ("580.95.05", "nvidia-fabricmanager-580=580.95.05-1"),
        ("580.105.08", "nvidia-fabricmanager-580=580.105.08-1"),
        ("590.48.01", "nvidia-fabricmanager=590.48.01-1ubuntu1"),  # nvidia-fabricmanager-590 is a virtual name
    ],
)
def test_fabric_manager(version: str, package: str) -> None:
    assert choose_fabric_manager(version, AVAILABLE) == package


@pytest.mark.parametrize(("version", "there"), [("580.126.20", "580.105.08, 580.95.05"), ("600.1.1", "none")])
def test_no_fabric_manager(version: str, there: str) -> None:
    with pytest.raises(
        NoFit, match=f"exactly the driver's version, {version}. The repositories of this host have {there}"
    ):
        choose_fabric_manager(version, AVAILABLE)


def test_the_newest_of_several_packagings_is_taken() -> None:
    assert pinned(DRIVER, "580.126.20", AVAILABLE) == f"{DRIVER}=580.126.20-0ubuntu1"
