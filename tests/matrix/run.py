#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the site with each version of vLLM in demo/versions.json, and record what works: make matrix VERSIONS="0.19.1".

For each version: the demo with its checks and its benchmark, a request of the real Claude Code, a killed engine, a
wrong flag, and the settings that demo/versions.json leaves out, with the version's own error lines.

The records are docs/matrix/VERSION.json; the documentation's table of versions is made of them. The log of a start and
of each failure, and the result of vLLM's benchmark client, become fixtures of the unit tests.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.hgx.inference.plugins.module_utils._endpoint.checks import CHECKS
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.diagnose import diagnose
from ansible_collections.hgx.inference.tests.support import claude_code

ROOT = Path(__file__).parents[2]
VERSIONS = ROOT / "demo" / "versions.json"
RECORDS = ROOT / "docs" / "matrix"
FIXTURES = ROOT / "tests" / "unit" / "fixtures" / "versions"
RESULTS = ROOT / ".cache" / "hgx" / "state" / "results"
INVENTORY = ["-i", "inventories/local"]
SERVER = "hgx-demo-vllm"
BASE_URL = "http://127.0.0.1:8001"
MODEL = "kimi-k2.6"
CACHED_MODEL = "/root/.cache/huggingface/hub/models--moonshotai--Kimi-K2.6/snapshots"
WRONG_FLAG = {"vllm_engine_args_extra": {"tensor-paralel-size": 1}}
LONGEST_LINE = 500
BENCHMARK = f"""
cd /tmp && vllm bench serve --backend openai-chat --base-url http://127.0.0.1:8001 --endpoint /v1/chat/completions \\
  --model {MODEL} --served-model-name {MODEL} --tokenizer $(ls -td {CACHED_MODEL}/*/ | head -n 1) --trust-remote-code \\
  --dataset-name random --random-input-len 64 --random-output-len 16 --ignore-eos --num-prompts 8 --max-concurrency 4 \\
  --temperature 0 --percentile-metrics ttft,tpot,itl,e2el --metric-percentiles 90,95,99 \\
  --save-result --save-detailed --result-dir /tmp --result-filename matrix.json >/tmp/matrix.log 2>&1 && cat matrix.json
"""
PACKAGES = "import json, torch, transformers; print(json.dumps([torch.__version__, transformers.__version__]))"


def run(*command: str) -> tuple[int, str, float]:
    """Return the exit code of a command, both its streams, and how long it took, in seconds."""
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, errors="replace"
    )
    return done.returncode, done.stdout, round(time.monotonic() - started, 1)


def play(version: str, *playbooks: str, **settings: Any) -> tuple[int, str, float]:
    given = {"vllm_rollback": "never", **settings, "demo_version": version}
    return run("ansible-playbook", *playbooks, *INVENTORY, "-e", json.dumps(given))


def docker(*words: str) -> str:
    return run("docker", *words)[1]


def ask(path: str, body: Mapping[str, Any] | None = None) -> tuple[int, str]:
    """Return status and text of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE_URL + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def server_log(*options: str) -> list[str]:
    return [line[:LONGEST_LINE] for line in docker("logs", *options, SERVER).splitlines()]


def keep(version: str, name: str, text: str) -> None:
    (FIXTURES / version).mkdir(parents=True, exist_ok=True)
    (FIXTURES / version / name).write_text(text, encoding="utf-8")


def error_line(output: str, lines: list[str]) -> dict[str, str]:
    """The cause that the play names, and the line of the version's own that shows it."""
    found = diagnose(lines, 1) if lines else None
    if found and found.evidence:
        return {"cause": found.signature.key, "line": found.evidence[-1].strip()}
    told = re.search(r"fatal: .*\n((?:  .*\n)+)", output)
    quoted = [line.strip() for line in (told[1] if told else output).splitlines() if re.search(r"\w*Error: ", line)]
    return {"cause": found.signature.key if found else "", "line": (quoted or [""])[-1][:LONGEST_LINE]}


def site(version: str) -> dict[str, Any]:
    code, output, seconds = play(version, "demo/prepare.yml", "site.yml", smoke_benchmark_reuse="never")
    lines = server_log()
    titles = {check.title: check.name for check in CHECKS}
    checks = {
        titles[title]: (status, said)
        for status, group, said in re.findall(r"^ +(pass|fail|warn|skipped) +([\w ,;]+): (.*)$", output, re.MULTILINE)
        for title in group.split("; ")
        if title in titles
    }
    keep(version, "start.log", "\n".join(server_log("--timestamps")) + "\n")
    record: dict[str, Any] = {
        "site": {"passed": code == 0, "seconds": seconds, **({} if code == 0 else error_line(output, lines))},
        "checks": {name: status for name, (status, _said) in checks.items()},
        "told": {name: said for name, (status, said) in checks.items() if status in ("fail", "warn")},
    }
    if code == 0:
        result = json.loads(max(RESULTS.glob("2*.json")).read_text(encoding="utf-8"))
        wanted = ("steady_output_throughput", "acceptance_length", "mean_ttft_ms")
        record["benchmark"] = {
            "verdict": result["verdict"],
            **{name: round(result["metrics"][name], 2) for name in wanted if name in result["metrics"]},
        }
    return record


