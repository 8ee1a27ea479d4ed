# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._hf.cache import (
    CacheError,
    RepoCache,
    RepoFile,
    list_hash,
    parse_tree,
    space_problem,
)

COMMIT = "c" * 40
SMALL = RepoFile("config.json", 5, "a" * 40)
LARGE = RepoFile("sub/model.safetensors", 8192, "b" * 64)
FILES = [SMALL, LARGE]


@pytest.fixture
def cache(tmp_path: Path) -> RepoCache:
    return RepoCache(str(tmp_path), "org/name")


def store(cache: RepoCache, file: RepoFile, size: int | None = None, link: bool = True) -> None:
    """Put a file into the cache as the library does, or with another size."""
    blob = Path(cache.blob(file.blob))
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(b"x" * (file.size if size is None else size))
    if link:
        pointer = Path(cache.snapshot(COMMIT), file.path)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        pointer.symlink_to(blob)


def leave_partial(cache: RepoCache, file: RepoFile, size: int, name: str = "1a2b3c4d") -> None:
    path = Path(cache.blob(f"{file.blob}.{name}.incomplete"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)


def test_complete(cache: RepoCache) -> None:
    for file in FILES:
        store(cache, file)
    state = cache.state(COMMIT, FILES)
    assert state.complete
    assert (state.files, state.bytes_total, state.bytes_missing) == (2, 8197, 0)


def test_nothing_there(cache: RepoCache) -> None:
    state = cache.state(COMMIT, FILES)
    assert state.missing == (SMALL, LARGE)
    assert state.bytes_missing == state.bytes_total == 8197


def test_other_commit_shares_the_blob(cache: RepoCache) -> None:
    store(cache, SMALL)
    store(cache, LARGE, link=False)
    state = cache.state(COMMIT, FILES)
    assert state.missing == (LARGE,)
    assert state.bytes_missing == 0


def test_link_without_blob_is_missing(cache: RepoCache) -> None:
    store(cache, LARGE)
    Path(cache.blob(LARGE.blob)).unlink()
    assert cache.state(COMMIT, [LARGE]).missing == (LARGE,)


@pytest.mark.parametrize("size", [8191, 8192])
def test_another_file_in_the_place_of_a_link(cache: RepoCache, size: int) -> None:
    store(cache, LARGE, link=False)
    other = Path(cache.snapshot(COMMIT), LARGE.path)
    other.parent.mkdir(parents=True)
    other.write_bytes(b"y" * size)
    state = cache.state(COMMIT, [LARGE])
    assert state.missing == state.replaced == (LARGE,)
    assert state.damaged == (str(other),)
    assert state.bytes_missing == 0


def test_the_same_file_under_another_name_is_not_another_file(cache: RepoCache) -> None:
    """Links that are hard, or go by way of another folder."""
    store(cache, LARGE, link=False)
    other = Path(cache.snapshot(COMMIT), LARGE.path)
    other.parent.mkdir(parents=True)
    os.link(cache.blob(LARGE.blob), other)
    assert cache.state(COMMIT, [LARGE]).complete


@pytest.mark.parametrize("size", [0, 8191, 8193])
def test_wrong_size_is_damaged(cache: RepoCache, size: int) -> None:
    store(cache, LARGE, size)
    state = cache.state(COMMIT, [LARGE])
    assert state.missing == (LARGE,)
    assert state.bytes_missing == 8192
    assert set(state.damaged) == {cache.blob(LARGE.blob), f"{cache.snapshot(COMMIT)}/{LARGE.path}"}


def test_partials_count(cache: RepoCache) -> None:
    leave_partial(cache, LARGE, 1024, "1a2b3c4d")
    leave_partial(cache, LARGE, 4096, "5e6f7a8b")
    leave_partial(cache, SMALL, 4)
    state = cache.state(COMMIT, FILES)
    assert state.bytes_missing == 8192 - 4096 + 1
    assert [Path(path).name.split(".")[1] for path in cache.partials()[LARGE.blob]] == ["5e6f7a8b", "1a2b3c4d"]


def test_holes_do_not_count_as_fetched(cache: RepoCache) -> None:
    leave_partial(cache, LARGE, 0)
    with open(cache.partials()[LARGE.blob][0], "r+b") as stream:
        stream.truncate(LARGE.size)
    assert cache.state(COMMIT, [LARGE]).bytes_missing == 8192


def test_shared_content_counts_once(cache: RepoCache) -> None:
    twin = RepoFile("twin.safetensors", LARGE.size, LARGE.blob)
    state = cache.state(COMMIT, [LARGE, twin])
    assert (state.files, state.bytes_total) == (2, 8192)


def test_pin(cache: RepoCache) -> None:
    assert cache.pinned_commit("main") is None
    cache.pin("main", COMMIT)
    cache.pin("refs/pr/1", "d" * 40)
    assert cache.pinned_commit("main") == COMMIT
    assert cache.pinned_commit("refs/pr/1") == "d" * 40
    assert Path(cache.root, "refs", "main").read_text() == COMMIT


def test_other_programs_do_not_move_a_pin(cache: RepoCache) -> None:
    cache.pin("main", COMMIT)
    ref = Path(cache.root, "refs", "main")
    ref.write_text("e" * 40)
    cache.pin("main", COMMIT)
    assert (cache.pinned_commit("main"), cache.referenced_commit("main")) == (COMMIT, "e" * 40)
    cache.pin("main", "f" * 40)
    assert (cache.pinned_commit("main"), cache.referenced_commit("main")) == ("f" * 40, "f" * 40)


def test_a_cache_of_other_programs_is_adopted(cache: RepoCache) -> None:
    ref = Path(cache.root, "refs", "main")
    ref.parent.mkdir(parents=True)
    ref.write_text(COMMIT)
    assert cache.pinned_commit("main") == COMMIT
    assert not cache.has_pin("main")
    cache.pin("main", COMMIT)
    assert cache.has_pin("main")


def test_commit_is_its_own_pin(cache: RepoCache) -> None:
    cache.pin(COMMIT, COMMIT)
    assert cache.pinned_commit(COMMIT) == COMMIT
    assert not Path(cache.root).exists()


def test_broken_pin_is_no_pin(cache: RepoCache) -> None:
    cache.pin("main", "not a commit")
    assert cache.pinned_commit("main") is None


@pytest.mark.parametrize("text", ["[]", "null", '"x"', '{"main": 5}', "{", "[" * 99_999, "\0"])
def test_damaged_pins_are_no_pins(cache: RepoCache, text: str) -> None:
    cache.pin("main", COMMIT)
    Path(cache._pins).write_text(text)
    assert not cache.has_pin("main")
    cache.pin("main", "e" * 40)
    assert cache.pinned_commit("main") == "e" * 40


@pytest.mark.parametrize("repo", ["", "a/b/c", "../x", "org/", "/name", "org/{{ name }}", "org/na me", "org/.."])
def test_repository_names_that_are_none(repo: str) -> None:
    with pytest.raises(CacheError, match="is not the name of a repository"):
        RepoCache("/cache", repo)


@pytest.mark.parametrize("revision", ["", "..", "../../elsewhere", "/etc/passwd", "."])
def test_revisions_that_leave_the_cache(cache: RepoCache, revision: str) -> None:
    with pytest.raises(CacheError, match="is not a revision"):
        cache.pinned_commit(revision)


def test_a_cache_below_another_folder_by_two_dots(tmp_path: Path) -> None:
    (tmp_path / "inventory").mkdir()
    cache = RepoCache(f"{tmp_path}/inventory/../cache", "org/name")
    cache.pin("refs/pr/1", COMMIT)
    assert cache.pinned_commit("refs/pr/1") == COMMIT
    assert RepoCache(f"{tmp_path}/cache", "org/name").referenced_commit("refs/pr/1") == COMMIT


@pytest.mark.parametrize(
    ("path", "blob"),
    [
        ("../../../etc/passwd", "a" * 40),
        ("/etc/passwd", "a" * 40),
        ("config.json", "../x"),
        ("x", ""),
        ("a\0b", "a" * 40),
    ],
)
def test_listed_names_that_leave_the_cache(path: str, blob: str) -> None:
    with pytest.raises(CacheError, match="cannot be stored"):
        RepoFile(path, 1, blob)


def tree(**files: object) -> object:
    return {"format_version": 1, "files": files}


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        (tree(a={"size": 3, "blob_id": "a" * 40}), [RepoFile("a", 3, "a" * 40)]),
        (
            tree(b={"size": 9, "blob_id": "a" * 40, "lfs_sha256": "b" * 64, "lfs_size": 9, "xet_hash": "c" * 64}),
            [RepoFile("b", 9, "b" * 64, xet=True)],
        ),
        (tree(), []),
        ({"format_version": 2, "files": {}}, None),
        (tree(a={"size": 3}), None),
        (tree(a={"size": None, "blob_id": "a" * 40}), None),
        (tree(a={"size": float("inf"), "blob_id": "a" * 40}), None),
        ({"format_version": 1}, None),
        ([], None),
    ],
)
def test_parse_tree(recorded: object, expected: list[RepoFile] | None) -> None:
    assert parse_tree(recorded) == expected


