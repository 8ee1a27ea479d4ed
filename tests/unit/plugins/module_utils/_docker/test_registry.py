# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a registry has an image, asked of a server that answers as registries do."""

from __future__ import annotations

import http.server
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._docker.registry import (
    Answer,
    find_image,
    first_available,
    has_login,
    parse_reference,
    registry_url,
)
from ansible_collections.hgx.inference.tests.support.serving import serving

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image", "domain", "path", "version", "url"),
    [
        (
            "vllm/vllm-openai:cu130-nightly",
            "",
            "vllm/vllm-openai",
            "cu130-nightly",
            "https://registry-1.docker.io/v2/",
        ),
        ("ubuntu", "", "library/ubuntu", "latest", "https://registry-1.docker.io/v2/"),
        ("docker.io/library/ubuntu:24.04", "", "library/ubuntu", "24.04", "https://registry-1.docker.io/v2/"),
        (f"ghcr.example/a/b:1@{DIGEST}", "ghcr.example", "a/b", DIGEST, "https://ghcr.example/v2/"),
        ("localhost:5000/a", "localhost:5000", "a", "latest", "http://localhost:5000/v2/"),
    ],
)
def test_references(image: str, domain: str, path: str, version: str, url: str) -> None:
    assert parse_reference(image) == (domain, path, version)
    assert registry_url(image) == url


def test_a_mirror_stands_for_docker_hub_only() -> None:
    assert registry_url("ubuntu", ("https://mirror.example/",)) == "https://mirror.example/v2/"
    assert registry_url("ghcr.example/a", ("https://mirror.example/",)) == "https://ghcr.example/v2/"


class Registry(http.server.BaseHTTPRequestHandler):
    """Knows a/b:1. Other paths give the status that they name, or no answer; without a token everything is 401."""

    def do_HEAD(self) -> None:
        if self.headers.get("Authorization") != "Bearer anonymous":
            self.send_response(401)
            host = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
            realm = f'Bearer realm="{host}/token",service="here",scope="repository:a/b:pull"'
            self.send_header("WWW-Authenticate", "Basic" if "basic" in self.path else realm)
            self.end_headers()
            return
        name = self.path.split("/")[-1]
        if name == "silent":
            self.rfile.read(1)  # until the client gives up
            return
        self.send_response(200 if name == "1" else int(name.strip("a")))
        self.send_header("Docker-Content-Digest", DIGEST)
        self.send_header("Retry-After", "600")
        self.end_headers()

    def do_GET(self) -> None:
        assert self.path == "/token?service=here&scope=repository%3Aa%2Fb%3Apull"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"token": "anonymous"}).encode())


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(Registry) as address:
        yield f"{address}/v2/"


@pytest.mark.parametrize(
    ("version", "state", "detail"),
    [
        ("1", "present", DIGEST),
        ("404", "absent", "status 404"),
        ("429", "limited", "status 429, retry after 600 s"),
        ("403", "denied", "status 403"),
        ("basic", "denied", "status 401"),
        ("503", "unknown", "status 503"),
        ("silent", "unknown", "timed out"),
    ],
)
def test_what_a_registry_says(version: str, state: str, detail: str, registry: str) -> None:
    answer = find_image(f"a/b:{version}", registry, 0.5)
    assert answer.state == state
    assert detail in answer.detail


def test_a_registry_that_is_not_there() -> None:
    assert find_image("a/b:1", "http://127.0.0.1:1/v2/", 1).state == "unknown"


def test_a_login(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    assert not has_login("ghcr.example/a", str(config))
    config.write_text(json.dumps({"auths": {"ghcr.example": {}}, "credHelpers": {"other.example": "x"}}))
    assert has_login("ghcr.example/a", str(config))
    assert has_login("other.example/a:1", str(config))
    assert not has_login("ubuntu", str(config))


@pytest.mark.parametrize(
    ("here", "states", "chosen"),
    [
        ("", {"a": "present"}, "a"),
        ("", {"a": "absent", "b": "absent", "c": "present"}, "c"),
        # What is not known for certain is no reason for another image.
        ("", {"a": "unknown"}, "a"),
        ("", {"a": "limited"}, "a"),
        ("", {"a": "denied"}, "a"),
        ("", {"a": "absent", "b": "unknown"}, "b"),
        ("", {"a": "absent", "b": "absent", "c": "absent"}, "a"),
        # Nothing changes by itself, also if the registry does not answer or has the first one again.
        ("b", {}, "b"),
        ("cb", {}, "b"),
    ],
)
def test_the_first_image_that_there_is(here: str, states: dict[str, str], chosen: str) -> None:
    assert (
        first_available(["a", "b", "c"], lambda image: image in here, lambda image: Answer(states[image], "")) == chosen
    )
