# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the alarms say of a real server that is well, slows down and stalls. The tests build on each other."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testinfra.host import Host

from ansible_collections.hgx.inference.docs import dashboards
from ansible_collections.hgx.inference.plugins.plugin_utils._monitoring import queries
from ansible_collections.hgx.inference.tests.support import plays, rule_cases
from ansible_collections.hgx.inference.tests.support.plays import changed

STATE = "/var/lib/hgx-inference/vllm"
FILES = "/etc/prometheus/hgx-inference"
FIGURES = {"steady_output_throughput": 1e6, "warm_mean_ttft_ms": 1e6, "acceptance_length": 1}
LIMIT_S = 240  # for what takes seconds on an idle machine


def play(playbook: str, *options: str, rc: int = 0, **settings: Any) -> str:
    """Run a playbook, which must end so, and return its output."""
    code, output = plays.play("monitoring", playbook, *options, **settings)
    assert code == rc, output
    return output


def ask(host: Host, expression: str) -> list[dict[str, Any]]:
    """Return what Prometheus answers to an expression."""
    query = urllib.parse.urlencode({"query": expression})
    answer = json.loads(host.check_output(f"curl -sS 'http://127.0.0.1:9090/api/v1/query' -d '{query}'"))
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def value(host: Host, expression: str) -> float | None:
    found = ask(host, expression)
    return float(found[0]["value"][1]) if found else None


def firing(host: Host) -> set[str]:
    return {each["metric"]["alertname"] for each in ask(host, 'ALERTS{alertstate="firing"}')}


def wait_for(what: Callable[[], Any], words: str) -> Any:
    """Wait until something is the case, and return it."""
    deadline = time.monotonic() + LIMIT_S
    while not (found := what()):
        assert time.monotonic() < deadline, words
        time.sleep(1)
    return found


def received(host: Host, alarm: str) -> dict[str, Any] | None:
    lines = host.run("cat /var/tmp/alarms").stdout.splitlines()
    found = [each for line in lines for each in [json.loads(line)] if each["labels"]["alertname"] == alarm]
    return found[-1] if found else None


def prove(host: Host, tpot_ms: float) -> None:
    """Record figures as a benchmark does that has passed. The scenario `default` runs the real one."""
    result = {
        "verdict": "pass",
        "finished_at": "2026-11-30T10:00:00Z",
        "metrics": {"mean_tpot_ms": tpot_ms, **FIGURES},
        "workload": {"max_concurrency": 4, "input_len": 64, "output_len": 16},
    }
    host.check_output(f"echo '{json.dumps(result)}' >{STATE}/current/benchmark.json")


def prove_relative(host: Host, factor: float) -> None:
    """Record a proof whose time per output token is a multiple of the present one, and wait until Prometheus knows."""
    tpot = wait_for(lambda: value(host, queries.tpot("20s")), "no request has ended")
    prove(host, 1000 * factor * tpot)
    wait_for(
        lambda: abs((value(host, queries.proven_tpot("20s")) or 0) - factor * tpot) < 1e-6,
        "the watch has not told the proof",
    )


def load(host: Host) -> None:
    host.check_output("systemd-run --unit=loop request_loop.py")


def test_all_rules_fire_when_they_should_and_only_then(host: Host, tmp_path: Path) -> None:
    for name, content in (
        ("rules.json", rule_cases.rules(rule_cases.SETTINGS)),
        ("tests.json", rule_cases.tests("rules.json")),
    ):
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    target = host.backend.get_hostname()
    subprocess.run(["docker", "cp", f"{tmp_path}/.", f"{target}:/var/tmp/"], check=True, capture_output=True)
    done = host.run("cd /var/tmp && promtool test rules tests.json")
    assert done.rc == 0, done.stdout + done.stderr


def test_what_runs_was_installed_without_a_reload_of_systemd(host: Host) -> None:
    for service in ("prometheus", "prometheus-alertmanager", "prometheus-node-exporter"):
        assert host.service(service).is_running
        assert host.service(service).is_enabled
    listening = host.check_output("ss -Hltn '( sport = :9090 or sport = :9093 or sport = :9094 or sport = :9100 )'")
    addresses = sorted(line.split()[3] for line in listening.splitlines())
    assert addresses == ["127.0.0.1:9090", "127.0.0.1:9093", "127.0.0.1:9100"]


def test_the_key_is_in_files_of_mode_0600_only(host: Host) -> None:
    key = host.check_output(f"cat {STATE}/secrets/vllm_api_key")
    files = host.run(f"grep -rlFe {key} /etc /var/lib/prometheus {STATE}").stdout.split()
    assert sorted(files) == [f"{FILES}/keys/vllm-hgx-monitoring-node-vllm", f"{STATE}/secrets/vllm_api_key"]
    assert [host.file(path).mode for path in files] == [0o600, 0o600]
    assert key not in host.check_output("curl -sS http://127.0.0.1:9090/api/v1/status/config")


