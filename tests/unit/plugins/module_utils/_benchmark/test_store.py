# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results on disk."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._benchmark import store

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def record(fingerprint: str = "one", **more: Any) -> dict[str, Any]:
    ours = {"fingerprint": fingerprint, "server_fingerprint": "server", "verdict": "pass"}
    return {"schema": store.SCHEMA, **ours, **more}


def newest(folder: Path, now: datetime) -> store.Stored:
    return store.newest(str(folder), "one", "server", now, 86400)


def test_a_result_is_private_and_the_newest_is_linked(tmp_path: Path) -> None:
    first = store.save(str(tmp_path), record(text="{{ x }}"), NOON, "smoke")
    assert first == str(tmp_path / "20261123T120000Z-smoke.json")
    assert os.stat(first).st_mode & 0o777 == 0o640
    assert json.loads(Path(first).read_text())["text"] == "{{ x }}"
    second = store.save(str(tmp_path), record(), NOON + timedelta(hours=1), "full")
    assert (tmp_path / "latest.json").resolve() == Path(second)
    assert os.readlink(tmp_path / "latest.json") == "20261123T130000Z-full.json"
    assert sorted(os.listdir(tmp_path)) == [Path(first).name, Path(second).name, "latest.json"]


def test_a_result_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(store.StoreError, match=r"cannot be written to .*/file: File exists"):
        store.save(str(tmp_path / "file"), record(), NOON, "smoke")


def test_what_cannot_be_rendered_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        store.save(str(tmp_path), record(bad=object()), NOON, "smoke")
    assert os.listdir(tmp_path) == []


def test_the_newest_of_the_same_load(tmp_path: Path) -> None:
    for hours, fingerprint in enumerate(["one", "one", "two"]):
        store.save(str(tmp_path), record(fingerprint, hours=hours), NOON + timedelta(hours=hours), "smoke")
    found = newest(tmp_path, NOON + timedelta(hours=5))
    assert found.path == str(tmp_path / "20261123T130000Z-smoke.json")
    assert found.record["hours"] == 1
    assert found.ignored == []


@pytest.mark.parametrize("version", [1, 2, store.SCHEMA + 1])
def test_a_result_of_another_version_is_refused_with_a_sentence(tmp_path: Path, version: int) -> None:
    good = store.save(str(tmp_path), record(), NOON, "smoke")
    other = tmp_path / "20261123T130000Z-smoke.json"
    other.write_text(json.dumps(record(schema=version)))
    found = newest(tmp_path, NOON + timedelta(hours=5))
    assert found.path == good
    assert [text.partition(",")[0] for text in found.ignored] == [
        f"The stored result {other} is of another version of this collection"
    ]
    other.write_text(json.dumps(record(schema=version, verdict="fail")))
    assert newest(tmp_path, NOON + timedelta(hours=5)).path == ""


@pytest.mark.parametrize(
    "content", ["", "{ broken", "[]", "null", "{}", '"text"', "[" * 100_000, "\x00", '{"schema": 3}']
)
def test_a_damaged_result_is_ignored_with_a_sentence(tmp_path: Path, content: str) -> None:
    """It may have been a failure: earlier results do not count, later ones do."""
    store.save(str(tmp_path), record(), NOON, "smoke")
    damaged = tmp_path / "20261123T130000Z-smoke.json"
    damaged.write_text(content)
    found = newest(tmp_path, NOON + timedelta(hours=5))
    assert found.path == ""
    assert found.ignored == [f"The stored result {damaged} is damaged. It is ignored, and so are earlier ones."]
    later = store.save(str(tmp_path), record(), NOON + timedelta(hours=2), "smoke")
    assert newest(tmp_path, NOON + timedelta(hours=5)) == (later, record(), [])


@pytest.mark.parametrize(("age_s", "found"), [(3600, True), (3601, False)])
def test_an_old_result_does_not_count(tmp_path: Path, age_s: int, found: bool) -> None:
    store.save(str(tmp_path), record(), NOON, "smoke")
    stored = store.newest(str(tmp_path), "one", "server", NOON + timedelta(seconds=age_s), 3600)
    assert bool(stored.path) == found


def test_a_clock_that_was_ahead_makes_nothing_newer(tmp_path: Path) -> None:
    ahead, now = NOON + timedelta(hours=5), NOON + timedelta(minutes=1)
    store.save(str(tmp_path), record(hours=5), ahead, "smoke")
    assert newest(tmp_path, now).path == ""
    store.save(str(tmp_path), record(hours=0), NOON, "smoke")
    assert newest(tmp_path, now).record["hours"] == 0
    store.save(str(tmp_path), record(verdict="fail"), ahead + timedelta(hours=1), "smoke")
    assert newest(tmp_path, now).path == ""


def test_a_load_that_gave_nothing_is_remembered(tmp_path: Path) -> None:
    good = store.save(str(tmp_path), record(), NOON, "smoke")
    store.begin(str(tmp_path), "another", NOON + timedelta(hours=1), "full")
    now = NOON + timedelta(hours=3)
    assert newest(tmp_path, now).path == good
    begun = store.begin(str(tmp_path), "server", NOON + timedelta(hours=2), "full")
    assert newest(tmp_path, now).path == ""
    store.keep(begun, "server", now, "time limit", {"client": {"completed": 8}})
    assert newest(tmp_path, now).path == ""
    kept = json.loads(Path(begun).read_text())
    assert (kept["verdict"], kept["summary"], kept["client"]) == ("invalid", ["time limit"], {"completed": 8})
    assert os.stat(begun).st_mode & 0o777 == 0o640
    assert os.readlink(tmp_path / "latest.json") == "20261123T120000Z-smoke.json"
    store.forget(begun)
    assert newest(tmp_path, now).path == good


def test_no_folder_no_result(tmp_path: Path) -> None:
    assert newest(tmp_path / "none", NOON).path == ""


@pytest.mark.parametrize(
    ("server", "verdict", "found"),
    [
        ("server", "pass", True),
        ("server", "warn", True),
        ("server", "fail", False),
        ("server", "invalid", False),
        ("another", "fail", True),
    ],
)
def test_what_another_load_has_shown_since(tmp_path: Path, server: str, verdict: str, found: bool) -> None:
    store.save(str(tmp_path), record(), NOON, "smoke")
    later = record("two", server_fingerprint=server, verdict=verdict)
    store.save(str(tmp_path), later, NOON + timedelta(hours=1), "full")
    assert bool(newest(tmp_path, NOON + timedelta(hours=2)).path) == found