def interfaces() -> dict[str, Any]:
    """What clients and the collection read of a server, in the words of this version."""
    names = re.findall(r"^(vllm:\w+?)(?:_bucket|_created)?[{ ]", ask("/metrics")[1], re.MULTILINE)
    turn = [{"role": "user", "content": "Hello"}, {"role": "system", "content": "Be brief."}]
    chat = json.loads(ask("/v1/chat/completions", {"model": MODEL, "messages": turn[:1]})[1])
    paths = json.loads(ask("/openapi.json")[1])["paths"]
    return {
        "metrics": sorted(set(names)),
        "message_keys": sorted(chat["choices"][0]["message"]),
        "system_role": ask("/v1/messages", {"model": MODEL, "max_tokens": 16, "messages": turn})[0],
        "paths": sorted(path for path in paths if not path.startswith("/docs")),
    }


def client_result(version: str) -> list[str]:
    """Keep a result of the benchmark client; return its keys."""
    text = docker("exec", "-e", "OPENAI_API_KEY=x", SERVER, "sh", "-c", BENCHMARK)
    if "{" not in text:
        raise RuntimeError(docker("exec", SERVER, "tail", "-n", "5", "/tmp/matrix.log"))
    result = json.loads(text[text.index("{") :])
    keep(version, "client.json", json.dumps(result) + "\n")
    return sorted(result)


def claude() -> dict[str, Any]:
    program = claude_code.installed()
    before = len(re.findall(r'"POST /v1/messages\?beta=true HTTP/1.1" 4\d\d', docker("logs", SERVER)))
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = claude_code.ask(program, BASE_URL, "", "What is in this folder?", Path(folder))
    refused = len(re.findall(r'"POST /v1/messages\?beta=true HTTP/1.1" 4\d\d', docker("logs", SERVER)))
    return {
        "client": claude_code.pinned_version(),
        "works": outcome.exit_code == 0 and not outcome.is_error and outcome.turns > 1,
        "seconds": round(time.monotonic() - started, 1),
        "turns": outcome.turns,
        "calls": list(outcome.calls),
        "failed_requests": refused - before,
        "said": outcome.text[:200],
    }


def killed_engine(version: str) -> dict[str, Any]:
    rows = [line.split(None, 1) for line in docker("top", SERVER, "-eo", "pid,args").splitlines()[1:]]
    engines = [row for row in rows if "EngineCore" in row[1]] or [row for row in rows if "vllm" in row[1]][-1:]
    run("kill", "-KILL", engines[0][0])
    started = time.monotonic()
    while docker("inspect", "-f", "{{.State.Running}}", SERVER).strip() == "true" and time.monotonic() - started < 120:
        time.sleep(0.2)
    seconds = round(time.monotonic() - started, 1)
    keep(version, "killed.log", "\n".join(server_log()[-60:]) + "\n")
    told = play(version, "playbooks/status.yml")[1]
    return {
        "process": engines[0][1].split()[0],
        "processes": len(rows),
        "exit_code": int(docker("inspect", "-f", "{{.State.ExitCode}}", SERVER)),
        "seconds": seconds,
        "told": next((line.strip() for line in told.splitlines() if line.strip().startswith("cause")), ""),
    }


def wrong_flag(version: str) -> dict[str, Any]:
    code, output, seconds = play(version, "playbooks/serve.yml", **WRONG_FLAG)
    line = next((line.strip(" -") for line in output.splitlines() if "unrecognized arguments" in line), "")
    return {"refused": code != 0 and "Nothing was stopped or started" in output, "seconds": seconds, "line": line}


def left_out(version: str, profile: str, needs: Mapping[str, Any]) -> dict[str, Any]:
    """Serve with a profile that is not the version's own, and tell what comes of it."""
    # Where no draft works, MLA is tried without one.
    without = {"speculative-config": None} if (profile, needs["profile"]) == ("mla", "no_draft") else {}
    docker("rm", "-f", SERVER)
    code, output, seconds = play(
        version,
        "playbooks/cache.yml",
        "playbooks/serve.yml",
        recipe_profile=profile,
        vllm_engine_args_extra=without,
    )
    if code == 0:
        return {"works": True, "seconds": seconds}
    lines = server_log()
    if len(lines) > 1:
        keep(version, f"{profile}.log", "\n".join(lines) + "\n")
    return {"works": False, "seconds": seconds, **error_line(output, lines if len(lines) > 1 else [])}


def record_of(version: str, needs: Mapping[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = {"version": version, "recorded": str(datetime.date.today()), **site(version)}
    if record["site"]["passed"]:
        torch, transformers = json.loads(docker("exec", SERVER, "python3", "-c", PACKAGES).splitlines()[-1])
        record |= {"torch": torch, "transformers": transformers, "interfaces": interfaces()}
        record["client_keys"] = client_result(version)
        record["claude_code"] = claude()
        record["killed_engine"] = killed_engine(version)
    record["wrong_flag"] = wrong_flag(version)
    profiles = [profile for profile in ("published", "mla") if profile != needs["profile"]]
    record["profiles"] = {profile: left_out(version, profile, needs) for profile in profiles}
    docker("rm", "-f", SERVER)
    return record


def main(versions: Iterable[str]) -> int:
    known = json.loads(VERSIONS.read_text(encoding="utf-8"))["versions"]
    failed = 0
    RECORDS.mkdir(exist_ok=True)
    for version in versions or known:
        started = time.monotonic()
        record = record_of(version, known[version])
        (RECORDS / f"{version}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        failed += not record["site"]["passed"]
        words = "passes" if record["site"]["passed"] else f"fails: {record['site'].get('line')}"
        print(f"matrix | {version} {words}, {time.monotonic() - started:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg"))
    parser = argparse.ArgumentParser(description="Run the site with versions of vLLM and record what works.")
    parser.add_argument("versions", nargs="*", help="by default all of demo/versions.json")
    sys.exit(main(parser.parse_args().versions))
