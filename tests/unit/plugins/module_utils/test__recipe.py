# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of recipes: what is accepted, and what is refused with which words."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hgx.inference.plugins.module_utils._recipe import RecipeError, resolve

RECIPES = sorted((Path(__file__).parents[4] / "recipes").glob("*.yml"))


def load(name: str) -> dict[str, Any]:
    (path,) = (path for path in RECIPES if path.stem == name)
    data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return data


@pytest.fixture
def data() -> dict[str, Any]:
    return copy.deepcopy(load("kimi_k2_6_hgx_b200"))


def problems(data: Any, profile: str = "published") -> list[str]:
    with pytest.raises(RecipeError) as caught:
        resolve(data, profile)
    return caught.value.problems


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_bundled_recipes_are_valid(path: Path) -> None:
    data = load(path.stem)
    for profile in data["profiles"]:
        assert resolve(data, profile)["profile"] == profile


def test_the_published_figures() -> None:
    """Copied once more from the published page: a slip of the hand in the recipe must not pass."""
    published = load("kimi_k2_6_hgx_b200")["published"]
    assert published == {
        "output_throughput": 1408,
        "total_token_throughput": 7046,
        "mean_ttft_ms": 2264.48,
        "p99_ttft_ms": 32176.03,
        "mean_tpot_ms": 21.14,
        "p99_tpot_ms": 40.22,
        "mean_itl_ms": 44.50,
        "p99_itl_ms": 373.2,
    }


def test_defaults_are_filled_in(data: dict[str, Any]) -> None:
    recipe = resolve(data, "published")
    assert recipe["benchmark"]["args"] == {}
    assert recipe["thresholds"][0]["sizes"] is None
    assert "profiles" not in recipe


def test_a_profile_changes_only_what_it_names(data: dict[str, Any]) -> None:
    published, agentic = resolve(data, "published"), resolve(data, "agentic")
    assert agentic["engine"]["args"].pop("enable-prefix-caching") is True
    assert published["engine"]["args"].pop("enable-prefix-caching") is False
    agentic["profile"] = "published"
    assert agentic == published


