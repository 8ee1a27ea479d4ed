# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The argument vectors of the bundled recipes, and what the parser of an image says of them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ansible_collections.hgx.inference.plugins.module_utils._docker.cli import WORKER_PROGRAM, run_docker, worker_job
from ansible_collections.hgx.inference.plugins.module_utils._programs import args_worker
from ansible_collections.hgx.inference.plugins.module_utils._recipe import resolve
from ansible_collections.hgx.inference.plugins.module_utils._vllm.args import render_args
from ansible_collections.hgx.inference.plugins.module_utils._vllm.versions import is_within
from ansible_collections.hgx.inference.tests.support import args_loop

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yml"))
IMAGE = "hgx-inference/vllm-cpu"
RELEASE = re.compile(r"v?(\d+\.\d+\.\d+)(-cu\d+)?")
TIMEOUT_S = 600


class Deployment(NamedTuple):
    """A profile of a bundled recipe, resolved."""

    recipe: str
    profile: str
    data: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.recipe}/{self.profile}"

    @property
    def argv(self) -> list[str]:
        """The server's arguments, as the published command has them."""
        model = next(each["repo"] for each in self.data["models"] if each["role"] == "model")
        engine = self.data["engine"]
        own = {"model": model, "served-model-name": engine["served_model_name"], "port": engine["port"]}
        # A node that is not the head has all of the options.
        span = {
            "nnodes": engine["nodes"],
            "node-rank": 1,
            "master-addr": "10.0.0.1",
            "master-port": 29501,
            "headless": True,
        }
        return render_args({**own, **engine["args"], **(span if engine["nodes"] > 1 else {})})

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(self.argv).encode()).hexdigest()[:12]


def deployments() -> list[Deployment]:
    """Return all profiles of all bundled recipes."""
    found = []
    for path in RECIPES:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        found += [Deployment(path.stem, profile, resolve(data, profile)) for profile in data["profiles"]]
    return found


def versions() -> list[str]:
    """Return the versions of vLLM that have a CPU build here, the oldest first."""
    return list(json.loads((ROOT / "demo" / "versions.json").read_text(encoding="utf-8"))["versions"])


def parser_version(image: Mapping[str, Any]) -> str:
    """Return the version of vLLM whose parser checks a recipe: that of its tag, or the oldest one in its range."""
    release = RELEASE.fullmatch(image["tag"])
    if release and release[1] in versions():
        return release[1]
    return next(version for version in versions() if is_within(version, image["vllm"]))


def parse(version: str, argvs: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Return what the parser of a version says of each vector: C(problems), or C(unchecked).

    A package that a CPU build lacks says nothing of the command line. The image of the recipe is asked on the host.
    """
    job = worker_job(args_worker, args_loop, argvs=[list(argv) for argv in argvs])
    words = ["run", "--rm", "--interactive", "--network", "none", "--env", "VLLM_LOGGING_LEVEL=ERROR"]
    words += ["--entrypoint", "python3", f"{IMAGE}:{version}", "-c", WORKER_PROGRAM]
    done = run_docker(words, timeout_s=TIMEOUT_S, stdin=job)
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for answer in answers:
        if "problems" in answer:
            answer["problems"] = [each for each in answer["problems"] if "which the image does not have" not in each]
    if len(answers) != len(argvs):
        raise RuntimeError(f"vLLM {version} answered {len(answers)} of {len(argvs)} times: {done.stderr[-500:]}")
    return answers
