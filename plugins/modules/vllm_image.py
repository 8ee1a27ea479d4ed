#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(vllm_image)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_image
short_description: Pull an image, or build one on top of it, and show the progress
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Ensures that an image is on the host. An existing image is never updated, so nothing drifts by itself.
  - A build that runs pip records the Python packages in the image. The module warns of changes that nobody asked for.
options:
  name:
    description: The image.
    type: str
    required: true
  base:
    description: The image that it is built from, if O(dockerfile) is given. It is pulled first, and used by its digest.
    type: str
    default: ""
  dockerfile:
    description: Content of the Dockerfile. Without one O(name) is pulled.
    type: str
    default: ""
  stall_timeout:
    description:
      - How long a pull may bring no byte before it is started again, in seconds. It fails after the third time.
        The engine keeps the layers that it has.
      - It does not apply if the user has logged in to a registry, because then the C(docker) command pulls.
    type: float
    default: 120
extends_documentation_fragment: [hgx.inference._attributes, hgx.inference._progress]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Ensure that the image is on the host
  hgx.inference.vllm_image:
    name: vllm/vllm-openai:v0.20.2
"""

RETURN = r"""
id:
  description: The image's ID.
  returned: success, and not in check mode
  type: str
  sample: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.files import read_text
from ..module_utils._core.progress import ProgressFile
from ..module_utils._core.secrets import quoted
from ..module_utils._docker import pull as _pull
from ..module_utils._docker.build import pinned_dockerfile
from ..module_utils._docker.cli import Completed, DockerError, follow_docker, inspect_image
from ..module_utils._docker.packages import conflict, read_packages, recording, unasked, unfit
from ..module_utils._docker.registry import has_login

# Of all images: while one is fetched, another would only take a part of the network.
_LOCK = "/run/lock/hgx-inference-image"
_POLL_S = 0.5
_LONGEST_LINE = 100
_LAST_LINES = 8
_SAID_ONCE = "Pulling fs layer"
_DONE = ("Already exists", "Pull complete")


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "name": {"type": "str", "required": True},
            "base": {"type": "str", "default": ""},
            "dockerfile": {"type": "str", "default": ""},
            "stall_timeout": {"type": "float", "default": 120},
            "progress_file": {"type": "path"},
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    progress = ProgressFile(module.params["progress_file"])
    try:
        image = inspect_image(name)
        changed = image is None
        if changed and not module.check_mode:
            with only_one(module.params["progress_file"], progress):
                fetch(module, progress)
            image = inspect_image(name)
    except DockerError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=changed, **({"id": image["Id"]} if image else {}))


@contextmanager
def only_one(path: str | None, progress: ProgressFile) -> Iterator[None]:
    """Wait for another task of this host that fetches an image, and show its progress, whose file is C(path).

    Without the right to the lock nothing is waited for: at worst an image is then built twice.
    """
    with contextlib.ExitStack() as stack:
        with suppress(OSError):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            lock = stack.enter_context(open(os.open(_LOCK, flags, 0o600), "r+", encoding="utf-8"))
            while not _locked(lock):
                lock.seek(0)
                progress.report(read_text(lock.read()) or "waiting for another task that fetches an image")
                time.sleep(_POLL_S)
            lock.seek(0)
            lock.truncate()
            lock.write(path or "")
            lock.flush()
        yield


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def fetch(module: Module, progress: ProgressFile) -> None:
    """Pull or build the image, unless it has come meanwhile. Raises DockerError."""
    name, base, dockerfile = (module.params[key] for key in ("name", "base", "dockerfile"))
    if inspect_image(name) is not None:
        return
    if not dockerfile:
        pull(name, module.params["stall_timeout"], progress)
        return
    if base and inspect_image(base) is None:
        pull(base, module.params["stall_timeout"], progress)
    for warning in warnings_of(name, dockerfile, build(name, dockerfile, base, progress)):
        module.warn(warning)


def pull(name: str, stall_s: float, progress: ProgressFile) -> None:
    """Pull an image and report its progress. Raises DockerError."""
    engine = _pull.local_engine()
    if engine and not has_login(name):
        _pull.pull(engine, name, stall_s, progress.report)
        return
    layers: dict[str, bool] = {}

    def tell(line: str) -> None:
        layer, _colon, state = line.partition(": ")
        if state.startswith((_SAID_ONCE, *_DONE)):
            layers[layer] = state.startswith(_DONE)
        progress.report(
            f"pulling {name}: {sum(layers.values())} of {len(layers)} layers, {quoted(line, _LONGEST_LINE)}"
        )

    _run(["pull", name], f"{name} cannot be pulled", tell)


def build(name: str, dockerfile: str, base: str, progress: ProgressFile) -> list[str]:
    """Build an image, report the current step, and return the lines of the build. Raises DockerError."""
    content, labels = pinned_dockerfile(dockerfile, base, inspect_image(base) if base else None)
    done = _run(
        ["build", "--tag", name, *(word for item in labels.items() for word in ("--label", "=".join(item))), "-"],
        f"{name} cannot be built",
        lambda line: progress.report(f"building {name}: {quoted(line, _LONGEST_LINE)}"),
        recording(content),
    )
    return done.stdout.splitlines()


def warnings_of(name: str, dockerfile: str, lines: list[str]) -> list[str]:
    """Return what the build of an image has done that nobody asked for."""
    unfitting, changed = unfit(lines), unasked(read_packages(name), dockerfile)
    warnings = []
    if unfitting:
        warnings.append(f"pip says that packages of {name} do not fit each other: {'; '.join(unfitting)}.")
    if changed:
        warnings.append(
            f"The packages on top of {name} have changed others, too: {', '.join(changed)}. Their versions follow from"
            " the day of the build. Add them to vllm_image_pip, so that each host gets the same."
        )
    return warnings


def _run(args: list[str], problem: str, tell: Callable[[str], None], stdin: str = "") -> Completed:
    done = follow_docker(args, tell, stdin)
    if done.rc != 0:
        lines = done.stdout.strip().splitlines()
        told = "\n".join(f"  {line}" for line in conflict(lines) or lines[-_LAST_LINES:])
        raise DockerError(f"{problem}. Docker says:\n{told}")
    return done


if __name__ == "__main__":
    main()
