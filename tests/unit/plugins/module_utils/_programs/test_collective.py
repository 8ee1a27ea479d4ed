# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes of an all-reduce meet, and who does not come is named. PyTorch is a stand-in here."""

from __future__ import annotations

import json
import sys
import types
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs import collective

JOB = {
    "rank": 0,
    "nodes": 2,
    "processes": 2,
    "head": "10.0.0.1",
    "port": 29501,
    "timeout_s": 20,
    "backend": "gloo",
    "bytes": 16,
    "rounds": 3,
}


class Store:
    """The keys that the processes set."""

    def __init__(self, *keys: str) -> None:
        self.keys = set(keys)

    def set(self, key: str, _value: str) -> None:
        self.keys.add(key)

    def check(self, keys: list[str]) -> bool:
        return self.keys.issuperset(keys)


@pytest.fixture(autouse=True)
def _time_flies(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 10_000, 3))
    monkeypatch.setattr(collective.time, "monotonic", lambda: float(next(now)))
    monkeypatch.setattr(collective.time, "sleep", lambda _seconds: None)


def test_the_nodes_that_do_not_come_are_named() -> None:
    store = Store("here/1", "here/2", "here/3")
    collective.meet(store, 0, 4, JOB)
    assert "here/0" in store.keys
    with pytest.raises(collective.Missing) as caught:
        collective.meet(Store("here/1"), 0, 6, JOB)
    assert caught.value.nodes == [1, 2]


class Tensor(list[float]):
    """Numbers with the method that reads one."""

    def __getitem__(self, index: Any) -> Any:
        return types.SimpleNamespace(item=lambda: list.__getitem__(self, index))


def torch(total: float) -> tuple[types.ModuleType, list[str]]:
    """Return a stand-in of PyTorch whose sums are C(total), and what it was asked for."""
    asked: list[str] = []
    tensor = Tensor([1.0] * 4)

    def all_reduce(_tensor: Any) -> None:
        asked.append("all_reduce")
        tensor[:] = [total] * 4

    module: Any = types.ModuleType("torch")
    module.float32, module.ones, module.device = "float32", lambda *_args, **_options: tensor, lambda *_args: "cpu"
    module.distributed = types.SimpleNamespace(
        TCPStore=lambda *_args, **_options: Store(
            *(f"{word}/{each}" for word in ("here", "done") for each in range(4))
        ),
        PrefixStore=lambda *args: args,
        init_process_group=lambda backend, rank, world_size, **_more: asked.append(f"{backend} {rank}/{world_size}"),
        all_reduce=all_reduce,
    )
    return module, asked


def test_the_head_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    module, asked = torch(4)
    monkeypatch.setitem(sys.modules, "torch", module)
    assert collective.measure(JOB, 1) == {}
    assert collective.measure({**JOB, "rank": 1}, 0) == {}
    assert collective.measure(JOB, 0) == {"seconds": 3.0, "rounds": 3, "bytes": 16, "world": 4}
    assert asked[0] == "gloo 1/4"
    assert asked[5] == "gloo 2/4"
    assert asked.count("all_reduce") == 12


def test_a_wrong_sum_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(collective.signal, "alarm", lambda _seconds: 0)
    monkeypatch.setitem(sys.modules, "torch", torch(3)[0])
    assert collective._one(JOB, 0) == 1
    assert json.loads(capsys.readouterr().out) == {"error": "ValueError: the sum over 4 processes is 3"}
