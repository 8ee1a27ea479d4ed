# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions of the role nvidia_driver that Molecule's targets do not reach, such as the real repository's address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

ROLE = Path(__file__).parents[2] / "roles" / "nvidia_driver"
NVIDIA = "https://developer.download.nvidia.com/compute/cuda/repos"


def render(expression: str, **variables: Any) -> Any:
    """Return the value of one of the role's variables."""
    loader = DataLoader()
    own: dict[str, Any] = {}
    for folder in ("defaults", "vars"):
        own.update(loader.load_from_file(str(ROLE / folder / "main.yml"), trusted_as_template=True))
    return Templar(loader, variables={**own, **variables}).template(own[expression])


def test_the_default_repository() -> None:
    usual, debian13 = "EB693B3035CD5710E231E123A4B469963BF863CC", "02182E60104FCDC26EAE1B8597A5D4CB8793F200"
    for distribution, version, machine, place, key in (
        ("Ubuntu", "24.04", "x86_64", "ubuntu2404/x86_64", "3bf863cc.pub"),
        ("Ubuntu", "24.04", "aarch64", "ubuntu2404/sbsa", "3bf863cc.pub"),
        ("Debian", "12.9", "x86_64", "debian12/x86_64", "3bf863cc.pub"),
        ("Debian", "13.1", "x86_64", "debian13/x86_64", "8793F200.pub"),
    ):
        facts = {
            "distribution": distribution,
            "distribution_version": version,
            "distribution_major_version": version.partition(".")[0],
            "architecture": machine,
        }
        assert render("nvidia_driver_repository", ansible_facts=facts) == {
            "name": "nvidia-cuda",
            "uris": [f"{NVIDIA}/{place}/"],
            "suites": ["/"],
            "signed_by": f"{NVIDIA}/{place}/{key}",
            "fingerprints": [debian13 if key == "8793F200.pub" else usual],
        }


@pytest.mark.parametrize(
    ("containers", "processes", "users"),
    [
        ([], [], []),
        (["vllm", "web"], ["VLLM::EngineCore"], ["container vllm", "container web", "process VLLM::EngineCore"]),
    ],
)
def test_who_uses_the_gpus(containers: list[str], processes: list[str], users: list[str]) -> None:
    gpus = [{"processes": [{"name": name} for name in processes]}] * 2
    found = render(
        "__nvidia_driver_gpu_users",
        __nvidia_driver_info={"gpus": gpus},
        __nvidia_driver_containers={"stdout_lines": containers},
    )
    assert found == users
