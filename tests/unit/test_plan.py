# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What would be served, read off the plan for the Lambda inventory: the published command, token for token."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hgx.inference.plugins.module_utils._recipe import SCHEMA
from ansible_collections.hgx.inference.plugins.plugin_utils._import.compose import Given, import_recipe
from ansible_collections.hgx.inference.tests.support import ansible_command

ROOT = Path(__file__).parents[2]
SHOWN = "plan | Show the planned container"
PUBLISHED = (
    "python3 -m vllm.entrypoints.openai.api_server"
    " --model moonshotai/Kimi-K2.6 --served-model-name kimi-k2.6 --host 0.0.0.0 --port 8001"
    " --tensor-parallel-size 8 --mm-encoder-tp-mode data --compilation_config.pass_config.fuse_allreduce_rms true"
    " --tool-call-parser kimi_k2 --reasoning-parser kimi_k2 --enable-auto-tool-choice"
    " --trust-remote-code --kv-cache-dtype fp8 --no-enable-prefix-caching"
    """ --speculative-config '{"method":"eagle3","model":"lightseekorg/kimi-k2.6-eagle3","num_speculative_tokens":3}'"""
)


def plan(*args: str) -> str:
    """Return the text that the plan shows, with secrets set and no address of a node."""
    environment = {name: value for name, value in os.environ.items() if name != "HGX_NODE"}
    done = ansible_command.run(
        ["ansible-playbook", "playbooks/plan.yml", "-i", "inventories/lambda", *args],
        env={
            **environment,
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "VLLM_API_KEY": "s3cret-key",
            "HF_TOKEN": "s3cret-token",
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "s3cret" not in done.stdout
    tasks = json.loads(done.stdout[done.stdout.index("{") :])["plays"][0]["tasks"]
    messages = [task["hosts"]["kimi"].get("msg") for task in tasks if task["task"]["name"].endswith(SHOWN)]
    return "\n".join(map(str, messages))


@pytest.fixture(scope="module")
def published() -> str:
    return plan()


def command(text: str) -> list[str]:
    return shlex.split(text[text.index("\ncommand\n") + len("\ncommand\n") :].replace("\n", " "))


def test_the_command_is_the_published_one(published: str) -> None:
    assert command(published) == shlex.split(PUBLISHED)


@pytest.mark.parametrize(
    "line",
    [
        "built from vllm/vllm-openai:cu130-nightly with transformers==4.57.6",
        "container    vllm, GPUs: all, ipc: host",
        "published    127.0.0.1:8001 -> 8001, with an API key",
        "/home/ubuntu/.cache/huggingface:/root/.cache/huggingface:ro",
        "VLLM_USE_V1=1",
        "HF_HUB_OFFLINE=1",
    ],
)
def test_the_rest_of_the_container(published: str, line: str) -> None:
    assert line in published


def test_the_plan_says_whether_the_model_fits_what_the_recipe_asks_for(published: str) -> None:
    assert "fit          fits 8 GPUs of 170 GiB, as far as is known" in published
    assert "GPU memory   yes     0.9 x 170 GiB - 71.7 GiB of weights (routed experts 570.8 GB / 8" in published


def test_the_plan_as_a_docker_command_is_the_published_one_again() -> None:
    """It names secrets, has none of our own files, and an import of it gives the recipe's server."""
    text = plan("-e", "vllm_plan_format=docker", "-e", "vllm_bind_address=192.0.2.1")
    assert "--env VLLM_API_KEY --env HF_TOKEN" in text
    for ours in ("key_guard", "/run/", "HF_HUB_OFFLINE", "hgx-inference/vllm-openai:"):
        assert ours not in text
    recipe = yaml.safe_load((ROOT / "recipes" / "kimi_k2_6_hgx_b200.yml").read_text(encoding="utf-8"))
    made = import_recipe(text, Given()).data
    assert made["engine"]["args"] == recipe["engine"]["args"]
    assert made["models"] == recipe["models"]
    assert made["container"] == recipe["container"]
    assert (made["image"]["tag"], made["image"]["pip"]) == (recipe["image"]["tag"], recipe["image"]["pip"])
    assert made["engine"]["env"] == {
        **recipe["engine"]["env"],
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_ENGINE_READY_TIMEOUT_S": "3600",
    }


def test_a_profile_and_an_override() -> None:
    settings = {
        "recipe_profile": "agentic",
        "vllm_engine_args_extra": {"kv-cache-dtype": None, "max-model-len": 131072},
        "vllm_env_extra": {"VLLM_MAX_TOKENS": "3"},
        "vllm_gpu_request": "cdi",
        "vllm_trial": {"name": "x", "engine_args": {"speculative-config": {"num_speculative_tokens": 1}, "port": None}},
    }
    text = plan("-e", json.dumps(settings))
    expected = PUBLISHED.replace("--no-enable-prefix-caching", "--enable-prefix-caching").replace(
        " --kv-cache-dtype fp8", ""
    )
    expected = expected.replace('"num_speculative_tokens":3', '"num_speculative_tokens":1').replace(" --port 8001", "")
    assert command(text) == [*shlex.split(expected), "--max-model-len", "131072"]
    assert "GPUs: all by CDI, ipc: host" in text
    assert "VLLM_MAX_TOKENS=3" in text


def test_two_servers_share_a_host() -> None:
    instances = [
        {"name": "a", "port": 8001, "gpus": "0,1,2,3"},
        {"name": "b", "port": 8002, "gpus": "4,5,6,7", "engine_args": {"max-num-seqs": 64}},
    ]
    first, second = plan("-e", json.dumps({"vllm_instances": instances})).split("recipe       ")[1:]
    assert "container    vllm-a, GPUs: 0,1,2,3, ipc: host" in first
    assert "published    127.0.0.1:8001 -> 8001" in first
    assert "container    vllm-b, GPUs: 4,5,6,7, ipc: host" in second
    assert "published    127.0.0.1:8002 -> 8001" in second
    assert "/var/lib/hgx-inference/vllm-b/cache:/root/.cache/vllm:rw" in second
    assert ("--max-num-seqs 64" in first, "--max-num-seqs 64" in second) == (False, True)


def required(data: Any, schema: Any) -> Any:
    """Return data without what a recipe may leave out."""
    if isinstance(data, list):
        return [required(item, schema.get("items", {})) for item in data]
    if not isinstance(data, dict) or "properties" not in schema:
        return data
    return {key: required(data[key], schema["properties"][key]) for key in schema["required"]}


def test_a_recipe_may_leave_out_what_has_a_default(tmp_path: Path) -> None:
    recipe = tmp_path / "least.yml"
    published = yaml.safe_load((ROOT / "recipes" / "kimi_k2_6_hgx_b200.yml").read_text(encoding="utf-8"))
    recipe.write_text(
        json.dumps({**required(published, SCHEMA), "thresholds": [], "profiles": {"published": {}}}), encoding="utf-8"
    )
    text = plan("-e", f"recipe_file={recipe}")
    assert command(text) == shlex.split(PUBLISHED)
    assert "vllm, no GPU" in text


def test_an_address_that_others_reach_is_guarded() -> None:
    text = plan("-e", "vllm_bind_address=192.0.2.1")
    assert command(text) == [*shlex.split(PUBLISHED), "--middleware", "key_guard.KeyGuard"]
    assert ":/run/guard:ro" in text
    assert "PYTHONPATH=/run/guard" in text


def test_known_commits_come_after_the_published_command() -> None:
    model, draft = "a" * 40, "b" * 40
    commits = {"moonshotai/Kimi-K2.6": model, "lightseekorg/kimi-k2.6-eagle3": draft}
    expected = PUBLISHED.replace('"num_speculative_tokens":3}', f'"num_speculative_tokens":3,"revision":"{draft}"}}')
    pins = ["--revision", model, "--tokenizer-revision", model, "--code-revision", model]
    assert command(plan("-e", json.dumps({"vllm_revisions": commits}))) == [*shlex.split(expected), *pins]


def test_a_revision_of_ones_own_wins() -> None:
    settings = {
        "vllm_revisions": {"moonshotai/Kimi-K2.6": "a" * 40},
        "vllm_engine_args_extra": {"revision": "v1", "code-revision": None, "tokenizer": "org/other"},
    }
    words = command(plan("-e", json.dumps(settings)))
    assert words[len(shlex.split(PUBLISHED)) :] == ["--revision", "v1", "--tokenizer", "org/other"]


@pytest.mark.parametrize(
    ("option", "words"),
    [("--syntax-check", "playbook: site.yml"), ("--list-tasks", "Include the tasks for each server")],
)
def test_the_site_can_be_looked_at_without_any_secret(option: str, words: str) -> None:
    environment = {name: os.environ[name] for name in ("PATH", "HOME")}
    command = ["ansible-playbook", "site.yml", "-i", "inventories/lambda", option]
    done = ansible_command.run(command, env=environment)
    assert done.returncode == 0, done.stderr
    assert words in done.stdout


def test_the_role_needs_no_recipe(tmp_path: Path) -> None:
    """A plan for a host without an engine, of which only variables are known."""
    settings = {
        "vllm_image_name": "some/image",
        "vllm_image_tag": "1",
        "vllm_image_digest": "",
        "vllm_image_pip": [],
        "vllm_model": "org/name",
        "vllm_revisions": {},
        "vllm_served_model_name": "name",
        "vllm_entrypoint": ["vllm", "serve"],
        "vllm_engine_args": {"max-model-len": 4096},
        "vllm_env": {},
        "vllm_container_port": 8001,
        "vllm_ready_timeout": 60,
        "vllm_gpus": "",
        "vllm_ipc_mode": "",
        "vllm_memory_gib": 0,
        "vllm_shm_gib": 0,
        "vllm_state_dir": str(tmp_path / "state"),
    }
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "environment": {"PATH": str(tmp_path)},
        "vars": {**settings, "ansible_python_interpreter": sys.executable},
        "roles": ["hgx.inference.vllm"],
    }
    (tmp_path / "play.json").write_text(json.dumps([play]), encoding="utf-8")
    command = ["ansible-playbook", str(tmp_path / "play.json"), "--check", "--diff"]
    done = ansible_command.run(command)
    assert done.returncode == 0, done.stdout
    assert "would start the server" in done.stdout
    assert "+ --max-model-len 4096" in done.stdout


@pytest.mark.slow
def test_the_other_roles_need_no_recipe_either(tmp_path: Path) -> None:
    settings = {
        "hf_cache_models": [],
        "hf_cache_home": str(tmp_path / "cache"),
        "hf_cache_venv": str(tmp_path / "venv"),
        "preflight_hardware": {"gpu_count": 0, "memory_gib": 0, "disk_gb": {"weights": 0, "image": 0}},
        "preflight_models": [],
        "preflight_image": "some/image:1",
        "preflight_ports": [1],
        "preflight_warn": ["reachability", "packages"],
        "smoke_benchmark_base_url": "http://127.0.0.1:1",
        "smoke_benchmark_endpoint": "http://127.0.0.1:1",
        "smoke_benchmark_model": "org/name",
        "smoke_benchmark_served_model_name": "name",
        "smoke_benchmark_expected": {},
        "smoke_benchmark_real_text": {},
        "smoke_benchmark_workload": {"input_len": 8, "output_len": 8, "max_concurrency": 1, "sizes": {"smoke": 1}},
        "smoke_benchmark_published": {},
        "smoke_benchmark_thresholds": [],
        "smoke_benchmark_results_dir": str(tmp_path / "results"),
        "smoke_benchmark_fetch_dir": "",
    }
    play = {
        "hosts": "localhost",
        "vars": {**settings, "ansible_python_interpreter": sys.executable},
        "roles": ["hgx.inference.preflight", "hgx.inference.hf_cache", "hgx.inference.smoke_benchmark"],
    }
    (tmp_path / "play.json").write_text(json.dumps([play]), encoding="utf-8")
    command = ["ansible-playbook", str(tmp_path / "play.json"), "--check"]
    done = ansible_command.run(command)
    assert done.returncode == 0, done.stdout
    assert "Would benchmark vllm" in done.stdout


def test_a_server_across_nodes_has_a_command_for_each_rank(tmp_path: Path) -> None:
    group = {"hosts": {"n1": {"ansible_host": "10.0.0.1"}, "n2": {"ansible_host": "10.0.0.2"}}}
    children = {"inference": group, "span_big": {"hosts": {"n1": {}, "n2": {}}}}
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        json.dumps({"all": {"vars": {"recipe_file": "kimi_k3_2x_hgx_b200"}, "children": children}}), encoding="utf-8"
    )
    done = ansible_command.run(
        ["ansible-playbook", "playbooks/plan.yml", "-i", str(inventory)],
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tasks = json.loads(done.stdout[done.stdout.index("{") :])["plays"][0]["tasks"]
    shown: dict[str, Any] = {}
    for task in tasks:
        shown |= task["hosts"] if task["task"]["name"].endswith(SHOWN) else {}
    head, follower = shown["n1"]["msg"], shown["n2"]["msg"]
    ranks = "--nnodes 2 --node-rank {} --master-addr 10.0.0.1 --master-port 29501"
    assert command(head)[-8:] == ranks.format(0).split()
    assert command(follower)[-9:] == [*ranks.format(1).split(), "--headless"]
    assert "rank 1 of n1, n2; they meet at 10.0.0.1:29501" in follower
    assert ("VLLM_HOST_IP=10.0.0.1" in head, "VLLM_HOST_IP=10.0.0.2" in follower) == (True, True)
    assert "published    127.0.0.1:8001 on the network of the host" in head
    assert "published    nothing; n1 has the API" in follower
    for text in (head, follower):
        assert "each node    1700 GB of disk for the weights, 60 GB for the image, 200 GiB of memory" in text
        assert "16 of 8 on each of 2 nodes" in text
