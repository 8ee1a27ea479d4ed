# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role passes to the filter, and what the filter adds to the specification."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.hgx.inference.plugins.filter.vllm_spec import FilterModule, vllm_servers, vllm_spec
from ansible_collections.hgx.inference.plugins.module_utils._vllm.key import CONTAINER_FILE
from ansible_collections.hgx.inference.plugins.module_utils._vllm.spec import Settings

ROOT = Path(__file__).parents[4]
SETTINGS: dict[str, Any] = {
    **dict.fromkeys(Settings.__annotations__, ""),
    **{name: {} for name in ("vllm_engine_args", "vllm_engine_args_extra", "vllm_env", "vllm_env_extra")},
    "vllm_cuda_compatibility": "no",
    "vllm_image_name": "some/image",
    "vllm_image_tag": "1",
    "vllm_image_pip": [],
    "vllm_model": "org/name",
    "vllm_revisions": {"org/name": "main", "org/draft": "f" * 40, "org/none": "main"},
    "vllm_served_model_name": "name",
    "vllm_entrypoint": ["serve"],
    "vllm_container_port": 8001,
    "vllm_port": 8001,
    "vllm_bind_address": "0.0.0.0",
    "vllm_ready_timeout": 60,
    "vllm_capabilities_extra": [],
    "vllm_shm_gib": 0,
    "vllm_state_dir": "/state",
}
# What slurp returns in a loop.
REFS = [
    {"item": {"key": "org/name", "value": "main"}, "content": base64.b64encode(b"a" * 40 + b"\n").decode()},
    {"item": {"key": "org/none", "value": "main"}, "msg": "file not found"},
]


def test_the_role_passes_every_setting() -> None:
    variables = yaml.safe_load((ROOT / "roles/vllm/vars/main.yml").read_text(encoding="utf-8"))
    assert variables["__vllm_settings"] == list(Settings.__annotations__)


def test_our_pins_count_and_not_what_other_programs_have_moved() -> None:
    content = base64.b64encode(b'{"main": "' + b"b" * 40 + b'", "v1": "' + b"c" * 40 + b'"}').decode()
    pins = [{"item": "org/name", "content": content}, {"item": "org/draft", "msg": "file not found"}]
    assert vllm_spec(SETTINGS, refs=REFS, pins=pins)["commits"]["org/name"] == "b" * 40


def test_what_the_filter_returns() -> None:
    trial = {"name": "x", "engine_args": {"seed": 1}}
    found = vllm_spec(SETTINGS, refs=REFS, trial=trial, recipe={"name": "r", "profile": "p", "title": "R"})
    assert found["image"] == {"name": "some/image:1", "base": "some/image:1", "dockerfile": ""}
    assert found["container"]["command"][-8:] == [
        *("--middleware", "key_guard.KeyGuard"),
        *("--revision", "a" * 40, "--tokenizer-revision", "a" * 40, "--code-revision", "a" * 40),
    ]
    assert found["container"]["server"]["args"]["seed"] == 1
    assert found["commits"] == {"org/name": "a" * 40, "org/draft": "f" * 40}
    assert (found["base_url"], found["served_model_name"]) == ("http://127.0.0.1:8001", "name")
    details = found["details"]
    assert (details["recipe"], details["profile"], details["title"]) == ("r", "p", "R")
    assert re.fullmatch(rf"\S+@{re.escape(os.uname().nodename)}", details["created_by"])
    assert details["collection_version"] == yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]


@pytest.mark.parametrize(("tag", "expected"), [("1", None), ("2", "some/image:1"), ("3", None)])
def test_an_alternative_image_is_recorded(tag: str, expected: str | None) -> None:
    recipe = {"image": {"name": "some/image", "tag": "1", "alternatives": [{"tag": "1"}, {"tag": "2"}]}}
    found = vllm_spec({**SETTINGS, "vllm_image_tag": tag}, recipe=recipe)
    assert found["details"].get("image_in_place_of") == expected


@pytest.mark.parametrize(("value", "expected"), [("true", "1"), (True, "1"), ("false", None), (False, None)])
def test_older_drivers(value: Any, expected: str | None) -> None:
    env = vllm_spec({**SETTINGS, "vllm_cuda_compatibility": value})["container"]["env"]
    assert env.get("VLLM_ENABLE_CUDA_COMPATIBILITY") == expected


def test_what_is_shown_has_no_secrets() -> None:
    settings = {
        **SETTINGS,
        "vllm_engine_args": {"api-key": "hidden", "seed": 1},
        "vllm_env": {"DB_PASS": "hidden", "PROXY": "http://me:hidden@proxy", "VLLM_MAX_TOKENS": "{{ 3 }}"},
    }
    shown = vllm_spec(settings)["shown"]
    assert "hidden" not in str(shown)
    index = shown["command"].index("--api-key")
    assert shown["command"][index : index + 4] == ["--api-key", "********", "--seed", "1"]
    assert shown["env"]["DB_PASS"] == "********"
    assert shown["env"]["VLLM_MAX_TOKENS"] == "{{ 3 }}"


def test_without_a_recipe_the_model_is_the_title() -> None:
    assert vllm_spec(SETTINGS)["details"]["title"] == "org/name"


def test_what_this_run_has_fetched_is_preferred() -> None:
    found = vllm_spec(SETTINGS, refs=REFS, snapshots={"org/name": {"commit": "b" * 40}, "org/other": {"commit": "c"}})
    assert found["commits"] == {"org/name": "b" * 40, "org/draft": "f" * 40}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vllm_engine_args": {"--seed": 1}}, "vllm_spec: '--seed' is not the name of an option"),
        ({"vllm_port": "http"}, "vllm_spec: .*'http'"),
    ],
)
def test_a_setting_that_is_wrong(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        vllm_spec({**SETTINGS, **changes})


def test_a_setting_that_is_missing() -> None:
    with pytest.raises(AnsibleFilterError, match=r"the settings lack vllm_model, vllm_port\."):
        vllm_spec({name: value for name, value in SETTINGS.items() if name not in ("vllm_port", "vllm_model")})


def test_the_file_of_the_key_is_where_the_container_finds_it() -> None:
    path = FilterModule().filters()["vllm_key_file"]("/state")
    assert path == "/state/secrets/vllm_api_key"
    folder, _colon, inside = vllm_spec(SETTINGS)["container"]["mounts"][2].removesuffix(":ro").partition(":")
    assert path.replace(folder, inside) == CONTAINER_FILE == "/run/secrets/vllm_api_key"


BASE = {
    "container_name": "vllm",
    "state_dir": "/state",
    "results_dir": "/results",
    "port": "8001",
    "gpus": "all",
    "engine_args": {},
    "gateway": True,
}


def test_the_servers_of_a_host() -> None:
    (only,) = vllm_servers([], host="node1", base=BASE)
    assert only == {**BASE, "name": "", "backend": "node1"}
    instances = [{"name": "a", "port": 8001, "gpus": "0"}, {"name": "b", "port": 8002, "gpus": "1"}]
    (second,) = vllm_servers(instances, host="node1", base=BASE, only="b")
    assert (second["backend"], second["gateway"]) == ("node1-b", True)
    with pytest.raises(AnsibleFilterError, match="several have the port 8001"):
        vllm_servers([*instances, {**instances[0], "name": "c"}], host="node1", base=BASE)
