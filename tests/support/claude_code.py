# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real Claude Code, from the npm registry, with settings of its own."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "claude-code"
NODE = ROOT / ".cache" / "venv" / "node"
PACKAGE = "@anthropic-ai/claude-code"
PINNED = [ROOT / "requirements" / name for name in ("package.json", "package-lock.json")]


class Outcome(NamedTuple):
    """What C(claude -p) reports. C(text) is its answer, or the error that it tells.

    C(calls) are the calls of tools, and C(results) what the client sent back for them.
    """

    exit_code: int
    is_error: bool
    turns: int
    text: str
    calls: tuple[str, ...] = ()
    results: tuple[str, ...] = ()


def pinned_version() -> str:
    version: str = json.loads(PINNED[0].read_text(encoding="utf-8"))["dependencies"][PACKAGE]
    return version


def installed(version: str = "") -> Path:
    """Return the program of this version, by default the pinned one, and install it first if it is not there."""
    folder = CACHE / (version or pinned_version())
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w", encoding="utf-8") as lock:  # tests of several lanes need it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".ready").exists():
            _install(version or pinned_version(), folder)
    (program,) = (folder / "node_modules" / "@anthropic-ai").glob("claude-code-*/claude")
    return program


def _install(version: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    subprocess.run(["make", "--silent", NODE.relative_to(ROOT) / ".ready"], cwd=ROOT, check=True)
    if version == pinned_version():
        for file in PINNED:
            shutil.copy(file, folder)
        command = ["npm", "ci"]
    else:
        command = ["npm", "install", "--prefix", str(folder), f"{PACKAGE}@{version}"]
    path = os.pathsep.join([str(NODE / "bin"), os.environ["PATH"]])
    # The program is inside of the packages; their scripts only copy it.
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run([*command, *options], cwd=folder, env={**os.environ, "PATH": path}, check=True)
    (folder / ".ready").touch()


def ask(
    program: Path,
    base_url: str,
    key: str,
    question: str,
    folder: Path,
    *options: str,
    model: str = "kimi-k2.6",
    certificate: Path | None = None,
) -> Outcome:
    """Ask in the empty C(folder), with the environment that the recipes give to Claude Code and nothing else of it.

    C(certificate) is one that it shall trust, besides the public authorities.
    """
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    (work / "hello.py").write_text("print('Hello')\n", encoding="utf-8")
    home = folder / "home"
    names = ("MODEL", "DEFAULT_SONNET_MODEL", "DEFAULT_OPUS_MODEL", "DEFAULT_HAIKU_MODEL", "SMALL_FAST_MODEL")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_AUTH_TOKEN": key or "no-key-needed",  # as the role sets it; it asks for a login otherwise
        "ANTHROPIC_API_KEY": "",
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "64",  # the demo's context is smaller than the 32,000 that it asks for
        "CLAUDE_CODE_MAX_RETRIES": "0",  # it tries a refused key for three minutes otherwise
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        **{f"ANTHROPIC_{name}": model for name in names},
        **({"NODE_EXTRA_CA_CERTS": str(certificate)} if certificate else {}),
    }
    done = subprocess.run(
        [str(program), "-p", question, "--output-format", "stream-json", "--verbose", *options],
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not events or events[-1]["type"] != "result":
        return Outcome(done.returncode, True, 0, done.stdout)
    contents = [event["message"]["content"] for event in events if event["type"] in ("assistant", "user")]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    result = events[-1]
    return Outcome(
        done.returncode,
        result["is_error"],
        result["num_turns"],
        result.get("result", ""),
        tuple(f"{block['name']} {block['input']}" for block in blocks if block["type"] == "tool_use"),
        tuple(str(block["content"]) for block in blocks if block["type"] == "tool_result"),
    )
