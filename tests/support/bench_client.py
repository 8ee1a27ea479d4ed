#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for `vllm bench serve`, which takes a quarter of a minute to start: the same options, times and result.

Like the real one it accepts a broken stream as an answer, and counts the tokens of the text if there is no usage.
Standard library only.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple


class Output(NamedTuple):
    """One request: when it was sent, when its chunks arrived, and its usage."""

    start: float
    times: list[float]
    inputs: int
    outputs: int
    error: str
    text: str = ""


def option(name: str) -> str:
    return sys.argv[sys.argv.index(f"--{name}") + 1]


def ask(_number: int) -> Output:
    wanted = int(option("random-output-len"))
    prompt = [{"role": "user", "content": "word " * int(option("random-input-len"))}]
    body = {"model": option("served-model-name"), "messages": prompt, "stream": True, "max_completion_tokens": wanted}
    start, times = time.perf_counter(), []
    words: list[str] = []
    usage: dict[str, Any] = {}
    request = urllib.request.Request(option("base-url") + option("endpoint"), json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request) as response:
            for line in response:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[len(b"data: ") :])
                usage = event.get("usage") or usage
                if event["choices"]:
                    times.append(time.perf_counter())
                    words.append(event["choices"][0]["delta"].get("content") or "")
    except OSError as exc:
        return Output(start, [], int(option("random-input-len")), 0, str(exc))
    inputs = usage.get("prompt_tokens", int(option("random-input-len")))
    return Output(start, times, inputs, usage.get("completion_tokens", len(words)), "", "".join(words))


def main() -> None:
    count, concurrency = int(option("num-prompts")), int(option("max-concurrency"))
    with ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(ask, range(int(option("num-warmups")))))
        print("Starting main benchmark run...", flush=True)
        began = time.perf_counter()
        outputs = list(pool.map(ask, range(count)))
        duration = time.perf_counter() - began
    good = [output for output in outputs if not output.error]
    gaps = [[later - earlier for earlier, later in zip(o.times, o.times[1:], strict=False)] for o in outputs]
    tokens = sum(output.outputs for output in good)
    result = {
        "completed": len(good),
        "failed": count - len(good),
        "duration": duration,
        "max_concurrency": concurrency,
        "total_input_tokens": sum(output.inputs for output in good),
        "total_output_tokens": tokens,
        "output_throughput": tokens / duration,
        "start_times": [output.start for output in outputs],
        "ttfts": [output.times[0] - output.start if output.times else 0.0 for output in outputs],
        "itls": gaps,
        "input_lens": [output.inputs for output in outputs],
        "output_lens": [output.outputs for output in outputs],
        "generated_texts": [output.text for output in outputs],
        "errors": [output.error for output in outputs],
    }
    Path(option("result-dir"), option("result-filename")).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
