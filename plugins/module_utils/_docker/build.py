# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image is known by on every host, also one that each host builds for itself. Pure."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .registry import parse_reference

IDENTITY_LABEL = "hgx.inference.identity"
BASE_LABEL = "hgx.inference.base"
REPOSITORY = "hgx-inference"


class Image(NamedTuple):
    """The image that runs. C(dockerfile) builds it from C(base); it is empty where there is nothing to build."""

    name: str
    base: str
    dockerfile: str


def derived_image(base: str, tag: str, pip: Sequence[str]) -> Image:
    """Return the image with these Python packages on top of C(base), a name with a tag or a digest.

    Its tag is C(tag) with the hash of its Dockerfile, so the same packages are built once.
    """
    if not pip:
        return Image(base, base, "")
    dockerfile = (
        "# Written by Ansible. The image's tag is made of this file's content.\n"
        f"FROM {base}\n"
        "RUN python3 -m pip install --no-cache-dir --root-user-action=ignore"
        f" {shlex.join(map(str, pip))}\n"
    )
    content = hashlib.sha256(dockerfile.encode()).hexdigest()[:12]
    name = os.path.basename(base.partition("@")[0]).partition(":")[0]
    return Image(f"{REPOSITORY}/{name}:{tag}-{content}", base, dockerfile)


def image_identity(details: Mapping[str, Any] | None) -> str:
    """Return what an image is known by, from C(docker inspect); empty if there is none.

    For an image that we have built it follows from its base and its Dockerfile, for one from a registry it is the
    digest: the same on all hosts. Of others only the ID is known.
    """
    if details is None:
        return ""
    label = ((details.get("Config") or {}).get("Labels") or {}).get(IDENTITY_LABEL)
    digests = sorted(digest.partition("@")[2] for digest in details.get("RepoDigests") or [])
    return str(label or (digests[0] if digests else details["Id"]))


def base_of(details: Mapping[str, Any] | None) -> str:
    """Return what an image was built from, if we have built it."""
    labels = ((details or {}).get("Config") or {}).get("Labels") or {}
    return str(labels.get(BASE_LABEL, ""))


def pinned_dockerfile(dockerfile: str, base: str, details: Mapping[str, Any] | None) -> tuple[str, dict[str, str]]:
    """Return the Dockerfile with its base at the digest that a registry has given it, and the labels of the result.

    C(details) is what C(docker inspect) says of the base. One without a digest stays a name.
    """
    repository = parse_reference(base).repository
    known = (details or {}).get("RepoDigests") or []
    digests = [digest for digest in known if parse_reference(digest).repository == repository]
    pinned = (digests or [base])[0]
    identity = hashlib.sha256(f"{image_identity(details)}\n{dockerfile}".encode()).hexdigest()
    labels = {IDENTITY_LABEL: f"built:{identity[:12]}", BASE_LABEL: pinned}
    return dockerfile.replace(f"FROM {base}\n", f"FROM {pinned}\n"), labels
