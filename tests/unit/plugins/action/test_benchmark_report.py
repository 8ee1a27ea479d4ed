# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports through the real ansible command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.tests.support import ansible_command

ROOT = Path(__file__).parents[4]
PLAY = """
- hosts: all
  gather_facts: false
  connection: local
  vars:
    recipe:
      {name: mine, profile: published, title: "My {{ 7 * 7 }} model", engine: {port: 1, served_model_name: m},
       benchmark: {input_len: 8, output_len: 8, max_concurrency: 1, sizes: {smoke: 4}},
       models: [{repo: me/m, role: model}], published: {}, thresholds: [], hardware: {price_usd_per_hour: 5},
       functional: {}, real_text: {}}
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    smoke_benchmark_results_dir: results-on-the-host
    smoke_benchmark_functional_checks: []
    smoke_benchmark_container: nowhere-planted-key
  roles:
    - hgx.inference.smoke_benchmark
"""

# As if the benchmark had passed and left something strange.
ODD = """
- hosts: all
  gather_facts: false
  connection: local
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    __smoke_benchmark_fetched: {dest: "{{ playbook_dir }}/odd.json"}
  tasks:
    - ansible.builtin.include_role:
        name: hgx.inference.smoke_benchmark
        tasks_from: report
"""

# As if a variant of a sweep had failed, and told the key.
POINT = """
- hosts: all
  gather_facts: false
  connection: local
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    smoke_benchmark_metadata: {}
    smoke_benchmark_workload: {max_concurrency: 4}
    __smoke_benchmark_sweep_file: "{{ smoke_benchmark_fetch_dir }}/one/20261125T180200Z-sweep.json"
    __smoke_benchmark_points: []
    __smoke_benchmark_point:
      {name: longer, concurrency: null, engine_args: {max-model-len: 1}, metrics: {mean_tpot_ms: 1.5}, verdict: fail,
       reason: "the (planted.key) and\\nplanted.key-2 of planted-key"}
  tasks:
    - ansible.builtin.include_role:
        name: hgx.inference.smoke_benchmark
        tasks_from: sweep_record
"""


def play(folder: Path, *arguments: str) -> tuple[int, str]:
    done = ansible_command.run(["ansible-playbook", *arguments, "-e", f"smoke_benchmark_fetch_dir={folder}"])
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_a_benchmark_that_fails_is_reported_and_the_report_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\nfor last; do :; done\necho "Error: No such container: $last" >&2\nexit 1\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent), prepend=":")
    monkeypatch.setenv("VLLM_API_KEY", "planted-key")
    book, results = tmp_path / "play.yml", tmp_path / "results"
    book.write_text(PLAY.replace("results-on-the-host", str(tmp_path)), encoding="utf-8")
    rc, output = play(results, str(book), "-i", "one,", "--check")
    assert rc == 0, output
    assert not results.exists()
    rc, output = play(results, str(book), "-i", "one,", "-e", "smoke_benchmark_report=false")
    assert rc != 0
    assert not results.exists()
    rc, output = play(results, str(book), "-i", "one,")
    assert rc != 0
    page = results / "one" / "unmeasured" / "report.html"
    assert f"Report: {page}" in output[output.index("FAILED!") :]
    text = page.read_text(encoding="utf-8")
    assert "nowhere-********" in text
    assert "planted-key" not in text
    assert json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["node"]["price_usd_per_hour"] == 5
    odd = '{"verdict": "pass", "metrics": {}, "finished_at": "today", "checks": 3}'
    (tmp_path / "odd.yml").write_text(ODD, encoding="utf-8")
    (tmp_path / "odd.json").write_text(odd, encoding="utf-8")
    rc, output = play(tmp_path / "odd", str(tmp_path / "odd.yml"), "-i", "one,")
    assert rc == 0, output
    assert "There is no report: " in output
    assert "odd.json" in output[output.index("There is no report: ") :]
    rc, output = play(results, "playbooks/report.yml")
    assert rc == 0, output
    assert f"1 reports, compared in {results}/index.html" in output
    assert "changed=0" in output


@pytest.mark.parametrize(
    ("key", "token", "reason"),
    [
        ("planted.key", "planted.key-2", "the (********) and\n******** of planted-key"),
        ("", "", "the (planted.key) and\nplanted.key-2 of planted-key"),
    ],
)
def test_a_point_of_a_sweep_is_kept_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, token: str, reason: str
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", key)
    monkeypatch.setenv("HF_TOKEN", token)
    (tmp_path / "play.yml").write_text(POINT, encoding="utf-8")
    (tmp_path / "one").mkdir()
    rc, output = play(tmp_path, str(tmp_path / "play.yml"), "-i", "one,")
    assert rc == 0, output
    (point,) = json.loads((tmp_path / "one" / "20261125T180200Z-sweep.json").read_text(encoding="utf-8"))["points"]
    assert point == {
        "name": "longer",
        "concurrency": None,
        "engine_args": {"max-model-len": 1},
        "metrics": {"mean_tpot_ms": 1.5},
        "verdict": "fail",
        "reason": reason,
    }


def test_no_secret_comes_back_when_reports_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "planted-key")
    sweep = tmp_path / "one" / "20261125T180200Z-sweep.json"
    sweep.parent.mkdir()
    point = {"name": "a", "verdict": "fail", "reason": "it was planted-key!"}
    sweep.write_text(json.dumps({"points": [point]}), encoding="utf-8")
    rc, output = play(tmp_path, "playbooks/report.yml")
    assert rc == 0, output
    page = (sweep.with_suffix("") / "report.html").read_text(encoding="utf-8")
    assert "it was ********!" in page
    assert "planted-key" not in page
