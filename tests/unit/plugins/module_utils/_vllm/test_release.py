# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases as data: the same is the same, what differs is shown, and a container reads back as what it was made of."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm import release

SPEC = release.normalize(
    {
        "image": "some/image:tag",
        "command": ["vllm", "serve", "--model", "org/name", "--port", "8001", "--no-enable-prefix-caching"],
        "env": {"HF_HUB_OFFLINE": 1, "BRACES": "{{ braces }}"},
        "mounts": ["/srv/weights:/root/.cache/huggingface:ro"],
        "ports": ["127.0.0.1:8001:8001"],
        "gpus": "runtime",
        "ipc": "host",
        "shm_gib": "16",
        "capabilities": ["DAC_OVERRIDE"],
        "pids_limit": "32768",
        "health": "true",
        "health_start_s": "60",
    }
)
IMAGE_ENV = ["PATH=/bin", "LANG=C"]
IMAGE_ID = "sha256:aa"


def container(spec: dict[str, Any] = SPEC, **state: Any) -> dict[str, Any]:
    """Return what docker inspect says of a container made of the specification."""
    return {
        "Image": IMAGE_ID,
        "State": {"Running": True, "Status": "running", "ExitCode": 0, **state},
        "Config": {
            "Image": spec["image"],
            "Entrypoint": [release.SHELL],
            "Cmd": [*release.OPEN_WRAPPER, *spec["command"]],
            "Env": [*(f"{name}={value}" for name, value in spec["env"].items()), *IMAGE_ENV],
            "Healthcheck": {"Test": ["CMD-SHELL", spec["health"]], "StartPeriod": 60_000_000_000},
            "Labels": {},
        },
        "HostConfig": {
            "Binds": spec["mounts"],
            "PortBindings": {"8001/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8001"}]},
            "DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}],
            "IpcMode": "host",
            "ShmSize": 64 * 1024**2,
            "CapAdd": ["DAC_OVERRIDE"],
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": 32768,
        },
    }


def changed(**changes: Any) -> dict[str, Any]:
    return {**SPEC, **changes}


def plan(spec: dict[str, Any] = SPEC, found: dict[str, Any] | None = None, **options: Any) -> release.Plan:
    return release.plan(spec, IMAGE_ID, found or container(), IMAGE_ENV, options.pop("recorded", True), **options)


def test_the_same_is_the_same_release_whatever_its_order() -> None:
    reordered = changed(
        command=["vllm", "serve", "--port", "8001", "--no-enable-prefix-caching", "--model", "org/name"]
    )
    assert release.release_id(SPEC, "x", {}) == release.release_id(reordered, "x", {})
    assert release.ID.fullmatch(release.release_id(SPEC, "x", {}))


@pytest.mark.parametrize(
    ("spec", "image", "commits"),
    [
        (changed(command=["vllm", "serve", "--model", "org/other"]), "x", {}),
        (changed(env={}), "x", {}),
        (SPEC, "y", {}),
        (SPEC, "x", {"org/name": "a" * 40}),
    ],
)
def test_what_makes_another_release(spec: dict[str, Any], image: str, commits: dict[str, str]) -> None:
    assert release.release_id(spec, image, commits) != release.release_id(SPEC, "x", {})


def test_a_container_reads_back_as_its_specification() -> None:
    observed = release.observed(container(), IMAGE_ENV, SPEC)
    assert release.describe(observed) == release.describe(SPEC)
    assert plan() == release.Plan("none", [], [], [])


@pytest.mark.parametrize("limit", [{}, {"VLLM_ENGINE_READY_TIMEOUT_S": "600"}])
def test_another_limit_of_the_start_restarts_no_server(limit: dict[str, str]) -> None:
    found = container(changed(env={**SPEC["env"], **limit}))
    for wanted in ({**limit, "VLLM_ENGINE_READY_TIMEOUT_S": "7200"}, {}):
        assert plan(changed(env={**SPEC["env"], **wanted}), found).action == "none"


def test_a_container_made_from_the_id_of_a_kept_image() -> None:
    found = container()
    found["Config"]["Image"] = IMAGE_ID
    assert plan(found=found).action == "none"