def test_the_profile_for_coding_agents_brings_its_image_and_draft_and_fails_no_run(data: dict[str, Any]) -> None:
    recipe = resolve(data, "coding")
    args = recipe["engine"]["args"]
    assert recipe["models"][1]["repo"] == "lightseekorg/kimi-k2.6-eagle3-mla"
    assert args["speculative-config"] == {
        **resolve(data, "published")["engine"]["args"]["speculative-config"],
        "model": recipe["models"][1]["repo"],
    }
    assert args["enable-prefix-caching"] is True
    assert (recipe["image"]["tag"], recipe["image"]["digest"], recipe["image"]["pip"]) == ("v0.25.1", None, [])
    assert recipe["title"].endswith("unproven")
    assert {threshold["severity"] for threshold in recipe["thresholds"]} == {"warn"}
    assert recipe["functional"]["warn"] == {}
    assert set(resolve(data, "published")["functional"]["warn"]) == {"tool_calls_parallel", "tool_calls_crowd"}


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change that sets the value at a path of keys."""

    def change(data: Any) -> None:
        *parents, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        for key in parents:
            data = data[key]
        data[last] = value

    return change


def drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(data: Any) -> None:
        *parents, last = path
        for key in parents:
            data = data[key]
        del data[last]

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (put("enginee", {}), "enginee: unknown name 'enginee'; did you mean 'engine'?"),
        (put("hardware/gpu_cuont", 8), "hardware.gpu_cuont: unknown name 'gpu_cuont'; did you mean 'gpu_count'?"),
        (put("zzz", 1), "zzz: unknown name 'zzz'; known are"),
        (drop("engine", "port"), "engine.port: missing; it must be a port number."),
        (drop("thresholds"), "thresholds: missing; it must be a list."),
        (put("hardware/gpu_count", "8"), "hardware.gpu_count: '8' is not a whole number."),
        (put("hardware/gpu_count", True), "hardware.gpu_count: True is not a whole number."),
        (put("hardware/driver_min", 580), "hardware.driver_min: 580 is not a version in quotes, such as '580'."),
        (put("engine/port", 0), "engine.port: 0 is not a port number."),
        (put("engine/env/VLLM_USE_V1", 1), "engine.env.VLLM_USE_V1: 1 is not a text (in quotes)."),
        (
            put("image/pip/0", "transformers"),
            "image.pip[0]: 'transformers' is not a pinned package such as 'name==1.2'.",
        ),
        (put("image/digest", "latest"), "image.digest: 'latest' is not a digest 'sha256:...'."),
        (put("models/0/repo", "Kimi"), "models[0].repo: 'Kimi' is not a repository such as 'org/name'."),
        (put("models/1/role", "model"), "models: exactly one repository must have the role 'model'"),
        (put("models", []), "models: the list must not be empty."),
        (put("models", "moonshotai/Kimi-K2.6"), "models: 'moonshotai/Kimi-K2.6' is not a list."),
        (
            put("published/output_throughputs", 1),
            "published.output_throughputs: unknown name 'output_throughputs'; did you mean 'output_throughput'?",
        ),
        (
            put("thresholds/0/metric", "steady_throughput"),
            "thresholds[0].metric: unknown name 'steady_throughput'; did you mean 'steady_output_throughput'?",
        ),
        (put("thresholds/0/op", "<"), "thresholds[0].op: unknown name '<'"),
        (
            put("thresholds/0/tolerance", "ten"),
            "thresholds[0]: the tolerance 'ten' is neither a share such as 10% nor a number",
        ),
        (
            put("thresholds/1/sizes/0", "fulll"),
            "thresholds[1]: the workload has no size 'fulll'; it has quick,",
        ),
        (
            put("benchmark/ends_early/0", "quik"),
            "benchmark.ends_early: unknown name 'quik'; did you mean 'quick'?",
        ),
        (
            put("thresholds/1/metric", "acceptance_length"),
            "thresholds[1]: no value, and no figure of acceptance_length is published",
        ),
        (
            put("functional/skip", {"images": "none"}),
            "functional.skip.images: unknown name 'images'; did you mean 'image'?",
        ),
        (put("functional/long_context", {"token": 1}), "functional.long_context.token: unknown name 'token'"),
        (put("functional/token_ids/x", "1"), "functional.token_ids.x: '1' is not a whole number."),
        (put("real_text/prompts", 0), "real_text.prompts: 0 is not a whole number of 1 or more."),
        (put("engine/args/--seed", 1), "engine.args.--seed: '--seed' is not the name of an option"),
        (put("engine/args/port", 8001), "engine.args.port: leave it out; it follows from engine.port."),
        (
            put("engine/args/speculative-config/model", "other/draft"),
            "engine.args.speculative-config.model: 'other/draft' is not the draft",
        ),
        (
            put("profiles/agentic", {"engin": {}}),
            "profiles.agentic.engin: unknown name 'engin'; did you mean 'engine'?",
        ),
        (put("profiles/agentic", 1), "profiles.agentic: 1 is not a mapping."),
        (put("profiles", {}), "recipe_profile: unknown name 'published'; known are"),
    ],
)
def test_refusals(data: dict[str, Any], change: Callable[[dict[str, Any]], None], problem: str) -> None:
    change(data)
    found = problems(data)
    assert [line for line in found if line.startswith(problem)], found


def test_all_problems_are_told_at_once(data: dict[str, Any]) -> None:
    data["titel"] = data.pop("title")
    data["hardware"]["gpu_count"] = "eight"
    data["thresholds"][0]["metric"] = "speed"
    assert len(problems(data, "publishd")) == 5


@pytest.mark.parametrize("data", [None, [], "recipe"])
def test_a_file_that_is_no_mapping_is_refused(data: Any) -> None:
    assert problems(data) == [f"The recipe: {data!r} is not a mapping."]


def test_what_the_checks_expect_has_defaults(data: dict[str, Any]) -> None:
    del data["functional"], data["real_text"]
    data["profiles"] = {"published": {}}
    recipe = resolve(data, "published")
    assert recipe["functional"] == {
        "skip": {},
        "warn": {},
        "answer": "Paris",
        "image_answer": "",
        "accuracy": {},
        "tool_call_ids": "",
        "instant_template_kwargs": {"thinking": False},
        "long_context": {"tokens": None, "recall": True},
        "token_ids": {},
    }
    assert recipe["real_text"] == {"prompts": 8, "output_len": 256, "concurrency": 4}


def test_a_server_runs_on_one_node_unless_the_recipe_says_so(data: dict[str, Any]) -> None:
    assert resolve(data, "published")["engine"]["nodes"] == 1
    data["engine"] |= {"nodes": 2, "entrypoint": ["vllm", "serve"]}
    assert resolve(data, "published")["engine"]["nodes"] == 2


def test_what_follows_from_the_nodes_is_left_out_of_the_arguments(data: dict[str, Any]) -> None:
    data["engine"]["nodes"] = 2
    data["engine"]["args"] |= {"nnodes": 2, "headless": True}
    found = problems(data)
    assert "engine.args.nnodes: leave it out; it follows from engine.nodes." in found
    assert "engine.args.headless: leave it out; it follows from the order of the group span_NAME." in found
    assert any(
        problem.startswith("engine.entrypoint: with several nodes it must be [vllm, serve]") for problem in found
    )
    data["engine"]["nodes"] = 0
    assert "engine.nodes: 0 is not a whole number of 1 or more." in problems(data)
