# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of tests/gpu/site can be shown without a GPU: the recipe, the reading of a play, the record, the binaries."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import yaml

from ansible_collections.hgx.inference.plugins.module_utils._recipe import resolve
from ansible_collections.hgx.inference.tests.gpu.site import cdi, steps, thin

PLAYED = """
PLAY [Serve the model] ***

TASK [hgx.inference.vllm : prepare | Record the release] ***
changed: [localhost]

TASK [hgx.inference.vllm : start | Start or replace the container] ***
  vllm_container [localhost] stopping the server
changed: [localhost]

TASK [hgx.inference.vllm : wait | Wait until the server answers a completion] ***
fatal: [localhost]: FAILED!
  The KV cache is
  too small.

PLAY RECAP ***
localhost                  : ok=43   changed=4    unreachable=0    failed=1    skipped=6    rescued=1    ignored=0
"""


@pytest.mark.parametrize(("gpus", "fabric", "fused"), [(1, ["[N/A]"], True), (2, ["Completed"], False)])
def test_the_recipe_for_any_number_of_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, fabric: list[str], fused: bool
) -> None:
    monkeypatch.setattr(steps, "K", tmp_path)
    steps.write_recipe({"gpus": gpus, "gpu": "NVIDIA H200", "gpu_memory_mib": 143771, "fabric": fabric})
    recipe = yaml.safe_load((tmp_path / "recipe.yml").read_text(encoding="utf-8"))
    for profile in recipe["profiles"]:
        resolved = resolve(recipe, profile)
        nodes = resolved["engine"].get("nodes") or 1
        assert resolved["hardware"]["gpu_count"] == gpus
        assert resolved["engine"]["args"]["tensor-parallel-size"] == gpus * nodes
        assert (resolved["hardware"]["gpu_name"], resolved["hardware"]["gpu_memory_gib"]) == ("H200", 130)
        assert resolved["hardware"]["fabric"] is not fused
        assert resolved["engine"]["args"]["compilation_config.pass_config.fuse_allreduce_rms"] is (fused and nodes == 1)


def test_a_play_is_read() -> None:
    play = steps.Play(2, PLAYED, 1.0)
    assert play.changed == 4
    assert play.says("the kv cache is too small")
    assert not play.says("the kv cache is too small", "rolled back")
    assert "Record the release" in steps._changed_tasks(play)
    assert "Wait until" not in steps._changed_tasks(play)
    assert steps.last_message(play)[:3] == ["[localhost]: FAILED!", "The KV cache is", "too small."]


def test_the_record_says_what_was_not_so() -> None:
    good = {"seconds": 34.0, "claims": {"nothing changed": True}, "facts": {"changed": 0}}
    bad = {"seconds": 3.0, "claims": {"nothing was stopped": False}, "facts": {"outage_s": 2.5}}
    record = {"machine": {"gpus": 2}, "stand_ins": ["no systemd"], "steps": {"flag": bad, "again": good}}
    lines = steps.text(record).splitlines()
    assert lines[:4] == ["gpus: 2", "", "Stood in:", "- no systemd"]
    assert lines[-2] == "again          34.0 s  as expected (changed 0)"
    assert lines[-1] == "flag            3.0 s  WRONG: not so that nothing was stopped (outage_s 2.5)"


def test_the_code_of_other_gpus_is_blank() -> None:
    def entry(kind: int, sm: int, payload: bytes) -> bytes:
        head = struct.pack("<HHIQ", kind, 0x101, 64, len(payload)) + bytes(12) + struct.pack("<I", sm)
        return head.ljust(64, b"\0") + payload

    def container(*entries: bytes) -> bytes:
        return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(b"".join(entries))) + b"".join(entries)

    exact = container(entry(2, 80, b"OLD!"), entry(2, 90, b"MINE"), entry(1, 90, b"PTX!"))
    compiled = container(entry(2, 80, b"OLD2"), entry(1, 80, b"PTX2"), entry(1, 100, b"PTX3"))
    found = thin.thinned(b"ELF" + exact + b"between" + compiled + b"end", 90)
    assert [word for word in (b"OLD!", b"MINE", b"PTX!", b"OLD2", b"PTX2", b"PTX3") if word in found] == [
        b"MINE",
        b"PTX2",
    ]
    assert len(found) == len(b"ELF" + exact + b"between" + compiled + b"end")


def test_a_specification_without_the_toolkit(tmp_path: Path) -> None:
    for name in ("dev/nvidia0", "dev/nvidia1", "dev/nvidiactl", "driver/bin/nvidia-smi", "driver/lib64/libcuda.so.1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    spec = cdi.specification(tmp_path / "driver", tmp_path / "dev")
    assert [device["name"] for device in spec["devices"]] == ["0", "1", "all"]  # type: ignore[attr-defined]
    targets = [mount["containerPath"] for mount in spec["containerEdits"]["mounts"]]  # type: ignore[index]
    assert targets == ["/usr/lib/x86_64-linux-gnu/libcuda.so.1", "/usr/bin/nvidia-smi"]
