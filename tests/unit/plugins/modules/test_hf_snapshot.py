# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real module with the real huggingface_hub against a hub on the loopback interface."""

from __future__ import annotations

import errno
import functools
import importlib.metadata
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, cast

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._core.units import human_bytes
from ansible_collections.hgx.inference.plugins.module_utils._hf import download, fetch
from ansible_collections.hgx.inference.plugins.modules import hf_snapshot
from ansible_collections.hgx.inference.tests.support import fast_worker, hub_server
from ansible_collections.hgx.inference.tests.support.hub_server import Fault, HubServer, git_blob
from ansible_collections.hgx.inference.tests.support.warm_python import WarmPython

REPO = "org/model"
LARGE = "model.safetensors"
STEP = 1024 * 1024
RUN = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.hgx.inference.plugins.modules import hf_snapshot
with patch_module_args(json.loads(sys.argv[1])):
    hf_snapshot.main()
"""


class Result(dict[str, Any]):
    @property
    def message(self) -> str:
        assert self.get("failed"), self
        return str(self["msg"])

    @property
    def folder(self) -> Path:
        """Return the folder of the one snapshot."""
        (snapshot,) = self["snapshots"]
        return Path(snapshot["path"])

    @property
    def commit(self) -> str:
        return self.folder.name

    @property
    def resolved(self) -> dict[str, Any]:
        """Return the options by which other nodes are told what this one has resolved."""
        hashes = {snapshot["repo"]: snapshot["list_hash"] for snapshot in self["snapshots"]}
        return {"commits": {REPO: self.commit}, "list_hashes": hashes}


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
def hub(repo: Path) -> Iterator[HubServer]:
    with HubServer(repo.parents[1]) as server:
        yield server


class Clock:
    """Real time, and half a minute more at each look as long as nothing can come any more.

    So a stall is noticed at once, and a machine that is merely busy is none.
    """

    def __init__(self) -> None:
        self.nothing_comes: Callable[[], bool] = lambda: False
        self._skipped = 0.0

    def __call__(self) -> float:
        self._skipped += 30 * self.nothing_comes()
        return time.monotonic() + self._skipped


@pytest.fixture(scope="module")
def python() -> Iterator[WarmPython]:
    python = WarmPython(*fast_worker.MODULES)
    yield python
    python.close()


@pytest.fixture
def started() -> list[Callable[[], None]]:
    """What is called whenever the module starts a process that transfers."""
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def short_waits(
    monkeypatch: pytest.MonkeyPatch, python: WarmPython, clock: Clock, started: list[Callable[[], None]]
) -> None:
    """Run what transfers without the start of a Python. The tests that kill it start the whole module on their own."""

    def start_worker(errors: IO[bytes], lock: int) -> Any:
        for tell in started:
            tell()
        pipe = subprocess.PIPE
        return python.start(
            f"{fast_worker.__name__}:main", stdin=pipe, stdout=pipe, stderr=errors, pass_fds=[lock], env=os.environ
        )

    fetcher = functools.partial(fetch.Fetcher, start=cast(Any, start_worker), clock=clock, interval_s=0.02)
    monkeypatch.setattr(download, "Fetcher", fetcher)
    monkeypatch.setattr(download, "RETRY_WAITS_S", (0.1, 0.2))
    monkeypatch.setattr(download, "_LOCK_INTERVAL_S", 0.02)


@pytest.fixture
def stalls_are_short(hub: HubServer, cache_home: Path, clock: Clock, started: list[Callable[[], None]]) -> None:
    """Let time fly once the hub has stalled since the last start, and all that it has sent is on the disk."""
    before = 0

    def note_stalls() -> None:
        nonlocal before
        before = hub.stalls

    def nothing_comes() -> bool:
        try:
            written = sum(path.stat().st_size for path in partials(cache_home))
        except FileNotFoundError:  # it has just been completed
            return False
        return hub.stalls > before and written == hub.sent[LARGE]

    started.append(note_stalls)
    clock.nothing_comes = nothing_comes


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
def arguments(hub: HubServer, cache_home: Path) -> dict[str, Any]:
    return {"models": [{"repo": REPO}], "cache_home": str(cache_home), "endpoint": hub.endpoint, "disk_reserve_gb": 0}


@pytest.fixture
def run(arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> RunModule:
    def run_module(check: bool = False, repo: str = REPO, revision: str = "main", **more: Any) -> Result:
        given = {**arguments, "models": [{"repo": repo, "revision": revision}], **more, "_ansible_check_mode": check}
        with patch_module_args(given), pytest.raises(SystemExit):
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


def fetched(hub: HubServer) -> list[str]:
    """Return the files whose content was asked for."""
    return [path.split("/", 5)[5] for method, path, _range in hub.requests if method == "GET" and "/resolve/" in path]


def ranges(hub: HubServer) -> list[str | None]:
    """Return which parts of the large file were asked for."""
    return [part for method, path, part in hub.requests if method == "GET" and path.endswith(LARGE)]


def refuse(hub: HubServer, status: int, files: str = "*") -> None:
    hub.faults[:] = [Fault(str(status), files)]


def pinned(cache_home: Path) -> str:
    return (cache_home / "hub" / "models--org--model" / "refs" / "main").read_text()


def partials(cache_home: Path) -> list[Path]:
    return sorted(cache_home.glob("hub/models--org--model/blobs/*.incomplete"))


def stored(cache_home: Path) -> list[int]:
    """Return the sizes of all files that the cache holds, whole or in part."""
    sizes = []
    for path in cache_home.glob("hub/models--org--model/blobs/*"):
        with suppress(FileNotFoundError):  # it gets its final name
            sizes.append(path.stat().st_size)
    return sorted(sizes)


def test_fresh_fill(run: RunModule, repo: Path, cache_home: Path) -> None:
    result = run()
    assert result["changed"]
    assert result.commit == pinned(cache_home)
    for path in (file for file in repo.rglob("*") if file.is_file()):
        assert (result.folder / path.relative_to(repo)).read_bytes() == path.read_bytes()
    assert result["snapshots"][0]["files"] == 3
    assert result["bytes_total"] == result["bytes_fetched"] == 20_000 + 3 + 15
    assert result["bytes_missing"] == 0
    assert partials(cache_home) == []


def test_every_hugging_face_program_finds_it(run: RunModule, cache_home: Path) -> None:
    """The library's own view of the cache: complete, without warnings, and listed file by file."""
    from huggingface_hub import get_cached_repo_tree, scan_cache_dir, snapshot_download

    result = run()
    hub = cache_home / "hub"
    assert snapshot_download(REPO, cache_dir=hub, local_files_only=True) == str(result.folder)
    assert {file.path for file in get_cached_repo_tree(REPO, cache_dir=hub)} == {
        "config.json",
        "sub/{{ chat }}.jinja",
        LARGE,
    }
    info = scan_cache_dir(hub)
    assert info.warnings == []
    assert info.size_on_disk == 20_018


