#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Hugging Face Hub for one machine: publishes folders as model repositories.

ROOT/ORGANISATION/NAME is the repository ORGANISATION/NAME. Its only branch is main, its only commit the hash of its
content: the same files have the same commit everywhere, and changed files have a new one. It serves the requests of a
huggingface_hub download: model information, the file tree, and files with ranges, optionally behind a redirect as from
the Hub's content network. If a repository has a token, every request for it must carry that token.
/stats says how many bytes of each file were sent.

It fails on demand: --fault KIND[:files=PATTERN][:after=BYTES][:times=N], where KIND is

    429, 503, ...  the status of the answer
    cut            the connection ends after so many bytes
    stall          nothing more is sent after so many bytes
    pause          the rest is sent when the test wakes the hub
    damage         the byte after so many is wrong
    missing        a file that is listed is not there (404)
    moved          main stands for a commit that is not served
    cdn-403, ...   the status of the answer of the content network, behind the redirect
    loop           the next page of a list of files is the same again; loop-empty: pages without files, for ever
    page           a web page in place of JSON
    norange        parts of files are refused (416); wholerange: the whole file is sent instead
    slow           a byte comes every 20 ms

Requests other than for files match the pattern as "api".

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import argparse
import collections
import fnmatch
import hashlib
import json
import re
import sys
import threading
import time
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

BRANCH = "main"
LFS_SUFFIXES = (".safetensors", ".bin", ".gguf", ".model", ".pt", ".onnx")
TREE_PAGE = 1000  # entries, also the greatest limit a client may ask for
CHUNK = 1 << 20
FAULTS = (
    "cut",
    "stall",
    "pause",
    "damage",
    "missing",
    "moved",
    "loop",
    "loop-empty",
    "page",
    "norange",
    "wholerange",
    "slow",
)
STALL_S = 600.0
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class RepoFile:
    """One file of a repository as the Hub describes it."""

    path: str
    source: Path
    size: int
    sha256: str
    git_sha1: str

    @property
    def is_lfs(self) -> bool:
        return self.path.endswith(LFS_SUFFIXES)

    @property
    def lfs_pointer(self) -> bytes:
        """The pointer in git that replaces the content of a large file."""
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()

    @property
    def blob_id(self) -> str:
        return git_blob(self.lfs_pointer) if self.is_lfs else self.git_sha1

    @property
    def etag(self) -> str:
        """The name of the file's blob in the client's cache."""
        return self.sha256 if self.is_lfs else self.git_sha1


@dataclass(frozen=True)
class Repo:
    name: str
    commit: str
    files: dict[str, RepoFile]


class HubError(Exception):
    """A refusal, with the error code that huggingface_hub evaluates."""

    def __init__(self, status: HTTPStatus, code: str, message: str, commit: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.commit = commit


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Fault:
    """A fault: its kind, for which files, after how many bytes of an answer, and how many times (-1: always)."""

    kind: str
    files: str = "*"
    after: int = 0
    times: int = -1
    code: str = ""

    @classmethod
    def parse(cls, text: str) -> Fault:
        kind, *settings = text.split(":")
        given = dict(setting.partition("=")[::2] for setting in settings)
        if kind not in FAULTS and not kind.removeprefix("cdn-").isdigit():
            raise ValueError(f"{kind} is not a fault; known are {', '.join(FAULTS)} and the statuses")
        return cls(kind, given.get("files", "*"), int(given.get("after", 0)), int(given.get("times", -1)))


class Hub:
    """The repositories below a folder."""

    def __init__(self, root: Path, tokens: dict[str, str] | None = None) -> None:
        self.root = root.resolve()
        self.tokens = tokens or {}
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[tuple[int, int], RepoFile]] = {}

    def repo(self, name: str, authorization: str | None = None, trusted: bool = False) -> Repo:
        """The current state of a repository. Raises HubError if it does not exist or the token is wrong."""
        folder = (self.root / name).resolve()
        if name.count("/") != 1 or folder.parent.parent != self.root or not folder.is_dir():
            # The real Hub does not tell an anonymous client either whether a repository exists.
            raise HubError(HTTPStatus.UNAUTHORIZED, "RepoNotFound", f"Repository {name} not found")
        token = self.tokens.get(name)
        if token is not None and not trusted and authorization != f"Bearer {token}":
            status = HTTPStatus.FORBIDDEN if authorization else HTTPStatus.UNAUTHORIZED
            raise HubError(status, "GatedRepo", f"Access to model {name} is restricted")
        with self._lock:
            files = [self._file(folder, path) for path in sorted(folder.rglob("*")) if self._is_published(folder, path)]
        content = "".join(f"{file.path}\0{file.blob_id}\n" for file in files)
        return Repo(name, hashlib.sha1(content.encode()).hexdigest(), {file.path: file for file in files})

    @staticmethod
    def _is_published(folder: Path, path: Path) -> bool:
        return path.is_file() and not path.name.endswith(".partial") and ".git" not in path.relative_to(folder).parts

    def _file(self, folder: Path, path: Path) -> RepoFile:
        """The description of a file. Its hashes are computed again only after it has changed."""
        stat = path.stat()
        seen = (stat.st_size, stat.st_mtime_ns)
        if path not in self._known or self._known[path][0] != seen:
            sha256, sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % stat.st_size)
            with path.open("rb") as stream:
                for chunk in iter(lambda: stream.read(CHUNK), b""):
                    sha256.update(chunk)
                    sha1.update(chunk)
            name = path.relative_to(folder).as_posix()
            self._known[path] = (seen, RepoFile(name, path, stat.st_size, sha256.hexdigest(), sha1.hexdigest()))
        return self._known[path][1]