def test_parse_tree_names_a_file_that_cannot_be_stored() -> None:
    with pytest.raises(CacheError, match=r"cannot be stored: '\.\./a'"):
        parse_tree(tree(**{"../a": {"size": 3, "blob_id": "a" * 40}}))


def test_list_hash() -> None:
    """Names, sizes and contents count; their order, and whether there is a second way to fetch them, do not."""
    assert list_hash([SMALL, LARGE]) == list_hash([replace(LARGE, xet=True), SMALL])
    others = [[SMALL], [SMALL, LARGE, replace(SMALL, path="x.py")]]
    others += [[SMALL, replace(LARGE, **change)] for change in ({"path": "x"}, {"size": 1}, {"blob": "c" * 64})]
    assert list_hash([SMALL, LARGE]) not in [list_hash(files) for files in others]


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("{", False),
        ("[" * 99_999, False),
        (json.dumps(tree()), False),
        (json.dumps(tree(a={"size": 3, "blob_id": "a" * 40})), True),
    ],
)
def test_recorded_files(cache: RepoCache, text: str, known: bool) -> None:
    record = Path(cache.root, "trees", f"{COMMIT}.json")
    assert cache.recorded_files(COMMIT) is None
    record.parent.mkdir(parents=True)
    record.write_text(text)
    assert (cache.recorded_files(COMMIT) is not None) is known


