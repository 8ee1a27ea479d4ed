# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From settings to a container, token for token, and the same release for the same settings in every version."""

from __future__ import annotations

import shlex
from typing import Any, cast

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm import spec
from ansible_collections.hgx.inference.plugins.module_utils._vllm.args import ArgsError
from ansible_collections.hgx.inference.plugins.module_utils._vllm.precheck import open_endpoint
from ansible_collections.hgx.inference.plugins.module_utils._vllm.release import normalize, release_id

MODEL, DRAFT = "moonshotai/Kimi-K2.6", "lightseekorg/kimi-k2.6-eagle3"
PINS = {MODEL: "a" * 40, DRAFT: "b" * 40}
SETTINGS: dict[str, Any] = {
    "vllm_image_name": "vllm/vllm-openai",
    "vllm_image_tag": "cu130-nightly",
    "vllm_image_digest": "",
    "vllm_image_pip": ["transformers==4.57.6"],
    "vllm_model": MODEL,
    "vllm_revisions": {MODEL: "main", DRAFT: "main"},
    "vllm_served_model_name": "kimi-k2.6",
    "vllm_entrypoint": ["python3", "-m", "vllm.entrypoints.openai.api_server"],
    "vllm_engine_args": {
        "tensor-parallel-size": 8,
        "mm-encoder-tp-mode": "data",
        "compilation_config.pass_config.fuse_allreduce_rms": True,
        "tool-call-parser": "kimi_k2",
        "reasoning-parser": "kimi_k2",
        "enable-auto-tool-choice": True,
        "trust-remote-code": True,
        "kv-cache-dtype": "fp8",
        "enable-prefix-caching": False,
        "speculative-config": {"method": "eagle3", "model": DRAFT, "num_speculative_tokens": 3},
    },
    "vllm_engine_args_extra": {},
    "vllm_env": {"VLLM_USE_V1": "1"},
    "vllm_env_extra": {},
    "vllm_cuda_compatibility": False,
    "vllm_container_port": 8001,
    "vllm_ready_timeout": 3600,
    "vllm_bind_address": "127.0.0.1",
    "vllm_port": "8001",
    "vllm_gpus": "all",
    "vllm_gpu_request": "runtime",
    "vllm_ipc_mode": "host",
    "vllm_capabilities_extra": [],
    "vllm_shm_gib": 16,
    "vllm_hf_home": "/home/ubuntu/.cache/huggingface",
    "vllm_state_dir": "/var/lib/hgx-inference/vllm",
    "vllm_span": {},
    "vllm_span_rdma": False,
}
# The options that every test below changes one thing of.
PLAIN = {**SETTINGS, "vllm_engine_args": {}, "vllm_entrypoint": ["serve"], "vllm_model": "m"}
COMMAND = "serve --model m --served-model-name kimi-k2.6 --host 0.0.0.0 --port 8001"


