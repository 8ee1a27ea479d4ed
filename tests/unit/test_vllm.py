# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role vllm says of a host beside the others of its play."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

VARIABLES = Path(__file__).parents[2] / "roles" / "vllm" / "vars" / "main.yml"


def host(name: str, release: str, packages: str | None) -> dict[str, Any]:
    image = {"name": "x"} if packages is None else {"name": "x", "packages": packages}
    return {"inventory_hostname": name, "vllm_release": {"id": release, "image": image}}


@pytest.mark.parametrize(
    ("here", "others"),
    [
        (host("a", "1", "p"), ["c"]),
        (host("c", "1", "q"), ["a", "b"]),
        (host("d", "2", "p"), []),
        (host("e", "1", None), []),
    ],
)
def test_hosts_with_other_packages_in_the_image_of_one_release(here: dict[str, Any], others: list[str]) -> None:
    hosts = [host("a", "1", "p"), host("b", "1", "p"), host("c", "1", "q"), host("d", "2", "p"), host("e", "1", None)]
    known = {each["inventory_hostname"]: each for each in hosts} | {"f": {"inventory_hostname": "f"}}
    loader = DataLoader()
    rule = loader.load_from_file(str(VARIABLES), trusted_as_template=True)["__vllm_other_packages"]
    variables = {**here, "hostvars": known, "ansible_play_hosts": list(known)}
    assert list(Templar(loader, variables=variables).template(rule)) == others