def test_second_run_needs_neither_hub_nor_library(
    run: RunModule, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run()
    refuse(hub, 503)
    hub.requests.clear()
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    second = run()
    assert not second["changed"]
    assert hub.requests == []
    assert second["duration"] < 1
    assert {**second["snapshots"][0], "bytes_fetched": 20_018} == first["snapshots"][0]


def test_check_mode(run: RunModule, hub: HubServer, cache_home: Path) -> None:
    plan = run(check=True)
    assert plan["changed"]
    assert plan["bytes_missing"] == plan["bytes_total"] == 20_018
    assert "would fetch 20.0 kB in 3 of 3 files" in plan["msg"]
    assert fetched(hub) == []
    assert not cache_home.exists()
    run()
    assert not run(check=True)["changed"]


def test_several_repositories(run: RunModule, repo: Path, cache_home: Path) -> None:
    (repo.parent / "draft").mkdir()
    (repo.parent / "draft" / LARGE).write_bytes(os.urandom(5_000))
    result = run(models=[{"repo": REPO}, {"repo": "org/draft"}])
    assert [snapshot["repo"] for snapshot in result["snapshots"]] == [REPO, "org/draft"]
    assert result["bytes_fetched"] == 25_018
    assert result["msg"].count("; ") == 1
    assert (cache_home / "hub" / "models--org--draft" / "refs" / "main").exists()


def test_commit_as_revision(run: RunModule, hub: HubServer, cache_home: Path) -> None:
    commit = hub.hub.repo(REPO).commit
    assert run(revision=commit)["changed"]
    assert not (cache_home / "hub" / "models--org--model" / "refs").exists()
    assert not run(revision=commit)["changed"]


def test_commit_that_others_have_resolved(run: RunModule, hub: HubServer, cache_home: Path) -> None:
    commit = hub.hub.repo(REPO).commit
    hub.faults.append(Fault("moved"))
    run(commits={REPO: commit})
    assert pinned(cache_home) == commit


def test_at_once_only_looks_at_the_cache(run: RunModule, hub: HubServer) -> None:
    assert run(at_once=True)["later"]
    assert hub.requests == []
    path = run().folder / LARGE
    asked = len(hub.requests)
    done = run(at_once=True)
    assert (done["changed"], done["bytes_missing"], "later" in done) == (False, 0, False)
    assert len(hub.requests) == asked
    assert run(at_once=True, update=True)["later"]
    assert run(at_once=True, verify=True)["later"]
    path.resolve().unlink()
    assert run(at_once=True)["later"]


def test_progress(run: RunModule, tmp_path: Path) -> None:
    run(progress_file=str(tmp_path / "progress"))
    assert (tmp_path / "progress").read_text() == "org/model: 20.0 kB of 20.0 kB (100 %), 3 of 3 files\n"


@pytest.mark.parametrize(("mode", "folder", "file"), [("0755", 0o755, 0o644), ("2770", 0o770, 0o660)])
def test_modes(run: RunModule, cache_home: Path, mode: str, folder: int, file: int) -> None:
    before = os.umask(0o077)
    try:
        snapshot = run(mode=mode).folder
    finally:
        os.umask(before)
    assert snapshot.stat().st_mode & 0o777 == folder
    files = [path for path in (cache_home / "hub" / "models--org--model").rglob("*") if path.is_file()]
    assert {"refs", "trees", "blobs"} <= {path.parent.name for path in files}
    assert {path.stat().st_mode & 0o777 for path in files} == {file}


def test_content_that_files_share_is_fetched_once(run: RunModule, hub: HubServer, repo: Path) -> None:
    (repo / "twin.safetensors").write_bytes((repo / LARGE).read_bytes())
    folder = run().folder
    assert (folder / "twin.safetensors").read_bytes() == (folder / LARGE).read_bytes()
    assert sum(hub.sent.values()) == 20_018


# What is interrupted


def test_killed_transfer_goes_on_where_it_stopped(
    run: RunModule, arguments: dict[str, Any], hub: HubServer, repo: Path, cache_home: Path
) -> None:
    content = os.urandom(3 * STEP)
    (repo / LARGE).write_bytes(content)
    hub.faults.append(Fault("stall", LARGE, after=2 * STEP + 5, times=1))
    process = start(arguments)
    deadline = time.monotonic() + 30
    others = [path.stat().st_size for path in repo.rglob("*") if path.is_file() and path.name != LARGE]
    while stored(cache_home) != sorted([*others, 2 * STEP + 5]):
        assert process.poll() is None and time.monotonic() < deadline, "no bytes arrived"
        time.sleep(0.05)
    process.kill()
    process.communicate()
    hub.requests.clear()

    assert run(check=True)["bytes_missing"] == STEP - 5
    result = run()

    assert (result.folder / LARGE).read_bytes() == content
    assert result["bytes_fetched"] == STEP - 5
    assert ranges(hub) == [f"bytes={2 * STEP + 5}-"]
    assert "config.json" not in fetched(hub)
    assert partials(cache_home) == []


def test_a_connection_that_ends_early_is_gone_on_with(
    run: RunModule, hub: HubServer, repo: Path, cache_home: Path
) -> None:
    content = os.urandom(3 * STEP)
    (repo / LARGE).write_bytes(content)
    hub.faults.append(Fault("cut", LARGE, after=2 * STEP + 5, times=1))
    result = run()
    assert (result.folder / LARGE).read_bytes() == content
    assert ranges(hub) == [None, f"bytes={2 * STEP + 5}-"]
    assert partials(cache_home) == []


@pytest.mark.parametrize("xet", [True, False])
@pytest.mark.usefixtures("stalls_are_short")
def test_a_stalled_transfer_is_started_again(run: RunModule, hub: HubServer, repo: Path, xet: bool) -> None:
    content = os.urandom(3 * STEP)
    (repo / LARGE).write_bytes(content)
    hub.faults.append(Fault("stall", LARGE, after=STEP + 5, times=1))
    result = run(stall_timeout=50, xet=xet)
    assert (result.folder / LARGE).read_bytes() == content
    assert ranges(hub) == [None, f"bytes={STEP + 5}-"]
    way = "Xet" if xet else "plain HTTP"
    assert result["notes"] == [f"{way}: no byte came for 50 s after 1.0 MB; resumed by {way}"]


def test_a_process_that_is_killed_is_started_again(arguments: dict[str, Any], hub: HubServer, repo: Path) -> None:
    """As by the kernel, for lack of memory."""
    (repo / LARGE).write_bytes(os.urandom(3 * STEP))
    hub.faults.append(Fault("stall", LARGE, after=STEP, times=1))
    process = start(arguments)
    deadline = time.monotonic() + 30
    while not hub.sent[LARGE]:
        assert process.poll() is None and time.monotonic() < deadline, "no bytes were sent"
        time.sleep(0.05)
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    result = json.loads(process.communicate()[0])
    assert "the process ended with code -9 (no output)" in result["notes"][0]
    assert result["bytes_fetched"] == 3 * STEP + 18


@pytest.mark.usefixtures("stalls_are_short")
def test_a_hub_that_sends_nothing_any_more(run: RunModule, hub: HubServer, repo: Path) -> None:
    (repo / LARGE).write_bytes(os.urandom(3 * STEP))
    hub.faults += [Fault("stall", LARGE, after=STEP, times=1), Fault("stall", LARGE)]
    message = run(stall_timeout=50, xet=False).message
    assert "no byte came for 50 s, several times in a row, after 1.0 MB" in message
    assert "is kept; run again" in message
    hub.faults.clear()
    assert run()["bytes_fetched"] < 2 * STEP + 20


def test_partial_with_wrong_bytes_is_thrown_away(run: RunModule, hub: HubServer, repo: Path, cache_home: Path) -> None:
    sha256 = hub.hub.repo(REPO).files[LARGE].sha256
    partial = cache_home / "hub" / "models--org--model" / "blobs" / f"{sha256}.0123abcd.incomplete"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"\0" * 10_000)
    assert (run().folder / LARGE).read_bytes() == (repo / LARGE).read_bytes()
    assert partials(cache_home) == []
    assert list(cache_home.rglob("*.corrupt")) == []


