# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loopback hub against the real client: what huggingface_hub believes is what counts."""

from __future__ import annotations

import hashlib
import http.client
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ansible_collections.hgx.inference.tests.support.hub_server import (
    Fault,
    HubHandler,
    HubServer,
    RepoFile,
    asked_range,
    git_blob,
    parse_tokens,
)

REPO = "acme/tiny"
WEIGHTS = bytes(range(256)) * 4096  # 1 MiB
FILES = {
    "config.json": b'{"model_type": "tiny"}',
    "model.safetensors": WEIGHTS,
    "empty.txt": b"",
    "media/logo one.svg": b"<svg/>",
    "media/deep/note.txt": "Größe {{ x }}".encode(),
}
MEDIA = ["media/deep", "media/deep/note.txt", "media/logo one.svg"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "hub" / REPO / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "hub"


@pytest.fixture
def hub(root: Path) -> Iterator[HubServer]:
    with HubServer(root) as server:
        yield server


def request(hub: HubServer, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", hub.server_port, timeout=10)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    answer = response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    connection.close()
    return answer


def test_model_info_describes_every_file(hub: HubServer) -> None:
    info = HfApi(endpoint=hub.endpoint).model_info(REPO, files_metadata=True)

    siblings = {sibling.rfilename: sibling for sibling in info.siblings or []}
    sizes = {name: sibling.size for name, sibling in siblings.items()}
    assert sizes == {name: len(data) for name, data in FILES.items()}
    assert siblings["config.json"].blob_id == git_blob(FILES["config.json"])
    assert siblings["config.json"].lfs is None
    weights = siblings["model.safetensors"].lfs
    assert weights is not None
    assert (weights.sha256, weights.size) == (hashlib.sha256(WEIGHTS).hexdigest(), len(WEIGHTS))


def test_git_blob_is_what_git_says() -> None:
    assert git_blob(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_the_commit_is_a_hash_of_the_content(hub: HubServer, root: Path) -> None:
    api = HfApi(endpoint=hub.endpoint)
    first = api.model_info(REPO).sha
    (root / REPO / "config.json").touch()
    assert api.model_info(REPO).sha == first
    (root / REPO / "config.json").write_bytes(b"{}")
    second = api.model_info(REPO).sha
    assert second != first
    assert api.model_info(REPO, revision=second).sha == second
    with pytest.raises(RevisionNotFoundError):
        api.model_info(REPO, revision=first)


def test_snapshot_download_fills_a_standard_cache(hub: HubServer, tmp_path: Path) -> None:
    folder = Path(snapshot_download(REPO, endpoint=hub.endpoint, cache_dir=tmp_path / "cache"))

    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.relative_to(folder).as_posix(): path.read_bytes() for path in files} == FILES
    assert (folder / "model.safetensors").resolve().name == hashlib.sha256(WEIGHTS).hexdigest()
    assert (folder / "config.json").resolve().name == git_blob(FILES["config.json"])
    assert (folder.parent.parent / "refs" / "main").read_text() == folder.name


def test_the_command_line_client_downloads(hub: HubServer, tmp_path: Path) -> None:
    client = Path(sys.executable).parent / "hf"
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home")}
    subprocess.run([client, "download", REPO], check=True, capture_output=True, env=environment, timeout=60)
    assert [path.read_bytes() for path in (tmp_path / "home").rglob("model.safetensors")] == [WEIGHTS]


@pytest.mark.parametrize(
    ("folder", "recursive", "expected"),
    [
        (None, False, ["config.json", "empty.txt", "media", "model.safetensors"]),
        (None, True, ["config.json", "empty.txt", "media", *MEDIA, "model.safetensors"]),
        ("media", False, ["media/deep", "media/logo one.svg"]),
        ("media", True, MEDIA),
    ],
)
@pytest.mark.parametrize("page", [1, 2, 1000])
def test_the_tree_is_listed_page_by_page(
    root: Path, folder: str | None, recursive: bool, expected: list[str], page: int
) -> None:
    with HubServer(root, tree_page=page) as hub:
        entries = HfApi(endpoint=hub.endpoint).list_repo_tree(REPO, folder, recursive=recursive)
        assert [entry.path for entry in entries] == expected


def test_a_missing_folder_has_no_tree(hub: HubServer) -> None:
    with pytest.raises(RemoteEntryNotFoundError):
        list(HfApi(endpoint=hub.endpoint).list_repo_tree(REPO, "nothing"))


def test_head_announces_what_the_client_stores(hub: HubServer) -> None:
    commit = HfApi(endpoint=hub.endpoint).model_info(REPO).sha
    status, headers, body = request(hub, "HEAD", f"/{REPO}/resolve/main/model.safetensors")
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    assert (status, body) == (200, b"")
    assert headers["content-length"] == headers["x-linked-size"] == str(len(WEIGHTS))
    assert headers["etag"] == headers["x-linked-etag"] == f'"{sha256}"'
    assert headers["x-repo-commit"] == commit
    assert "x-linked-etag" not in request(hub, "HEAD", f"/{REPO}/resolve/main/config.json")[1]


@pytest.mark.parametrize(
    ("header", "status", "content_range", "body"),
    [
        (None, 200, None, WEIGHTS),
        ("bytes=0-", 206, "bytes 0-1048575/1048576", WEIGHTS),
        ("bytes=10-19", 206, "bytes 10-19/1048576", WEIGHTS[10:20]),
        ("bytes=1048570-9999999", 206, "bytes 1048570-1048575/1048576", WEIGHTS[-6:]),
        ("bytes=-5", 206, "bytes 1048571-1048575/1048576", WEIGHTS[-5:]),
        ("bytes=1048576-", 416, "bytes */1048576", b""),
        ("lines=1-2", 200, None, WEIGHTS),
    ],
)
def test_ranges(hub: HubServer, header: str | None, status: int, content_range: str | None, body: bytes) -> None:
    headers = {} if header is None else {"Range": header}
    answer = request(hub, "GET", f"/{REPO}/resolve/main/model.safetensors", **headers)
    assert (answer[0], answer[1].get("content-range"), answer[2]) == (status, content_range, body)


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [(None, 0, None), ("bytes=-", 10, None), ("bytes=3-", 10, (3, 9)), ("bytes=-20", 10, (0, 9))],
)
def test_asked_range(header: str | None, size: int, expected: tuple[int, int] | None) -> None:
    assert asked_range(header, size) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=7-3", "bytes=-0"])
def test_asked_range_outside_the_file(header: str) -> None:
    with pytest.raises(ValueError, match="outside 10 bytes"):
        asked_range(header, 10)


def test_an_interrupted_download_is_resumed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 65536)  # the client keeps whole chunks only
    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda _seconds: None))
    asked: list[tuple[int, int]] = []

    class HangsUpOnce(HubHandler):
        def send_bytes(self, file: RepoFile, first: int, last: int) -> None:
            asked.append((first, last))
            if first == 0:
                last = last // 2
                self.close_connection = True
            super().send_bytes(file, first, last)

    with HubServer(root, handler=HangsUpOnce) as hub:
        path = hf_hub_download(REPO, "model.safetensors", endpoint=hub.endpoint, cache_dir=tmp_path / "cache")
    assert Path(path).read_bytes() == WEIGHTS
    assert asked == [(0, 1048575), (524288, 1048575)]