@pytest.mark.parametrize(
    ("changes", "reason", "before", "after"),
    [
        (
            {"command": ["vllm", "serve", "--model", "org/name", "--port", "8001", "--enable-prefix-caching"]},
            "--enable-prefix-caching off -> on",
            ["--no-enable-prefix-caching"],
            ["--enable-prefix-caching"],
        ),
        ({"env": {**SPEC["env"], "SOME": "1"}}, "env SOME 1 added", [], ["env SOME=1"]),
        ({"env": {**SPEC["env"], "A_TOKEN": "s3cret"}}, "env A_TOKEN ******** added", [], ["env A_TOKEN=********"]),
        (
            {"command": [*SPEC["command"], "--api-key", "s3cret"]},
            "--api-key ******** added",
            [],
            ["--api-key ********"],
        ),
        (
            {"command": [*SPEC["command"], "--api_key", "s3cret"]},
            "--api_key ******** added",
            [],
            ["--api_key ********"],
        ),
        (
            {"env": {**SPEC["env"], "UPSTREAM": "http://user:s3cret@host"}},
            "env UPSTREAM http://********@host added",
            [],
            ["env UPSTREAM=http://********@host"],
        ),
        (
            {"command": [*SPEC["command"], "--hf-token=s3cret"]},
            "--hf-token ******** added",
            [],
            ["--hf-token ********"],
        ),
        ({"gpus": "cdi"}, "GPUs all, by runtime -> all, by cdi", None, None),
        ({"gpu_set": "0,1"}, "GPUs all, by runtime -> 0,1, by runtime", None, None),
        ({"mounts": []}, "mount /root/.cache/huggingface:ro /srv/weights removed", None, []),
        ({"image": "other:1"}, "image some/image:tag -> other:1", None, None),
    ],
)
def test_what_differs_is_all_that_is_said(
    changes: dict[str, Any], reason: str, before: list[str] | None, after: list[str] | None
) -> None:
    found = plan(changed(**changes))
    assert found.action == "replace"
    assert reason in found.reasons
    if before is not None:
        assert found.before == before
    if after is not None:
        assert found.after == after


def test_what_docker_adds_is_no_difference() -> None:
    found = container()
    found["Config"]["Env"] += ["HTTPS_PROXY=http://user:pass@proxy", "no_proxy=localhost"]
    assert plan(found=found).action == "none"
    assert plan(changed(env={**SPEC["env"], "HTTPS_PROXY": "http://other"}), found=found).action == "replace"


def test_capabilities_have_one_spelling() -> None:
    assert release.normalize({**SPEC, "capabilities": ["CAP_SYS_PTRACE", "sys_nice"]})["capabilities"] == [
        "SYS_PTRACE",
        "SYS_NICE",
    ]


def test_an_earlier_versions_container_is_replaced_for_what_it_may_do() -> None:
    found = container()
    found["HostConfig"].update(CapAdd=None, CapDrop=None, SecurityOpt=None, PidsLimit=None)
    (capabilities, processes) = plan(found=found).reasons
    assert capabilities == "capabilities (Docker's own) (new privileges) -> DAC_OVERRIDE"
    assert processes == "processes at most unlimited -> at most 32768"


def test_other_reasons() -> None:
    assert release.plan(SPEC, None, None, [], False).action == "start"
    assert plan(found=container(Running=False, Status="exited", ExitCode=1)).reasons == [
        "the container is not running (state exited, exit code 1)"
    ]
    assert plan(recorded=False).action == "adopt"
    assert plan(new_key=True).reasons == ["the API key has changed"]
    rebuilt = release.plan(SPEC, "sha256:bb", container(), IMAGE_ENV, True)
    assert rebuilt.reasons == ["the image some/image:tag is another build than the one that runs"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"env": {"MY_API_KEY": "x"}}, "MY_API_KEY is a secret"),
        ({"env": {"HF_TOKEN": "x"}}, "HF_TOKEN is a secret"),
        ({"env": {"AWS_SECRET_ACCESS_KEY": "x"}}, "AWS_SECRET_ACCESS_KEY is a secret"),
        ({"command": ["vllm", "serve", "--api_key", "x"]}, "--api-key is a secret"),
        ({"env": {"VLLM_MAX_TOKENS": "1", "EMPTY_TOKEN": ""}}, None),
    ],
)
def test_secrets_have_no_place_in_a_release(changes: dict[str, Any], words: str | None) -> None:
    problems = release.secret_problems(changed(**changes))
    assert len(problems) == (words is not None)
    assert words is None or words in problems[0]


def test_how_the_container_is_created() -> None:
    record = {"id": "0123456789ab", "container": SPEC}
    words = release.create_args("vllm", record, "some/image:tag", keyed=True)
    text = " ".join(words)
    assert "--label hgx.inference.release=0123456789ab" in text
    assert "--security-opt no-new-privileges --cap-drop ALL --cap-add DAC_OVERRIDE" in text
    assert "--gpus all" in text
    assert "--shm-size" not in text, "the host's own is shared"
    own = release.create_args(
        "vllm", {**record, "container": changed(ipc="", gpus="cdi")}, "some/image:tag", keyed=False
    )
    assert own[own.index("--shm-size") + 1] == str(16 * 1024**3)
    assert own[own.index("--device") + 1] == "nvidia.com/gpu=all"
    assert words[words.index("some/image:tag") + 1 :] == [*release.KEYED_WRAPPER, *SPEC["command"]]
    assert "hgx.inference.trial" not in text
    assert "hgx.inference.trial=1 drafted" in release.create_args(
        "vllm", {**record, "trial": "1 drafted"}, "i", keyed=False
    )
    assert own[own.index("some/image:tag") + 1 :] == [*release.OPEN_WRAPPER, *SPEC["command"]]


