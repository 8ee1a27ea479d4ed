# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A docker command to paste."""

from __future__ import annotations

import shlex
from typing import Any

from ansible_collections.hgx.inference.plugins.module_utils._vllm.docker_command import docker_command

SPEC: dict[str, Any] = {
    "command": ["vllm", "serve", "--model", "org/name", "--x", '{"a": "b c"}', "--middleware", "key_guard.KeyGuard"],
    "env": {"A": "it's", "MY_TOKEN": "s3cret", "HF_HUB_OFFLINE": "1"},
    "mounts": ["/hf:/root/.cache/huggingface:ro", "/keys:/run/secrets:ro", "/guard:/run/guard:ro"],
    "ports": ["[::1]:8001:8000"],
    "gpus": "cdi",
    "ipc": "",
    "shm_gib": 2.0,
}


def words(text: str) -> list[str]:
    return shlex.split("\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", ""))


def test_it_is_one_command_of_the_same_words() -> None:
    found = words(docker_command(SPEC, "img:1", [], "name", keyed=False))
    assert found == [
        *[
            "docker",
            "run",
            "--detach",
            "--name",
            "name",
            "--device",
            "nvidia.com/gpu=all",
            "--shm-size",
            str(2 * 2**30),
        ],
        *["--publish", "[::1]:8001:8000", "--volume", "/hf:/root/.cache/huggingface", "--env", "A=it's"],
        *["--env", "HF_TOKEN", "--env", "MY_TOKEN", "--entrypoint", "vllm", "img:1"],
        *["serve", "--model", "org/name", "--x", '{"a": "b c"}'],
    ]


def test_secrets_are_names() -> None:
    text = docker_command(SPEC, "img:1", [], "name", keyed=True)
    assert "s3cret" not in text
    assert "--env VLLM_API_KEY" in text
    assert "# MY_TOKEN comes from your environment" in text


def test_packages_are_installed_at_the_start() -> None:
    found = words(docker_command(SPEC, "img:1", ["x==1"], "name", keyed=False))
    start = found.index("img:1")
    assert found[start - 2 : start] == ["--entrypoint", "/bin/sh"]
    assert found[start + 1 : start + 6] == ["-c", 'pip install --quiet x==1 && exec "$@"', "vllm", "vllm", "serve"]


def test_a_server_gets_its_part_of_the_gpus() -> None:
    found = words(docker_command({**SPEC, "gpus": "runtime", "gpu_set": "4,5"}, "img:1", [], "name", keyed=False))
    assert found[found.index("--gpus") + 1] == '"device=4,5"'
