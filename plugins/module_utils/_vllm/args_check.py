# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check a command line with the vLLM of an image, in a temporary container."""

from __future__ import annotations

import json
import secrets
from typing import NamedTuple

from .._docker.cli import WORKER_PROGRAM, DockerError, DockerTimeout, run_docker, worker_job
from .._nvidia.gpu_request import REQUESTS
from .._programs import args_worker
from .log.diagnose import diagnose, failure_text


class Reading(NamedTuple):
    """What the parser says, with what to do about it. C(unchecked) is why it could not be asked, or empty."""

    problems: list[str]
    unchecked: str


def read_args(image: str, args: list[str], gpus: str, timeout_s: float) -> Reading:
    """Parse a server's arguments with the image's parser. C(gpus) is how to request GPUs, or empty for none.

    Raises DockerError if the container does not start.
    """
    name = f"hgx-inference-check-{secrets.token_hex(4)}"
    container = ["--rm", "--name", name, "--interactive", "--network", "none", "--env", "VLLM_LOGGING_LEVEL=ERROR"]
    command = ["run", *container, *REQUESTS.get(gpus, []), "--entrypoint", "python3", image, "-c", WORKER_PROGRAM]
    try:
        done = run_docker(command, timeout_s=timeout_s, stdin=worker_job(args_worker, argv=args))
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
    return Reading(problems, str(result.get("unchecked", "")))


def _with_fix(problem: str, options: list[str]) -> str:
    known = diagnose([*options, *f"error: {problem}".splitlines()])
    return f"{problem}\nFix: {known.fix}" if known else problem
