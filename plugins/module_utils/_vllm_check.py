# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have the vLLM of an image read a command line, in a container that is thrown away."""

from __future__ import annotations

import json
from typing import NamedTuple

from . import _vllm_check_worker
from ._docker_cli import WORKER_PROGRAM, DockerError, run_docker, worker_job
from ._gpu_request import REQUESTS


class Reading(NamedTuple):
    """What the parser says. C(unchecked) is why it could not be asked, or empty."""

    problems: list[str]
    unchecked: str


def read_args(image: str, args: list[str], gpus: str, timeout_s: float) -> Reading:
    """Have the image's parser read a server's arguments. C(gpus) is how to ask for them, or empty for none.

    Raises DockerError if the container does not start.
    """
    container = ["--rm", "--interactive", "--network", "none", "--env", "VLLM_LOGGING_LEVEL=ERROR"]
    command = ["run", *container, *REQUESTS.get(gpus, []), "--entrypoint", "python3", image, "-c", WORKER_PROGRAM]
    done = run_docker(command, timeout_s=timeout_s, stdin=worker_job(_vllm_check_worker, argv=args))
    try:
        result = json.loads(done.stdout.strip().rpartition("\n")[2])
    except ValueError:
        words = done.stderr.strip()[-1000:]
        raise DockerError(f"The command line could not be checked with {image}: {words}") from None
    return Reading(list(result.get("problems", [])), str(result.get("unchecked", "")))
