# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check a command line with the vLLM of an image, in a temporary container."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from .._docker.cli import WORKER_PROGRAM, DockerError, DockerTimeout, run_docker, worker_job
from .._nvidia.gpu_request import request_words
from .._programs import args_worker
from . import caches
from .key import CONTAINER_FOLDER
from .log.diagnose import diagnose, failure_text
from .release import server_args


class Reading(NamedTuple):
    """What the parser says, with what to do about it. C(unchecked) is why it could not be asked, or empty.

    C(version) is that of the image's vLLM, empty if it is unknown.
    """

    problems: list[str]
    unchecked: str
    version: str = ""


def read_args(
    image: str, spec: Mapping[str, Any], with_model: bool, timeout_s: float, cache_folder: str = ""
) -> Reading:
    """Parse a server's arguments with the image's parser, and with C(with_model) make vLLM's configuration of them.

    The temporary container has the server's GPUs, environment, folders and caches, but not its API key.

    Raises DockerError if the container does not start.
    """
    name = f"hgx-inference-check-{secrets.token_hex(4)}"
    container = ["--rm", "--name", name, "--interactive", "--network", "none"]
    container += request_words(spec["gpus"], spec.get("gpu_set", ""))
    if with_model:
        environment = {**caches.variables(cache_folder, spec["mounts"], spec["env"]), **spec["env"]}
        container += [word for key, value in environment.items() for word in ("--env", f"{key}={value}")]
        container += [word for mount in spec["mounts"] if _is_there(mount) for word in ("--volume", mount)]
    container += ["--env", "VLLM_LOGGING_LEVEL=ERROR", "--entrypoint", "python3"]
    job = worker_job(args_worker, argv=server_args(spec["command"]), model=with_model)
    try:
        done = run_docker(["run", *container, image, "-c", WORKER_PROGRAM], timeout_s=timeout_s, stdin=job)
    except DockerTimeout:
        run_docker(["rm", "--force", name])
        raise DockerError(
            f"The vLLM of {image} did not read the command line within {timeout_s:.0f} s. With a slow disk, or an image"
            " that is used for the first time, it may be faster at a second try: run the play again."
        ) from None
    try:
        result = json.loads(done.stdout.strip().rpartition("\n")[2])
    except ValueError:
        lines = done.stderr.splitlines()
        cause, rest = failure_text(diagnose(lines, done.rc or None), lines)
        words = "\n".join([f"The command line could not be checked with {image}: {cause}", *rest])
        raise DockerError(words) from None
    problems = [_with_fix(problem, result.get("options", [])) for problem in result.get("problems", [])]
    return Reading(problems, str(result.get("unchecked", "")), str(result.get("version", "")))


def _is_there(mount: str) -> bool:
    """Return whether a mount is one for the check. Docker would create a folder that is missing."""
    source, target = mount.split(":")[:2]
    return target != CONTAINER_FOLDER and os.path.isdir(source)


def _with_fix(problem: str, options: list[str]) -> str:
    if "\nFix: " in problem:
        return problem
    known = diagnose([*options, *f"error: {problem}".splitlines()])
    return f"{problem}\nFix: {known.fix}" if known else problem