def test_two_runs_at_once(arguments: dict[str, Any], hub: HubServer, repo: Path) -> None:
    (repo / LARGE).write_bytes(os.urandom(3 * STEP))
    # A host that serves with the Hub offline can still fill its cache.
    processes = [start(arguments, HF_HUB_OFFLINE="1") for _run in range(2)]
    results = [json.loads(process.communicate()[0]) for process in processes]
    assert [result.get("failed", False) for result in results] == [False, False]
    assert sorted(result["bytes_fetched"] for result in results) == [0, 3 * STEP + 18]
    assert hub.sent[LARGE] == 3 * STEP


# Xet: the real client, with a store in a folder instead of the Hub's


@pytest.fixture
def xet(hub: HubServer, repo: Path, tmp_path: Path) -> str:
    """Offer the large file by Xet, too; return the store. It is filled in a process of its own."""
    (repo / LARGE).write_bytes(os.urandom(3 * STEP))
    store = f"local://{tmp_path / 'xet'}"
    fill = "import hf_xet, sys; print(hf_xet.upload_files([sys.argv[1]], sys.argv[2], None, None, None, None)[0].hash)"
    command = [sys.executable, "-c", fill, str(repo / LARGE), store]
    hub.xet = {LARGE: subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()}
    hub.xet_store = store
    return store


