# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics for the textfile collector: the text, and what is unknown."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs import exposition, gpu_metrics
from ansible_collections.hgx.inference.plugins.module_utils._programs.exposition import Family
from ansible_collections.hgx.inference.plugins.module_utils._programs.prometheus import samples


def test_a_family_is_written_as_prometheus_reads_it() -> None:
    text = exposition.render([Family("hgx_x", 'a "b"\n\\', [({"a": 'q"\\\n'}, 1.5), ({}, 2)])])
    assert text == '# HELP hgx_x a "b"\\n\\\\\n# TYPE hgx_x gauge\nhgx_x{a="q\\"\\\\\\n"} 1.5\nhgx_x 2\n'


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf])
def test_what_is_unknown_is_absent(unknown: float | None) -> None:
    known = Family("hgx_y", "y", [({"a": "b"}, unknown), ({"a": "c"}, 0)])
    assert exposition.render([Family("hgx_x", "x", [({}, unknown)])]) == ""
    assert list(samples(exposition.render([known]))) == [("hgx_y", '{a="c"}', 0.0)]


def test_a_host_without_the_folder_gets_no_file(tmp_path: Path) -> None:
    exposition.write("x", [], str(tmp_path / "nowhere"))
    assert list(tmp_path.iterdir()) == []
    exposition.write("x", [Family("hgx_x", "x", [({}, 1)])], str(tmp_path))
    (path,) = tmp_path.iterdir()
    assert (path.name, path.stat().st_mode & 0o777) == ("hgx_x.prom", 0o644)
    exposition.remove("x", str(tmp_path))
    exposition.remove("x", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def row(index: int, **changed: str) -> str:
    cells = dict.fromkeys(gpu_metrics.FIELDS, "1") | {
        "index": str(index),
        "pci.bus_id": f"00000000:{index + 16:X}:00.0",
    }
    cells |= {field: "Not Active" for field in cells if field.startswith("clocks_event_reasons")}
    cells |= {"fabric.state": "Completed", "fabric.status": "Success"}
    return ", ".join((cells | {name.replace("__", "."): value for name, value in changed.items()}).values())


def test_gpus_that_do_not_answer_everything() -> None:
    throttled = row(1, clocks_event_reasons__hw_thermal_slowdown="Active", temperature__gpu="[N/A]")
    lines = [row(0), throttled, row(2, fabric__state="In Progress", fabric__status="N/A"), "Unable to determine"]
    found = {
        (name, labels): value
        for name, labels, value in samples(exposition.render(gpu_metrics.families("\n".join(lines))))
    }
    assert found["hgx_gpus", ""] == 3
    assert found["hgx_gpu_throttled", '{gpu="1",bus_id="0000:11:00",reason="hw_thermal_slowdown"}'] == 1
    assert found["hgx_gpu_throttled", '{gpu="0",bus_id="0000:10:00",reason="hw_thermal_slowdown"}'] == 0
    assert [labels for name, labels in found if name == "hgx_gpu_temperature_celsius"] == [
        '{gpu="0",bus_id="0000:10:00"}',
        '{gpu="2",bus_id="0000:12:00"}',
    ]
    joined = [value for (name, _labels), value in found.items() if name == "hgx_gpu_fabric_joined"]
    assert joined == [1, 1, 0]
    nothing = exposition.render(gpu_metrics.families(row(0, fabric__state="[N/A]", fabric__status="[N/A]")))
    assert "fabric" not in nothing


def test_a_lost_gpu_is_missing_and_a_driver_that_does_not_answer_has_no_count(tmp_path: Path) -> None:
    """With a lost GPU nvidia-smi fails, and may list the others."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{row(0)}'\necho 'Unable to determine the device handle'\nexit 15\n")
    program.chmod(0o755)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gpu_metrics, "ARGV", (str(program),))
        assert "hgx_gpus 1\n" in exposition.render(gpu_metrics.families(gpu_metrics.query()))
        patched.setattr(gpu_metrics, "ARGV", (str(tmp_path / "none"),))
        assert gpu_metrics.query() == ""
    sampler = gpu_metrics.Sampler(lambda: "NVIDIA-SMI has failed because it couldn't communicate", str(tmp_path))
    sampler.sample()
    sampler.wait(5)
    assert [path.name for path in tmp_path.iterdir()] == ["nvidia-smi"]


@pytest.mark.parametrize("text", ["00000000:1B:00.0", "PCI:0000:1b:00", "0000:1B:00"])
def test_a_gpu_has_one_address(text: str) -> None:
    assert gpu_metrics.bus_id(text) == "0000:1b:00"


def test_a_gpu_that_hangs_is_asked_once(tmp_path: Path) -> None:
    goes_on, asked = threading.Event(), []

    def hang() -> str:
        asked.append(1)
        goes_on.wait(5)
        return row(0)

    sampler = gpu_metrics.Sampler(hang, str(tmp_path))
    for _time in range(3):
        sampler.sample()
    goes_on.set()
    sampler.wait(5)
    assert (len(asked), [path.name for path in tmp_path.iterdir()]) == (1, ["hgx_gpus.prom"])
