# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo with the oldest version of vLLM: start, checks and benchmark. It runs after the tests of the newest one.

Building its image takes minutes and gigabytes, so without the image this runs only with HGX_COLD=1. `make matrix`
tries all versions.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OLDEST = next(iter(json.loads((ROOT / "demo" / "versions.json").read_text(encoding="utf-8"))["versions"]))

KNOWN = re.compile(r"vLLM (before 0\.20|0\.19) breaks")


def has_image() -> bool:
    name = f"hgx-inference/vllm-cpu:{OLDEST}"
    return subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(
    not (has_image() or os.environ.get("HGX_COLD")), reason="the image of the oldest vLLM is not built: HGX_COLD=1"
)
def test_the_oldest_version_gets_the_same_verdict() -> None:
    done = subprocess.run(
        ["make", "demo", f"VLLM_VERSION={OLDEST}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    subprocess.run(["make", "demo-down"], cwd=ROOT, check=False)
    # Its parser loses tool calls where a chunk of a stream has several tokens, which depends on the machine's speed.
    failed = re.findall(r"^ +fail +(.+)", done.stdout, re.MULTILINE)
    assert all(KNOWN.search(line) for line in failed), failed
    assert done.returncode == (2 if failed else 0), done.stdout[-5000:]
    assert re.search(r"(PASS|WARN): 1 of 1 thresholds met", done.stdout)  # WARN on a busy machine
    assert re.search(r"1 skipped of \d+ functional checks", done.stdout)  # the key
    assert "A message of the role system among the messages is refused" in done.stdout
    (report,) = re.findall(r"Report: (\S+)", done.stdout)
    assert f"<code>{OLDEST}</code>" in Path(report).read_text(encoding="utf-8")
