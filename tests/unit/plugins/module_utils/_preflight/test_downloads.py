# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a hub has a revision, asked of a server that answers as hubs do."""

from __future__ import annotations

import http.server
import json
from collections.abc import Iterator

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._preflight.downloads import find_model
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
    assert find_model(hub, repo, revision, token) == expected


def test_what_is_no_answer_is_unknown(hub: str) -> None:
    assert find_model(hub, "org/odd", "main", "token").state == "unknown"
    assert find_model("http://127.0.0.1:1", "org/model", "main", "").state == "unknown"
