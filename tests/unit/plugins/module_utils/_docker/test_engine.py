# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The limits of the engine's process, in a stand-in of /proc. Settings and restarts: test_docker_daemon_config.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._docker import engine

ALL, NO_SYS_RESOURCE = "000001ffffffffff", "000001fffeffffff"
ROOT = "         0          0 4294967295\n"


def process(proc: Path, pid: int, comm: str, hard: str, capabilities: str, uid_map: str = ROOT) -> None:
    files = {
        "comm": f"{comm}\n",
        "limits": f"Limit             Soft Limit  Hard Limit  Units\nMax open files    1024        {hard}  files\n",
        "status": f"Name:\t{comm}\nCapPrm:\t{ALL}\nCapEff:\t{capabilities}\n",
        "uid_map": uid_map,
    }
    for name, text in files.items():
        (proc / str(pid)).mkdir(parents=True, exist_ok=True)
        (proc / str(pid) / name).write_text(text)


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sys/fs").mkdir(parents=True)
    (tmp_path / "sys/fs/nr_open").write_text("1073741816\n")
    monkeypatch.setattr(engine, "PROC", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("hard", "capabilities", "uid_map", "files"),
    [
        ("20000", NO_SYS_RESOURCE, ROOT, 20000),
        ("20000", ALL, ROOT, 2**20),
        ("20000", ALL, "0 100000 65536\n", 20000),
        ("524288", NO_SYS_RESOURCE, ROOT, 524288),
        ("1073741816", NO_SYS_RESOURCE, ROOT, 2**20),
    ],
    ids=["cannot be raised", "may raise", "rootless", "enough", "unlimited"],
)
def test_the_limit_of_open_files(proc: Path, hard: str, capabilities: str, uid_map: str, files: int) -> None:
    process(proc, 7, "dockerd", "64", ALL)
    process(proc, 9, "containerd", hard, capabilities, uid_map)
    assert engine.open_files() == files


def test_an_engine_that_starts_containerd_by_another_name(proc: Path) -> None:
    process(proc, 7, "dockerd", "20000", NO_SYS_RESOURCE)
    assert engine.open_files() == 20000


def test_a_limit_that_cannot_be_read(proc: Path) -> None:
    assert engine.open_files() is None
    process(proc, 7, "dockerd", "20000", "odd")
    assert engine.open_files() is None
