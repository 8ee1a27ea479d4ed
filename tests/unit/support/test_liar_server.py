# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module smoke_benchmark, whole, against a server that lies in every way it knows; only the client is a stand-in.

tests/e2e has the real client.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._programs import benchmark_worker
from ansible_collections.hgx.inference.plugins.modules import smoke_benchmark
from ansible_collections.hgx.inference.tests.support.liar_server import LIES, LiarServer

CLIENT = Path(__file__).parents[2] / "support" / "bench_client.py"
# Counts words.
TOKENIZER = """
class AutoTokenizer:
    @classmethod
    def from_pretrained(cls, name, trust_remote_code):
        return lambda text, add_special_tokens: type("Encoding", (), {"input_ids": text.split()})
"""
# By lie: the verdict, and the check that finds the lie.
VERDICTS = {
    "none": ("pass", ""),
    "cut": ("invalid", "output_length"),
    "cut-claim": ("warn", "answers_streamed"),
    "half-claim": ("warn", "answers_streamed"),
    "burst": ("warn", "plausible_speed"),
    "lengths": ("invalid", "output_length"),
    "errors": ("invalid", "all_requests_completed"),
    "slow-half": ("warn", "even_speed"),
    "cache": ("invalid", "no_other_traffic"),
    "cache-counts": ("warn", "plausible_speed"),
    "counters": ("invalid", "no_other_traffic"),
    "uncounted": ("invalid", "no_other_traffic"),
    "nan": ("invalid", "no_other_traffic"),
    "linger": ("warn", "slots_filled"),
    "traffic": ("invalid", "no_other_traffic"),
    "repeats": ("invalid", "answers_readable"),
    "pads": ("warn", "answers_readable"),
    "comments": ("pass", ""),  # which the stand-in reads as it should
    "role-first": ("warn", "first_token"),
    "uncached": ("warn", "prompts_not_cached"),
}


def benchmark(folder: Path, base_url: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    (folder / "vllm").write_text(f"#!{sys.executable}\n{CLIENT.read_text()}")
    (folder / "vllm").chmod(0o755)
    (folder / "python3").symlink_to(sys.executable)
    (folder / "transformers.py").write_text(TOKENIZER)
    arguments = {
        "client_command": ["/usr/bin/env", f"PATH={folder}", f"TMPDIR={folder}", f"PYTHONPATH={folder}"],
        "base_url": base_url,
        "model": "moonshotai/Kimi-K2.6",
        "served_model_name": "kimi-k2.6",
        "workload": {
            "input_len": 64,
            "output_len": 32,
            "max_concurrency": 4,
            "warmup_prompts": 4,
            "sizes": {"smoke": 8},
            "time_limit_s": 60,
        },
        "size": "smoke",
        "thresholds": [{"metric": "steady_output_throughput", "op": ">=", "value": 1}],
        "results_dir": str(folder),
    }
    with patch_module_args(arguments), pytest.raises(SystemExit):
        smoke_benchmark.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_every_lie_is_tried() -> None:
    assert set(VERDICTS) == set(LIES)


@pytest.mark.slow
@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_never_a_pass(
    lie: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark_worker, "LATE_COUNTERS_S", 0.5)
    verdict, check = VERDICTS[lie]
    # What is wrong whatever the time shows as soon.
    with LiarServer(0, lie, hurry=10 if verdict == "invalid" else 1) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        result = benchmark(tmp_path, f"http://127.0.0.1:{server.server_address[1]}", capsys)
        server.shutdown()
    checks = json.loads(Path(result["result_path"]).read_text())["checks"]
    if verdict == "pass" and {found["name"] for found in checks if found["status"] == "warn"} == {"even_speed"}:
        verdict = "warn"  # this machine is busy
    assert result["verdict"] == verdict, result
    assert ("looks odd" in result["summary"][0]) == (verdict == "warn")
    assert check in {found["name"] for found in checks if found["status"] == verdict} | {""}


def test_a_wrong_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = benchmark(tmp_path, "http://127.0.0.1:1", capsys)
    assert (result["failed"], result["verdict"]) == (True, "invalid")
