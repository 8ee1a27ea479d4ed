# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node reports of itself, from a folder that is its root."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.process import Answer
from ansible_collections.hgx.inference.plugins.module_utils._span import host


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(host, "ROOT", str(tmp_path))
    return tmp_path


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_addresses_of_the_interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        '[{"ifname":"eth0","mtu":9000,"addr_info":[{"family":"inet","local":"10.0.0.1","prefixlen":24},'
        '{"family":"inet","local":"8.8.8.8","prefixlen":32}]},{},{"ifname":"eth1","mtu":1500,"addr_info":[{}]}]'
    )
    monkeypatch.setattr(host, "run", lambda *_args, **_options: Answer(0, said))
    assert host.interfaces() == [
        {"name": "eth0", "address": "10.0.0.1", "mtu": 9000},
        {"name": "eth0", "address": "8.8.8.8", "mtu": 9000},
    ]
    monkeypatch.setattr(host, "run", lambda *_args, **_options: Answer(None, "", missing=True))
    assert host.interfaces() == []


def test_devices_between_the_nodes(root: Path) -> None:
    assert (host.rdma_devices(), host.gpudirect(), host.memory_lock_limit()) == ([], "", None)
    write(root / "sys/class/infiniband/mlx5_0/ports/1/state", "4: ACTIVE\n")
    write(root / "sys/class/infiniband/mlx5_1/ports/1/state", "1: DOWN\n")
    assert host.rdma_devices() == [{"name": "mlx5_0", "active": True}, {"name": "mlx5_1", "active": False}]
    write(root / "proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05\n")
    assert host.gpudirect() == "DMA-BUF of the open kernel modules"
    write(root / "proc/modules", "ib_core 1 2 mlx5, Live 0x0\nnvidia_peermem 16384 0 - Live 0x0\n")
    assert host.gpudirect() == "nvidia_peermem"


@pytest.mark.parametrize(("limit", "expected"), [("unlimited", -1), ("65536", 65536)])
def test_memory_that_containers_may_lock(root: Path, limit: str, expected: int) -> None:
    write(root / "proc/1/comm", "systemd\n")
    write(root / "proc/7/comm", "dockerd\n")
    write(root / "proc/7/limits", f"Limit  Soft  Hard  Units\nMax locked memory   65536   {limit}   bytes\n")
    assert host.memory_lock_limit() == expected


def test_the_weights_are_known_by_their_content(tmp_path: Path) -> None:
    def fill(home: str, content: str) -> str:
        repo = tmp_path / home / "hub/models--org--model"
        write(repo / "blobs" / content, "x")
        snapshot = repo / "snapshots/c1"
        snapshot.mkdir(parents=True)
        (snapshot / "model.safetensors").symlink_to(f"../../blobs/{content}")
        return host.weights(str(tmp_path / home), {"org/model": "c1"})["org/model"]

    first, same, other = fill("a", "aaaa"), fill("b", "aaaa"), fill("c", "bbbb")
    assert first == same != other
    assert host.weights(str(tmp_path), {"org/model": "c1"}) == {"org/model": ""}