def make(
    settings: dict[str, Any] = PLAIN,
    commits: dict[str, str] | None = None,
    trial: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    wanted = {**settings, **{f"vllm_{name}": value for name, value in changes.items()}}
    return spec.make_spec(cast(spec.Settings, wanted), commits or {}, trial or {})


def test_the_whole_of_it() -> None:
    found = make()
    server = found.pop("server")
    assert found == {
        "image": "hgx-inference/vllm-openai:cu130-nightly-c0eaf6e7401f",
        "command": COMMAND.split(),
        "env": {
            "HF_HUB_OFFLINE": "1",
            "HF_MODULES_CACHE": "/root/.cache/vllm/hf_modules",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_USE_V1": "1",
            "VLLM_ENGINE_READY_TIMEOUT_S": "3600",
        },
        "mounts": [
            "/home/ubuntu/.cache/huggingface:/root/.cache/huggingface:ro",
            "/var/lib/hgx-inference/vllm/cache:/root/.cache/vllm:rw",
            "/var/lib/hgx-inference/vllm/secrets:/run/secrets:ro",
        ],
        "ports": ["127.0.0.1:8001:8001"],
        "network": "",
        "devices": [],
        "gpus": "runtime",
        "gpu_set": "",
        "ipc": "host",
        "shm_gib": 16,
        "capabilities": ["DAC_OVERRIDE"],
        "pids_limit": 32768,
        "health": (
            "python3 -c 'import urllib.request; urllib.request.urlopen(\"http://127.0.0.1:8001/health\", timeout=5)'"
        ),
        "health_start_s": 3600,
    }
    assert server == {
        "args": {"model": "m", "served-model-name": "kimi-k2.6", "host": "0.0.0.0", "port": 8001},
        "published": [{"address": "127.0.0.1", "port": 8001}],
    }


# Version 0.2.0 had both limits in the settings.
@pytest.mark.parametrize("env", [SETTINGS["vllm_env"], {"VLLM_USE_V1": "1", "VLLM_ENGINE_READY_TIMEOUT_S": "3600"}])
@pytest.mark.parametrize(("commits", "release"), [({}, "7b5d4748ea47"), (PINS, "cade9c9869df")])
def test_an_update_of_the_collection_restarts_no_server(
    commits: dict[str, str], release: str, env: dict[str, str]
) -> None:
    """The IDs are those of version 0.2.0. Another one would be another release, and a restart of minutes."""
    assert release_id(normalize(make(SETTINGS, commits, env=env)), "sha256:1", {"a/b": "c" * 40}) == release


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({}, "3600"),
        ({"ready_timeout": "7200"}, "7200"),
        ({"ready_timeout": 600}, None),  # vLLM's own
        ({"env_extra": {"VLLM_ENGINE_READY_TIMEOUT_S": 5400}}, "5400"),
    ],
)
def test_vllms_own_limit_follows_from_ours(changes: dict[str, Any], limit: str | None) -> None:
    assert make(**changes)["env"].get("VLLM_ENGINE_READY_TIMEOUT_S") == limit


def test_vllms_own_limit_is_not_below_ours() -> None:
    with pytest.raises(ValueError, match=r"is 1800 in vllm_env .*vllm_ready_timeout is 3600"):
        make(env={"VLLM_ENGINE_READY_TIMEOUT_S": "1800"})


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({"engine_args": {"port": 9, "b": 1}, "engine_args_extra": {"a": None, "b": 2}}, "--port 9 --b 2"),
        ({"engine_args": {"b": {"x": 1}}, "engine_args_extra": {"b": {"y": 2}}}, "--port 8001 --b '{\"y\":2}'"),
        (
            {"engine_args": {"b": {"x": 1}}, "trial": {"b": {"y": "{{ z }}"}}},
            """--port 8001 --b '{"x":1,"y":"{{ z }}"}'""",
        ),
        ({"engine_args_extra": {"b": 2}, "trial": {"b": None, "c": True}}, "--port 8001 --c"),
        # An address that others reach has the guard, in the place of another middleware.
        ({"bind_address": "0.0.0.0"}, "--port 8001 --middleware key_guard.KeyGuard"),
        (
            {"bind_address": "192.0.2.1", "trial": {"middleware": "own.Guard", "c": False}},
            "--port 8001 --middleware key_guard.KeyGuard --no-c",
        ),
        ({"bind_address": "::1", "engine_args": {"middleware": "own.Log"}}, "--port 8001 --middleware own.Log"),
    ],
)
def test_the_options_in_their_order(changes: dict[str, Any], command: str) -> None:
    assert shlex.join(make(**changes)["command"]) == COMMAND.replace("--port 8001", command)