def test_xet(run: RunModule, hub: HubServer, repo: Path, xet: str, cache_home: Path) -> None:
    result = run()
    assert (result.folder / LARGE).read_bytes() == (repo / LARGE).read_bytes()
    assert (ranges(hub), result["notes"]) == ([], [])
    assert partials(cache_home) == []
    assert not run()["changed"]


def test_xet_is_not_used_unless_wanted(run: RunModule, hub: HubServer, xet: str) -> None:
    run(xet=False)
    assert ranges(hub) == [None]


def test_an_unfinished_file_is_gone_on_with_by_plain_http(
    run: RunModule, hub: HubServer, repo: Path, xet: str, cache_home: Path
) -> None:
    sha256 = hub.hub.repo(REPO).files[LARGE].sha256
    partial = cache_home / "hub" / "models--org--model" / "blobs" / f"{sha256}.0123abcd.incomplete"
    partial.parent.mkdir(parents=True)
    partial.write_bytes((repo / LARGE).read_bytes()[: 2 * STEP])
    run()
    assert ranges(hub) == [f"bytes={2 * STEP}-"]


def test_xet_that_fails_is_done_without(run: RunModule, hub: HubServer, repo: Path, xet: str) -> None:
    hub.xet[LARGE] = "0" * 64
    result = run()
    assert (result.folder / LARGE).read_bytes() == (repo / LARGE).read_bytes()
    assert "resumed by plain HTTP, because Xet failed" in result["notes"][0]


def test_xet_that_hangs_is_done_without(
    run: RunModule, hub: HubServer, repo: Path, xet: str, clock: Clock, started: list[Callable[[], None]]
) -> None:
    waiting: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)

        def nothing_comes() -> bool:
            with suppress(BlockingIOError):
                while True:
                    waiting.append(silent.accept()[0])
            return bool(waiting)

        def hang_up() -> None:
            nothing_comes()
            while waiting:
                waiting.pop().close()

        started.append(hang_up)
        clock.nothing_comes = nothing_comes
        hub.xet_store = f"http://127.0.0.1:{silent.getsockname()[1]}"
        result = run(stall_timeout=50)
        hang_up()
    assert (result.folder / LARGE).read_bytes() == (repo / LARGE).read_bytes()
    assert [note.partition(";")[2] for note in result["notes"]] == [" resumed by Xet", " resumed by plain HTTP"]


