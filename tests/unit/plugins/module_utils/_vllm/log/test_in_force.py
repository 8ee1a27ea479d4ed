# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which options are in force, by recorded logs and by lines of vLLM 0.19.1 to 0.32.0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm.log import in_force
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.phases import Start

LOGS = Path(__file__).parents[4] / "fixtures" / "vllm-logs"
FUSE = "compilation_config.pass_config.fuse_allreduce_rms"
CONFIG = (
    "Initializing a V1 LLM engine (v0.19.1) with config: model='m', speculative_config={draft}, tokenizer='m',"
    " tensor_parallel_size=8, enforce_eager=False, kv_cache_dtype={kv}, enable_prefix_caching=False"
)
PUBLISHED = {
    "tensor-parallel-size": "8",
    FUSE: "true",
    "kv-cache-dtype": "fp8",
    "no-enable-prefix-caching": "",
    "speculative-config": '{"method":"eagle3","model":"d","num_speculative_tokens":3}',
}
EAGLE = "SpeculativeConfig(method='eagle3', model='d', num_spec_tokens=3)"
GRAPHS = "Graph capturing finished in 21 secs, took 1.93 GiB"
GOOD = [CONFIG.format(draft=EAGLE, kv="fp8"), "Enabled custom fusions: norm_quant, allreduce_rms", GRAPHS]


def holds(args: dict[str, Any], lines: list[str]) -> dict[str, bool | None]:
    said: dict[str, str] = {}
    for line in lines:
        in_force.note(said, line)
    return {flag.flag: flag.holds for flag in in_force.flags_in_force(args, said)}


def test_the_published_options_of_a_good_start() -> None:
    found = holds(PUBLISHED, GOOD)
    assert set(found.values()) == {True}
    assert len(found) == 6


@pytest.mark.parametrize(
    ("lines", "lost"),
    [
        ([*GOOD, "Failed to initialize FlashInfer All Reduce workspace: Ninja build failed"], FUSE),
        ([*GOOD, "[allreduce_rms_fusion.py:1126] AllReduce fusion pass is disabled."], FUSE),
        ([GOOD[0], "Enabled custom fusions: norm_quant, act_quant", GRAPHS], FUSE),
        ([CONFIG.format(draft=EAGLE, kv="auto"), *GOOD[1:]], "kv-cache-dtype"),
        ([CONFIG.format(draft="None", kv="fp8"), *GOOD[1:]], "speculative-config"),
        ([*GOOD[:2], "[vllm.py:1392] Cudagraph is disabled under eager mode"], "cuda-graphs"),
    ],
)
def test_an_option_that_vllm_goes_on_without(lines: list[str], lost: str) -> None:
    assert [flag for flag, is_held in holds(PUBLISHED, lines).items() if is_held is False] == [lost]


def test_what_the_log_does_not_tell_is_unknown() -> None:
    assert set(holds(PUBLISHED, ["nothing of that"]).values()) == {None}
    assert holds({"port": "1", "enforce-eager": ""}, GOOD) == {}


@pytest.mark.parametrize(
    ("asked", "expected"), [("FLASHINFER_MLA", True), ("flashinfer_mla", True), ("CUTLASS_MLA", False), ("auto", None)]
)
def test_the_attention_backend(asked: str, expected: bool | None) -> None:
    lines = [GRAPHS, "Using FLASHINFER_MLA attention backend out of potential backends: ['FLASHINFER_MLA']"]
    assert holds({"attention-backend": asked}, lines).get("attention-backend") == expected


def test_a_recorded_start_on_cpu() -> None:
    start = Start(0)
    for line in (LOGS / "healthy-start-timestamps.log").read_text(encoding="utf-8").splitlines():
        start.feed(line)
    args = {FUSE: "true", "no-enable-prefix-caching": "", "speculative-config": '{"method": "eagle3"}'}
    flags = {flag.flag: flag for flag in in_force.flags_in_force(args, start.said)}
    assert flags[FUSE].holds
    assert flags["speculative-config"].holds
    assert in_force.shown(flags[FUSE]._replace(holds=False, found="fusions are none")) == (
        f"--{FUSE} on is not in force: fusions are none."
    )