@pytest.mark.parametrize(
    ("args", "commits", "pins"),
    [
        ({}, {}, ""),
        ({}, {"other": "f"}, ""),
        ({}, {"m": "f"}, "--revision f --tokenizer-revision f --code-revision f"),
        (
            {"tokenizer": "t"},
            {"m": "f", "t": "e"},
            "--tokenizer t --revision f --tokenizer-revision e --code-revision f",
        ),
        ({"tokenizer": "t"}, {"m": "f"}, "--tokenizer t --revision f --code-revision f"),
        ({"code-revision": None, "revision": "v1"}, {"m": "f"}, "--revision v1 --tokenizer-revision f"),
        ({"speculative-config": {"model": "d"}}, {"d": "c"}, """--speculative-config '{"model":"d","revision":"c"}'"""),
        (
            {"speculative-config": {"model": "d", "revision": "v"}},
            {"d": "c"},
            """--speculative-config '{"model":"d","revision":"v"}'""",
        ),
        ({"speculative-config": None}, {"d": "c"}, ""),
        ({"speculative-config": '{"model":"d"}'}, {"d": "c"}, """--speculative-config '{"model":"d"}'"""),
    ],
)
def test_the_known_commits_are_served(args: dict[str, Any], commits: dict[str, str], pins: str) -> None:
    assert shlex.join(make(commits=commits, engine_args=args)["command"]) == f"{COMMAND} {pins}".strip()


def test_the_record_has_the_options_by_name() -> None:
    given = {"max_model_len": 4096, "enable-prefix-caching": None, "compilation_config.pass_config.x": True}
    found = make(engine_args=given, commits={"m": "f"}, entrypoint=["serve", "--trust-remote-code"])["server"]["args"]
    assert list(found) == [
        "trust-remote-code",  # a word of the entrypoint, which the checks must see
        *("model", "served-model-name", "host", "port", "max-model-len", "compilation-config.pass_config.x"),
        *("revision", "tokenizer-revision", "code-revision"),
    ]


@pytest.mark.parametrize(
    ("address", "guarded", "port"),
    [
        ("127.0.0.1", False, "127.0.0.1:8001:8001"),
        ("::1", False, "[::1]:8001:8001"),
        ("[::1]", False, "[::1]:8001:8001"),
        ("0.0.0.0", True, "0.0.0.0:8001:8001"),
        ("::", True, "[::]:8001:8001"),
        ("192.0.2.1", True, "192.0.2.1:8001:8001"),
        ("", True, ":8001:8001"),
    ],
)
def test_an_address_that_others_reach_has_a_guard_and_needs_a_key(address: str, guarded: bool, port: str) -> None:
    found = make(bind_address=address)
    mounted = [mount for mount in found["mounts"] if mount.endswith(":/run/guard:ro")]
    assert (found["env"].get("PYTHONPATH") == "/run/guard") is guarded
    assert bool(mounted) is ("--middleware" in found["command"]) is guarded
    assert bool(open_endpoint(address, has_key=False)) is guarded
    assert found["ports"] == [port]
    if guarded:
        path, source = spec.guard_file(SETTINGS["vllm_state_dir"])
        assert mounted == [f"{path.rpartition('/')[0]}:/run/guard:ro"]
        assert path.endswith("/key_guard.py")
        assert "class KeyGuard" in source


