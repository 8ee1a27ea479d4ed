# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is waited for before and after a server is stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.http import HttpAnswer
from ansible_collections.hgx.inference.plugins.module_utils._core.progress import ProgressFile
from ansible_collections.hgx.inference.plugins.module_utils._vllm import container

METRICS = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="kimi-k2.6"} RUNNING
vllm:num_requests_waiting{engine="0",model_name="kimi-k2.6"} 1.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 7.0
"""


@pytest.fixture
def server() -> Iterator[tuple[str, list[int]]]:
    """Yield the address of a server, and how many requests run at each of the next looks at it."""
    running: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            count = running.pop(0) if running else -1
            self.wfile.write(METRICS.replace("RUNNING", f"{count:.1f}").encode())

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, args=[0.02], daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}", running
        served.shutdown()


def test_requests_may_end(server: tuple[str, list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "POLL_INTERVAL_S", 0)
    url, running = server
    running += [3, 1]
    assert container.drain(url, 60, ProgressFile(None)) == 0
    assert running == []


def test_but_not_for_ever(server: tuple[str, list[int]]) -> None:
    url, running = server
    running += [3]
    assert container.drain(url, 0, ProgressFile(None)) == 4
    assert container.healthy(url)


def test_a_server_that_does_not_answer_has_no_requests() -> None:
    assert container.drain("http://127.0.0.1:1", 60, ProgressFile(None)) == 0
    assert not container.healthy("http://127.0.0.1:1")


def test_a_counter_that_is_no_number_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    text = METRICS.replace("RUNNING", "NaN")
    monkeypatch.setattr(container, "request", lambda _url, _timeout_s: HttpAnswer(200, text))
    assert container.requests_under_way("http://127.0.0.1:1") == 1


DIED = {"Running": False, "StartedAt": "2026-11-23T10:00:00Z", "FinishedAt": "2026-11-23T11:00:00Z"}
DURING, BEFORE = 1795428000.0 + 1800, 1795428000.0 - 60  # seconds since 1970


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of shared memory with what the server has left, what it had no part in, and what is in use."""
    made = {
        "psm_1a": DURING,
        "nccl-x": DURING,
        "psm_old": BEFORE,
        "notes.txt": DURING,
        "psm_mapped": DURING,
        "psm_open": DURING,
    }
    for name in made:
        (tmp_path / name).touch()
    process = tmp_path / "proc" / "17"
    (process / "fd").mkdir(parents=True)
    (process / "maps").write_text(f"7f00-7f01 rw-s 0 00:1b 42  {tmp_path}/psm_mapped\n")
    (process / "fd" / "3").symlink_to(tmp_path / "psm_open")
    monkeypatch.setattr(container, "_made_at", lambda entry: made.get(entry.name, BEFORE))
    return tmp_path


@pytest.mark.parametrize(
    ("ipc", "state", "removed"),
    [
        ("host", DIED, ["nccl-x", "psm_1a"]),
        ("private", DIED, []),
        ("host", {**DIED, "Running": True}, []),
        ("host", {**DIED, "FinishedAt": "0001-01-01T00:00:00Z"}, []),
    ],
)
def test_shared_memory_of_a_killed_server(ipc: str, state: dict[str, Any], removed: list[str], shared: Path) -> None:
    before = {path.name for path in shared.iterdir()}
    details = {"State": state, "HostConfig": {"IpcMode": ipc}}
    assert container.remove_shared_memory(details, str(shared), str(shared / "proc")) == removed
    assert before - {path.name for path in shared.iterdir()} == set(removed)
