# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""List the GPUs in a temporary container, unless an earlier proof still holds."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .._core.files import read_text
from .._core.process import run
from .._docker import engine as _docker_engine
from .._docker.cli import Completed, DockerError, run_docker
from .._docker.daemon import engine_major
from .gpu_request import NO_SMI, REQUESTS, Problem, Trial, diagnose, last_line

PULL_TIMEOUT_S = 900
_ROOT = "/"
_TOOLKIT_CONFIG = "etc/nvidia-container-runtime/config.toml"
# Files that decide whether a container gets the GPUs, apart from versions and the engine itself.
_CDI = ("etc/cdi/*", "var/run/cdi/*")
_SETTINGS = ("etc/docker/daemon.json", _TOOLKIT_CONFIG, *_CDI)
_SMI = "nvidia-smi"
_SMI_IN_CONTAINER = re.compile(r"containerPath\W+(/[^\s\"',]*/nvidia-smi)\b")
# The PATH of an engine, which may differ from the PATH here.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Outcome(NamedTuple):
    """The request that works, if any, its proof, and the problems of those that do not."""

    request: str | None
    proof: dict[str, Any]
    problems: dict[str, Problem]
    started: bool
    pulled: bool = False


def probe(
    image: str, requests: Sequence[str], gpus: int, last_proof: Mapping[str, Any], timeout_s: float, look_only: bool
) -> Outcome:
    """Return the first of the requests that gives a container all C(gpus) GPUs. Raises DockerError."""
    now = fingerprint(gpus)
    proven = last_proof.get("request")
    if proven in requests and dict(last_proof) == {**now, "request": proven}:
        return Outcome(proven, dict(last_proof), {}, started=False)
    if look_only:
        return Outcome(None, {}, {}, started=False)
    pulled = False
    if run_docker(["image", "inspect", image]).rc != 0:
        done = run_docker(["pull", "--quiet", image], timeout_s=PULL_TIMEOUT_S, merge=True)
        if done.rc != 0:
            problem = Problem(
                f"The image {image} for the probe is not on the host and cannot be pulled",
                last_line(done.stdout),
                "Set nvidia_container_toolkit_probe_image to an image that is on the host or can be pulled.",
            )
            return Outcome(None, {}, dict.fromkeys(requests, problem), started=False)
        pulled = True
    problems: dict[str, Problem] = {}
    for request in requests:
        problem_found = _try(image, request, gpus, timeout_s)
        if problem_found is None:
            return Outcome(request, {**now, "request": request}, problems, started=True, pulled=pulled)
        problems[request] = problem_found
    return Outcome(None, {}, problems, started=True, pulled=pulled)


def fingerprint(gpus: int) -> dict[str, Any]:
    """Return what a proof depends on. While it is unchanged, the proof holds."""
    engine = _docker_engine.process()
    toolkit = run(["nvidia-ctk", "--version"], 30, merge=False).output.partition("\n")[0]
    settings = hashlib.sha256()
    for pattern in _SETTINGS:
        for path in sorted(glob.glob(_ROOT + pattern)):
            settings.update(f"{path}\0{read_text(path)}\0".encode())
    return {
        "gpus": gpus,
        "engine": engine.identity if engine else None,
        "toolkit": toolkit.rpartition(" ")[2],
        "driver": {
            "module": read_text(f"{_ROOT}proc/driver/nvidia/version").partition("\n")[0],
            "libraries": libraries(),
        },
        "settings": settings.hexdigest()[:16],
    }


def libraries() -> list[str]:
    """Return the names of the driver's management library, one for each version that is installed."""
    roots = {f"{_ROOT}usr", f"{_ROOT.rstrip('/')}{driver_root() or '/usr'}"}
    patterns = [f"{root}/{folder}" for root in roots for folder in ("lib/*", "lib", "lib64")]
    found = [path for pattern in patterns for path in glob.glob(f"{pattern}/libnvidia-ml.so.*")]
    return sorted({os.path.basename(path) for path in found})


def driver_root() -> str:
    """Return the folder of the driver's bin, if it is outside of /usr; else nothing."""
    program = shutil.which(_SMI)
    folder = os.path.dirname(program) if program else ""
    if os.path.basename(folder) != "bin" or folder in ("/usr/bin", "/bin"):
        return ""
    return os.path.dirname(folder)


def list_gpus(run_smi: Callable[[str], Completed]) -> Completed:
    """Run nvidia-smi in a container, by its name or, where that is not on the PATH, by its path.

    C(run_smi) runs the program of that name or path there. Raises DockerError.
    """
    first = run_smi(_SMI)
    if first.rc != 0 and re.search(NO_SMI, first.stdout):
        for path in _smi_paths():
            again = run_smi(path)
            if not re.search(NO_SMI, again.stdout):
                return again
    return first


def _smi_paths() -> list[str]:
    """Return where containers may have the program: where a CDI specification or the host has it."""
    specs = [read_text(path) for pattern in _CDI for path in sorted(glob.glob(_ROOT + pattern))]
    paths = [path for spec in specs for path in _SMI_IN_CONTAINER.findall(spec)]
    paths += [f"{driver_root()}/bin/{_SMI}"] if driver_root() else []
    return [path for path in dict.fromkeys(paths) if os.path.dirname(path) not in _PATH.split(":")]


def _try(image: str, request: str, gpus: int, timeout_s: float) -> Problem | None:
    name = f"hgx-gpu-probe-{os.getpid()}"
    options = ["--rm", "--name", name, "--pull", "never", "--network", "none"]

    def run_smi(program: str) -> Completed:
        words = ["run", *options, "--entrypoint", program, *REQUESTS[request], image, "-L"]
        return run_docker(words, timeout_s=timeout_s, merge=True)

    try:
        done = list_gpus(run_smi)
    except DockerError as exc:
        run_docker(["rm", "--force", name])
        return Problem("A container that lists the GPUs hangs", str(exc), "See 'dmesg | grep -e NVRM -e Xid'.")
    engine = (_docker_engine.info() or {}) if done.rc else {}
    return diagnose(
        Trial(
            request,
            done.rc,
            done.stdout,
            gpus,
            hook=shutil.which("nvidia-container-runtime-hook", path=_PATH) is not None,
            engine_major=engine_major(engine) if done.rc else 0,
            versions=versions(engine) if done.rc else "",
            driver_root=driver_root(),
            no_cgroups=bool(re.search(r"^\s*no-cgroups\s*=\s*true", read_text(_ROOT + _TOOLKIT_CONFIG), re.MULTILINE)),
        )
    )


def versions(engine: Mapping[str, Any]) -> str:
    """Return the versions of what takes part in a container's start, in words. C(engine) is what it says of itself."""
    programs = (["containerd", "--version"], ["runc", "--version"], ["nvidia-ctk", "--version"])
    said = [run(program, 30, merge=False).output.partition("\n")[0].strip() for program in programs]
    return "; ".join([f"Docker {engine.get('ServerVersion', 'unknown')}", *filter(None, said)])
