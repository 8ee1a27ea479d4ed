# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plays that the tests of a scenario run on its hosts, and what they read from the output."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIMIT_S = 1800  # the longest takes 5 minutes on a quiet machine


def start(
    scenario: str, playbook: str, /, *options: str, environment: Mapping[str, str] | None = None, **settings: Any
) -> subprocess.Popen[str]:
    """Start a playbook of the collection by its name, or one by its path; both streams are in stdout."""
    path = playbook if playbook.endswith(".yml") else f"playbooks/{playbook}.yml"
    return subprocess.Popen(
        ["ansible-playbook", path, "-i", f"molecule/{scenario}/inventory", "-e", json.dumps(settings), *options],
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "0",
            "NO_COLOR": "1",
            **(environment or {}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def play(
    scenario: str, playbook: str, /, *options: str, environment: Mapping[str, str] | None = None, **settings: Any
) -> tuple[int, str]:
    """Run a playbook as C(start) does; return its exit code and its output."""
    process = start(scenario, playbook, *options, environment=environment, **settings)
    output = process.communicate(timeout=LIMIT_S)[0]
    return process.returncode, output


def changed(output: str) -> dict[str, int]:
    """Return how much a play has changed, by its recap, on each host where it has."""
    recap = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=([1-9]\d*)", output, re.MULTILINE)
    return {host: int(count) for host, count in recap}
