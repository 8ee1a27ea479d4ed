# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a hub has a revision, asked of a server that answers as hubs do."""

from __future__ import annotations

import http.server
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._preflight.downloads import find_model, find_package
from ansible_collections.hgx.inference.tests.support.serving import serving

FILES = [{"rfilename": "a", "size": 595 * 10**9}, {"rfilename": "b", "size": 10**9}]


class Hub(http.server.BaseHTTPRequestHandler):
    """Has org/model at main for those with a token, and says what it does not have in the hub's own way."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        status, code, body = {
            "/api/models/org/model/revision/main": (200, "", json.dumps({"sha": "a" * 40, "siblings": FILES})),
            "/api/models/org/plain/revision/main": (200, "", json.dumps({"sha": "b" * 40, "siblings": [{}]})),
            "/api/models/org/model/revision/refs%2Fpr%2F1": (404, "RevisionNotFound", ""),
            "/api/models/org/busy/revision/main": (429, "", ""),
            "/api/models/org/odd/revision/main": (200, "", "<html>sign in</html>"),
            "/api/models/org/gated/revision/main": (403, "GatedRepo", ""),
        }.get(path, (404, "RepoNotFound", ""))
        if self.headers.get("Authorization") != "Bearer token":
            status, code, body = 401, "RepoNotFound", ""
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(Hub) as address:
        yield address


@pytest.mark.parametrize(
    ("repo", "revision", "token", "expected"),
    [
        ("org/model", "main", "token", ("present", "commit aaaaaaaa, 596.0 GB")),
        ("org/plain", "main", "token", ("present", "commit bbbbbbbb")),
        ("org/model", "refs/pr/1", "token", ("absent", "it has no revision refs/pr/1")),
        ("org/modle", "main", "token", ("absent", "status 404")),
        ("org/model", "main", "", ("denied", "status 401")),
        ("org/gated", "main", "token", ("denied", "status 403")),
        ("org/busy", "main", "token", ("limited", "status 429")),
    ],
)
def test_what_a_hub_says(repo: str, revision: str, token: str, expected: tuple[str, str], hub: str) -> None:
    assert find_model(hub, repo, revision, token)[:2] == expected


def test_a_hub_tells_the_size_in_bytes(hub: str) -> None:
    assert find_model(hub, "org/model", "main", "token").size == 596_000_000_000
    assert find_model(hub, "org/plain", "main", "token").size is None


def test_what_is_no_answer_is_unknown(hub: str) -> None:
    assert find_model(hub, "org/odd", "main", "token").state == "unknown"
    assert find_model("http://127.0.0.1:1", "org/model", "main", "").state == "unknown"


# What pip 23 to 26 print, shortened.
WANTED = "ERROR: Could not find a version that satisfies the requirement pkg=={} (from versions: {})\n"
MISSED = WANTED + "ERROR: No matching distribution found for pkg=={}\n"
NO_PAGE = "Could not fetch URL https://index.example/pkg/: 404 Client Error: Not Found for url: x - skipping\n"
NO_HOST = "Could not fetch URL https://index.example/pkg/: connection error: [Errno -2] Name unknown - skipping\n"
LISTED = "pkg (2.0)\nAvailable versions: 2.0, 1.10, 1.9\n  INSTALLED: 1.9\n"
NO_LIST = "ERROR: No matching distribution found for pkg\n"


@pytest.mark.parametrize(
    ("pin", "here", "there", "listed", "state", "detail"),
    [
        ("pkg==2.0", "Would install pkg-2.0", "ERROR: odd", "ERROR: odd", "present", ""),
        # A wheel for the image's Python only, and a package without wheels.
        ("pkg==2.0", MISSED.format("2.0", "1.0", "2.0"), "Would install pkg-2.0", LISTED, "present", ""),
        (
            "pkg[x]==1.9",
            MISSED.format("1.9", "none", "1.9"),
            MISSED.format("1.9", "none", "1.9"),
            LISTED,
            "present",
            "",
        ),
        (
            "pkg==3",
            MISSED.format("3", "1.9, 1.10, 2.0", "3"),
            MISSED.format("3", "1.9, 1.10, 2.0", "3"),
            LISTED,
            "absent",
            "its newest are 1.9, 1.10, 2.0",
        ),
        ("pkg==3", NO_PAGE + MISSED.format("3", "none", "3"), "", NO_PAGE + NO_LIST, "unknown", "pip did not answer"),
        *(
            (
                "pkg==3",
                page + MISSED.format("3", "none", "3"),
                page + MISSED.format("3", "none", "3"),
                page + NO_LIST,
                *end,
            )
            for page, *end in (
                (NO_PAGE, "absent", "no version of it is"),
                (NO_HOST, "unknown", "connection error: [Errno"),
            )
        ),
        ("pkg==3", "ERROR: unknown option", "ERROR: unknown option", "ERROR: unknown option", "unknown", "ERROR: unk"),
    ],
)
def test_what_pip_says(pin: str, here: str, there: str, listed: str, state: str, detail: str, tmp_path: Path) -> None:
    pip = tmp_path / "pip"
    for name, text in (("here", here), ("there", there), ("listed", listed)):
        (tmp_path / name).write_text(text)
    pip.write_text(
        f"""#!/bin/sh
case $* in *--isolated*) ;; *) exit 3 ;; esac
test "$PIP_CONFIG_FILE" = /dev/null || exit 3
case $* in index*pkg\\ *) said=listed ;; *--python-version*) said=there ;; *) said=here ;; esac
cat {tmp_path}/$said
grep -q -e "Would install" -e "Available" {tmp_path}/$said
"""
    )
    pip.chmod(0o755)
    answer = find_package(pin, [str(pip)])
    assert answer.state == state
    assert answer.detail.startswith(detail)


def test_without_pip_it_is_unknown() -> None:
    assert find_package("pkg==1", [])[:2] == ("unknown", "there is no pip on this host that could ask")
