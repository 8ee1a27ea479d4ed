# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records on disk: all or nothing, the newest kept, the good one always."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm.store import CURRENT, LAST_GOOD, Store, StoreError


def record(number: int) -> dict[str, Any]:
    return {"format": 1, "id": f"{number:012x}", "title": "{{ braces }}", "commits": {}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "state"))
    for number in range(1, 8):
        store.write(record(number))
        os.utime(tmp_path / f"state/releases/{number:012x}/release.json", (number, number))
    return store


def test_a_record_is_read_back(store: Store, tmp_path: Path) -> None:
    assert store.read(f"{1:012x}") == record(1)
    path = tmp_path / f"state/releases/{1:012x}/release.json"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [file.name for file in path.parent.iterdir()] == ["release.json"]


def test_the_links(store: Store, tmp_path: Path) -> None:
    assert store.pointed(CURRENT) is None
    store.point(CURRENT, f"{2:012x}")
    store.point(CURRENT, f"{3:012x}")
    assert store.pointed(CURRENT) == f"{3:012x}"
    assert os.readlink(tmp_path / "state/current") == f"releases/{3:012x}"


def test_pruning_keeps_what_runs_and_what_was_good(store: Store) -> None:
    store.point(CURRENT, f"{7:012x}")
    store.point(LAST_GOOD, f"{1:012x}")
    assert store.prune(3) == [f"{number:012x}" for number in (5, 4, 3, 2)]
    assert store.ids() == [f"{number:012x}" for number in (7, 6, 1)]
    assert store.prune(1) == [f"{6:012x}"]
    assert store.prune(0) == []


def test_a_full_disk_leaves_what_was_there(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match=r"No space left on device \(.* free\).*the server was not touched"):
        store.write(record(9))
    with pytest.raises(StoreError):
        store.write({**record(1), "title": "new"})
    assert sorted(tmp_path.rglob("*")) == before
    assert store.read(f"{1:012x}") == record(1)


def test_the_result_that_a_release_was_promoted_with(store: Store, tmp_path: Path) -> None:
    assert store.result(f"{1:012x}") is None
    (tmp_path / "latest.json").write_text(json.dumps({"verdict": "pass"}), encoding="utf-8")
    store.store_result(f"{1:012x}", str(tmp_path / "latest.json"))
    assert store.result(f"{1:012x}") == {"verdict": "pass"}


@pytest.mark.parametrize("name", ["../../etc", "", "0123456789ab"])
def test_what_is_no_release(store: Store, name: str) -> None:
    assert not store.has(name)


def test_a_record_that_cannot_be_read(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no record of the release ffffffffffff"):
        store.read("f" * 12)
    path = tmp_path / f"state/releases/{1:012x}/release.json"
    path.write_text('{"format": 9}', encoding="utf-8")
    with pytest.raises(StoreError, match="another format, 9"):
        store.read(f"{1:012x}")
    path.write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot be read"):
        store.read(f"{1:012x}")