def test_a_second_run_changes_nothing(host: Host) -> None:
    for options in ([], ["--check"]):
        assert changed(play("monitoring", *options)) == {}


def test_a_release_that_is_not_proven_is_told(host: Host) -> None:
    wait_for(lambda: received(host, "ReleaseNotProven"), "nothing was received")
    assert value(host, 'hgx_proof_figure{metric="mean_tpot_ms"}') is None, "unknown is absent"
    assert value(host, "hgx_node_price_usd_per_hour") == 53.52


def test_the_self_test_measures_an_idle_server(host: Host) -> None:
    unit = "hgx-inference-selftest-vllm"
    assert host.check_output(f"systemctl is-active {unit}.timer") == "active"
    assert host.check_output("systemctl show docker --property=NeedDaemonReload --value") == "no"
    host.check_output(f"systemctl start {unit}")
    said = host.check_output(f"journalctl --unit {unit} --output cat")
    assert "output tokens per second with one request at a time" in said
    wait_for(lambda: value(host, "hgx_selftest_tokens_per_second"), "Prometheus does not know it")


def test_a_server_that_is_well_fires_nothing(host: Host) -> None:
    """Its proven time per output token is three times what it takes now, since other tests share the processors."""
    load(host)
    prove_relative(host, 3)
    wait_for(lambda: "ReleaseNotProven" not in firing(host), "the proof is not seen")
    assert firing(host) & {"SlowerThanProven", "VllmStalled", "VllmDown", "VllmUnwell"} == set()


def test_every_query_of_the_dashboards_has_data(host: Host) -> None:
    """Those of what this host does not have are valid at least."""
    empty = []
    for expression in dashboards.expressions():
        found = ask(host, expression.replace("$__rate_interval", "1m"))
        if not found and not dashboards.ELSEWHERE.search(expression):
            empty.append(expression)
    assert empty == []


def test_the_bill_and_what_happens_now(host: Host, tmp_path: Path) -> None:
    # It counts the minutes that have begun since there is data.
    wait_for(lambda: ask(host, 'count_over_time(up{job="node"}[1h:1m])'), "no minute has begun")
    output = play("bill", bill_dir=str(tmp_path), bill_api_price={"output": 2.5, "prompt": 0.6})
    assert "hgx-monitoring-node" in output
    assert "the API would have cost" in output or "The API would have cost" in output, output
    page = (tmp_path / "hgx-monitoring-node" / "operation.html").read_text(encoding="utf-8")
    for words in ("vllm on hgx-monitoring-node: ", "Running requests", "53.52 USD"):
        assert words in page, words


def test_a_proof_is_exported_checked_and_refused_once_it_is_altered(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    play("proof", proof_key=str(key), proof_dir=str(tmp_path))
    (archive,) = tmp_path.glob("*.proof.tar")
    options = {"proof_file": str(archive), "proof_signers": f"{key}.pub", "proof_compare": True}
    output = " ".join(play("verify_proof", **options).split())
    assert "Nothing was altered since." in output
    assert "were proven with the same release, weights, driver and hardware." in output, output
    archive.write_bytes(archive.read_bytes().replace(b'"verdict": "pass"', b'"verdict": "warn"'))
    refused = " ".join(play("verify_proof", rc=2, **options).split())
    assert "The proof is refused: benchmark.json differs from what was signed." in refused


def test_a_slowed_server_fires_the_alarm_relative_to_the_proof(host: Host) -> None:
    prove_relative(host, 1)
    # A tenth of what it takes on a quiet machine, so less than a half on any.
    host.check_output("docker update --cpus 0.1 vllm")
    alarm = wait_for(lambda: received(host, "SlowerThanProven"), "nothing was received")
    host.check_output("docker update --cpus $(nproc) vllm")
    assert "more than proven at this concurrency" in alarm["annotations"]["summary"]
    assert alarm["labels"]["node"] == "hgx-monitoring-node"
    assert alarm["annotations"]["cause"]


def test_a_stalled_engine_is_told(host: Host) -> None:
    host.check_output("systemctl stop loop")
    host.check_output("systemd-run --unit=long sh -c 'while request_loop.py 40000; do :; done'")

    def stopped_while_it_answers() -> bool:
        """Stop the engine. What was asked may have ended before, so see what Prometheus counts later."""
        host.check_output("pkill --signal STOP --full '[V]LLM::EngineCore'")
        time.sleep(5)
        if value(host, queries.running()):
            return True
        host.check_output("pkill --signal CONT --full '[V]LLM::EngineCore'")
        return False

    wait_for(stopped_while_it_answers, "no request runs")
    began = time.monotonic()
    alarm = wait_for(lambda: received(host, "VllmStalled"), "nothing was received")
    print(f"told after {time.monotonic() - began:.0f} s")
    host.check_output("pkill --signal CONT --full '[V]LLM::EngineCore'; systemctl stop long")
    assert "1 requests run, and no token comes" in alarm["annotations"]["summary"]
    assert host.run("curl -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:8001/health").stdout == "200"
