# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a container requests the GPUs, and why it did not get them. Runs no program."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .._core.causes import Facts
from .._docker.messages import ENGINE
from .messages import TOOLKIT

# The arguments between "docker run" and the image.
_CDI_KIND = "nvidia.com/gpu"
REQUESTS = {"runtime": ["--gpus", "all"], "cdi": ["--device", f"{_CDI_KIND}=all"]}

# GPUs by index or UUID, as in a setting.
GPU_SET = re.compile(r"(?:\d+|GPU-[0-9a-fA-F-]+)(?:,(?:\d+|GPU-[0-9a-fA-F-]+))*")

# What engine and runtime say of a container without the program, by name or path.
NO_SMI = r'exec: "[^"]*nvidia-smi": (executable file not found|stat [^\n]*no such file)'

_LONGEST_LINE = 400
_GPU = re.compile(r"^GPU \d+: (.*?)(?: \(UUID: .*\))?$", re.MULTILINE)
_SEE_HELP = re.compile(r"(Run|See) 'docker run --help'")
_WRITE_SPEC = "systemctl restart nvidia-cdi-refresh, or nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml."
_DRIVER = "The role hgx.inference.nvidia_driver and nvidia-smi on the host say more."


class Trial(NamedTuple):
    """The outcome of a container that should list the host's GPUs, with facts about the host."""

    request: str
    rc: int
    output: str
    gpus: int  # how many the host has
    hook: bool = True  # NVIDIA's hook, which --gpus needs, is installed
    engine_major: int = 26
    no_cgroups: bool = False  # set in the toolkit's config.toml
    versions: str = ""  # of engine, containerd, runc and toolkit, in words
    driver_root: str = ""  # where the host's driver is, if not in /usr


class Problem(NamedTuple):
    """Why containers do not get the GPUs.

    C(remedy) is the automatic repair: V(install) the toolkit, add the V(runtime) to the engine, V(restart) the engine,
    enable V(cdi) in it, renew the CDI V(spec), or empty if there is none.
    """

    cause: str
    evidence: str
    fix: str
    remedy: str = ""


def request_words(request: str, gpu_set: str = "") -> list[str]:
    """Return the words that request all GPUs, those of C(gpu_set), such as V(0,1,2,3), or none without a kind."""
    if not gpu_set:
        return REQUESTS.get(request, [])
    if request == "cdi":
        return [word for name in gpu_set.split(",") for word in ("--device", f"{_CDI_KIND}={name}")]
    return ["--gpus", f'"device={gpu_set}"']  # quoted, because the option takes fields between commas


