# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports through the real ansible command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

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


def play(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        ["ansible-playbook", *arguments, "-e", f"smoke_benchmark_fetch_dir={folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


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
    assert "The report cannot be made: TypeError" in output
    rc, output = play(results, "playbooks/report.yml")
    assert rc == 0, output
    assert f"1 reports, compared in {results}/index.html" in output
    assert "changed=0" in output
