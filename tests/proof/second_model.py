#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve a tiny model of another architecture (Qwen3: dense, grouped-query attention) from a page to a verdict.

    second_model.py    import a page with a command and a benchmark, then run the site with the recipe

It needs Docker and the image of `make demo`, and root as the demo does. Its containers, ports and folders are its own,
so it runs beside the demo. What no page has is given as in an inventory: what the scripted model answers, and what it
cannot do. Takes 3 minutes on 2 quiet cores; exits with the site's code.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "collections"))

from ansible_collections.hgx.inference.demo import tiny_qwen

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cache" / "second"
HUB_PORT, PORT = 18089, 8019
CONTAINER = "hgx-second-vllm"
PAGE = f"""\
# Tiny Qwen3 on vLLM's CPU build

source: https://example.org/tiny-qwen3

docker run --ipc host -p {PORT}:{PORT} -e VLLM_ENABLE_V1_MULTIPROCESSING=0 -e VLLM_WORKER_MULTIPROC_METHOD=fork \\
  -e TORCHDYNAMO_DISABLE=1 hgx-inference/vllm-cpu:0.32.0 --model {tiny_qwen.MODEL} --served-model-name tiny-qwen3 \\
  --port {PORT} --enforce-eager --reasoning-parser qwen3 --enable-auto-tool-choice --tool-call-parser hermes \\
  --max-model-len 16384 --kv-cache-memory-bytes 128M

vllm bench serve --backend openai-chat --dataset-name random --random-input-len 64 --random-output-len 16 \\
  --num-prompts 32 --max-concurrency 4 --endpoint /v1/chat/completions --temperature 0
"""
# The page has no figure, since a tiny model has no speed.
LIMIT = {
    "metric": "steady_output_throughput",
    "op": ">=",
    "value": 5,
    "source": "two quiet cores give several hundred tok/s; below 5 something is broken, not slow",
}
NO_TOOLS = "The script calls no tools."
EXPECTED = {
    "answer": "Hello from a tiny Kimi-shaped model",
    "instant_template_kwargs": {"enable_thinking": False},
    "long_context": {"tokens": 4000, "recall": False},
    "skip": {
        **dict.fromkeys(["tool_call", "tool_call_streamed", "tool_calls_parallel", "tool_calls_crowd"], NO_TOOLS),
        "messages_tools": NO_TOOLS,
        "image": "The model reads text only.",
    },
}


def settings() -> dict[str, Any]:
    """Return what an inventory of this model has besides the recipe."""
    return {
        "recipe_file": str(FOLDER / "recipe.yml"),
        "recipe_profile": "published",
        "demo_dir": str(FOLDER),
        "hf_cache_endpoint": f"http://127.0.0.1:{HUB_PORT}",
        "hf_cache_home": str(FOLDER / "huggingface"),
        "hf_cache_venv": str(ROOT / ".cache" / "hgx" / "hf-venv"),
        "vllm_container_name": CONTAINER,
        "vllm_image_name": "hgx-inference/vllm-cpu",
        "vllm_image_tag": "0.32.0",
        "vllm_image_pip": [],
        "vllm_env_extra": {},
        "vllm_state_dir": str(FOLDER / "state" / "vllm"),
        "vllm_rollback": "never",
        "smoke_benchmark_results_dir": str(FOLDER / "state" / "results"),
        "smoke_benchmark_fetch_dir": str(FOLDER / "results"),
        "smoke_benchmark_expected": EXPECTED,
        "smoke_benchmark_thresholds": [LIMIT],
        # Client and server share the processor, with whatever else runs there.
        "smoke_benchmark_workload": "{{ recipe.benchmark | combine({'spread_max': 0}) }}",
        "smoke_benchmark_real_text": {"prompts": 2, "output_len": 16, "concurrency": 2},
    }


def play(*words: str) -> int:
    return subprocess.run(["ansible-playbook", *words], cwd=ROOT, check=False).returncode


def main() -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    tiny_qwen.main(FOLDER / "hub")
    (FOLDER / "page.md").write_text(PAGE, encoding="utf-8")
    hub_program = [sys.executable, "tests/support/hub_server.py", f"--root={FOLDER / 'hub'}", f"--port={HUB_PORT}"]
    with subprocess.Popen(hub_program, cwd=ROOT, stdout=subprocess.DEVNULL) as hub:
        try:
            started = time.monotonic()
            given = ["-e", f"import_folder={FOLDER}", "-e", "from=page.md", "-e", "to=recipe.yml"]
            given += ["-e", "import_hardware=cpu", "-e", f"import_config=hub/{tiny_qwen.MODEL}/config.json"]
            code = play("playbooks/recipe_import.yml", *given)
            code = code or play("site.yml", "-i", "inventories/local", "-e", json.dumps(settings()))
            print(f"second model | exit code {code}, {time.monotonic() - started:.0f} s", flush=True)
            return code
        finally:
            hub.terminate()
            subprocess.run(["docker", "rm", "--force", CONTAINER], stdout=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    os.environ.setdefault("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg"))
    sys.exit(main())