def requested_gpus(device_requests: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return kind and set of the GPUs that a container requests, from C(docker inspect). The set is empty for all."""
    if not device_requests:
        return "", ""
    kind = "cdi" if any(request.get("Driver") == "cdi" for request in device_requests) else "runtime"
    names = [str(name) for request in device_requests for name in request.get("DeviceIDs") or []]
    gpu_set = ",".join(name.removeprefix(f"{_CDI_KIND}=") for name in names)
    return kind, "" if gpu_set == "all" else gpu_set


def gpu_names(output: str) -> list[str]:
    """Return the names of the GPUs that C(nvidia-smi -L) lists."""
    return _GPU.findall(output)


def diagnose(trial: Trial) -> Problem | None:
    """Return why the container did not list all GPUs of the host, or None if it did."""
    if trial.rc == 0:
        return _count(trial)
    for pattern, explain in _KNOWN:
        match = re.search(pattern, trial.output, re.IGNORECASE)
        if match:
            return explain(trial, _line(trial.output, match.start()))
    versions = f" ({trial.versions})" if trial.versions else ""
    for signature in (*TOOLKIT, *ENGINE):
        for pattern in signature.patterns:
            match = re.search(pattern, trial.output)
            if match:
                cause, fix = signature.decided(signature.cause, f"{trial.output}\n{trial.versions}", Facts())
                return Problem(cause.rstrip("."), _line(trial.output, match.start()) + versions, fix)
    return Problem(
        f"The container failed with code {trial.rc} for a reason that is not known here",
        last_line(trial.output) + versions,
        "Try it by hand: docker run --rm " + " ".join(REQUESTS[trial.request]) + " --entrypoint nvidia-smi IMAGE -L."
        " 'journalctl -u docker -u containerd -n 50' has more.",
    )


def last_line(output: str) -> str:
    """Return the last meaningful line: Docker's command ends with a hint at its help."""
    lines = [line for line in output.splitlines() if line.strip() and not _SEE_HELP.match(line)]
    return _shorten((lines or ["(it said nothing)"])[-1])


def _count(trial: Trial) -> Problem | None:
    names = gpu_names(trial.output)
    if names and len(names) >= trial.gpus:
        return None
    fix = "Compare 'nvidia-smi -L' on the host. If the host itself has lost a GPU, reboot."
    if trial.request == "cdi":
        fix = f"If the CDI specification was written when there were other GPUs, renew it: {_WRITE_SPEC}"
    return Problem(
        f"A container sees {len(names)} of the host's {trial.gpus} GPUs",
        ", ".join(names) or last_line(trial.output),
        fix,
        "spec" if trial.request == "cdi" else "",
    )


def _no_device_driver(trial: Trial, line: str) -> Problem:
    if trial.request == "cdi":
        return _no_cdi(trial, line)
    if not trial.hook:
        return Problem(
            "The NVIDIA container toolkit is not installed",
            line,
            "Install the package nvidia-container-toolkit, then restart the engine.",
            "install",
        )
    return Problem(
        "The engine was started before the NVIDIA container toolkit was installed, and detects it only at its start",
        line,
        "Restart the engine: systemctl restart docker.",
        "restart",
    )


def _no_cdi(trial: Trial, line: str) -> Problem:
    if trial.engine_major < 25:
        return Problem(
            f"The engine, version {trial.engine_major}, does not support CDI",
            line,
            "Use the request 'runtime' (--gpus), or an engine of version 25 or newer.",
        )
    return Problem(
        "CDI is switched off in the engine",
        line,
        'Set "features": {"cdi": true} in /etc/docker/daemon.json and restart the engine.',
        "cdi",
    )


def _no_nvml(trial: Trial, line: str) -> Problem:
    if trial.no_cgroups and trial.request == "runtime":
        return Problem(
            "The toolkit is told to leave cgroups alone (no-cgroups = true), so containers may not open the GPUs",
            line,
            "Set no-cgroups = false in /etc/nvidia-container-runtime/config.toml; true is for rootless engines only.",
        )
    return Problem(
        "The container may not open the GPUs: its cgroup does not list them",
        line,
        "'systemctl daemon-reload' does that to running containers: restart them. If a new one has the problem, too,"
        " compare the cgroup drivers of engine and systemd (docker info), and update the toolkit.",
    )


def _no_smi(trial: Trial, line: str) -> Problem:
    if trial.request == "cdi":
        root = f" --driver-root={trial.driver_root} --dev-root=/" if trial.driver_root else ""
        return Problem(
            "The CDI specification gives the container no nvidia-smi: it was written where the driver's programs were"
            " not found",
            line,
            f"Renew it: nvidia-ctk cdi generate{root} --output=/etc/cdi/nvidia.yaml, with the driver's programs on the"
            " PATH.",
            "spec",
        )
    return Problem(
        "The toolkit injected no part of the driver into the container",
        line,
        "Check 'nvidia-container-cli list' on the host; the image must not set NVIDIA_VISIBLE_DEVICES=void.",
    )


def _fixed(cause: str, fix: str, remedy: str = "") -> Callable[[Trial, str], Problem]:
    """Return the explanation for a line that always has the same meaning."""
    return lambda _trial, line: Problem(cause, line, fix, remedy)


# Messages of engine, runtimes and toolkit, the most specific first.
_KNOWN: tuple[tuple[str, Callable[[Trial, str], Problem]], ...] = (
    (
        # An engine from 29 on that found no hook at its start treats --gpus as a request for AMD GPUs.
        r"could not select device driver|failed to discover GPU vendor from CDI|AMD CDI spec not found"
        r"|CDI specs for required vendor amd\.com not found",
        _no_device_driver,
    ),
    # An engine before 25 treats the name as a path.
    (r'error gathering device information while adding custom device "nvidia\.com/', _no_cdi),
    (
        r"(unknown or invalid runtime name|Unknown runtime specified):? nvidia",
        _fixed(
            "The engine does not know the runtime nvidia: it has not reloaded daemon.json since it was configured",
            "Reload the engine: systemctl reload docker.",
            "runtime",
        ),
    ),
    (
        r'nvidia-container-runtime(-hook)?[\\"]*: (executable file not found|no such file or directory)',
        _fixed(
            "daemon.json names the runtime nvidia, or the engine its hook, but the program is missing",
            "Install the package nvidia-container-toolkit, or correct the path below 'runtimes'.",
            "install",
        ),
    ),
    (
        r"invoking the NVIDIA Container Runtime Hook directly",
        _fixed(
            "The toolkit is set to CDI, which does not support --gpus",
            'Request the GPUs by CDI (nvidia_container_toolkit_mode: cdi), or set mode = "auto" below'
            " [nvidia-container-runtime] in /etc/nvidia-container-runtime/config.toml.",
        ),
    ),
    (
        # The toolkit itself makes the specification of runtime.nvidia.com, so none can be written for it.
        r"unresolvable CDI devices (?!runtime\.nvidia\.com)",
        _fixed(
            "There is no CDI specification that names the GPUs",
            f"Write one: {_WRITE_SPEC}",
            "spec",
        ),
    ),
    (
        r"driver/library version mismatch",
        _fixed("The loaded kernel module and the driver's libraries have different versions", f"Reboot. {_DRIVER}"),
    ),
    (
        r"driver not loaded|couldn't communicate with the NVIDIA driver",
        _fixed("The NVIDIA driver is not loaded, or not installed", _DRIVER),
    ),
    (
        r"unsatisfied condition: ",
        _fixed("The driver is too old for the image", "Update the driver, or use an image for an older CUDA."),
    ),
    (r"Failed to initialize NVML: (Unknown Error|Insufficient Permissions)", _no_nvml),
    (
        r"CDI device injection failed.*(failed to stat|no such file)"
        r'|error mounting "[^"]*(nvidia|libcuda)[^"]*".*no such file or directory',
        _fixed(
            "The CDI specification is out of date: it names files of another driver version",
            f"Renew it: {_WRITE_SPEC}",
            "spec",
        ),
    ),
    (NO_SMI, _no_smi),
    (r"No devices were found", _fixed("The container sees none of the GPUs", _DRIVER)),
)


def _line(text: str, position: int) -> str:
    """Return the line of the text that contains the position, centred on it if the line is too long."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : end if end >= 0 else len(text)].strip()
    offset = max(0, position - start - _LONGEST_LINE // 2)
    return ("... " if offset else "") + _shorten(line[offset:])


def _shorten(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} ..."