@pytest.mark.parametrize(
    ("missing", "reserve", "free", "refused"),
    [
        (100, 10, 110, False),
        (100, 10, 109, True),
        (100, 0, 99, True),
        (0, 10, 5, False),  # a complete cache on a full disk is fine
    ],
)
def test_space(missing: int, reserve: int, free: int, refused: bool) -> None:
    assert (space_problem("/cache", missing, reserve, free) is not None) is refused


def test_space_message_has_the_figures() -> None:
    message = space_problem("/cache", 595_200_000_000, 10_000_000_000, 500_000_000_000)
    assert message is not None
    for part in (
        "/cache",
        "500.0 GB free",
        "The download needs 595.2 GB",
        "10.0 GB must stay free",
        "105.2 GB are missing",
    ):
        assert part in message


def names(cache: RepoCache) -> list[str]:
    """Return the names in the folder of blobs, with the hash of the large file as L."""
    return sorted(name.replace(LARGE.blob, "L") for name in os.listdir(cache.blobs))


@pytest.mark.parametrize(
    ("partials", "size"),
    [
        ({"1a2b3c4d": 1024, "5e6f7a8b": 4096}, 4096),
        ({"kept": 4096, "5e6f7a8b": 1024}, 4096),
        ({"kept": 1024, "saved": 4096}, 4096),
        ({"1a2b3c4d": 8193}, None),  # longer than the file
        ({}, None),
    ],
)
def test_claim_partial(cache: RepoCache, partials: dict[str, int], size: int | None) -> None:
    Path(cache.blobs).mkdir(parents=True)
    for name, count in partials.items():
        leave_partial(cache, LARGE, count, name)
    kept = Path(cache.claim_partial(LARGE))
    assert names(cache) == ([] if size is None else ["L.kept.incomplete"])
    assert (kept.stat().st_size if kept.exists() else None) == size


def test_partial_with_holes_is_not_gone_on_with(cache: RepoCache) -> None:
    leave_partial(cache, LARGE, 0)
    with open(cache.partials()[LARGE.blob][0], "r+b") as stream:
        stream.truncate(LARGE.size)
    cache.claim_partial(LARGE)
    assert names(cache) == []


def test_what_the_library_removes_is_saved(cache: RepoCache) -> None:
    leave_partial(cache, LARGE, 1024)
    cache.save_partials()
    Path(cache.blob(f"{LARGE.blob}.1a2b3c4d.incomplete")).unlink()
    leave_partial(cache, LARGE, 4096, "5e6f7a8b")
    cache.save_partials()
    cache.save_partials()
    assert names(cache) == ["L.5e6f7a8b.incomplete", "L.saved.incomplete"]
    assert Path(cache.saved_partial(LARGE.blob)).stat().st_size == 4096


def test_leftovers_go_when_the_blob_is_there(cache: RepoCache) -> None:
    for name in ("kept", "saved", "1a2b3c4d"):
        leave_partial(cache, LARGE, 10, name)
    Path(cache.aside(LARGE.blob)).write_bytes(b"")
    cache.drop_leftovers()
    assert len(names(cache)) == 4
    store(cache, LARGE)
    cache.drop_leftovers()
    assert names(cache) == ["L", "L.1a2b3c4d.incomplete"], "what is another program's stays"


def test_link(cache: RepoCache) -> None:
    store(cache, LARGE, link=False)
    for _twice in range(2):
        cache.link(COMMIT, LARGE)
    link = Path(cache.snapshot(COMMIT), LARGE.path)
    assert os.readlink(link) == f"../../../blobs/{LARGE.blob}"
    assert cache.state(COMMIT, [LARGE]).complete


def test_set_aside(cache: RepoCache) -> None:
    store(cache, LARGE)
    assert cache.set_aside(COMMIT, LARGE) == cache.aside(LARGE.blob)
    assert names(cache) == ["L.corrupt"]
    assert cache.state(COMMIT, [LARGE]).missing == (LARGE,)


def test_set_aside_where_links_are_not_possible(cache: RepoCache) -> None:
    content = Path(cache.snapshot(COMMIT), LARGE.path)
    content.parent.mkdir(parents=True)
    content.write_bytes(b"x" * LARGE.size)
    Path(cache.blobs).mkdir()
    assert cache.content(COMMIT, LARGE) == str(content)
    cache.set_aside(COMMIT, LARGE)
    assert not content.exists()
