# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Try versions of Claude Code against a server that refuses the system role among the messages, as vLLM before 0.23.

python tests/proof/claude_code.py 2.1.150 2.1.332    tries these and records them in the data of the role llm_client
python tests/proof/claude_code.py                    tries those again that are recorded

Each version is installed from the npm registry (230 to 400 MB, removed afterwards) and asked twice with all its tools:
by a server that accepts the role, and by one that answers with vLLM's own 400. The server is a stand-in.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.hgx.inference.tests.support import claude_code
from ansible_collections.hgx.inference.tests.support.inference_server import KEY, serving

DATA = claude_code.ROOT / "roles" / "llm_client" / "vars" / "claude_code.yml"
MARK = "__llm_client_claude_code_tried:\n"


def attempt(program: Path, *faults: str) -> tuple[claude_code.Outcome, list[bool]]:
    """Return the outcome, and for each request to the model whether it had a message of the role system."""
    with serving(KEY, *faults) as server, tempfile.TemporaryDirectory() as folder:
        outcome = claude_code.ask(program, server.base_url, KEY, "What is in this folder?", Path(folder))
        asked = [body for path, _headers, body in server.requests if path.startswith("/v1/messages?")]
    return outcome, ["system" in [message["role"] for message in body["messages"]] for body in asked]


def row(version: str) -> dict[str, Any]:
    """Try one version. C(refused) is what becomes of a turn whose system role is refused."""
    program = claude_code.installed(version)
    accepted, requests = attempt(program)
    refused, again = attempt(program, "no_system_role")
    if version != claude_code.pinned_version():
        shutil.rmtree(claude_code.CACHE / version)
    works = {True: "works", False: "fails"}
    return {
        "version": version,
        "sends_system_role": any(requests),
        "accepted": works[not accepted.is_error and accepted.turns > 1],
        "refused": works[not refused.is_error and refused.turns > 1],
        "failed_requests": sum(again),
    }


def main(versions: list[str]) -> None:
    head, _mark, _old = DATA.read_text(encoding="utf-8").partition(MARK)
    known = {one["version"]: one for one in yaml.safe_load(MARK + _old)[MARK.strip(":\n")] or []}
    for version in versions or known:
        known[version] = row(version)
        print(known[version], flush=True)
        rows = sorted(known.values(), key=lambda one: [int(part) for part in one["version"].split(".")])
        lines = [f"  - {yaml.safe_dump(one, default_flow_style=True, sort_keys=False, width=1000)}" for one in rows]
        DATA.write_text(head + MARK + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
