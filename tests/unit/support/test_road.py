# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is held while a server starts."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.tests.support import road


def test_a_server_is_held_and_the_docker_command_that_creates_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = "--model tiny --served-model-name kimi"
    for number, words in (
        (7, f"python3 -m vllm.entrypoints.openai.api_server {server}"),
        (8, f"docker create --name vllm-next image {server}"),
        (9, "python3 -m http.server"),
    ):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "cmdline").write_bytes(words.replace(" ", "\0").encode() + b"\0")
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda process, number: sent.append((process, number)))
    assert road.signalled(signal.SIGSTOP, tmp_path) == {7}
    assert sent == [(7, signal.SIGSTOP)]