@pytest.mark.parametrize(
    ("kind", "gpu_set", "words", "reported"),
    [
        ("", "", [], []),
        ("runtime", "", ["--gpus", "all"], [{"Driver": "", "Count": -1, "DeviceIDs": None}]),
        ("cdi", "", ["--device", "nvidia.com/gpu=all"], [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}]),
        ("runtime", "4,5", ["--gpus", '"device=4,5"'], [{"Driver": "", "Count": 0, "DeviceIDs": ["4", "5"]}]),
        (
            "cdi",
            "4,GPU-ab",
            ["--device", "nvidia.com/gpu=4", "--device", "nvidia.com/gpu=GPU-ab"],
            [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=4", "nvidia.com/gpu=GPU-ab"]}],
        ),
    ],
)
def test_a_container_gets_its_gpus_and_they_read_back(
    kind: str, gpu_set: str, words: list[str], reported: list[dict[str, Any]]
) -> None:
    spec = changed(gpus=kind, gpu_set=gpu_set)
    created = release.create_args("vllm", {"id": "0123456789ab", "container": spec}, "i", keyed=False)
    assert [word for word in created if "gpu" in word or "device" in word or word == "all"] == words
    found = container(spec)
    found["HostConfig"]["DeviceRequests"] = reported
    assert release.describe(release.observed(found, IMAGE_ENV, spec)) == release.describe(spec)


def test_a_server_that_is_to_have_a_key_does_not_start_without_it() -> None:
    keyed, open_ = ([release.SHELL, *words] for words in (release.KEYED_WRAPPER, release.OPEN_WRAPPER))
    done = subprocess.run([*keyed, "echo", "started"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (78, "")
    assert "The file of the API key is gone" in done.stderr
    done = subprocess.run([*open_, "echo", "started"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "started\n")


@pytest.mark.parametrize(
    ("labels", "left"),
    [
        (None, ""),
        ({release.LABEL: "b"}, ""),
        ({release.LABEL: "b", release.TRIAL_LABEL: "1 drafted"}, "1 drafted"),
        ({release.LABEL: "a", release.TRIAL_LABEL: "1 drafted"}, ""),  # deployed since, as it was
    ],
)
def test_what_a_trial_has_left(labels: dict[str, str] | None, left: str) -> None:
    assert release.left_by_trial({"Config": {"Labels": labels}}, "a") == left


def test_what_the_server_was_told_is_kept_and_makes_no_other_release() -> None:
    server = {"args": {"model": "org/name", "seed": 1}, "published": [{"address": "127.0.0.1", "port": 8001}]}
    kept = release.normalize({**SPEC, "server": server})
    assert kept["server"] == server
    assert release.release_id(kept, "x", {}) == release.release_id(SPEC, "x", {})


@pytest.mark.parametrize("found", [SPEC, release.observed(container(), IMAGE_ENV, SPEC)])
def test_what_another_servers_words_say(found: dict[str, Any]) -> None:
    """Also those of a record from a version that kept nothing else."""
    assert found["server"] == {
        "args": {"model": "org/name", "port": "8001", "no-enable-prefix-caching": ""},
        "published": [{"address": "127.0.0.1", "port": 8001}],
    }


def test_a_changed_password_is_a_reason_that_does_not_show_it() -> None:
    before = changed(env={**SPEC["env"], "UPSTREAM": "http://user:one@host"})
    after = changed(env={**SPEC["env"], "UPSTREAM": "http://user:two@host"})
    found = plan(after, found=container(before))
    assert found.action == "replace"
    assert "one" not in str(found) and "two" not in str(found)


def test_a_server_on_the_network_of_the_host_reads_back() -> None:
    words = ["vllm", "serve", "--host", "10.0.0.1", "--port", "8001", "--nnodes", "2", "--node-rank", "0"]
    spec = release.normalize({**SPEC, "command": words, "ports": [], "network": "host", "server": None})
    spec = {**spec, "devices": ["/dev/infiniband"]}
    made = release.create_args("vllm", {"id": "a" * 12, "container": spec}, "some/image:tag", keyed=False)
    assert made[made.index("--network") + 1] == "host"
    assert "--publish" not in made
    assert " ".join(made).count("--device /dev/infiniband --ulimit memlock=-1:-1") == 1
    found = container(spec)
    found["HostConfig"] |= {"PortBindings": {}, "NetworkMode": "host", "Devices": [{"PathOnHost": "/dev/infiniband"}]}
    assert plan(spec, found).action == "none"
    assert release.observed(found, IMAGE_ENV, spec)["server"]["published"] == [{"address": "10.0.0.1", "port": 8001}]
    # Another rank or address is another server, though it is the same release.
    other = {**spec, "command": [*words[:-1], "1"]}
    assert plan(other, found).reasons == ["--node-rank 0 -> 1"]
    assert release.release_id(other, "x", {}) == release.release_id(spec, "x", {})
    bridged = {**found, "HostConfig": {**found["HostConfig"], "NetworkMode": "bridge"}}
    assert plan(spec, bridged).reasons == ["network host added"]
