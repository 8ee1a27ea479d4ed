# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the nodes of a cluster tell each other by way of the controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

TASKS = Path(__file__).parents[2] / "roles" / "hf_cache" / "tasks"
LOOKED = {"snapshots": [{"repo": "org/model", "commit": "c" * 40, "list_hash": "a" * 64}]}


def action(file: str, name: str, module: str) -> dict[str, Any]:
    (task,) = (
        task
        for task in DataLoader().load_from_file(str(TASKS / file), trusted_as_template=True)
        if task["name"] == name
    )
    return dict(task[module])


def render(value: Any, **variables: Any) -> Any:
    return Templar(DataLoader(), variables=variables).template(value)


@pytest.mark.parametrize(
    ("looked", "commits", "hashes"),
    [(LOOKED, {"org/model": "c" * 40}, {"org/model": "a" * 64}), ({"failed": True}, {}, {})],
    ids=["first node knows", "no node knows"],
)
def test_the_commits_and_lists_of_the_first_node_are_those_of_all(
    looked: dict[str, Any], commits: dict[str, str], hashes: dict[str, str]
) -> None:
    publish = action("start_sharing.yml", "start_sharing | Publish the state of this node", "ansible.builtin.set_fact")
    told = publish["__hf_cache_peer_facts"]
    seen = {key: render(told[key], __hf_cache_inspected=looked) for key in ("commits", "list_hashes")}
    decided = action("start_sharing.yml", "start_sharing | Choose the source of this node", "ansible.builtin.set_fact")
    facts = {
        name: render(decided[name], __hf_cache_peer_order=[seen])
        for name in ("__hf_cache_commits", "__hf_cache_list_hashes")
    }
    fetch = action("download.yml", "download | Fetch the models", "hgx.inference.hf_snapshot")
    assert [render(fetch[name], **facts) for name in ("commits", "list_hashes")] == [commits, hashes]
    assert [render(fetch[name]) for name in ("commits", "list_hashes")] == [{}, {}], "a node of its own"


def test_everything_that_is_installed_has_hashes() -> None:
    files = TASKS.parent / "files"
    pinned = (files / "requirements.txt").read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    assert all("==" in line and " --hash=sha256:" in line for line in pinned)
    names = [line.split(" ")[0] for line in pinned]
    assert {*(files / "requirements.in").read_text(encoding="utf-8").split()} <= {*names}
    assert "://" not in "".join(pinned), "where they come from is a matter of the host"
