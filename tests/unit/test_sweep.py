# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks sweep and verify on this machine, against a server and a client that are stand-ins."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hgx.inference.plugins.module_utils._vllm.release import LABEL, TRIAL_LABEL
from ansible_collections.hgx.inference.plugins.module_utils._vllm.store import CURRENT, FORMAT, LAST_GOOD, Store
from ansible_collections.hgx.inference.tests.support import ansible_command
from ansible_collections.hgx.inference.tests.support.liar_server import LiarServer

ROOT = Path(__file__).parents[2]


Sweep = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    facts = {
        "ANSIBLE_CACHE_PLUGIN": "jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(tmp_path_factory.mktemp("facts")),
    }
    return functools.partial(play, facts)


def play(
    facts: dict[str, str], folder: Path, server: LiarServer, *options: str, playbook: str = "playbooks/sweep.yml"
) -> subprocess.CompletedProcess[str]:
    """Run a playbook against this machine. Its facts are gathered once for all tests."""
    client = ROOT / "tests" / "support" / "bench_client.py"
    (folder / "vllm").write_text(f"#!{sys.executable}\n{client.read_text()}")
    (folder / "vllm").chmod(0o755)
    if not (folder / "python3").exists():
        (folder / "python3").symlink_to(sys.executable)
    variables: dict[str, Any] = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "recipe_file": str(ROOT / "recipes" / "tiny_kimi_cpu.yml"),
        "smoke_benchmark_client_command": ["/usr/bin/env", f"PATH={folder}", f"TMPDIR={folder}"],
        "smoke_benchmark_base_url": f"http://127.0.0.1:{server.server_address[1]}",
        "smoke_benchmark_results_dir": str(folder / "state"),
        "smoke_benchmark_fetch_dir": str(folder / "results"),
        "smoke_benchmark_sweep_concurrencies": [1, 4],
        "vllm_container_name": "hgx-test-sweep",
        "vllm_state_dir": str(folder / "vllm-state"),
        "hf_cache_home": str(folder / "hub"),
    }
    inventory = {"inference": {"hosts": {"node": variables}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
    command = ["ansible-playbook", playbook, "-i", str(folder / "hosts.yml"), *options]
    environment = {**os.environ, **facts, "PATH": f"{folder}:{os.environ['PATH']}"}
    return ansible_command.run(command, env=environment)


@pytest.mark.slow
def test_the_front(tmp_path: Path, sweep: Sweep) -> None:
    with LiarServer(0) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        # On a host that has nothing yet.
        (tmp_path / "docker").write_text("#!/bin/sh\necho no engine >&2; exit 1\n")
        (tmp_path / "docker").chmod(0o755)
        variants = [{"name": "1 drafted", "engine_args": {"speculative-config": {"num_speculative_tokens": 1}}}]
        more = json.dumps({"smoke_benchmark_sweep_variants": variants, "smoke_benchmark_sweep_concurrencies": [4]})
        planned = sweep(tmp_path, server, "--check", "-e", more)
        assert planned.returncode == 0, planned.stdout + planned.stderr
        for words in ("as deployed, concurrency 4: Would", "1 drafted, concurrency 4: Would", "be started 2 times"):
            assert words in planned.stdout
        assert {path.name for path in tmp_path.iterdir()} == {"docker", "hosts.yml", "python3", "vllm"}
        refused = sweep(tmp_path, server, "-e", more)
        assert "Deploy it first with playbooks/serve.yml" in refused.stdout
        assert not server.counters
        done = sweep(tmp_path, server)
        server.lie, server.hurry = "cut", 10
        lied = sweep(tmp_path, server, "-e", '{"smoke_benchmark_sweep_concurrencies": [4]}')
        server.shutdown()
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = sorted((tmp_path / "results" / "node").glob("*-sweep.json"))
    front = json.loads(first.read_text())
    assert (front["format"], front["recipe_point"]) == (1, "concurrency 4")
    assert [(point["name"], point["concurrency"]) for point in front["points"]] == [
        ("concurrency 1", 1),
        ("concurrency 4", 4),
    ]
    one, four = (point["metrics"]["steady_output_throughput"] for point in front["points"])
    assert 2 < four / one < 5
    assert lied.returncode == 0, lied.stdout + lied.stderr
    assert [(point["verdict"], point["metrics"]) for point in json.loads(second.read_text())["points"]] == [
        ("invalid", {}),
    ]
    page = (second.with_suffix("") / "report.html").read_text()
    assert "Why <em>concurrency 4</em> has no figures" in page
    assert re.search(r"concurrency 1: \d+ tok/s, mean TPOT", done.stdout)
    assert str(first.with_suffix("") / "report.html") in done.stdout


@pytest.mark.slow
def test_a_variant_that_an_interrupted_sweep_has_left_is_not_measured_as_the_release(
    tmp_path: Path, sweep: Sweep
) -> None:
    store = Store(str(tmp_path / "vllm-state"))
    store.write({"format": FORMAT, "id": "0123456789ab"})
    store.point(CURRENT, "0123456789ab")
    container = {"Config": {"Labels": {LABEL: "ba9876543210", TRIAL_LABEL: "1 drafted"}}}
    (tmp_path / "docker").write_text(f"#!/bin/sh\necho '{json.dumps([container])}'\n")
    (tmp_path / "docker").chmod(0o755)
    with LiarServer(0) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        refused = sweep(tmp_path, server, playbook="playbooks/verify.yml")
        server.shutdown()
    assert refused.returncode == 2, refused.stdout + refused.stderr
    told = " ".join(refused.stdout.split())
    assert "The server runs the variant '1 drafted' of a sweep, not the release 0123456789ab" in told
    assert "Roll back with playbooks/rollback.yml -i INVENTORY -e vllm_rollback_to=0123456789ab" in told
    assert not server.counters
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "state").exists()


@pytest.mark.slow
def test_a_release_that_passes_is_promoted_and_one_that_fails_is_not(tmp_path: Path, sweep: Sweep) -> None:
    store = Store(str(tmp_path / "vllm-state"))
    store.write({"format": FORMAT, "id": "0123456789ab", "commits": {}})
    store.point(CURRENT, "0123456789ab")
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'Error: No such container' >&2; exit 1\n")
    (tmp_path / "docker").chmod(0o755)
    settings: dict[str, Any] = {
        "smoke_benchmark_real_text": {},
        "smoke_benchmark_size": "quick",
        "smoke_benchmark_thresholds": [{"metric": "output_throughput", "op": "<=", "value": 1, "source": "a test"}],
    }
    with LiarServer(0, hurry=4) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()

        def verify(**more: Any) -> subprocess.CompletedProcess[str]:
            options = ("--tags", "smoke_benchmark", "-e", json.dumps({**settings, **more}))
            return sweep(tmp_path, server, *options, playbook="playbooks/verify.yml")

        # It calls no tool, and it is measured all the same.
        wrong: dict[str, Any] = {
            "smoke_benchmark_endpoint": f"http://127.0.0.1:{server.server_address[1]}",
            "smoke_benchmark_functional_checks": ["tool_call"],
        }
        both = verify(**wrong)
        good = store.pointed(LAST_GOOD)
        settings["smoke_benchmark_thresholds"][0]["op"] = ">="
        passed = verify(smoke_benchmark_functional_checks=[])
        fast = verify(**wrong, smoke_benchmark_reuse="never")
        server.shutdown()
    assert " ".join(both.stdout.split()).count("fail output_throughput ") == 1
    assert good is None
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert store.pointed(LAST_GOOD) == "0123456789ab"
    assert (store.result("0123456789ab") or {})["verdict"] in ("pass", "warn")  # odd on a busy machine
    for run, figures, kept in (
        (both, "FAIL: 1 of 1 thresholds missed", "no release on this host has passed its benchmark yet."),
        # On a busy machine the run looks odd, which warns.
        (fast, "(PASS|WARN): 1 of 1 thresholds met", "this is the last good release."),
    ):
        told = " ".join(run.stdout.split())
        assert run.returncode == 2, run.stdout + run.stderr
        assert "They are reported after the benchmark, which runs all the same." in told
        last = told[told.rindex("FAIL: 1 pass, 1 fail of 2 functional checks fail Tool call:") :]
        assert re.search(figures, last), run.stdout
        assert f"Nothing was rolled back, because {kept}" in last
    results = list((tmp_path / "results" / "node").glob("*.json"))
    assert len(results) == 2, "the second run judges the figures of the first"
