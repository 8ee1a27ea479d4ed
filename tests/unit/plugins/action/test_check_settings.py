# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wrong settings are told in the first play, all in one message."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hgx.inference.tests.support import ansible_command

ROOT = Path(__file__).parents[4]
WRONG = {
    "vllm_gpus": "0-3",
    "vllm_rollback": "nevver",
    "vllm_port": "{{ 99999 }}",
    "vllm_model": "{{ no_such_variable }}",
    "vllm_env_extra": {"DB_PASS": "s3cret"},
    "vllm_bind_address": "0.0.0.0",
    "hf_cache_workers": "many",
    "hf_cache_models": [{"repo": "Kimi-K2.6", "revision": "main", "role": "model"}],
    "hf_cache_token": ["s3cret"],
    "smoke_benchmark_size": "smok",
    "smoke_benchmark_thresholds": [{"metric": "mean_ttft_ms", "opp": "<="}],
    "smoke_benchmark_expected": {"answr": "Rome"},
    "nvidia_driver_mode": "adapt",
    "lambda_node_lifetime_hours": -1,
    "preflight_warn": ["prot"],
}
PROBLEMS = (
    "hf_cache_models[0].repo: 'Kimi-K2.6' is not a repository such as 'org/name'.",
    "hf_cache_workers: 'many' is not of type int.",
    "lambda_node_lifetime_hours: -1.0 is not a number of 0 or more.",
    "nvidia_driver_mode: unknown name 'adapt'; did you mean 'adopt'?",
    "preflight_warn[0]: unknown name 'prot'; did you mean 'port'?",
    "smoke_benchmark_expected: smoke_benchmark_expected.answr. Supported parameters include:",
    "smoke_benchmark_thresholds[0].opp: unknown name 'opp'; did you mean 'op'?",
    "smoke_benchmark_thresholds[0].op: missing; it must be one of '>=', '<=', '=='.",
    "vllm_gpus: '0-3' is not '', 'all' or a list of GPUs such as '0,1,2,3'.",
    "vllm_model cannot be evaluated: 'no_such_variable' is undefined",
    "vllm_port: 99999 is not a port number.",
    "vllm_rollback: unknown name 'nevver'; did you mean 'never'?",
    "DB_PASS is a secret in the server's environment",
    "smoke_benchmark_size: the workload has no size 'smok'; it has quick, smoke, full.",
    "vllm_bind_address is 0.0.0.0, but there is no API key",
)
MISSPELT = {
    "apt_repository_sorce": "apt_repository_source",
    "docker_dataroot": "docker_data_root",
    "hf_cache_hom": "hf_cache_home",
    "hfcache_workers": "hf_cache_workers",
    "lambda_node_regoins": "lambda_node_regions",
    "llm_client_baseurl": "llm_client_base_url",
    "nvidia_container_toolkit_modes": "nvidia_container_toolkit_mode",
    "nvidia_driver_rebootok": "nvidia_driver_reboot_ok",
    "preflight_warning": "preflight_warn",
    "recipe_profil": "recipe_profile",
    "settings_contact_hosts": "settings_contact_host",
    "smoke_benchmark_sizes": "smoke_benchmark_size",
    "vllm_prt": "vllm_port",
}
# What other collections and the inventory of Lambda have, and what a playbook registers.
NOBODYS = {"docker_edition": "ce", "docker_users": [], "lambda_image_family": "x", "my_vllm": 1, "_vllm_prt": 1}


def check(variables: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Run the check on this machine and return its result."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VLLM_API_KEY", "HF_TOKEN")}
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
        "roles": [{"role": f"hgx.inference.{role}"} for role in ("recipe", "settings")],
    }
    folder = more["folder"]
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    (folder / "vars.yml").write_text(yaml.safe_dump(variables))
    done = ansible_command.run(
        ["ansible-playbook", str(folder / "play.yml"), "-i", "localhost,", "-e", f"@{folder}/vars.yml"],
        env={**environment, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
    )
    assert "s3cret" not in done.stdout + done.stderr
    report = json.loads(done.stdout[done.stdout.index("{") :])
    result: dict[str, Any] = report["plays"][0]["tasks"][-1]["hosts"]["localhost"]
    return result


def test_all_wrong_settings_in_one_message(tmp_path: Path) -> None:
    result = check({**WRONG, **dict.fromkeys([*MISSPELT, *NOBODYS], "x")}, folder=tmp_path)
    lines = result["msg"].splitlines()
    assert lines[0] == "The settings of this host cannot be used:"
    assert lines[-1] == "Nothing was changed."
    for problem in PROBLEMS:
        assert any(line.strip().startswith(problem) for line in lines), (problem, result["problems"])
    assert len(result["problems"]) == len(PROBLEMS)
    http, *misspelt = sorted(result["warnings"], key=lambda warning: "plain HTTP" not in warning)
    assert http.startswith("vllm_bind_address is 0.0.0.0: the server speaks plain HTTP there")
    assert sorted(misspelt) == [
        f"{name} is not a variable of a role, so no role reads it; did you mean {near}?"
        for name, near in sorted(MISSPELT.items())
    ]


@pytest.mark.parametrize("inventory", ["lambda", "local"])
def test_what_the_inventories_set_is_right(inventory: str, tmp_path: Path) -> None:
    variables: dict[str, Any] = {"inventory_dir": str(ROOT / "inventories" / inventory)}
    for file in sorted((ROOT / "inventories" / inventory / "group_vars").rglob("*.yml")):
        variables.update(yaml.safe_load(file.read_text(encoding="utf-8")))
    result = check(variables, folder=tmp_path)
    assert not result.get("failed"), result
    assert (result["problems"], result.get("warnings", [])) == ([], [])


def test_a_key_of_the_host_counts(tmp_path: Path) -> None:
    settings = {"vllm_bind_address": "0.0.0.0", "vllm_state_dir": str(tmp_path)}
    (tmp_path / "secrets").mkdir()
    assert len(check(settings, folder=tmp_path)["problems"]) == 1
    (tmp_path / "secrets" / "vllm_api_key").write_text("key")
    assert check(settings, folder=tmp_path)["problems"] == []


@pytest.mark.parametrize("variables", [{"vllm_api_key": "s3cret"}, {"settings_contact_host": False}])
def test_a_key_that_is_given_or_unknown(variables: dict[str, Any], tmp_path: Path) -> None:
    settings = {"vllm_bind_address": "0.0.0.0", "vllm_state_dir": str(tmp_path)}
    assert check({**settings, **variables}, folder=tmp_path)["problems"] == []
