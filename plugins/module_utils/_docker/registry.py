# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask an image registry whether it has an image, as an anonymous client of the OCI distribution API does."""

from __future__ import annotations

import json
import os
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

_TYPES = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_HUB_LOGIN = "https://index.docker.io/v1/"
_MOST_BYTES = 2**20
API_PATH = "/v2/"


class Reference(NamedTuple):
    """The parts of an image's name. C(domain) is empty for Docker Hub, C(version) is a tag or a digest."""

    domain: str
    path: str
    version: str

    @property
    def repository(self) -> str:
        """The name without the version."""
        return f"{self.domain}/{self.path}" if self.domain else self.path


class Answer(NamedTuple):
    """What a registry says of an image.

    C(state) is V(present), V(absent), V(denied), V(limited) or V(unknown); C(detail) says in words what came.
    C(size) is that of all files in bytes, if it is known.
    """

    state: str
    detail: str
    size: int | None = None


def parse_reference(image: str) -> Reference:
    """Return the parts of an image's name as Docker reads it."""
    name, at, digest = image.partition("@")
    first, slash, rest = name.partition("/")
    named = bool(slash) and ("." in first or ":" in first or first == "localhost")
    domain, path = (first, rest) if named else ("", name)
    path, colon, tag = path.rpartition(":") if ":" in path else (path, "", "")
    if domain in ("docker.io", "index.docker.io"):
        domain = ""
    if not domain and "/" not in path:
        path = f"library/{path}"
    return Reference(domain, path, digest if at else tag if colon else "latest")


def registry_url(image: str, mirrors: tuple[str, ...] = ()) -> str:
    """Return the API address of an image's registry, or of the first mirror of Docker Hub."""
    domain = parse_reference(image).domain
    if not domain and mirrors:
        return mirrors[0].rstrip("/") + API_PATH
    # As in Docker, a registry on the host itself needs no TLS.
    scheme = "http" if domain.startswith(("localhost", "127.")) else "https"
    return f"{scheme}://{domain or 'registry-1.docker.io'}{API_PATH}"


def has_login(image: str, config: str = "") -> bool:
    """Return whether this user has logged in to the image's registry; C(config) is Docker's file of logins."""
    path = config or os.path.join(os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"), "config.json")
    try:
        with open(path, encoding="utf-8") as stream:
            settings = json.load(stream)
    except (OSError, ValueError):
        return False
    logins = {**(settings.get("auths") or {}), **(settings.get("credHelpers") or {})}
    return (parse_reference(image).domain or _HUB_LOGIN) in logins


def find_image(image: str, base_url: str, timeout_s: float) -> Answer:
    """Return whether the registry at C(base_url), which ends in C(/v2/), has the image for an anonymous client."""
    reference = parse_reference(image)
    url = f"{base_url}{reference.path}/manifests/{reference.version}"
    status, headers, detail = _head(url, {}, timeout_s)
    if status == 401:
        token = _token(headers.get("www-authenticate", ""), timeout_s)
        if isinstance(token, Answer):
            return token
        status, headers, detail = _head(url, {"Authorization": f"Bearer {token}"} if token else {}, timeout_s)
    return _answer(status, headers, detail)


def _answer(status: int, headers: Mapping[str, str], detail: str) -> Answer:
    if status == 200:
        return Answer("present", headers.get("docker-content-digest", ""))
    if status == 404:
        return Answer("absent", "status 404")
    if status in (401, 403):
        return Answer("denied", f"status {status}")
    if status == 429:
        wait = headers.get("retry-after", "")
        return Answer("limited", "status 429" + (f", retry after {wait} s" if wait.isdigit() else ""))
    return Answer("unknown", f"status {status}" if status else detail)


def _token(challenge: str, timeout_s: float) -> str | Answer:
    """Return a token for an anonymous client, or nothing if the registry wants another kind of login."""
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if not challenge.lower().startswith("bearer") or not fields.get("realm", "").startswith(("http://", "https://")):
        return ""
    query = urllib.parse.urlencode({name: fields[name] for name in ("service", "scope") if name in fields})
    try:
        with _open(urllib.request.Request(f"{fields['realm']}?{query}"), timeout_s) as response:
            answer = json.loads(response.read(_MOST_BYTES))
            return str(answer.get("token") or answer.get("access_token") or "")
    except urllib.error.HTTPError as exc:
        return _answer(exc.code, _lower(exc.headers.items()), "")
    except (OSError, ValueError, AttributeError) as exc:
        return Answer("unknown", f"no token: {exc}")


def _head(url: str, headers: Mapping[str, str], timeout_s: float) -> tuple[int, dict[str, str], str]:
    """Return status, headers and error of a HEAD, which registries do not count as a pull; status 0 means no answer."""
    request = urllib.request.Request(url, method="HEAD", headers={"Accept": _TYPES})
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    try:
        with _open(request, timeout_s) as response:
            return response.status, _lower(response.headers.items()), ""
    except urllib.error.HTTPError as exc:
        return exc.code, _lower(exc.headers.items()), ""
    except urllib.error.URLError as exc:
        if isinstance(exc.reason, ssl.SSLError):
            return 0, {}, f"its certificate is not trusted here: {exc.reason}"
        return 0, {}, str(exc.reason)
    except (OSError, ValueError) as exc:
        return 0, {}, str(exc)


def _open(request: urllib.request.Request, timeout_s: float):  # type: ignore[no-untyped-def]
    # A new opener uses the proxies of the environment, as the download will.
    return urllib.request.build_opener().open(request, timeout=timeout_s)


def _lower(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def first_available(images: Sequence[str], is_here: Callable[[str], bool], ask: Callable[[str], Answer]) -> str:
    """Return the first image that is on this host, else the first that its registry does not lack for certain.

    Without any it is the first of all, so that a message about it tells what is wrong.
    """
    here = next((image for image in images if is_here(image)), None)
    if here is not None:
        return here
    return next((image for image in images if ask(image).state != "absent"), images[0])