@pytest.mark.slow
def test_killed_again_and_again() -> None:
    """The small form of what CONTRIBUTING.md says how to show with 8 GB."""
    script = Path(__file__).parents[3] / "proof" / "weights.py"
    command = [sys.executable, str(script), "--gigabytes", "0.5", "--kills", "2", "--rounds", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# What is corrupt


def flip(path: Path, position: int = 10) -> None:
    with path.open("r+b") as stream:
        stream.seek(position)
        byte = stream.read(1)
        stream.seek(position)
        stream.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("name", [LARGE, "config.json"])
def test_a_flipped_byte_is_found_and_the_file_is_fetched_again_alone(
    run: RunModule, hub: HubServer, repo: Path, name: str
) -> None:
    path = run().folder / name
    flip(path, 0)
    hub.requests.clear()
    result = run()
    assert result["changed"]
    assert result["corrupt"] == [f"{REPO}/{name}"]
    assert f"{name} of {REPO} was corrupt: its hash is" in result["notes"][0]
    assert path.read_bytes() == (repo / name).read_bytes()
    assert fetched(hub) == [name]
    assert not run()["changed"]


def test_a_corrupt_file_that_cannot_be_fetched_again_is_named(run: RunModule, hub: HubServer, cache_home: Path) -> None:
    path = run().folder / LARGE
    flip(path)
    refuse(hub, 503)
    message = run().message
    assert f"{LARGE} of {REPO} was corrupt" in message and "answered with status 503" in message
    assert len(list(cache_home.rglob("*.corrupt"))) == 1
    assert not path.exists(), "it must not be taken for complete"
    hub.faults.clear()
    run()
    assert list(cache_home.rglob("*.corrupt")) == []


def test_bytes_that_changed_without_a_trace_are_found_on_request(run: RunModule, repo: Path) -> None:
    path = run().folder / LARGE
    status = path.stat()
    flip(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not run()["changed"]
    assert run(verify=True)["corrupt"] == [f"{REPO}/{LARGE}"]
    assert path.read_bytes() == (repo / LARGE).read_bytes()


@pytest.mark.parametrize("text", ["[]\n", "longer than before\n"], ids=["same size", "other size"])
def test_a_file_of_the_snapshot_that_was_replaced_is_linked_again(run: RunModule, hub: HubServer, text: str) -> None:
    """As "sed -i" does it: the blob stays good, and the server would read something else."""
    path = run().folder / "config.json"
    path.unlink()
    path.write_text(text)
    hub.requests.clear()
    assert run(check=True)["changed"]
    result = run()
    assert (result["changed"], result["corrupt"]) == (True, [f"{REPO}/config.json"])
    assert "another file had replaced config.json" in result["notes"][0]
    assert path.is_symlink() and path.read_text() == "{}\n"
    assert hub.requests == []
    assert not run()["changed"]


def test_what_another_program_has_fetched_is_hashed_once(
    run: RunModule, hub: HubServer, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import snapshot_download

    folder = snapshot_download(REPO, cache_dir=cache_home / "hub", endpoint=hub.endpoint)
    flip(Path(folder) / LARGE)
    assert run()["corrupt"] == [f"{REPO}/{LARGE}"]
    monkeypatch.setattr(download, "find_corrupt", lambda checks, good, seen: [] if not checks else pytest.fail())
    assert run()["corrupt"] == []


def test_truncated_file_is_fetched_again_alone(run: RunModule, hub: HubServer, repo: Path) -> None:
    path = run().folder / LARGE
    with path.open("r+b") as stream:
        stream.truncate(19_999)
    hub.requests.clear()
    assert run(check=True)["bytes_missing"] == 20_000
    assert run()["changed"]
    assert path.read_bytes() == (repo / LARGE).read_bytes()
    assert fetched(hub) == [LARGE]


# What the hub does wrong


@pytest.mark.parametrize(
    ("fault", "redirect"),
    [
        (Fault("cut", LARGE, after=2 * STEP + 7, times=2), True),
        (Fault("429", times=2), False),
        (Fault("503", LARGE, times=2), True),
        (Fault("503", "config.json", times=1), False),
        (Fault("503", "api", times=2), False),
        (Fault("damage", LARGE, after=5, times=1), True),
        (Fault("damage", "config.json", after=1, times=1), False),
        (Fault("stall", LARGE, after=2 * STEP, times=2), True),
    ],
    ids=str,
)
@pytest.mark.usefixtures("stalls_are_short")
def test_a_passing_fault_ends_complete(
    run: RunModule, hub: HubServer, repo: Path, fault: Fault, redirect: bool
) -> None:
    (repo / LARGE).write_bytes(os.urandom(3 * STEP))
    hub.redirect = redirect
    hub.faults.append(replace(fault))
    result = run(stall_timeout=50)
    assert (result.folder / LARGE).read_bytes() == (repo / LARGE).read_bytes()
    assert not run()["changed"]


@pytest.mark.parametrize(
    ("fault", "part"),
    [
        (Fault("damage", LARGE, after=5), "serves content that does not match the listed hash"),
        (Fault("missing", LARGE), f"{LARGE}: "),
        (Fault("503", LARGE), f"{LARGE}: "),
        (Fault("403", LARGE), "may not read it (403)"),
        (Fault("503"), "answered with status 503"),
    ],
)
def test_a_lasting_fault_is_an_error_and_never_a_complete_cache(
    run: RunModule, hub: HubServer, fault: Fault, part: str
) -> None:
    hub.faults.append(replace(fault))
    assert part in run().message
    again = run()
    assert again.get("failed"), "taken for complete"
    hub.faults.clear()
    assert run()["changed"]
    assert not run()["changed"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 503])
def test_an_address_of_the_content_network_that_has_expired_is_renewed(
    run: RunModule, hub: HubServer, repo: Path, status: int
) -> None:
    hub.redirect = True
    hub.faults.append(Fault(f"cdn-{status}", LARGE, times=2))
    assert (run().folder / LARGE).read_bytes() == (repo / LARGE).read_bytes()


def test_a_content_network_that_refuses_for_good_is_named(run: RunModule, hub: HubServer) -> None:
    hub.redirect = True
    hub.faults.append(Fault("cdn-403", LARGE))
    message = run().message
    assert f"{LARGE}: 127.0.0.1:{hub.server_address[1]} answered with status 403." in message
    assert "token" not in message and "s3cret" not in message


@pytest.mark.parametrize("kind", ["norange", "wholerange"])
def test_a_server_that_sends_no_parts_of_files(run: RunModule, hub: HubServer, repo: Path, kind: str) -> None:
    hub.faults += [Fault("cut", LARGE, after=5_000, times=1), Fault(kind, LARGE)]
    result = run()
    assert (result.folder / LARGE).read_bytes() == (repo / LARGE).read_bytes()
    assert ranges(hub)[:2] == [None, "bytes=5000-"]
    assert ("fetched from its start" in str(result["notes"])) is (kind == "norange")


@pytest.mark.parametrize("kind", ["loop", "loop-empty"])
def test_a_list_of_files_that_never_ends(run: RunModule, hub: HubServer, kind: str) -> None:
    hub.faults.append(Fault(kind))
    assert "in pages that never end" in run().message
    assert len(hub.requests) < 10


def test_an_empty_list_is_no_complete_snapshot(run: RunModule, repo: Path) -> None:
    for file in [path for path in repo.rglob("*") if path.is_file()]:
        file.unlink()
    assert "it lists no file at all" in run().message


def test_a_sign_in_page_in_place_of_the_hub(run: RunModule, hub: HubServer) -> None:
    hub.faults.append(Fault("page"))
    assert "answers what no Hugging Face hub answers (JSONDecodeError)" in run().message


def test_what_comes_slowly_is_no_stall(run: RunModule, hub: HubServer, repo: Path, clock: Clock) -> None:
    """The whole file takes longer than a stall may, each byte of it a hundredth of that."""
    (repo / LARGE).write_bytes(os.urandom(100))
    hub.faults.append(Fault("slow", LARGE))
    clock.nothing_comes = lambda: 0 < hub.sent[LARGE] < 100
    result = run(stall_timeout=3000, xet=False)
    assert result["notes"] == []
    assert (result.folder / LARGE).read_bytes() == (repo / LARGE).read_bytes()


def index(repo: Path, *names: str) -> None:
    weights = {f"layer.{number}": name for number, name in enumerate(names)}
    (repo / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + 64 * "0" + "\nsize 5000000000\n"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda repo: index(repo, LARGE, "gone.safetensors"),
            "names 2 files of weights, but gone.safetensors is not listed",
        ),
        (lambda repo: (repo / LARGE).write_text(POINTER), "model.safetensors is a pointer of Git LFS"),
        (lambda repo: (repo / "config.json").write_text(POINTER), "config.json is a pointer of Git LFS"),
        (lambda repo: (repo / LARGE).write_text(""), "model.safetensors of its weights is empty (0 bytes)"),
        (lambda repo: (repo / "model.safetensors.index.json").write_text("<html>"), "cannot be read"),
        (
            lambda repo: (repo / "model-00001-of-00003.safetensors").write_text("x"),
            "00002-of-00003.safetensors, model-00003",
        ),
    ],
)
def test_a_repository_that_is_not_whole_is_not_complete(
    run: RunModule, repo: Path, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(repo)
    for _run in ("fetches", "finds it in the cache"):
        assert words in run().message


def test_a_repository_that_is_whole(run: RunModule, repo: Path) -> None:
    (repo / LARGE).rename(repo / "model-00001-of-00002.safetensors")
    (repo / "model-00002-of-00002.safetensors").write_bytes(b"x")
    index(repo, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    (repo / "picture.png").write_text(POINTER)
    (repo / "empty.txt").write_text("")
    (repo / "pytorch_model.bin.index.json").write_text('{"weight_map": {"a": "gone.bin"}}')
    assert run()["changed"]


@pytest.mark.parametrize("name", ["a\nb", "x" * 256])
def test_a_name_that_no_file_can_have(run: RunModule, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = hub_server.tree

    def tree(*args: Any) -> list[dict[str, Any]]:
        entries = files(*args)
        entries[0]["path"] = name
        return entries

    monkeypatch.setattr(hub_server, "tree", tree)
    assert "lists a file that cannot be stored" in run().message


def test_a_token_that_no_token_can_be(run: RunModule) -> None:
    assert "a character that no token has" in run(token="hf_two\nlines").message


def test_main_that_moves_meanwhile_changes_nothing(run: RunModule, hub: HubServer) -> None:
    commit = hub.hub.repo(REPO).commit
    refuse(hub, 403, LARGE)
    run()
    hub.faults[:] = [Fault("moved")]
    assert run().commit == commit


def test_main_has_moved(run: RunModule, hub: HubServer, repo: Path, cache_home: Path) -> None:
    old = run().commit
    (repo / "config.json").write_text('{"new": true}\n')
    hub.requests.clear()

    assert run().commit == old
    assert hub.requests == []

    plan = run(check=True, update=True)
    assert plan["changed"] and plan.commit != old
    assert pinned(cache_home) == old

    updated = run(update=True)
    assert updated.commit == plan.commit == pinned(cache_home)
    assert fetched(hub) == ["config.json"]
    assert updated["bytes_fetched"] == 14
    assert not run(update=True)["changed"]


@pytest.mark.parametrize("adopted", [False, True])
def test_another_program_moves_the_branch(run: RunModule, cache_home: Path, adopted: bool) -> None:
    """As C(hf download) does on the node, between two runs."""
    commit = run().commit
    if adopted:  # filled by another program, or by an earlier version of this module
        (cache_home / "hgx-inference" / "pins" / "models--org--model.json").unlink()
        assert not run()["changed"]
    (cache_home / "hub" / "models--org--model" / "refs" / "main").write_text("e" * 40)
    result = run()
    assert (result["changed"], result.commit) == (False, commit)
    assert f"another program has moved main of org/model to {'e' * 12} in this cache" in result["msg"]
    assert not run(check=True)["changed"]


def test_failed_update_leaves_the_record_alone(run: RunModule, hub: HubServer, repo: Path, cache_home: Path) -> None:
    old = run().commit
    (repo / LARGE).write_bytes(os.urandom(30_000))
    refuse(hub, 403, LARGE)
    assert "may not read it (403)" in run(update=True).message
    assert pinned(cache_home) == old
    assert not run()["changed"]


def test_unfinished_commit_that_is_gone(run: RunModule, hub: HubServer, repo: Path) -> None:
    refuse(hub, 403, "[!a]*")
    run()
    commit = hub.hub.repo(REPO).commit
    (repo / LARGE).write_bytes(os.urandom(30_000))
    hub.faults.clear()
    message = run().message
    assert f"no revision {commit} (recorded for 'main'; update resolves that again)" in message
    assert run(update=True)["changed"]


# Peers


@pytest.fixture
def asked() -> list[Callable[[str], None]]:
    """What is told the path of each request at another node."""
    return []


@pytest.fixture
def node(tmp_path: Path, asked: list[Callable[[str], None]]) -> Iterator[tuple[Path, str]]:
    """Another node: the folder of its cache, and where it serves that."""
    folder = tmp_path / "node"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def do_GET(self) -> None:
            for tell in asked:
                tell(self.path)
            super().do_GET()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_all_comes_from_a_peer(run: RunModule, hub: HubServer, repo: Path, node: tuple[Path, str]) -> None:
    folder, url = node
    given = run(cache_home=str(folder), offer=True)
    refuse(hub, 503)
    hub.requests.clear()
    result = run(peer=url, **given.resolved)
    assert hub.requests == [], "the hub need not even be there"
    assert (result.folder / LARGE).read_bytes() == (repo / LARGE).read_bytes()
    assert (result.folder / "sub" / "{{ chat }}.jinja").read_text() == "{{ messages }}\n"
    assert not run()["changed"]


def test_a_peer_is_reached_without_the_proxy(run: RunModule, node: tuple[Path, str]) -> None:
    folder, url = node
    given = run(cache_home=str(folder), offer=True)
    os.environ.update(http_proxy="http://127.0.0.1:1", no_proxy="localhost")
    assert run(peer=url, endpoint="http://hub.invalid", **given.resolved)["bytes_fetched"] == 20_018


@pytest.mark.parametrize("vouched", [True, False])
def test_a_list_of_files_for_which_no_one_vouches_is_not_taken_from_a_peer(
    run: RunModule, hub: HubServer, node: tuple[Path, str], vouched: bool
) -> None:
    folder, url = node
    given = run(cache_home=str(folder), offer=True)
    code = b"print('not of the model')\n"
    root = given.folder.parents[1]
    tree = root / "trees" / f"{given.commit}.json"
    listed = json.loads(tree.read_text())
    listed["files"]["tokenization.py"] = {"size": len(code), "blob_id": git_blob(code)}
    tree.write_text(json.dumps(listed))
    (root / "blobs" / git_blob(code)).write_bytes(code)
    resolved = {**given.resolved, **({} if vouched else {"list_hashes": {}})}

    result = run(peer=url, **resolved)
    assert not (result.folder / "tokenization.py").exists()
    assert result["snapshots"][0]["files"] == 3
    assert [note.startswith(f"{url} lists other files of {REPO}") for note in result["notes"]] == [True] * vouched
    assert sum(hub.sent.values()) == 20_018, "what is listed still comes from the peer"

    refuse(hub, 403)
    message = run(peer=url, cache_home=f"{folder}-2", **resolved).message
    assert "may not read it (403)" in message
    assert (f"{url} lists other files" in message) is vouched


def test_a_peer_that_is_still_filling_its_cache_is_waited_for(
    run: RunModule,
    arguments: dict[str, Any],
    hub: HubServer,
    repo: Path,
    node: tuple[Path, str],
    asked: list[Callable[[str], None]],
) -> None:
    (repo / LARGE).write_bytes(os.urandom(2 * STEP))
    commit = hub.hub.repo(REPO).commit
    hub.faults.append(Fault("pause", LARGE, after=STEP, times=1))

    def go_on(path: str) -> None:
        if hub.sent[LARGE] and path.endswith("offer.json"):
            hub.wake.set()

    asked.append(go_on)
    folder, url = node
    process = start({**arguments, "cache_home": str(folder), "offer": True})
    result = run(peer=url, commits={REPO: commit})
    assert "failed" not in json.loads(process.communicate()[0])
    assert (result.folder / LARGE).read_bytes() == (repo / LARGE).read_bytes()
    assert sum(hub.sent.values()) == 2 * STEP + 18, "the hub has sent each byte once"


def test_a_corrupt_file_of_a_peer_is_not_taken(run: RunModule, repo: Path, node: tuple[Path, str]) -> None:
    folder, url = node
    given = run(cache_home=str(folder), offer=True)
    flip(given.folder / LARGE)
    result = run(peer=url, commits={REPO: given.commit})
    assert (result.folder / LARGE).read_bytes() == (repo / LARGE).read_bytes()
    assert f"{url} did not serve {LARGE}, so the Hub was used" in " ".join(result["notes"])


@pytest.mark.parametrize("offer", [True, False], ids=["failed", "gone"])
def test_a_peer_that_fails_is_done_without(
    run: RunModule, hub: HubServer, repo: Path, node: tuple[Path, str], offer: bool
) -> None:
    folder, url = node
    commit = hub.hub.repo(REPO).commit
    if offer:
        refuse(hub, 403, LARGE)
        assert run(cache_home=str(folder), offer=True, commits={REPO: commit}).message
        hub.faults.clear()
    else:
        url = "http://127.0.0.1:1"
    result = run(peer=url, commits={REPO: commit})
    assert (result.folder / LARGE).read_bytes() == (repo / LARGE).read_bytes()


# Pruning


def test_prune(run: RunModule, repo: Path, cache_home: Path) -> None:
    old = run().commit
    (repo / LARGE).write_bytes(os.urandom(30_000))
    new = run(update=True).commit
    snapshots = cache_home / "hub" / "models--org--model" / "snapshots"
    assert {path.name for path in snapshots.iterdir()} == {old, new}, "nothing goes unless asked for"

    kept = run(prune=True, keep_commits=[old])
    assert (kept["changed"], kept["bytes_freed"]) == (False, 0)

    plan = run(check=True, prune=True)
    assert (plan["changed"], plan["bytes_freed"]) == (True, 20_000)
    assert "would free 20.0 kB of other revisions" in plan["msg"]

    pruned = run(prune=True)
    assert (pruned["changed"], pruned["bytes_freed"]) == (True, 20_000)
    assert [path.name for path in snapshots.iterdir()] == [new]
    assert not run(prune=True)["changed"]
    assert (pruned.folder / "config.json").read_text() == "{}\n", "what both share is kept"


def test_prune_of_a_revision_whose_content_is_all_shared(run: RunModule, repo: Path) -> None:
    old = run().folder
    (repo / "README.md").write_text("new\n")
    run(update=True)
    for check in (True, False):
        assert old.exists()
        result = run(prune=True, check=check)
        assert (result["changed"], result["bytes_freed"]) == (True, 0)
        assert "0 B of other revisions" in result["msg"]
    assert not old.exists()
    assert not run(prune=True)["changed"]


# What cannot be


def test_no_space(run: RunModule, hub: HubServer, cache_home: Path) -> None:
    message = run(disk_reserve_gb=10**9).message
    for part in (
        REPO,
        str(cache_home),
        "The download needs 20.0 kB",
        "1000000.00 TB must stay free",
        "lower the reserve",
    ):
        assert part in message
    assert fetched(hub) == []
    assert not cache_home.exists()


@pytest.mark.slow
def test_a_disk_that_fills_up_meanwhile_loses_nothing(run: RunModule, repo: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        (repo / LARGE).write_bytes(os.urandom(3 * STEP))
        home = disk / "cache"
        assert run(cache_home=str(home), check=True)["bytes_missing"] == 3 * STEP + 18
        # Another program takes the space when it was found to be enough.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(download, "space_problem", lambda *args: None)
            (disk / "other").write_bytes(b"x" * (2 * STEP))
            assert "the disk is full" in run(cache_home=str(home)).message
        message = run(cache_home=str(home)).message
        kept = sum(path.stat().st_size for path in partials(home))
        assert kept > STEP
        assert f"The download needs {human_bytes(3 * STEP - kept)} and" in message and "are missing" in message
        (disk / "other").unlink()
        # The small files came before the disk was full, or come now.
        assert 0 <= run(cache_home=str(home))["bytes_fetched"] - (3 * STEP - kept) <= 18
    finally:
        subprocess.run(["umount", disk], check=True)


def test_how_much_space_is_missing_is_said_when_the_disk_is_full(
    run: RunModule, hub: HubServer, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = hub.hub.repo(REPO).files[LARGE].sha256
    partial = cache_home / "hub" / "models--org--model" / "blobs" / f"{sha256}.kept.incomplete"
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    free = iter([10**9, 10**9])  # enough before the first byte
    monkeypatch.setattr(download, "free_bytes", lambda path: next(free, 0))
    message = run(max_workers=1).message
    assert f"{LARGE}: the disk is full" in message
    assert "The download needs" in message and "are missing" in message


def test_space_is_counted_for_all_repositories_together(
    run: RunModule, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(repo, repo.parent / "draft")
    monkeypatch.setattr(download, "free_bytes", lambda path: 30_000)
    assert "The download needs 40.0 kB" in run(models=[{"repo": REPO}, {"repo": "org/draft"}]).message
    assert run()["changed"]


@pytest.mark.parametrize(
    ("token", "parts"),
    [
        (None, ["access is restricted", "Accept the licence", "give its token"]),
        ("hf_wrong", ["access is restricted", "with the account of the token"]),
    ],
)
def test_gated(run: RunModule, hub: HubServer, token: str | None, parts: list[str]) -> None:
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
    # A test's folder has the ID of the test in its name, and the results have the folder.
    ids=lambda value: "token" if value == "hf_x" else None,
)
def test_refused(run: RunModule, hub: HubServer, status: int, code: str, token: str | None, parts: list[str]) -> None:
    refuse(hub, status)
    hub.faults[0].code = code
    message = run(token=token).message
    assert all(part in message for part in [REPO, *parts])
    assert "Traceback" not in message


def test_unknown_repository(run: RunModule, hub: HubServer) -> None:
    assert f"Check {hub.endpoint}/org/typo" in run(repo="org/typo").message


@pytest.mark.parametrize("revision", ["v9", "{{ revision }}"])
def test_unknown_revision(run: RunModule, hub: HubServer, revision: str) -> None:
    message = run(revision=revision).message
    assert f"{hub.endpoint} has no revision {revision} of it" in message


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"endpoint": "http://127.0.0.1:1"}, "http://127.0.0.1:1 cannot be reached"),
        ({"endpoint": "huggingface.co"}, "huggingface.co cannot be reached"),
        ({"repo": "org/{{ name }}"}, "'org/{{ name }}' is not the name of a repository"),
        ({"revision": "../x"}, "'../x' is not a revision"),
        ({"models": []}, "models is empty"),
        ({"mode": "u=rwx"}, "octal notation"),
    ],
)
def test_fails_at_once(run: RunModule, options: dict[str, str], part: str) -> None:
    started = time.monotonic()
    assert part in run(**options).message
    assert time.monotonic() - started < 5


def test_library_missing(run: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "huggingface_hub" in run().message


def test_a_read_only_cache_can_be_verified(run: RunModule, cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run().folder
    (cache_home / "hgx-inference" / "lock").unlink()
    made = os.open

    def refuse_writing(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) and str(path).startswith(str(cache_home)):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return made(path, flags, *more, **named)

    def refuse_change(path: Any, *_more: Any, **_named: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(os, "open", refuse_writing)
    monkeypatch.setattr(os, "replace", refuse_change)
    result = run(verify=True)
    assert (result["changed"], result["corrupt"]) == (False, [])
    blob = (folder / LARGE).resolve()
    blob.write_bytes(bytes(blob.stat().st_size))
    message = run(verify=True).message
    assert f"{LARGE} of {REPO} is corrupt" in message
    assert "on a read-only file system" in message
    blob.unlink()
    assert "is on a read-only file system. Mount it for writing" in run().message


def test_cache_that_may_not_be_written(run: RunModule, cache_home: Path) -> None:
    cache_home.mkdir()
    (cache_home / "hub").write_text("a file in the way")
    message = run().message
    assert "Error" in message and str(cache_home / "hub") in message


@pytest.mark.parametrize("library", ["huggingface_hub", "hf-xet"])
def test_role_installs_what_is_tested_here(library: str) -> None:
    pins = (Path(__file__).parents[4] / "roles" / "hf_cache" / "files" / "requirements.txt").read_text().split()
    assert f"{library}=={importlib.metadata.version(library)}" in pins
