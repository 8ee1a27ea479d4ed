# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bundled recipes against each other and against what is known of their models, without hardware."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._benchmark.derive import derived_figures
from ansible_collections.hgx.inference.plugins.module_utils._model.architecture import read_shape
from ansible_collections.hgx.inference.plugins.module_utils._model.fit import NO, Demand, Machine, judge_fit, verdict
from ansible_collections.hgx.inference.plugins.module_utils._vllm.versions import is_within
from ansible_collections.hgx.inference.tests.support import recipe_args
from ansible_collections.hgx.inference.tests.support.recipe_args import Deployment, deployments

DEPLOYMENTS = deployments()
EVERY = pytest.mark.parametrize("one", DEPLOYMENTS, ids=lambda one: one.name)
SHAPED = pytest.mark.parametrize(
    "one", [one for one in DEPLOYMENTS if one.data["architecture"]], ids=lambda one: one.name
)
# The figures of the pages, copied once more: concurrency 32, output tokens, then tok/s, total tok/s, TTFT, ITL in ms.
PAGES = {
    "kimi_k2_7_code": (2048, 1157.35, 5786.74, 3312.87, 26.03),
    "glm_5_2": (2048, 1264.08, 6320.40, 1913.21, 24.38),
    "minimax_m3": (2048, 1619.51, 8097.56, 1440.30, 19.06),
    "deepseek_v4_pro": (2048, 855, 4273, 3656, 36),
    "deepseek_v4_flash_hgx_h100": (1024, 1262, 11361, 2463, 60),
}


@EVERY
def test_the_command_line_was_read_by_the_parser_of_its_version(one: Deployment) -> None:
    """If not: make recipes."""
    record = json.loads((recipe_args.ROOT / "docs" / "recipe_args.json").read_text(encoding="utf-8"))[one.name]
    assert record == {
        "version": recipe_args.parser_version(one.data["image"]),
        "argv": one.fingerprint,
        "problems": [],
    }


@EVERY
def test_the_tag_is_in_the_range(one: Deployment) -> None:
    image = one.data["image"]
    for tag in (image["tag"], *(other["tag"] for other in image["alternatives"])):
        release = recipe_args.RELEASE.fullmatch(tag)
        assert release or tag in ("cu130-nightly", "minimax-m3", "kimi-k3"), (
            f"{tag} is neither a release nor a known name"
        )
        if release and tag == image["tag"]:
            assert is_within(release[1], image["vllm"])


def active_bytes(config: Mapping[str, Any]) -> float:
    """Return the weights that a step reads at least, for a single token.

    These are the chosen experts and everything else but the table of embeddings, the vision tower and a draft.
    """
    text = config.get("text_config", config)
    experts = text.get("n_routed_experts") or text.get("num_local_experts") or text.get("num_experts")
    shares = {
        "routed experts": text["num_experts_per_tok"] / experts if experts else 0.0,
        "draft layer's experts": 0.0,
        "vision tower": 0.0,
        "embeddings and head": 1.0 if text.get("tie_word_embeddings") else 0.5,
    }
    return sum(part.bytes * shares.get(part.name, 1.0) for part in read_shape(config).parts)


@pytest.mark.parametrize("name", PAGES)
def test_the_figures_are_those_of_the_page(name: str) -> None:
    (one,) = [one for one in DEPLOYMENTS if one.name == f"{name}/published"]
    length, rate, total, ttft, itl = PAGES[name]
    assert (one.data["benchmark"]["output_len"], one.data["benchmark"]["max_concurrency"]) == (length, 32)
    assert one.data["published"] == {
        "output_throughput": rate,
        "total_token_throughput": total,
        "mean_ttft_ms": ttft,
        "mean_itl_ms": itl,
    }
    # A page's two throughputs and its lengths must agree: input and output of a request over its output.
    assert total / rate == pytest.approx((8192 + length) / length, rel=0.005)


@EVERY
def test_a_draft_is_there_where_the_figures_imply_one(one: Deployment) -> None:
    if one.profile != "published" or not one.data["published"]:
        return
    figures = derived_figures(one.data["published"], one.data["benchmark"])
    assert (figures["acceptance_length"] > 1.1) == ("speculative-config" in one.data["engine"]["args"])


@EVERY
def test_what_is_unproven_says_so(one: Deployment) -> None:
    assert one.data["proven"] == (one.recipe == "tiny_kimi_cpu")
    if one.data["command_source"] != one.data["figures_source"]:
        assert {limit["severity"] for limit in one.data["thresholds"]} == {"warn"}
        assert "unproven" in one.data["title"]


@SHAPED
def test_the_sizes_add_up(one: Deployment) -> None:
    """The disk holds the weights by the architecture, and little more."""
    weights = read_shape(one.data["architecture"]["config"]).bytes / 1e9
    assert weights <= one.data["hardware"]["disk_gb"]["weights"] <= 1.03 * weights


@SHAPED
def test_no_bound_of_physics_is_above_what_a_step_reads(one: Deployment) -> None:
    physical, hardware = one.data["physical"], one.data["hardware"]
    read = active_bytes(one.data["architecture"]["config"]) / 1e9
    assert 0.8 * read <= physical["active_gb"] <= read
    assert physical["gpus"] == hardware["gpu_count"]


@SHAPED
def test_it_fits_the_hardware_that_it_asks_for(one: Deployment) -> None:
    hardware, load = one.data["hardware"], one.data["benchmark"]
    demand = Demand(
        one.data["architecture"]["config"],
        one.data["engine"]["args"],
        load["max_concurrency"],
        load["input_len"] + load["output_len"],
        hardware["disk_gb"]["weights"],
    )
    lines = judge_fit(demand, Machine(hardware["gpu_count"], hardware["gpu_memory_gib"]))
    assert verdict(lines) != NO, lines
