# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real client, of the demo's image, against a server that lies. The unit tests try every lie with a stand-in."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.tests.support.liar_server import LiarServer

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "hgx" / "huggingface"
CLIENT = [
    *["docker", "run", "--rm", "--interactive", "--network", "host", "--env", "HF_HUB_OFFLINE=1"],
    *["--volume", f"{CACHE}:/root/.cache/huggingface:ro", "--entrypoint", "env", "hgx-inference/vllm-cpu:0.32.0"],
]


@pytest.mark.parametrize(
    ("lie", "verdict", "checks"),
    [
        ("none", "pass", "even_speed"),
        ("cut", "invalid", "output_length"),
        ("repeats", "invalid", "answers_readable"),
        ("pads+role-first", "warn", "answers_readable first_token"),
        ("comments", "invalid", "all_requests_completed|output_length"),  # all chunks are lost, or some
    ],
)
def test_the_real_client_and_a_lie(lie: str, verdict: str, checks: str, tmp_path: Path) -> None:
    assert CACHE.is_dir(), "the demo has left no weights: run `make demo` once"
    with LiarServer(0, lie) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        arguments = {
            "client_command": CLIENT,
            "base_url": f"http://127.0.0.1:{server.server_address[1]}",
            "model": "moonshotai/Kimi-K2.6",
            "served_model_name": "kimi-k2.6",
            "workload": {
                "input_len": 64,
                "output_len": 64,
                "max_concurrency": 4,
                "warmup_prompts": 4,
                "sizes": {"smoke": 16},
                "trust_remote_code": True,
                "time_limit_s": 240,
                "args": {"temperature": 0},
            },
            "size": "smoke",
            "thresholds": [{"metric": "steady_output_throughput", "op": ">=", "value": 1}],
            "results_dir": str(tmp_path),
        }
        python = ["-e", f"ansible_python_interpreter={sys.executable}"]
        module = ["-m", "hgx.inference.smoke_benchmark", "-a", json.dumps(arguments)]
        done = subprocess.run(
            ["ansible", "localhost", "-i", "localhost,", "-c", "local", *python, *module],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        server.shutdown()
    assert (tmp_path / "latest.json").exists(), done.stdout + done.stderr
    result = json.loads((tmp_path / "latest.json").read_text())
    statuses = {found["name"]: found["status"] for found in result["checks"]}
    if statuses.get("even_speed") == "warn":  # no lie, but a machine that is busy with something else
        verdict = {"pass": "warn"}.get(verdict, verdict)
    assert result["verdict"] == verdict, done.stdout
    assert (done.returncode == 0) == (verdict != "invalid")
    assert ("The stream has SSE comments" in done.stdout) == (lie == "comments"), done.stdout
    assert "other clients" not in done.stdout
    for names in checks.split():
        assert verdict in {statuses.get(name) for name in names.split("|")}, statuses
