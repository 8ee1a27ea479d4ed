# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reading of what dpkg-query and apt-cache print."""

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._apt.packages import (
    parse_dpkg_query,
    parse_madison,
    upstream,
)

DPKG = """\
bash\t5.2.21-2ubuntu4\tinstall\tinstalled\tok
nvidia-utils-580\t580.95.05-0ubuntu1\thold\tinstalled\tok
nvidia-utils-570\t570.124.06-0ubuntu1\tdeinstall\tconfig-files\tok
nvidia-dkms-580-open\t580.95.05-0ubuntu1\tinstall\thalf-configured\tok
libnvidia-compute-580\t580.95.05-0ubuntu1\tinstall\ttriggers-awaited\tok
linux-image-6.8\t6.8.0-60.63\tinstall\thalf-installed\treinstreq
"""


def test_dpkg_query() -> None:
    installed, unfinished = parse_dpkg_query(DPKG, ["*nvidia*"])
    assert installed == {
        "nvidia-utils-580": {"version": "580.95.05-0ubuntu1", "upstream": "580.95.05", "held": True},
        "libnvidia-compute-580": {"version": "580.95.05-0ubuntu1", "upstream": "580.95.05", "held": False},
    }
    assert unfinished == ["nvidia-dkms-580-open", "libnvidia-compute-580", "linux-image-6.8"]


MADISON = """\
nvidia-driver-580-open | 580.126.20-0ubuntu1 | https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/x86_64  Packages
nvidia-driver-580-open | 580.126.20-0ubuntu1 | file:/srv/mirror stable/main amd64 Packages
nvidia-driver-580-open | 580.95.05-0ubuntu0.24.04.2 | http://archive.ubuntu.com/ubuntu noble-updates/restricted amd64 Packages
nvidia-graphics-drivers-580 | 580.95.05-0ubuntu0.24.04.2 | http://archive.ubuntu.com/ubuntu noble-updates/restricted Sources
    nvlsm | 2025.03.1-1 | https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/x86_64  Packages
"""  # noqa: E501


def test_madison() -> None:
    assert parse_madison(MADISON) == {
        "nvidia-driver-580-open": ["580.126.20-0ubuntu1", "580.95.05-0ubuntu0.24.04.2"],
        "nvlsm": ["2025.03.1-1"],
    }
    assert parse_madison("N: Unable to locate package nvlsm\n") == {}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("580.95.05-0ubuntu1", "580.95.05"),
        ("580.95.05-0ubuntu0~gpu24.04.2", "580.95.05"),
        ("2:580.95.05-1", "580.95.05"),
        ("580.95.05", "580.95.05"),
        ("20.10.24+dfsg1-1+b6", "20.10.24+dfsg1"),
    ],
)
def test_upstream(version: str, expected: str) -> None:
    assert upstream(version) == expected