def test_what_does_not_exist(hub: HubServer, tmp_path: Path) -> None:
    api = HfApi(endpoint=hub.endpoint)
    for name in ("acme/unknown", "unknown/tiny"):
        with pytest.raises(RepositoryNotFoundError):
            api.model_info(name)
    with pytest.raises(RevisionNotFoundError):
        api.model_info(REPO, revision="v2")
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download(REPO, "absent.json", endpoint=hub.endpoint, cache_dir=tmp_path)
    assert request(hub, "GET", "/api/datasets/acme/tiny")[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        f"/{REPO}/resolve/main/../../../../secret",
        f"/{REPO}/resolve/main/%2e%2e/%2e%2e/%2e%2e/secret",
        "/api/models/acme/..",
        "/api/models/../hub",
        "/api/models/acme%2ftiny%2f../tiny",
    ],
)
def test_nothing_outside_the_repositories_is_served(hub: HubServer, root: Path, path: str) -> None:
    (root.parent / "secret").write_text("do not tell")
    status, _headers, body = request(hub, "GET", path)
    assert status in (401, 404)
    assert b"do not tell" not in body


def test_a_gated_repository_wants_its_token(root: Path, tmp_path: Path) -> None:
    with HubServer(root, tokens={REPO: "hf_right"}) as hub:
        for token in (False, "hf_wrong"):
            with pytest.raises(GatedRepoError):
                HfApi(endpoint=hub.endpoint, token=token).model_info(REPO)
            assert request(hub, "GET", f"/{REPO}/resolve/main/config.json")[0] == 401
        folder = snapshot_download(REPO, endpoint=hub.endpoint, cache_dir=tmp_path / "cache", token="hf_right")
    assert (Path(folder) / "config.json").read_bytes() == FILES["config.json"]


