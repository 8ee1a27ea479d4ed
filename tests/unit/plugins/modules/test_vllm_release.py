# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules of a release against a stand-in of the docker command. Molecule runs them against the real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._core.progress import ProgressFile
from ansible_collections.hgx.inference.plugins.module_utils._docker.build import BASE_LABEL
from ansible_collections.hgx.inference.plugins.module_utils._docker.registry import Answer
from ansible_collections.hgx.inference.plugins.module_utils._vllm import container, gpus
from ansible_collections.hgx.inference.plugins.module_utils._vllm.args_check import Reading
from ansible_collections.hgx.inference.plugins.module_utils._vllm.release import LABEL, TRIAL_LABEL
from ansible_collections.hgx.inference.plugins.module_utils._vllm.spec import guard_file
from ansible_collections.hgx.inference.plugins.modules import (
    vllm_container,
    vllm_image,
    vllm_image_choice,
    vllm_precheck,
    vllm_release,
    vllm_release_info,
    vllm_status,
)
from ansible_collections.hgx.inference.tests.unit.support import gpu_reports

IMAGE: dict[str, Any] = {"Id": "sha256:aa", "RepoDigests": ["some/image@sha256:dd"], "Config": {"Env": ["PATH=/bin"]}}
SPEC: dict[str, Any] = {
    "image": "some/image:tag",
    "command": ["vllm", "serve", "--model", "org/name", "--max-model-len", "4096"],
    "env": {"BRACES": "{{ braces }}"},
    "ports": ["127.0.0.1:0:8001"],
}
# It keeps what it was told to create, and answers as docker would.
DOCKER = """\
#!/usr/bin/python3
import json, os, sys
folder, words = os.path.dirname(__file__), sys.argv[1:]
open(f"{folder}/calls", "a").write(json.dumps(words) + "\\n")
def answer(name):
    path = f"{folder}/{name}.json"
    if not os.path.exists(path):
        sys.exit(f"Error: No such {words[0]}: {words[-1]}")
    print(open(path).read())
if words[:2] in (["image", "inspect"], ["container", "inspect"]):
    answer(words[0] if words[-1] != "vllm-next" else "next")
elif words[0] in ("pull", "build"):
    if words[-1] == "missing:1":
        sys.exit("manifest for missing:1 not found")
    print("a1: Pulling fs layer", "a2: Already exists", "a1: Pull complete", sep=chr(10))
    open(f"{folder}/stdin", "w").write(sys.stdin.read())
    os.rename(f"{folder}/away", f"{folder}/image.json")
elif words[0] in ("logs", "events") and os.path.exists(f"{folder}/{words[0]}"):
    print(open(f"{folder}/{words[0]}").read(), end="")
elif words[0] == "start" and os.path.exists(f"{folder}/refusal"):
    sys.exit(open(f"{folder}/refusal").read())
elif words[0] == "run" and "sh" in words:
    print("a==1", "----", "a==2", "b==2", sep=chr(10))
elif words[0] == "run":
    print('{"problems": ["unrecognized arguments: --max-model-len"]}')
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").write_text(DOCKER, encoding="utf-8")
    (folder / "docker").chmod(0o755)
    (folder / "image.json").write_text(json.dumps([IMAGE]), encoding="utf-8")
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")  # no socket of a real engine
    return folder


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(module: ModuleType = vllm_release, check: bool = False, **options: Any) -> dict[str, Any]:
        with (
            patch_module_args({**options, "_ansible_check_mode": check, "_ansible_diff": True}),
            pytest.raises(SystemExit),
        ):
            module.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run


def recorded(run: Run, folder: Path, check: bool = False, **options: Any) -> dict[str, Any]:
    given = options if "release" in options else {"spec": SPEC, **options}
    return run(check=check, state_dir=str(folder / "state"), container="vllm", **given)


def serves(engine: Path, labels: dict[str, str] | None = None, **changes: Any) -> None:
    """Let a container run that was made of SPEC."""
    created = vllm_release._vllm_release.normalize({**SPEC, **changes})
    details = {
        "Image": "sha256:aa",
        "State": {"Running": True, "Status": "running", "ExitCode": 0, "StartedAt": "2030-01-01T00:00:00Z"},
        "Config": {
            "Image": created["image"],
            "Labels": labels,
            "Entrypoint": ["/bin/sh"],
            "Cmd": [*vllm_release._vllm_release.OPEN_WRAPPER, *created["command"]],
            "Env": [*(f"{name}={value}" for name, value in created["env"].items()), "PATH=/bin"],
        },
        "HostConfig": {
            "PortBindings": {"8001/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]},
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
        },
    }
    (engine / "container.json").write_text(json.dumps([details]), encoding="utf-8")


def test_a_key_that_the_host_has_counts(run: Run, engine: Path, tmp_path: Path) -> None:
    assert not recorded(run, tmp_path)["has_key"]
    serves(engine)
    (tmp_path / "state/secrets").mkdir()
    (tmp_path / "state/secrets/vllm_api_key").write_text("kept", encoding="utf-8")
    plan = recorded(run, tmp_path)
    assert (plan["has_key"], plan["action"], plan["reasons"]) == (True, "replace", ["the API key has changed"])


def test_a_key_that_cannot_be_read(run: Run, engine: Path, tmp_path: Path) -> None:
    record, state = recorded(run, tmp_path)["record"], str(tmp_path / "state")
    path = tmp_path / "state/secrets/vllm_api_key"
    path.parent.mkdir()
    path.write_bytes(b"\xff")
    words = f"The API key cannot be read from {path}: it is not text in UTF-8."
    assert recorded(run, tmp_path)["msg"] == words
    assert run(vllm_container, name="vllm", state_dir=state, record=record)["msg"] == words
    assert run(vllm_status, container="vllm", state_dir=state, spec=SPEC)["msg"] == words


def test_a_damaged_record_hides_no_other(run: Run, engine: Path, tmp_path: Path) -> None:
    good = recorded(run, tmp_path)["id"]
    damaged = tmp_path / "state/releases" / ("f" * 12)
    damaged.mkdir()
    (damaged / "release.json").write_text("{ broken", encoding="utf-8")
    listed = run(vllm_release_info, state_dir=str(tmp_path / "state"))
    assert [release["id"] for release in listed["releases"]] == [good]


def test_from_the_first_start_to_a_rollback(run: Run, engine: Path, tmp_path: Path) -> None:
    plan = recorded(run, tmp_path, check=True)
    assert (plan["changed"], plan["action"], plan["current"]) == (True, "start", "")
    assert not (tmp_path / "state").exists()

    first = recorded(run, tmp_path, details={"title": "{{ braces }}"}, commits={"org/name": "a" * 40})
    assert first["action"] == "start"
    assert first["record"]["image"] == {
        "name": "some/image:tag",
        "digest": "sha256:dd",
        "base": "",
        "id": "sha256:aa",
    }
    assert first["record"]["title"] == "{{ braces }}"

    serves(engine)
    again = recorded(run, tmp_path, commits={"org/name": "a" * 40})
    assert (again["changed"], again["action"]) == (False, "none")
    assert again["record"]["title"] == "{{ braces }}"

    (tmp_path / "passed.json").write_text('{"verdict": "pass"}', encoding="utf-8")
    state = {"state_dir": str(tmp_path / "state")}
    assert run(**state, state="promoted", result=str(tmp_path / "passed.json"))["changed"]
    assert not run(**state, state="promoted", result=str(tmp_path / "passed.json"))["changed"]

    longer = {**SPEC, "command": [*SPEC["command"][:-1], "8192"]}
    second = recorded(run, tmp_path, spec=longer)
    assert second["reasons"] == ["--max-model-len 4096 -> 8192"]
    assert (second["diff"]["before"], second["diff"]["after"]) == (" --max-model-len 4096\n", " --max-model-len 8192\n")
    assert second["diff"]["after_header"].endswith("would restart the server")

    listed = run(vllm_release_info, **state)
    assert (listed["current"], listed["last_good"]) == (second["id"], first["id"])
    assert {release["id"]: release["verdict"] for release in listed["releases"]} == {
        first["id"]: "pass",
        second["id"]: "",
    }
    assert listed["commits"] == ["a" * 40], "what a rollback needs is not pruned"

    back = recorded(run, tmp_path, release=first["id"])
    assert (back["action"], back["record"]) == ("adopt", first["record"]), "the old container still runs"
    assert "There is no record of the release" in recorded(run, tmp_path, release="f" * 12)["msg"]


def test_the_packages_of_an_image_that_was_built_are_recorded(run: Run, engine: Path, tmp_path: Path) -> None:
    built = {**IMAGE, "RepoDigests": [], "Config": {"Env": [], "Labels": {BASE_LABEL: "some/image@sha256:dd"}}}
    dockerfile = "FROM some/image:tag\nRUN python3 -m pip install b==2\n"
    (engine / "image.json").unlink()
    (engine / "away").write_text(json.dumps([built]), encoding="utf-8")
    result = run(vllm_image, name="some/image:tag", dockerfile=dockerfile)
    assert "have changed others, too: a 1 -> 2. Their versions" in str(result["warnings"])
    first = recorded(run, tmp_path)
    assert len(first["record"]["image"]["packages"]) == 12
    kept = tmp_path / "state/releases" / first["id"] / "packages.txt"
    assert kept.read_text(encoding="utf-8") == "a==2\nb==2\n"
    assert recorded(run, tmp_path)["record"]["image"] == first["record"]["image"]


def test_a_trial_leaves_no_record(run: Run, engine: Path, tmp_path: Path) -> None:
    current = recorded(run, tmp_path)["id"]
    serves(engine)
    longer = {**SPEC, "command": [*SPEC["command"][:-1], "8192"]}
    trial = recorded(run, tmp_path, spec=longer, trial="long")
    assert (trial["action"], trial["record"]["trial"]) == ("replace", "long")
    assert recorded(run, tmp_path, trial="as it is")["action"] == "none"
    state = {"state_dir": str(tmp_path / "state")}
    listed = run(vllm_release_info, **state)
    assert ([release["id"] for release in listed["releases"]], listed["current"]) == ([current], current)

    # The sweep is interrupted here.
    serves(engine, command=longer["command"], labels={LABEL: trial["id"], TRIAL_LABEL: "long"})
    refused = run(**state, state="promoted", container="vllm")["msg"]
    assert f"variant 'long' of a sweep, not the release {current}" in refused
    status = run(vllm_status, container="vllm", **state, spec=SPEC)
    assert status["trial"] == "long"
    assert recorded(run, tmp_path, release=current)["action"] == "replace"
    assert recorded(run, tmp_path, spec=longer)["action"] == "adopt", "the settings want it by now"
    assert run(**state, state="promoted", container="vllm")["changed"]


def test_a_release_that_does_not_run_is_not_promoted(run: Run, engine: Path, tmp_path: Path) -> None:
    good = recorded(run, tmp_path)["id"]
    serves(engine)
    state = {"state_dir": str(tmp_path / "state"), "state": "promoted", "container": "vllm"}
    path = tmp_path / "state" / "releases" / good / "release.json"
    record = json.loads(path.read_text())
    for newer in ("network", "devices"):  # which records of earlier versions lack
        del record["container"][newer]
    path.write_text(json.dumps(record))
    assert run(**state)["changed"]
    longer = {**SPEC, "command": [*SPEC["command"][:-1], "8192"]}
    recorded(run, tmp_path, spec=longer)  # and the play dies before the container is replaced
    refused = run(**state)["msg"]
    assert "so nothing is promoted: --max-model-len 4096 -> 8192. Deploy it with" in refused
    assert run(vllm_release_info, state_dir=state["state_dir"])["last_good"] == good


def test_a_plan_for_a_host_without_an_engine(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    plan = recorded(run, tmp_path, check=True)
    assert (plan["action"], plan["engine"], plan["image_present"]) == ("start", False, False)
    assert "docker command is not on this host's PATH" in recorded(run, tmp_path)["msg"]
    status = run(vllm_status, container="vllm", state_dir=str(tmp_path), spec=SPEC)
    assert "the engine does not answer" in status["text"][0]
    assert not run(vllm_container, name="vllm", state="absent")["changed"]


def test_everything_that_is_wrong_is_said_at_once(run: Run, engine: Path, tmp_path: Path) -> None:
    serves(engine)
    spec = {
        **SPEC,
        "command": [*SPEC["command"], "--trust-remote-code"],
        "env": {"A_PASSWORD": "x"},
        "ports": ["0.0.0.0:0:8001"],
    }
    record = recorded(run, tmp_path, check=True, spec=spec)["record"]
    wanted = {"container": "vllm", "record": record, "cache_home": str(tmp_path), "has_key": False, "memory_gib": 1e6}
    message = run(vllm_precheck, **wanted)["msg"]
    assert message.startswith("Nothing was stopped or started")
    for words in (
        "unrecognized arguments: --max-model-len",
        "A_PASSWORD is a secret",
        "--trust-remote-code runs code",
        "org/name is not in the cache",
        "needs 1e+06 GiB of memory",
        "but there is no API key",
    ):
        assert f"  - {words}" in message or words in message
    planned = run(vllm_precheck, **wanted, planned=["image", "weights"])["msg"]
    assert "unrecognized" not in planned
    assert "cache" not in planned


def test_a_version_that_the_recipe_does_not_know(
    run: Run, engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_precheck, "_problems", lambda _params: [])
    record = recorded(run, tmp_path, check=True)["record"]
    wanted = {"container": "vllm", "record": record, "cache_home": str(tmp_path), "has_key": False}
    told = []
    for version in ("0.19.1", "0.32.0"):
        monkeypatch.setattr(vllm_precheck, "read_args", lambda *_args, version=version: Reading([], "", version))
        result = run(vllm_precheck, **wanted, versions=">=0.19,<0.20")
        assert result["version"] == version
        told.append("known to work" in str(result.get("warnings")))
    assert told == [False, True]
    assert "some/image:tag has vLLM 0.32.0, and the recipe is known to work with >=0.19,<0.20" in str(result)


def test_the_new_container_is_there_before_the_old_one_is_stopped(run: Run, engine: Path, tmp_path: Path) -> None:
    record = recorded(run, tmp_path)["record"]
    serves(engine)
    options = {"name": "vllm", "state_dir": str(tmp_path / "state"), "record": record, "api_key": "s3cret"}
    assert not run(vllm_container, **options)["changed"], "it runs, and is not to be replaced"
    (engine / "calls").unlink()
    result = run(vllm_container, **options, replace=True)
    assert (result["changed"], result["cut_off"]) == (True, 0)
    calls = [json.loads(line) for line in (engine / "calls").read_text(encoding="utf-8").splitlines()]
    verbs = [words[0] for words in calls if words[0] not in ("image", "container")]
    assert verbs == ["rm", "create", "stop", "logs", "rm", "rename", "start"]
    assert "s3cret" not in json.dumps(calls)
    assert (tmp_path / "state/secrets/vllm_api_key").read_text(encoding="utf-8") == "s3cret"
    assert run(vllm_container, name="vllm", state="absent")["changed"]


def test_at_once_starts_nothing_and_waits_for_no_other_run(run: Run, engine: Path, tmp_path: Path) -> None:
    record = recorded(run, tmp_path)["record"]
    options = {"name": "vllm", "state_dir": str(tmp_path / "state"), "record": record, "at_once": True}
    later = {"changed": False, "later": True}
    assert later.items() <= run(vllm_container, **options).items(), "there is no container"
    assert '"create"' not in (engine / "calls").read_text(encoding="utf-8")
    serves(engine)
    assert later.items() <= run(vllm_container, **options, replace=True).items()
    done = run(vllm_container, **options)
    assert (done["changed"], done["cut_off"], "later" in done) == (False, 0, False)
    with container.only_one(str(tmp_path / "state"), ProgressFile(None)):
        assert later.items() <= run(vllm_container, **options).items()


def test_no_start_on_gpus_that_others_fill(
    run: Run, engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "report.xml"
    report.write_text(gpu_reports.recorded("h100-busy.xml"), encoding="utf-8")
    (engine / "nvidia-smi").write_text(f"#!/bin/sh\ncat {report}\n", encoding="utf-8")
    (engine / "nvidia-smi").chmod(0o755)
    record = recorded(run, tmp_path, spec={**SPEC, "gpus": "runtime"})["record"]
    who = "of 81559 MiB by VLLM::EngineCore (pid 782, 73958 MiB)"
    wanted = {"container": "vllm", "record": record, "cache_home": str(tmp_path), "has_key": False}
    assert who in run(vllm_precheck, **wanted)["msg"]

    monkeypatch.setattr(gpus, "PROCESS_TIMEOUT_S", 0)
    options = {"name": "vllm", "state_dir": str(tmp_path / "state"), "record": record}
    refused = run(vllm_container, **options)
    assert who in refused["msg"]
    assert not refused["at_fault"], "no other release starts there, either"
    assert '"start"' not in (engine / "calls").read_text(encoding="utf-8")
    report.write_text(gpu_reports.recorded("h100-idle.xml"), encoding="utf-8")
    assert run(vllm_container, **options)["changed"]


def test_the_guard_is_written_where_it_is_mounted_and_gone(run: Run, engine: Path, tmp_path: Path) -> None:
    path, source = guard_file(str(tmp_path / "state"))
    folder = Path(path).parent
    mounts = {"own": f"{folder}:/run/guard:ro", "anothers": f"{folder.parent}/0123456789ab:/run/guard:ro"}
    for name, written in (("anothers", False), ("own", True)):
        spec = {**SPEC, "mounts": [mounts[name]]}
        compared = recorded(run, tmp_path, spec=spec)
        assert compared["guard_current"] is not written
        serves(engine, mounts=[mounts[name]])
        options = {"name": "vllm", "state_dir": str(tmp_path / "state"), "record": compared["record"]}
        assert run(vllm_container, **options)["changed"] is written
        assert not run(vllm_container, **options)["changed"]
        assert recorded(run, tmp_path, spec=spec)["guard_current"]
        assert folder.exists() is written
    assert Path(path).read_text(encoding="utf-8") == source


def test_a_record_of_an_earlier_version_can_be_returned_to(run: Run, engine: Path, tmp_path: Path) -> None:
    first = recorded(run, tmp_path)
    path = tmp_path / "state/releases" / first["id"] / "release.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["container"]["server"]
    path.write_text(json.dumps(record), encoding="utf-8")
    back = recorded(run, tmp_path, release=first["id"])
    assert back["record"] == first["record"]
    assert (back["base_url"], back["served_model_name"]) == (first["base_url"], "org/name")


REFUSAL = (
    "Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create"
    " failed: runc create failed: unable to start container process: error during container init: error running hook"
    " #0: error running hook: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy'\n"
    "nvidia-container-cli: device error: 9: unknown device: unknown\nError: failed to start containers: vllm"
)


def test_what_docker_refuses_is_told_with_its_cause(run: Run, engine: Path, tmp_path: Path) -> None:
    record = recorded(run, tmp_path)["record"]
    options = {"name": "vllm", "state_dir": str(tmp_path / "state"), "record": record}
    (engine / "refusal").write_text(REFUSAL, encoding="utf-8")
    cause, evidence, fix = run(vllm_container, **options)["msg"].splitlines()
    assert cause.startswith("docker start failed: ")
    assert cause.endswith("It is 9.")
    assert evidence == "  nvidia-container-cli: device error: 9: unknown device: unknown"
    assert "nvidia-smi -L" in fix
    (engine / "refusal").write_text("something new", encoding="utf-8")
    assert run(vllm_container, **options)["msg"] == "docker start: something new"


@pytest.mark.parametrize("dockerfile", ["", "FROM some/image:tag\n"])
def test_an_image_is_brought_once(run: Run, engine: Path, tmp_path: Path, dockerfile: str) -> None:
    options = {"name": "some/image:tag", "dockerfile": dockerfile, "progress_file": str(tmp_path / "progress")}
    assert not run(vllm_image, **options)["changed"]
    (engine / "image.json").rename(engine / "away")
    assert run(vllm_image, check=True, **options)["changed"]
    result = run(vllm_image, **options)
    assert (result["changed"], result["id"]) == (True, "sha256:aa")
    assert (engine / "stdin").read_text(encoding="utf-8") == dockerfile
    shown = (tmp_path / "progress").read_text(encoding="utf-8")
    assert shown.startswith("building some/image:tag" if dockerfile else "pulling some/image:tag: 0 of 1 layers")


def test_an_alternative_for_an_image_that_is_gone(
    run: Run, engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    wanted = {"name": "some/image", "tags": ["gone", "other"]}
    assert run(vllm_image_choice, **wanted)["tag"] == "gone", "it is here"
    (engine / "image.json").unlink()
    asked: list[tuple[str, str]] = []

    def find_image(image: str, url: str, _timeout_s: float) -> Answer:
        asked.append((image, url))
        return Answer("absent" if "gone" in image else "present", "")

    monkeypatch.setattr(vllm_image_choice, "find_image", find_image)
    result = run(vllm_image_choice, **wanted)
    assert (result["changed"], result["tag"]) == (False, "other")
    assert "some/image:other is used in place of some/image:gone, which is neither" in str(result["warnings"])
    assert [image for image, _url in asked] == ["some/image:gone", "some/image:other"]
    (tmp_path / "config.json").write_text('{"auths": {"https://index.docker.io/v1/": {}}}')
    assert run(vllm_image_choice, **wanted)["tag"] == "gone", "a stranger cannot ask"


def test_an_image_that_is_nowhere(run: Run, engine: Path) -> None:
    (engine / "image.json").unlink()
    message = run(vllm_image, name="missing:1")["msg"]
    assert message == "missing:1 cannot be pulled. Docker says:\n  manifest for missing:1 not found"


def ends(engine: Path, code: int, labels: dict[str, str] | None = None) -> None:
    """Let the container of SPEC have ended."""
    serves(engine, labels=labels)
    (details,) = json.loads((engine / "container.json").read_text(encoding="utf-8"))
    details["State"] |= {"Running": False, "Status": "exited", "ExitCode": code, "FinishedAt": "2030-01-01T01:00:00Z"}
    (engine / "container.json").write_text(json.dumps([details]), encoding="utf-8")


DIED = (
    "(EngineCore pid=171) ERROR 11-30 02:40:01 [multiproc_executor.py:298] Worker proc VllmWorker-1 died unexpectedly"
    " (exit code: None), shutting down executor.\nkey s3cret of the server\n"
)


def test_a_dead_server_is_explained_and_its_log_outlives_its_container(run: Run, engine: Path, tmp_path: Path) -> None:
    plan = recorded(run, tmp_path, api_key="s3cret")
    ends(engine, 0, labels={LABEL: plan["id"]})
    (engine / "logs").write_text(DIED, encoding="utf-8")
    state = str(tmp_path / "state")
    start = {"name": "vllm", "state_dir": state, "record": plan["record"], "api_key": "s3cret"}
    status = run(vllm_status, container="vllm", state_dir=state, spec=SPEC)
    assert "VllmWorker-1" in status["cause"][0]
    again = recorded(run, tmp_path)
    assert (again["action"], again["changed"]) == ("start", False), "the release is recorded already"
    assert recorded(run, tmp_path, check=True)["changed"], "a plan predicts the start"
    assert "ended.log" not in str([*Path(state).rglob("*")])

    (Path(state) / "secrets").mkdir(exist_ok=True)
    (Path(state) / "secrets/vllm_api_key").write_text("s3cret", encoding="utf-8")
    started = run(vllm_container, **start)
    assert started["kept_log"] == status["kept_log"] == f"{state}/releases/{plan['id']}/ended.log"
    kept = Path(started["kept_log"])
    assert "VllmWorker-1 died unexpectedly" in kept.read_text(encoding="utf-8")
    assert "s3cret" not in kept.read_text(encoding="utf-8")
    assert kept.stat().st_mode & 0o777 == 0o640


def test_the_log_of_a_server_without_a_record_is_kept_too(run: Run, engine: Path, tmp_path: Path) -> None:
    record = recorded(run, tmp_path)["record"]
    ends(engine, 1)
    (engine / "logs").write_text("x" * 3 * 2**20 + "the end\n", encoding="utf-8")
    options = {"name": "vllm", "state_dir": str(tmp_path / "state"), "record": record}
    kept = Path(run(vllm_container, **options)["kept_log"])
    assert kept == tmp_path / "state/ended.log"
    assert kept.stat().st_size <= 2**20 + 1
    assert kept.read_text(encoding="utf-8").endswith("the end\n")


def test_a_log_that_cannot_be_kept_stops_no_start(run: Run, engine: Path, tmp_path: Path) -> None:
    record = recorded(run, tmp_path)["record"]
    ends(engine, 1)
    (engine / "logs").write_text("words", encoding="utf-8")
    (tmp_path / "state/ended.log").mkdir()
    result = run(vllm_container, name="vllm", state_dir=str(tmp_path / "state"), record=record)
    assert (result["changed"], result["kept_log"]) == (True, "")


def test_a_server_that_somebody_stopped_has_no_cause(run: Run, engine: Path, tmp_path: Path) -> None:
    ends(engine, 0)
    (engine / "logs").write_text(DIED, encoding="utf-8")
    (engine / "events").write_text('{"Actor": {"Attributes": {"signal": "15"}}}\n', encoding="utf-8")
    status = run(vllm_status, container="vllm", state_dir=str(tmp_path / "state"), spec=SPEC)
    assert status["cause"] == ["The server's container vllm was stopped on request (exit code 0)."]


def test_a_recorded_command_line_is_not_checked_while_nothing_serves(
    run: Run, engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = recorded(run, tmp_path)["record"]
    wanted = {"container": "vllm", "record": record, "cache_home": str(tmp_path), "has_key": False}
    refused = "unrecognized arguments: --max-model-len"
    monkeypatch.setattr(vllm_precheck, "healthy", lambda _url: False)
    states: list[Callable[[], object]] = [lambda: None, lambda: ends(engine, 0), lambda: serves(engine)]
    for prepare in states:
        prepare()
        assert refused not in run(vllm_precheck, **wanted, recorded=True)["msg"]
        assert "org/name is not in the cache" in run(vllm_precheck, **wanted, recorded=True)["msg"]
        assert refused in run(vllm_precheck, **wanted)["msg"]
    monkeypatch.setattr(vllm_precheck, "healthy", lambda _url: True)
    assert refused in run(vllm_precheck, **wanted, recorded=True)["msg"], (
        "it serves, so the check costs nobody anything"
    )


@pytest.mark.parametrize(
    ("files", "option", "warned"),
    [(2**20, "nofile=65535:1048576", False), (20000, "", True), (None, "", False)],
    ids=["enough", "too few", "unknown"],
)
def test_open_files(
    run: Run,
    engine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: int | None,
    option: str,
    warned: bool,
) -> None:
    record = recorded(run, tmp_path)["record"]
    told: list[str] = []
    monkeypatch.setattr(vllm_container.Module, "warn", lambda _module, words: told.append(words))
    monkeypatch.setattr(vllm_container._vllm_container, "open_files", lambda: files)
    result = run(vllm_container, name="vllm", state_dir=str(tmp_path / "state"), record=record)
    calls = [json.loads(line) for line in (engine / "calls").read_text(encoding="utf-8").splitlines()]
    (created,) = (words for words in calls if words[0] == "create")
    assert (option in created) is bool(option)
    assert ("--ulimit" in created) is bool(option)
    assert ("may have 20000 open files" in "".join(told)) is warned
    assert "warning" not in result


@pytest.mark.parametrize("check", [False, True])
def test_the_check_and_the_server_share_the_caches(run: Run, engine: Path, tmp_path: Path, check: bool) -> None:
    mounts = [f"{tmp_path}/cache:/root/.cache/vllm:rw", f"{tmp_path}/hub:/root/.cache/huggingface:ro"]
    record = recorded(run, tmp_path, spec={**SPEC, "mounts": mounts})["record"]
    run(vllm_precheck, check=check, container="vllm", record=record, cache_home=str(tmp_path), has_key=False)
    assert [(tmp_path / name).exists() for name in ("cache", "hub")] == [not check, False]


def test_a_node_of_several_whose_address_changes_keeps_its_release_and_renews_its_record(
    run: Run, engine: Path, tmp_path: Path
) -> None:
    def spec(address: str) -> dict[str, Any]:
        words = [*SPEC["command"], "--nnodes", "2", "--node-rank", "0", "--master-addr", address]
        return {**SPEC, "command": words, "ports": [], "network": "host"}

    first, second = (recorded(run, tmp_path, spec=spec(address)) for address in ("10.0.0.1", "10.0.0.2"))
    assert first["id"] == second["id"]
    path = tmp_path / "state" / "releases" / first["id"] / "release.json"
    record = json.loads(path.read_text())
    assert record["argv"] == record["container"]["command"] == spec("10.0.0.2")["command"]