@pytest.mark.parametrize(
    ("changes", "image", "base", "packages"),
    [
        ({"image_pip": []}, "vllm/vllm-openai:cu130-nightly", "vllm/vllm-openai:cu130-nightly", None),
        ({"image_pip": [], "image_digest": "sha256:d"}, "vllm/vllm-openai@sha256:d", "vllm/vllm-openai@sha256:d", None),
        (
            {"image_digest": "sha256:d", "image_pip": ["a>=1", "b"]},
            "hgx-inference/vllm-openai:cu130-nightly-",
            "vllm/vllm-openai@sha256:d",
            "'a>=1' b",
        ),
    ],
)
def test_the_image(changes: dict[str, Any], image: str, base: str, packages: str | None) -> None:
    settings = {**SETTINGS, **{f"vllm_{name}": value for name, value in changes.items()}}
    found = spec.make_image(cast(spec.Settings, settings))
    assert found.base == base
    if packages is None:
        assert (found.name, found.dockerfile) == (image, "")
    else:
        assert found.name.startswith(image)
        assert found.dockerfile.splitlines()[1] == f"FROM {base}"
        assert found.dockerfile.endswith(f" {packages}\n")


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        ({"gpus": ""}, "gpus", ""),
        ({"gpus": "0,1,2,3"}, "gpus", "runtime"),
        ({"gpus": "0,1,2,3"}, "gpu_set", "0,1,2,3"),
        ({"gpus": 0}, "gpus", "runtime"),
        ({"gpus": 0}, "gpu_set", "0"),
        ({"gpus": None}, "gpus", ""),
        ({"gpu_request": "cdi"}, "gpus", "cdi"),
        ({"capabilities_extra": ["SYS_PTRACE"]}, "capabilities", ["DAC_OVERRIDE", "SYS_PTRACE"]),
        ({"shm_gib": "0.2"}, "shm_gib", 0.2),
        ({"port": 9, "container_port": 10}, "ports", ["127.0.0.1:9:10"]),
    ],
)
def test_other_settings(changes: dict[str, Any], key: str, value: Any) -> None:
    assert make(**changes)[key] == value


def test_the_environment_is_text_and_laid_over_ours() -> None:
    found = make(env={"A": 1, "HF_HUB_OFFLINE": "0"}, env_extra={"A": True, "B": "{{ b }}"})["env"]
    assert (found["A"], found["B"], found["HF_HUB_OFFLINE"]) == ("True", "{{ b }}", "0")


def test_what_has_no_rendering() -> None:
    with pytest.raises(ArgsError, match="without leading dashes"):
        make(engine_args={"--seed": 1})


def test_which_commits_are_known() -> None:
    revisions = {"a": "f" * 40, "b": "main", "c": "v1", "d": "main"}
    found = spec.known_commits(revisions, {"b": "1", "c": "2"}, {"b": "3", "other": "4"})
    assert found == {"a": "f" * 40, "b": "3", "c": "2"}


@pytest.mark.parametrize(
    ("port", "url"),
    [
        ("127.0.0.1:8001:8001", "http://127.0.0.1:8001"),
        ("0.0.0.0:9:8001", "http://127.0.0.1:9"),
        ("[::]:9:8001", "http://[::1]:9"),
        ("[2001:db8::1]:9:8001", "http://[2001:db8::1]:9"),
        ("192.0.2.1:9:8001", "http://192.0.2.1:9"),
        (":9:8001", "http://127.0.0.1:9"),
        ("9:8001", "http://127.0.0.1:9"),
    ],
)
def test_where_anothers_server_is_reached(port: str, url: str) -> None:
    server = spec.read_server(["vllm", "serve", "--model", "org/name"], [port])
    assert spec.endpoint(server) == {"base_url": url, "served_model_name": "org/name"}


@pytest.mark.parametrize(
    ("args", "name"),
    [
        ({"served-model-name": ["one", "two"], "model": "m"}, "one"),
        ({"served-model-name": "", "model": "m"}, "m"),
        ({}, ""),
    ],
)
def test_the_name_of_the_model(args: dict[str, Any], name: str) -> None:
    found = spec.endpoint({"args": args, "published": []})
    assert found == {"base_url": "http://127.0.0.1:0", "served_model_name": name}


def test_what_restarts_and_watches_a_server_is_no_part_of_its_release() -> None:
    assert not [name for name in spec.Settings.__annotations__ if "watch" in name or "restart" in name]


HEAD = {
    "name": "big",
    "hosts": ["n1", "n2"],
    "rank": 0,
    "nodes": 2,
    "head_address": "10.0.0.1",
    "address": "10.0.0.1",
    "interface": "eth1",
    "port": 29501,
}
FOLLOWER = {**HEAD, "rank": 1, "address": "10.0.0.2", "interface": "eth9"}