def check_revision(repo: Repo, revision: str) -> None:
    if revision not in (BRANCH, repo.commit):
        raise HubError(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {revision}")


def find_file(repo: Repo, path: str) -> RepoFile:
    if path not in repo.files:
        raise HubError(HTTPStatus.NOT_FOUND, "EntryNotFound", f"Entry not found: {path}", repo.commit)
    return repo.files[path]


def model_info(repo: Repo, with_blobs: bool) -> dict[str, Any]:
    """The answer of /api/models/REPO."""
    siblings: list[dict[str, Any]] = []
    for file in repo.files.values():
        sibling: dict[str, Any] = {"rfilename": file.path}
        if with_blobs:
            sibling.update(size=file.size, blobId=file.blob_id)
            if file.is_lfs:
                sibling["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": len(file.lfs_pointer)}
        siblings.append(sibling)
    return {
        "id": repo.name,
        "modelId": repo.name,
        "author": repo.name.split("/")[0],
        "sha": repo.commit,
        "private": False,
        "gated": False,
        "disabled": False,
        "tags": [],
        "siblings": siblings,
    }


def tree(repo: Repo, folder: str, recursive: bool, xet: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The entries of /api/models/REPO/tree/REVISION[/FOLDER], sorted by path. C(xet) is path -> hash in a Xet store."""
    prefix = f"{folder}/" if folder else ""
    entries: dict[str, dict[str, Any]] = {}
    for file in repo.files.values():
        if not file.path.startswith(prefix):
            continue
        parts = file.path[len(prefix) :].split("/")
        for depth in range(1, len(parts) if recursive else min(len(parts), 2)):
            path = prefix + "/".join(parts[:depth])
            entries[path] = {
                "type": "directory",
                "oid": hashlib.sha1(path.encode()).hexdigest(),
                "size": 0,
                "path": path,
            }
        if recursive or len(parts) == 1:
            entries[file.path] = {"type": "file", "oid": file.blob_id, "size": file.size, "path": file.path}
            if file.is_lfs:
                pointer_size = len(file.lfs_pointer)
                entries[file.path]["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": pointer_size}
            if xet and file.path in xet:
                entries[file.path]["xetHash"] = xet[file.path]
    if folder and not entries:
        raise HubError(HTTPStatus.NOT_FOUND, "EntryNotFound", f"{folder} does not exist on {BRANCH}", repo.commit)
    return [entries[path] for path in sorted(entries)]


def asked_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte of a Range header; None for the whole file. Raises ValueError for a range outside it."""
    match = RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        raise ValueError(f"{header} lies outside {size} bytes")
    return start, end


class HubHandler(BaseHTTPRequestHandler):
    """Routes requests."""

    protocol_version = "HTTP/1.1"
    server_version = "hgx-hub"
    server: HubServer

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        self.server.note_request(self.command, self.path, self.headers.get("Range"))
        try:
            if parts == ["health"]:
                self._send_json({"status": "ok"})
            elif parts == ["stats"]:
                self._send_json(self.server.sent)
            elif parts[:2] == ["api", "models"] and len(parts) >= 4:
                self._answer_api("/".join(parts[2:4]), parts[4:], query)
            elif len(parts) >= 5 and parts[2] == "resolve":
                repo = self._repo("/".join(parts[:2]))
                check_revision(repo, parts[3])
                file = find_file(repo, "/".join(parts[4:]))
                self._refuse_by_fault(file.path)
                if self.server.redirect and file.is_lfs:
                    self._redirect(repo, file)
                else:
                    self.send_file(repo, file)
            elif len(parts) >= 4 and parts[0] == "lfs":
                # As on the content network, the address suffices without a token.
                repo = self.server.hub.repo("/".join(parts[1:3]), trusted=True)
                file = find_file(repo, "/".join(parts[3:]))
                fault = self.server.fault(file.path, *(f"cdn-{status.value}" for status in HTTPStatus))
                if fault:
                    self._start(HTTPStatus(int(fault.kind[4:])), {"Content-Length": "0"})
                else:
                    self.send_file(repo, file)
            else:
                raise HubError(HTTPStatus.NOT_FOUND, "NotFound", f"No such page: {url.path}")
        except HubError as error:
            self._send_error(error)

    def _repo(self, name: str) -> Repo:
        return self.server.hub.repo(name, self.headers.get("Authorization"))

    def _refuse_by_fault(self, name: str) -> None:
        if self.server.fault(name, "missing"):
            raise HubError(HTTPStatus.NOT_FOUND, "EntryNotFound", f"Entry not found: {name}")
        fault = self.server.fault(name, *(str(status.value) for status in HTTPStatus))
        if fault:
            raise HubError(HTTPStatus(int(fault.kind)), fault.code, "going wrong on demand")

    def _redirect(self, repo: Repo, file: RepoFile) -> None:
        location = f"http://{self.headers['Host']}/lfs/{repo.name}/{quote(file.path)}?signature=s3cret"
        headers = {"Location": location, "X-Repo-Commit": repo.commit, "Content-Length": "0"}
        headers.update({"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(file.size)})
        self._start(HTTPStatus.FOUND, headers)

    def _answer_api(self, name: str, rest: list[str], query: dict[str, str]) -> None:
        repo = self._repo(name)
        self._refuse_by_fault("api")
        if self.server.fault("api", "page"):
            body = b"<html><title>Sign in</title></html>"
            self._start(HTTPStatus.OK, {"Content-Type": "text/html", "Content-Length": str(len(body))})
            self._write(body)
            return
        if rest[:2] == ["revision", BRANCH] and self.server.fault("api", "moved"):
            self._send_json(model_info(replace(repo, commit="f" * 40), False))
        elif not rest or (rest[0] == "revision" and len(rest) == 2):
            check_revision(repo, rest[1] if rest else BRANCH)
            self._send_json(model_info(repo, query.get("blobs", "").lower() in ("true", "1")))
        elif rest[0] == "tree" and len(rest) >= 2:
            check_revision(repo, rest[1])
            recursive = query.get("recursive", "").lower() in ("true", "1")
            self._send_tree(tree(repo, "/".join(rest[2:]), recursive, self.server.xet), query)
        elif rest[0] == "xet-read-token" and self.server.xet_store:
            headers = {"X-Xet-Cas-Url": self.server.xet_store, "X-Xet-Access-Token": "xet"}
            self._send_json({}, {**headers, "X-Xet-Token-Expiration": str(int(time.time()) + 3600)})
        else:
            raise HubError(HTTPStatus.NOT_FOUND, "NotFound", f"No such page: {self.path}")

    def _send_tree(self, entries: list[dict[str, Any]], query: dict[str, str]) -> None:
        try:
            start, limit = int(query.get("cursor", 0)), int(query.get("limit", self.server.tree_page))
        except ValueError as error:
            raise HubError(HTTPStatus.BAD_REQUEST, "BadRequest", "cursor and limit are numbers") from error
        end = start + min(limit, self.server.tree_page)
        headers = {}
        loop = self.server.fault("api", "loop", "loop-empty")
        if loop:
            again = f"{self.path}&again={len(self.server.requests)}" if loop.kind == "loop-empty" else self.path
            headers["Link"] = f'<http://{self.headers["Host"]}{again}>; rel="next"'
            if loop.kind == "loop-empty":
                entries = []
        elif end < len(entries):
            path = quote(urlsplit(self.path).path, safe="/%")
            url = f"http://{self.headers['Host']}{path}?{urlencode({**query, 'cursor': end})}"
            headers["Link"] = f'<{url}>; rel="next"'
        self._send_json(entries[start:end], headers)

    def _send_json(self, value: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self._start(
            HTTPStatus.OK, {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        )
        self._write(body)

    def _send_error(self, error: HubError) -> None:
        body = json.dumps({"error": str(error)}).encode()
        headers = {"X-Error-Code": error.code, "X-Error-Message": str(error)}
        if error.commit:
            headers["X-Repo-Commit"] = error.commit
        self._start(error.status, {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers})
        self._write(body)

    def send_file(self, repo: Repo, file: RepoFile) -> None:
        headers = {"X-Repo-Commit": repo.commit, "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
        if file.is_lfs:
            headers.update({"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(file.size)})
        try:
            wanted = asked_range(self.headers.get("Range"), file.size)
            if wanted and self.server.fault(file.path, "wholerange"):
                wanted = None
            if wanted and self.server.fault(file.path, "norange"):
                raise ValueError("on demand")
        except ValueError:
            self._start(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                {**headers, "Content-Range": f"bytes */{file.size}", "Content-Length": "0"},
            )
            return
        status, (first, last) = HTTPStatus.OK, (0, file.size - 1)
        if wanted is not None:
            status, (first, last) = HTTPStatus.PARTIAL_CONTENT, wanted
            headers["Content-Range"] = f"bytes {first}-{last}/{file.size}"
        headers.update({"Content-Type": "application/octet-stream", "Content-Length": str(last - first + 1)})
        self._start(status, headers)
        if self.command == "GET":
            self.send_bytes(file, first, last)

    def send_bytes(self, file: RepoFile, first: int, last: int) -> None:
        stall, cut, pause, damage = (self.server.fault(file.path, kind) for kind in ("stall", "cut", "pause", "damage"))
        slow = self.server.fault(file.path, "slow")
        broken = stall or cut
        end = min(last + 1, first + broken.after) if broken else last + 1
        position = first
        with file.source.open("rb") as stream:
            while position < end:
                count = 1 if slow else min(CHUNK, end - position)
                time.sleep(0.02 if slow else 0)
                if pause and position - first >= pause.after:
                    self.server.wake.wait(STALL_S)
                self.server.note_sent(file, count)  # before a client that has it all can ask for the count
                if damage and position <= damage.after < position + count:
                    stream.seek(position)
                    block = bytearray(stream.read(count))
                    block[damage.after - position] ^= 1
                    self.wfile.write(block)
                elif self.connection.sendfile(stream, position, count) < count:
                    self.close_connection = True  # the file has shrunk in the meantime: the client gets too few bytes
                    return
                position += count
        if stall:
            self.server.stalls += 1
            self.server.wake.wait(STALL_S)
        if broken:
            self.close_connection = True

    def _start(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _write(self, data: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        if self.server.verbose:
            super().log_message(format, *args)


class HubServer(ThreadingHTTPServer):
    """A hub that listens. Port 0 takes a free one; `endpoint` is what HF_ENDPOINT must be."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        root: Path,
        bind: str = "127.0.0.1",
        port: int = 0,
        tokens: dict[str, str] | None = None,
        handler: type[HubHandler] = HubHandler,
        verbose: bool = False,
        tree_page: int = TREE_PAGE,
        faults: list[Fault] | None = None,
        redirect: bool = False,
    ) -> None:
        self.hub = Hub(root, tokens)
        self.faults = faults or []
        self.redirect = redirect
        self.xet: dict[str, str] = {}
        self.xet_store = ""
        self.requests: list[tuple[str, str, str | None]] = []
        self.sent: collections.Counter[str] = collections.Counter()
        self.stalls = 0  # how many answers have stalled
        self.wake = threading.Event()
        self._lock = threading.Lock()
        self.verbose = verbose
        self.tree_page = tree_page
        super().__init__((bind, port), handler)

    @property
    def endpoint(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def fault(self, name: str, *kinds: str) -> Fault | None:
        """The next fault of these kinds for a file, or None; it is counted."""
        with self._lock:
            for fault in self.faults:
                if fault.kind in kinds and fault.times and fnmatch.fnmatch(name, fault.files):
                    fault.times -= fault.times > 0
                    return fault
        return None

    def note_request(self, method: str, path: str, range_header: str | None) -> None:
        with self._lock:
            self.requests.append((method, path, range_header))

    def note_sent(self, file: RepoFile, count: int) -> None:
        with self._lock:
            self.sent[file.path] += count

    def __enter__(self) -> HubServer:
        """Serve in a thread until the end of the `with` block."""
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.wake.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


def parse_tokens(pairs: list[str]) -> dict[str, str]:
    tokens = dict(pair.partition("=")[::2] for pair in pairs)
    if not all(name.count("/") == 1 and token for name, token in tokens.items()):
        raise ValueError("a token is given as ORGANISATION/NAME=TOKEN")
    return tokens


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder that holds ORGANISATION/NAME folders")
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=0, help="port to listen on; 0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--token", action="append", default=[], metavar="REPO=TOKEN", help="require a token; may be repeated"
    )
    parser.add_argument(
        "--fault", action="append", default=[], metavar="FAULT", help="fail on demand, see above; may be repeated"
    )
    parser.add_argument("--redirect", action="store_true", help="send large files from behind a redirect")
    args = parser.parse_args()
    if not args.root.is_dir():
        parser.error(f"{args.root} is not a folder")
    try:
        tokens = parse_tokens(args.token)
        faults = [Fault.parse(text) for text in args.fault]
    except ValueError as error:
        parser.error(str(error))
    server = HubServer(args.root, args.bind, args.port, tokens, verbose=True, faults=faults, redirect=args.redirect)
    print(f"{server.endpoint} publishes {args.root}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
