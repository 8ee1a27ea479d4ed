# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image is known by the same name on each host that pulls or builds it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._docker.build import (
    base_of,
    image_identity,
    pinned_dockerfile,
)

BASE = "vllm/vllm-openai:cu130-nightly"
DOCKERFILE = f"FROM {BASE}\nRUN python3 -m pip install transformers==4.57.6\n"
PULLED = {"Id": "sha256:a", "RepoDigests": ["mirror.example/vllm@sha256:m", "vllm/vllm-openai@sha256:d"]}


def built(details: dict[str, Any] | None, image_id: str) -> dict[str, Any]:
    """Return what C(docker inspect) says of the image that a host builds on top of its base."""
    _content, labels = pinned_dockerfile(DOCKERFILE, BASE, details)
    return {"Id": image_id, "RepoDigests": [f"hgx-inference/x@{image_id}"], "Config": {"Labels": labels}}


@pytest.mark.parametrize(
    ("details", "identity"),
    [
        (None, ""),
        ({"Id": "sha256:a", "RepoDigests": None}, "sha256:a"),
        ({"Id": "sha256:a", "RepoDigests": ["x@sha256:d"], "Config": {"Labels": None}}, "sha256:d"),
    ],
)
def test_what_a_pulled_image_is_known_by(details: dict[str, Any] | None, identity: str) -> None:
    assert image_identity(details) == identity
    assert base_of(details) == ""


def test_two_hosts_build_the_same_image() -> None:
    one, other = built(PULLED, "sha256:1"), built({**PULLED, "Id": "sha256:b"}, "sha256:2")
    assert image_identity(one) == image_identity(other)
    assert image_identity(one).startswith("built:")
    assert base_of(one) == "vllm/vllm-openai@sha256:d"


def test_another_base_is_another_image() -> None:
    moved = {**PULLED, "RepoDigests": ["vllm/vllm-openai@sha256:e"]}
    assert image_identity(built(PULLED, "sha256:1")) != image_identity(built(moved, "sha256:1"))


@pytest.mark.parametrize(
    ("base", "details", "first_line"),
    [
        (BASE, PULLED, "FROM vllm/vllm-openai@sha256:d"),
        (BASE, {"Id": "sha256:a", "RepoDigests": []}, f"FROM {BASE}"),
        ("host:5000/v", {"Id": "a", "RepoDigests": ["host:5000/v@sha256:d"]}, "FROM host:5000/v@sha256:d"),
        (f"{BASE}@sha256:d", PULLED, "FROM vllm/vllm-openai@sha256:d"),
    ],
)
def test_the_base_is_pinned(base: str, details: dict[str, Any], first_line: str) -> None:
    content, _labels = pinned_dockerfile(f"# Comment\nFROM {base}\nRUN x\n", base, details)
    assert content == f"# Comment\n{first_line}\nRUN x\n"
