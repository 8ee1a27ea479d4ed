# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sandbox for foreign code: its limits with a docker command of our own. tests/e2e has a real engine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import IO, NamedTuple, cast

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._endpoint import sandbox
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.sandbox import (
    MOST_BYTES,
    Sandbox,
    SandboxError,
    prepared,
)
from ansible_collections.hgx.inference.tests.support import sandbox_docker
from ansible_collections.hgx.inference.tests.support.sandbox_docker import CONTAINER, IMAGE


def removed(log: Path) -> list[str]:
    calls = log.read_text(encoding="utf-8").splitlines()
    (name,) = [call.split()[1].removeprefix("--name=") for call in calls if call.startswith("run ")]
    return [call for call in calls if call == f"rm --force --volumes {name}"]


def test_code_has_no_rights_and_comes_through_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = sandbox_docker.install(tmp_path, monkeypatch)
    assert Sandbox(IMAGE).execute(b"print('x' * 3)") == ("xxx\n", "")
    (call,) = log.read_text(encoding="utf-8").splitlines()
    words = call.split()
    assert words[0] == "run"
    assert words[-4:] == [IMAGE, "-I", "-S", "-"]
    assert set(words[1:-4]) >= {
        "--rm",
        "--pull=never",
        "--runtime=runc",
        "--network=none",
        "--read-only",
        "--user=65534:65534",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--memory=256m",
        "--memory-swap=256m",
        "--pids-limit=32",
        "--ulimit=cpu=10",
        "--ulimit=fsize=0",
        "--log-driver=none",
        "--entrypoint=python3",
    }
    assert not [word for word in words if word.startswith(("--volume", "--mount", "--privileged", "--tmpfs", "-v"))]


@pytest.mark.parametrize(
    ("program", "timeout_s", "trouble"),
    [
        (b"while True: print('all right ' * 1000)", 20, "it wrote more than 64 KiB"),
        (b"raise SystemExit(3)", 20, "it ended with the exit code 3"),
    ],
)
def test_a_program_is_bounded_and_its_container_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: bytes, timeout_s: float, trouble: str
) -> None:
    log = sandbox_docker.install(tmp_path, monkeypatch)
    found = Sandbox(IMAGE, timeout_s).execute(program)
    assert found.trouble == trouble
    assert len(found.output) <= MOST_BYTES
    assert len(removed(log)) == 1


@pytest.mark.parametrize("closes_its_output", [False, True])
def test_a_program_that_goes_on_is_bounded(closes_its_output: bool) -> None:
    class Process(NamedTuple):
        stdout: IO[bytes]

        def wait(self, timeout: float) -> int:
            raise subprocess.TimeoutExpired("docker", timeout)

    output, program = os.pipe()
    if closes_its_output:
        os.close(program)
    with os.fdopen(output, "rb") as stream:
        read = sandbox._read(cast("subprocess.Popen[bytes]", Process(stream)), 0, 3)
    if not closes_its_output:
        os.close(program)
    assert read == (b"", "it did not end within 3 s")


def test_without_docker_a_program_is_in_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Sandbox(IMAGE).execute(b"").trouble.startswith("the docker command cannot be run: ")


def test_the_image_of_the_server_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox_docker.install(tmp_path, monkeypatch)
    assert prepared(CONTAINER).image == IMAGE


@pytest.mark.parametrize(
    ("container", "run", "words"),
    [
        ("", "", "the server is in no container of this host that is known"),
        ("other", "", "this host has no container other"),
        (CONTAINER, "echo 'exec: python3: not found' >&2; exit 127", "exit code 127 'exec: python3: not found'"),
        (CONTAINER, "true", "executes no Python"),
    ],
)
def test_a_host_that_cannot_execute_code_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: str, run: str, words: str
) -> None:
    sandbox_docker.install(tmp_path, monkeypatch, run)
    with pytest.raises(SandboxError) as raised:
        prepared(container)
    assert words in str(raised.value)


def test_a_host_without_docker_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="The docker command is not on this host's PATH"):
        prepared(CONTAINER)
