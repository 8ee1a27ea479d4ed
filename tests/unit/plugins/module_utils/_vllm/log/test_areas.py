# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The map of vLLM's modules to areas, held against the modules of two versions (tests/proof/vllm_source.py record)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.areas import (
    AREAS,
    SWITCHES,
    area_of_frame,
    modules,
    place,
    place_words,
)
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.parse import read

VERSIONS: dict[str, Any] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parents[4] / "fixtures" / "vllm-modules").glob("*.json"))
}
OLDEST, NEWEST = sorted(VERSIONS, key=lambda version: [int(part) for part in version.split(".")])
# What the newest version has no more. An entry may go with the last version that has it.
GONE: set[str] = set()
# What only the newest version has.
NEW = {"vllm/models/"}
# Modules whose frames say nothing of an area: the frame around them decides, or the exception's class.
NEUTRAL = ("vllm/v1/worker/", "vllm/v1/engine/", "vllm/utils/", "vllm/v1/executor/multiproc_executor.py")


def has(version: str, prefix: str) -> bool:
    return any(module.startswith(prefix) for module in VERSIONS[version]["modules"])


@pytest.mark.parametrize(("prefix", "functions"), list(modules()))
def test_the_map_names_modules_and_functions_that_exist(prefix: str, functions: list[str]) -> None:
    """A module that was renamed fails here: map its new name, and name the old one in GONE."""
    assert has(NEWEST, prefix) is (prefix not in GONE)
    assert has(OLDEST, prefix) is (prefix not in NEW)
    if prefix.endswith(".py"):
        known = {name for version in VERSIONS.values() for name in version["functions"].get(prefix, [])}
        assert set(functions) <= known


@pytest.mark.parametrize("version", VERSIONS)
def test_the_modules_of_a_start_have_an_area(version: str) -> None:
    start = (
        "vllm/v1/",
        "vllm/model_executor/",
        "vllm/distributed/",
        "vllm/compilation/",
        "vllm/config/",
        "vllm/platforms/",
    )
    unmapped = [
        module
        for module in VERSIONS[version]["modules"]
        if module.startswith(start) and not area_of_frame(module, "f") and not module.startswith(NEUTRAL)
    ]
    few = 0.03 * len(VERSIONS[version]["modules"])
    assert len(unmapped) <= few, unmapped


@pytest.mark.parametrize(
    ("path", "function", "area"),
    [
        ("/opt/vllm/vllm/v1/spec_decode/eagle.py", "propose", "draft"),
        ("vllm/v1/worker/gpu_worker.py", "init_device", "gpu-access"),
        ("vllm/v1/worker/gpu_worker.py", "determine_available_memory", "kv-cache"),
        ("vllm/v1/worker/gpu_worker.py", "execute_model", ""),
        ("vllm/model_executor/models/deepseek_v2.py", "load_weights", "weights"),
        ("vllm/model_executor/models/deepseek_v2.py", "forward", "compile"),
        ("/x/site-packages/flashinfer/comm/mnnvl.py", "f", "collectives"),
        ("/x/site-packages/flashinfer/mla.py", "f", "attention"),
        ("/x/site-packages/flashinfer/jit/core.py", "build", "compile"),
        ("/x/site-packages/torch/cuda/__init__.py", "_lazy_init", "gpu-access"),
        ("/x/site-packages/torch/nn/modules/module.py", "_call_impl", ""),
        ("/usr/lib/python3.12/multiprocessing/shared_memory.py", "__init__", "processes"),
        ("/usr/lib/python3.12/json/decoder.py", "raw_decode", ""),
    ],
)
def test_the_area_of_a_frame(path: str, function: str, area: str) -> None:
    assert area_of_frame(path, function) == area


def test_every_area_is_on_the_map_and_has_words() -> None:
    mapped = {area_of_frame(module, "f") for version in VERSIONS.values() for module in version["modules"]}
    assert set(AREAS) - mapped == set()
    for area in AREAS.values():
        assert area.look.endswith(".")
    assert {key for switch in SWITCHES for key in switch.areas} <= set(AREAS)


def traceback(*frames: str, message: str = "RuntimeError: no") -> list[str]:
    files = [f'  File "/x/site-packages/{path}", line 1, in {function}' for path, function in map(str.split, frames)]
    return ["Traceback (most recent call last):", *files, message]


def test_switches_that_are_not_set_are_not_offered() -> None:
    frames = traceback("vllm/v1/core/kv_cache_utils.py f")
    args = "(APIServer pid=1) INFO 04-18 15:44:10 [utils.py:233] non-default args: {'model': 'm'%s}"
    for said, offered in (("", False), (", 'kv_cache_dtype': 'fp8'", True)):
        found = place(read([args % said, *frames]))
        assert found
        assert ("kv-cache-dtype: null" in place_words(found)[1]) is offered


def test_a_switch_that_the_failure_mentions_comes_first() -> None:
    found = place(read(traceback("flashinfer/comm/mnnvl.py f", message="ValueError: fp8 in the kv layout")))
    assert found
    assert [switch.name for switch in found.switches] == ["kv-cache-dtype fp8", "fuse_allreduce_rms"]


def test_a_draft_that_fails_in_other_code() -> None:
    found = place(read(traceback("vllm/v1/core/kv_cache_utils.py f", message="ValueError: the eagle layers differ")))
    assert found
    assert found.area.key == "draft"


def test_a_line_that_tells_of_no_trouble_names_no_area() -> None:
    assert place(read(["NCCL version 2.28.9", "Loading weights"])) is None
    assert place(read([])) is None
