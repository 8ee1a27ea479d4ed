# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real module with the real huggingface_hub against a hub on the loopback interface."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.modules import hf_snapshot
from ansible_collections.hgx.inference.tests.support.hub_server import HubError, HubHandler, HubServer, RepoFile

REPO = "org/model"
LARGE = "model.safetensors"
# huggingface_hub writes to disk in steps of 10 MiB.
STEP = 10 * 1024 * 1024
RUN = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.hgx.inference.plugins.modules import hf_snapshot
with patch_module_args(json.loads(sys.argv[1])):
    hf_snapshot.main()
"""


class ObservedHub(HubServer):
    """Remembers what it was asked for, and does what a test wants to go wrong."""

    def __init__(self, root: Path, **options: Any) -> None:
        super().__init__(root, handler=ObservedHandler, **options)
        self.gets: list[tuple[str, str | None]] = []
        self.sent_bytes = 0
        self.refusal: HubError | None = None
        self.refuse_files_only = False
        self.cut_after: int | None = None
        self.stall_after: int | None = None
        self.stall_end = threading.Event()

    def fetched(self) -> list[str]:
        """Return the files whose content was asked for."""
        return [path.split("/", 5)[5] for path, _range in self.gets if "/resolve/" in path]


class ObservedHandler(HubHandler):
    server: ObservedHub

    def _answer(self) -> None:
        if self.command == "GET":
            self.server.gets.append((self.path, self.headers.get("Range")))
        is_file = "/resolve/" in self.path
        if self.server.refusal and (is_file or not self.server.refuse_files_only):
            self._send_error(self.server.refusal)
        else:
            super()._answer()

    def send_bytes(self, file: RepoFile, first: int, last: int) -> None:
        limit = self.server.cut_after or self.server.stall_after
        if self.command == "GET" and file.is_lfs and limit:
            super().send_bytes(file, first, first + limit - 1)
            if self.server.cut_after:
                # Whatever comes next is refused, as by a server that goes down.
                self.server.refusal = HubError(HTTPStatus.INTERNAL_SERVER_ERROR, "", "going down")
            else:
                self.server.stall_end.wait(30)
            self.close_connection = True
        else:
            super().send_bytes(file, first, last)

    def _write(self, data: bytes) -> None:
        super()._write(data)
        if self.command == "GET" and "/resolve/" in self.path:
            self.server.sent_bytes += len(data)


class Result(dict[str, Any]):
    @property
    def message(self) -> str:
        assert self.get("failed"), self
        return str(self["msg"])


RunModule = Callable[..., Result]


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "published" / REPO
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}\n")
    (folder / "sub" / "{{ chat }}.jinja").write_text("{{ messages }}\n")
    (folder / LARGE).write_bytes(os.urandom(20_000))
    return folder


@pytest.fixture
def hub(repo: Path) -> Iterator[ObservedHub]:
    server = ObservedHub(repo.parents[1])
    with server:
        yield server
        server.stall_end.set()


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """The module changes its environment for the library; no token of the developer's may get into it."""
    before = dict(os.environ)
    os.environ.pop("HF_TOKEN", None)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def cache_home(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def arguments(hub: ObservedHub, cache_home: Path) -> dict[str, Any]:
    return {"repo": REPO, "cache_home": str(cache_home), "endpoint": hub.endpoint, "disk_reserve_gb": 0}


@pytest.fixture
def run(arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> RunModule:
    def run_module(check: bool = False, **more: Any) -> Result:
        with patch_module_args({**arguments, **more, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            hf_snapshot.main()
        output = capsys.readouterr().out
        assert str(more.get("token") or "no token") not in output
        return Result(json.loads(output))

    return run_module


def start(arguments: dict[str, Any], **environment: str) -> subprocess.Popen[bytes]:
    """Run the module in a process of its own."""
    collections = Path(__file__).parents[4] / "collections"
    return subprocess.Popen(
        [sys.executable, "-c", RUN, json.dumps(arguments)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(collections), **environment},
    )


def pinned(cache_home: Path) -> str:
    return (cache_home / "hub" / "models--org--model" / "refs" / "main").read_text()


def partials(cache_home: Path) -> list[Path]:
    return sorted(cache_home.glob("hub/models--org--model/blobs/*.incomplete"))


def test_fresh_fill(run: RunModule, repo: Path, cache_home: Path) -> None:
    result = run()
    snapshot = Path(result["path"])
    assert result["changed"]
    assert result["commit"] == pinned(cache_home) == snapshot.name
    for path in (file for file in repo.rglob("*") if file.is_file()):
        assert (snapshot / path.relative_to(repo)).read_bytes() == path.read_bytes()
    assert result["files"] == 3
    assert result["bytes_total"] == result["bytes_fetched"] == 20_000 + 3 + 15
    assert result["bytes_missing"] == 0
    assert partials(cache_home) == []


def test_second_run_needs_neither_hub_nor_library(
    run: RunModule, hub: ObservedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run()
    hub.refusal = HubError(HTTPStatus.SERVICE_UNAVAILABLE, "", "down")
    hub.gets.clear()
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    second = run()
    assert not second["changed"]
    assert hub.gets == []
    assert second["duration"] < 0.1
    assert {key: second[key] for key in ("commit", "path", "files", "bytes_total")} == {
        key: first[key] for key in ("commit", "path", "files", "bytes_total")
    }


def test_check_mode(run: RunModule, hub: ObservedHub, cache_home: Path) -> None:
    plan = run(check=True)
    assert plan["changed"]
    assert plan["bytes_missing"] == plan["bytes_total"] == 20_018
    assert "would fetch 20.0 kB in 3 of 3 files" in plan["msg"]
    assert hub.fetched() == []
    assert not cache_home.exists()
    run()
    assert not run(check=True)["changed"]


def test_commit_as_revision(run: RunModule, hub: ObservedHub, cache_home: Path) -> None:
    commit = hub.hub.repo(REPO).commit
    assert run(revision=commit)["changed"]
    assert not (cache_home / "hub" / "models--org--model" / "refs").exists()
    assert not run(revision=commit)["changed"]


def test_progress(run: RunModule, tmp_path: Path) -> None:
    run(progress_file=str(tmp_path / "progress"))
    assert (tmp_path / "progress").read_text() == "org/model: 20.0 kB of 20.0 kB (100 %), 3 of 3 files\n"


def test_killed_transfer_goes_on_where_it_stopped(
    run: RunModule, arguments: dict[str, Any], hub: ObservedHub, repo: Path, cache_home: Path
) -> None:
    content = os.urandom(3 * STEP)
    (repo / LARGE).write_bytes(content)
    hub.stall_after = 2 * STEP + 5
    process = start(arguments)
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size == 2 * STEP for path in partials(cache_home)):
        assert process.poll() is None and time.monotonic() < deadline, "no bytes arrived"
        time.sleep(0.05)
    process.kill()
    process.communicate()
    hub.stall_end.set()
    hub.stall_after = None
    hub.gets.clear()

    assert run(check=True)["bytes_missing"] == STEP
    result = run()

    assert (Path(result["path"]) / LARGE).read_bytes() == content
    assert result["bytes_fetched"] == STEP
    ranges = [range_header for path, range_header in hub.gets if path.endswith(LARGE)]
    assert ranges == [f"bytes={2 * STEP}-"]
    assert "config.json" not in hub.fetched()
    assert partials(cache_home) == []


def test_failed_transfer_keeps_its_bytes(run: RunModule, hub: ObservedHub, repo: Path, cache_home: Path) -> None:
    content = os.urandom(3 * STEP)
    (repo / LARGE).write_bytes(content)
    hub.cut_after = 2 * STEP + 5
    assert "answered with status 500" in run().message
    hub.cut_after = hub.refusal = None
    hub.gets.clear()

    result = run()

    assert (Path(result["path"]) / LARGE).read_bytes() == content
    assert [given for path, given in hub.gets if path.endswith(LARGE)] == [f"bytes={2 * STEP}-"]
    assert partials(cache_home) == []


def test_partial_with_wrong_bytes_is_thrown_away(
    run: RunModule, hub: ObservedHub, repo: Path, cache_home: Path
) -> None:
    sha256 = hub.hub.repo(REPO).files[LARGE].sha256
    partial = cache_home / "hub" / "models--org--model" / "blobs" / f"{sha256}.0123abcd.incomplete"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"\0" * 10_000)
    result = run()
    assert (Path(result["path"]) / LARGE).read_bytes() == (repo / LARGE).read_bytes()
    assert partials(cache_home) == []


def test_truncated_file_is_fetched_again_alone(run: RunModule, hub: ObservedHub, repo: Path) -> None:
    path = Path(run()["path"]) / LARGE
    with path.open("r+b") as stream:
        stream.truncate(19_999)
    hub.gets.clear()
    assert run(check=True)["bytes_missing"] == 20_000
    assert run()["changed"]
    assert path.read_bytes() == (repo / LARGE).read_bytes()
    assert hub.fetched() == [LARGE]


def test_two_runs_at_once(arguments: dict[str, Any], hub: ObservedHub, repo: Path) -> None:
    (repo / LARGE).write_bytes(os.urandom(3 * STEP))
    # A host that serves with the Hub offline can still fill its cache.
    processes = [start(arguments, HF_HUB_OFFLINE="1") for _run in range(2)]
    results = [json.loads(process.communicate()[0]) for process in processes]
    assert [result.get("failed", False) for result in results] == [False, False]
    assert (Path(results[0]["path"]) / LARGE).read_bytes() == (repo / LARGE).read_bytes()
    assert hub.fetched().count(LARGE) == 1


def test_main_has_moved(run: RunModule, hub: ObservedHub, repo: Path, cache_home: Path) -> None:
    old = run()["commit"]
    (repo / "config.json").write_text('{"new": true}\n')
    hub.gets.clear()

    assert run()["commit"] == old
    assert hub.gets == []

    plan = run(check=True, update=True)
    assert plan["changed"] and plan["commit"] != old
    assert pinned(cache_home) == old

    updated = run(update=True)
    assert updated["commit"] == plan["commit"] == pinned(cache_home)
    assert hub.fetched() == ["config.json"]
    assert updated["bytes_fetched"] == 14
    assert not run(update=True)["changed"]


def test_failed_update_leaves_the_record_alone(run: RunModule, hub: ObservedHub, repo: Path, cache_home: Path) -> None:
    old = run()["commit"]
    (repo / LARGE).write_bytes(os.urandom(30_000))
    hub.refusal = HubError(HTTPStatus.FORBIDDEN, "", "no")
    hub.refuse_files_only = True
    assert "may not read it (403)" in run(update=True).message
    assert pinned(cache_home) == old
    assert not run()["changed"]


def test_unfinished_commit_that_is_gone(run: RunModule, hub: ObservedHub, repo: Path) -> None:
    hub.refusal = HubError(HTTPStatus.FORBIDDEN, "", "no")
    hub.refuse_files_only = True
    run()
    commit = hub.hub.repo(REPO).commit
    (repo / LARGE).write_bytes(os.urandom(30_000))
    hub.refusal = None
    message = run().message
    assert f"no revision {commit} (recorded for 'main'; update resolves that again)" in message
    assert run(update=True)["changed"]


def test_no_space(run: RunModule, hub: ObservedHub, cache_home: Path) -> None:
    message = run(disk_reserve_gb=10**9).message
    for part in (
        REPO,
        str(cache_home),
        "20.0 kB are to be fetched",
        "1000000.00 TB are to stay free",
        "lower the reserve",
    ):
        assert part in message
    assert hub.fetched() == []
    assert not cache_home.exists()


@pytest.mark.parametrize(
    ("token", "parts"),
    [
        (None, ["access is restricted", "Accept the licence", "give its token"]),
        ("hf_wrong", ["access is restricted", "with the account of the token"]),
    ],
)
def test_gated(run: RunModule, hub: ObservedHub, token: str | None, parts: list[str]) -> None:
    hub.hub.tokens[REPO] = "hf_right"
    message = run(token=token).message
    assert all(part in message for part in [*parts, f"{hub.endpoint}/{REPO}"])
    assert run(token="hf_right")["changed"]


@pytest.mark.parametrize(
    ("status", "code", "token", "parts"),
    [
        (401, "RepoNotFound", None, ["only with a token, or has no such name (401)", "give a token"]),
        (401, "RepoNotFound", "hf_x", ["refuses the token (401)"]),
        (401, "", "hf_x", ["refuses the token (401)"]),
        (403, "", "hf_x", ["may not read it (403)", "read access"]),
        (404, "RepoNotFound", None, ["has no such repository", "(404)", "give a token if it is private"]),
        (404, "", None, ["has no such repository", "(404)"]),
        (503, "", None, ["answered with status 503"]),
    ],
)
def test_refused(run: RunModule, hub: ObservedHub, status: int, code: str, token: str | None, parts: list[str]) -> None:
    hub.refusal = HubError(
        HTTPStatus(status), code, "Invalid credentials in Authorization header" if not code else "no"
    )
    message = run(token=token).message
    assert all(part in message for part in [REPO, *parts])
    assert "Traceback" not in message


def test_unknown_repository(run: RunModule, hub: ObservedHub) -> None:
    assert f"Check {hub.endpoint}/org/typo" in run(repo="org/typo").message


@pytest.mark.parametrize("revision", ["v9", "{{ revision }}"])
def test_unknown_revision(run: RunModule, hub: ObservedHub, revision: str) -> None:
    message = run(revision=revision).message
    assert f"{hub.endpoint} has no revision {revision} of it" in message


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"endpoint": "http://127.0.0.1:1"}, "http://127.0.0.1:1 cannot be reached"),
        ({"endpoint": "huggingface.co"}, "huggingface.co cannot be reached"),
        ({"repo": "org/{{ name }}"}, "'org/{{ name }}' is not the name of a repository"),
        ({"revision": "../x"}, "'../x' is not a revision"),
    ],
)
def test_fails_at_once(run: RunModule, options: dict[str, str], part: str) -> None:
    started = time.monotonic()
    assert part in run(**options).message
    assert time.monotonic() - started < 5


def test_library_missing(run: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "huggingface_hub" in run().message


def test_cache_that_may_not_be_written(run: RunModule, cache_home: Path) -> None:
    cache_home.mkdir()
    (cache_home / "hub").write_text("a file in the way")
    message = run().message
    assert "Error" in message and str(cache_home / "hub") in message


@pytest.mark.parametrize("library", ["huggingface_hub", "hf-xet"])
def test_role_installs_what_is_tested_here(library: str) -> None:
    pins = (Path(__file__).parents[4] / "roles" / "hf_cache" / "files" / "requirements.txt").read_text().split()
    assert f"{library}=={importlib.metadata.version(library)}" in pins