def test_tokens_on_the_command_line() -> None:
    assert parse_tokens(["acme/tiny=a=b"]) == {"acme/tiny": "a=b"}
    for wrong in ("acme/tiny", "tiny=x", "acme/tiny="):
        with pytest.raises(ValueError, match="ORGANISATION/NAME=TOKEN"):
            parse_tokens([wrong])


def test_partial_files_are_not_published(hub: HubServer, root: Path) -> None:
    (root / REPO / ".config.json.partial").write_bytes(b"{")
    assert ".config.json.partial" not in HfApi(endpoint=hub.endpoint).list_repo_files(REPO)


def test_many_clients_at_once(hub: HubServer) -> None:
    bodies: list[bytes] = []

    def download() -> None:
        bodies.append(request(hub, "GET", f"/{REPO}/resolve/main/model.safetensors")[2])

    clients = [threading.Thread(target=download) for _ in range(16)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert bodies == [WEIGHTS] * 16


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("503", Fault("503")),
        ("cut:files=*.bin:after=10:times=2", Fault("cut", "*.bin", 10, 2)),
        ("missing:files=config.json", Fault("missing", "config.json")),
    ],
)
def test_faults_on_the_command_line(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


def test_a_fault_that_is_none() -> None:
    with pytest.raises(ValueError, match="explode is not a fault; known are cut, stall"):
        Fault.parse("explode")


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (Fault("429"), 429, None),
        (Fault("503", "*.safetensors"), 503, None),
        (Fault("503", "*.json"), 200, WEIGHTS),
        (Fault("missing", times=0), 200, WEIGHTS),
        (Fault("missing"), 404, None),
        (Fault("damage", after=2), 200, WEIGHTS[:2] + b"\x03" + WEIGHTS[3:]),
    ],
)
def test_faults(root: Path, fault: Fault, status: int, body: bytes | None) -> None:
    with HubServer(root, faults=[fault]) as hub:
        answer = request(hub, "GET", f"/{REPO}/resolve/main/model.safetensors")
    assert answer[0] == status
    assert body is None or answer[2] == body


def test_a_fault_that_passes(root: Path) -> None:
    with HubServer(root, faults=[Fault("503", times=2)]) as hub:
        statuses = [request(hub, "GET", f"/{REPO}/resolve/main/config.json")[0] for _try in range(3)]
    assert statuses == [503, 503, 200]


def test_a_cut_connection(root: Path) -> None:
    with HubServer(root, faults=[Fault("cut", after=1000)]) as hub, pytest.raises(http.client.IncompleteRead) as error:
        request(hub, "GET", f"/{REPO}/resolve/main/model.safetensors")
    assert len(error.value.partial) == 1000


def test_main_can_move_on(root: Path) -> None:
    with HubServer(root, faults=[Fault("moved")]) as hub:
        assert HfApi(endpoint=hub.endpoint).model_info(REPO, revision="main").sha == "f" * 40


def test_large_files_come_from_behind_a_redirect_without_a_token(root: Path) -> None:
    with HubServer(root, tokens={REPO: "hf_x"}, redirect=True) as hub:
        status, headers, _body = request(
            hub, "GET", f"/{REPO}/resolve/main/model.safetensors", Authorization="Bearer hf_x"
        )
        assert (status, headers["x-linked-size"]) == (302, str(len(WEIGHTS)))
        location = headers["location"].removeprefix(hub.endpoint)
        assert request(hub, "GET", location, Range="bytes=0-9")[2] == WEIGHTS[:10]
        assert request(hub, "GET", "/stats")[2] == b'{"model.safetensors": 10}'


def test_as_a_program(root: Path) -> None:
    script = Path(sys.modules[HubServer.__module__].__file__ or "")
    command = [sys.executable, str(script), "--root", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        assert program.stdout is not None
        endpoint = program.stdout.readline().split()[0]
        assert HfApi(endpoint=endpoint).model_info(REPO).id == REPO
        program.terminate()