def across(span: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return make({**PLAIN, "vllm_image_pip": [], "vllm_env": {}, "vllm_span": span}, **changes)


def test_the_head_of_a_server_across_nodes() -> None:
    found = across(HEAD, port="9001")
    command = "serve --model m --served-model-name kimi-k2.6 --host 127.0.0.1 --port 9001"
    assert (
        found["command"] == (command + " --nnodes 2 --node-rank 0 --master-addr 10.0.0.1 --master-port 29501").split()
    )
    assert {name: found["env"][name] for name in ("VLLM_HOST_IP", "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")} == {
        "VLLM_HOST_IP": "10.0.0.1",
        "GLOO_SOCKET_IFNAME": "eth1",
        "NCCL_SOCKET_IFNAME": "=eth1",
    }
    # The network is the host's, so the API itself listens where it would be published.
    assert (found["network"], found["ports"]) == ("host", [])
    assert "http://127.0.0.1:9001/health" in found["health"]
    assert spec.endpoint(found["server"])["base_url"] == "http://127.0.0.1:9001"
    assert "http://10.0.0.1:9001/health" in across(HEAD, port=9001, bind_address="10.0.0.1")["health"]


def test_a_follower_has_no_api() -> None:
    found = across(FOLLOWER, bind_address="10.0.0.2")
    command = "serve --model m --served-model-name kimi-k2.6 --nnodes 2 --node-rank 1 --master-addr 10.0.0.1"
    assert found["command"] == (command + " --master-port 29501 --headless").split()
    assert (found["env"]["VLLM_HOST_IP"], found["env"]["GLOO_SOCKET_IFNAME"]) == ("10.0.0.2", "eth9")
    assert (found["health"], found["ports"], found["server"]["published"]) == ("", [], [])
    assert not any("guard" in mount for mount in found["mounts"])


def test_the_nodes_of_a_server_have_one_release() -> None:
    def release(span: dict[str, Any], **changes: Any) -> str:
        return release_id(normalize(across(span, **changes)), "sha256:1", {})

    assert release(HEAD) == release(FOLLOWER) == release(HEAD, bind_address="10.0.0.1", port=9001)
    assert release(HEAD) == release({**HEAD, "head_address": "10.0.0.7", "address": "10.0.0.7", "interface": "eth0"})
    others = [release({**HEAD, "nodes": 3}), release(HEAD, engine_args={"seed": 1}), release(HEAD, env={"A": "1"})]
    assert len({release(HEAD), *others, release({})}) == 5


@pytest.mark.parametrize(
    ("span", "rdma", "devices"), [(HEAD, "yes", ["/dev/infiniband"]), (HEAD, False, []), ({}, True, [])]
)
def test_the_devices_for_traffic_between_nodes(span: dict[str, Any], rdma: Any, devices: list[str]) -> None:
    assert across(span, span_rdma=rdma)["devices"] == devices


def test_what_the_settings_say_of_the_interface_wins() -> None:
    assert across(HEAD, env_extra={"NCCL_SOCKET_IFNAME": "ib"})["env"]["NCCL_SOCKET_IFNAME"] == "ib"


def test_a_plan_names_what_only_the_hosts_know() -> None:
    found = across({**FOLLOWER, "head_address": "", "address": "", "interface": ""})
    assert "<address of n1>" in found["command"]
    assert found["env"]["NCCL_SOCKET_IFNAME"] == "=<interface of n2>"


@pytest.mark.parametrize(
    ("words", "url"),
    [
        (["--host", "10.0.0.1", "--port", "9"], "http://10.0.0.1:9"),
        (["--port", "9"], "http://127.0.0.1:9"),
        (["--port", "9", "--headless"], "http://127.0.0.1:0"),
        ([], "http://127.0.0.1:0"),
    ],
)
def test_where_a_server_on_the_network_of_the_host_is_reached(words: list[str], url: str) -> None:
    assert spec.endpoint(spec.read_server(["vllm", "serve", *words], [], "host"))["base_url"] == url
