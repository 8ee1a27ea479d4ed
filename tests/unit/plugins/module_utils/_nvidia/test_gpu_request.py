# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why containers do not get the GPUs, told from what engines and toolkits say.

The texts are of public reports and of the programs' sources: moby 20.10, 26 and 29, nvidia-container-toolkit 1.20,
libnvidia-container. None was recorded on a GPU by this project.
"""

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._nvidia.gpu_request import (
    Trial,
    diagnose,
    gpu_names,
    last_line,
)

EIGHT = "".join(f"GPU {index}: NVIDIA B200 (UUID: GPU-{index:08x}-0000-0000-0000-000000000000)\n" for index in range(8))
DAEMON = "docker: Error response from daemon: "
HELP = "\nRun 'docker run --help' for more information\n"
SHIM = f"{DAEMON}failed to create task for container: failed to create shim task: OCI runtime create failed: "
RUNC = f"{SHIM}runc create failed: unable to start container process: "
HOOK = f"{RUNC}error during container init: error running prestart hook #0: exit status 1, stdout: , stderr: "
DIRECT = (
    "invoking the NVIDIA Container Runtime Hook directly (e.g. specifying the docker --gpus flag) is not supported."
    " Please use the NVIDIA Container Runtime (e.g. specify the --runtime=nvidia flag) instead.: unknown.\n"
)
LIBRARY = "/usr/lib/x86_64-linux-gnu/libcuda.so.570.124.06"
OLD_HOOK = (
    f"{DAEMON}OCI runtime create failed: container_linux.go:380: starting container process caused:"
    " process_linux.go:545: container init caused: Running hook #0:: error running hook: exit status 1, stdout: ,"
    " stderr: "
)


def test_all_gpus() -> None:
    assert diagnose(Trial("runtime", 0, EIGHT, 8)) is None
    assert gpu_names("GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-x)\n  MIG 1g.10gb Device 0: (UUID: MIG-y)\n") == [
        "NVIDIA H100 80GB HBM3"
    ]


@pytest.mark.parametrize(
    ("trial", "cause", "evidence", "fix", "remedy"),
    [
        pytest.param(
            Trial(
                "runtime",
                125,
                f'{DAEMON}could not select device driver "" with capabilities: [[gpu]].\n',
                8,
                hook=False,
            ),
            "The NVIDIA container toolkit is not installed",
            'could not select device driver "" with capabilities: [[gpu]]',
            "Install the package nvidia-container-toolkit",
            "install",
            id="not installed",
        ),
        pytest.param(
            Trial("runtime", 125, f'{DAEMON}could not select device driver "" with capabilities: [[gpu]].\n', 8),
            "The engine was started before the NVIDIA container toolkit was installed",
            "could not select device driver",
            "systemctl restart docker",
            "restart",
            id="engine not restarted",
        ),
        pytest.param(
            Trial(
                "runtime", 125, f"{DAEMON}failed to discover GPU vendor from CDI: no known GPU vendor found\n{HELP}", 8
            ),
            "The engine was started before the NVIDIA container toolkit was installed",
            "failed to discover GPU vendor from CDI: no known GPU vendor found",
            "systemctl restart docker",
            "restart",
            id="engine 29 not restarted",
        ),
        pytest.param(
            Trial("runtime", 125, f"{DAEMON}AMD CDI spec not found\n{HELP}", 8),
            "The engine was started before the NVIDIA container toolkit was installed",
            "AMD CDI spec not found",
            "systemctl restart docker",
            "restart",
            id="engine 29 not restarted, with a specification of the GPUs",
        ),
        pytest.param(
            Trial("runtime", 125, f"{DAEMON}something new.\n{HELP}", 8),
            "for a reason that is not known here",
            "something new.",
            "Try it by hand",
            "",
            id="unknown",
        ),
        pytest.param(
            Trial("cdi", 125, f'{DAEMON}could not select device driver "cdi" with capabilities: [].\n', 8),
            "CDI is switched off in the engine",
            'could not select device driver "cdi"',
            '"features": {"cdi": true}',
            "cdi",
            id="CDI off",
        ),
        pytest.param(
            Trial(
                "cdi",
                125,
                f'{DAEMON}error gathering device information while adding custom device "nvidia.com/gpu=all":'
                " no such file or directory.\n",
                8,
                engine_major=20,
            ),
            "The engine, version 20, does not support CDI",
            'custom device "nvidia.com/gpu=all"',
            "version 25 or newer",
            "",
            id="engine too old for CDI",
        ),
        pytest.param(
            Trial("runtime", 125, f"{DAEMON}unknown or invalid runtime name: nvidia.\n", 8),
            "has not reloaded daemon.json",
            "runtime name: nvidia",
            "systemctl reload docker",
            "runtime",
            id="engine not reloaded",
        ),
        pytest.param(
            Trial("runtime", 125, f"{DAEMON}Unknown runtime specified nvidia.\n", 8),
            "has not reloaded daemon.json",
            "Unknown runtime specified nvidia",
            "systemctl reload docker",
            "runtime",
            id="engine not reloaded, 20.10",
        ),
        pytest.param(
            Trial(
                "runtime",
                127,
                f"{SHIM}unable to retrieve OCI runtime error (open"
                " /run/containerd/io.containerd.runtime.v2.task/moby/88/log.json: no such file or directory): exec:"
                ' "nvidia-container-runtime": executable file not found in $PATH: unknown.\n',
                8,
            ),
            "names the runtime nvidia, or the engine its hook, but the program is missing",
            '"nvidia-container-runtime": executable file not found',
            "correct the path below 'runtimes'",
            "install",
            id="runtime without its program",
        ),
        pytest.param(
            Trial(
                "runtime", 127, f"{DAEMON}fork/exec /usr/bin/nvidia-container-runtime: no such file or directory.", 8
            ),
            "the program is missing",
            "fork/exec /usr/bin/nvidia-container-runtime",
            "Install",
            "install",
            id="runtime at a path without a program",
        ),
        pytest.param(
            Trial(
                "runtime",
                125,
                f"{HOOK}Using requested mode 'cdi'\n{DIRECT}",
                8,
            ),
            "The toolkit is set to CDI, which does not support --gpus",
            "invoking the NVIDIA Container Runtime Hook directly",
            "nvidia_container_toolkit_mode: cdi",
            "",
            id="hook in CDI mode",
        ),
        pytest.param(
            Trial(
                "cdi", 125, f"{DAEMON}CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all.\n", 8
            ),
            "There is no CDI specification that names the GPUs",
            "unresolvable CDI devices nvidia.com/gpu=all",
            "nvidia-ctk cdi generate",
            "spec",
            id="no CDI specification",
        ),
        pytest.param(
            Trial(
                "cdi",
                127,
                f'{RUNC}error during container init: error mounting "{LIBRARY}" to rootfs at "{LIBRARY}": stat'
                f" {LIBRARY}: no such file or directory: unknown.\n",
                8,
            ),
            "The CDI specification is out of date",
            "libcuda.so.570.124.06",
            "systemctl restart nvidia-cdi-refresh",
            "spec",
            id="stale CDI specification",
        ),
        pytest.param(
            Trial(
                "runtime",
                1,
                f"{OLD_HOOK}nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown.",
                8,
            ),
            "The NVIDIA driver is not loaded",
            "nvml error: driver not loaded",
            "nvidia_driver",
            "",
            id="driver not loaded",
        ),
        pytest.param(
            Trial(
                "runtime",
                125,
                f"{HOOK}Auto-detected mode as 'legacy'\nnvidia-container-cli: initialization error: load library"
                " failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory: unknown.\n",
                8,
            ),
            "NVIDIA's hook finds no library of the driver",
            "libnvidia-ml.so.1: cannot open",
            "nvidia-smi on the host",
            "",
            id="driver not installed",
        ),
        pytest.param(
            Trial(
                "runtime",
                125,
                f"{HOOK}Auto-detected mode as 'legacy'\nnvidia-container-cli: initialization error: nvml error:"
                " driver/library version mismatch: unknown.\n",
                8,
            ),
            "have different versions",
            "driver/library version mismatch",
            "Reboot",
            "",
            id="mismatch told by the hook",
        ),
        pytest.param(
            Trial(
                "cdi",
                18,
                "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.95\n",
                8,
            ),
            "have different versions",
            "Driver/library version mismatch",
            "Reboot",
            "",
            id="mismatch told by nvidia-smi",
        ),
        pytest.param(
            Trial("runtime", 255, "Failed to initialize NVML: Unknown Error\n", 8, no_cgroups=True),
            "no-cgroups = true",
            "Failed to initialize NVML: Unknown Error",
            "Set no-cgroups = false",
            "",
            id="no-cgroups",
        ),
        pytest.param(
            Trial("runtime", 255, "Failed to initialize NVML: Unknown Error\n", 8),
            "its cgroup does not list them",
            "Failed to initialize NVML: Unknown Error",
            "daemon-reload",
            "",
            id="NVML unknown error",
        ),
        pytest.param(
            Trial(
                "runtime", 1, f"{HOOK}nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0\n", 8
            ),
            "The driver is too old for the image",
            "unsatisfied condition: cuda>=13.0",
            "Update the driver",
            "",
            id="image too new",
        ),
        pytest.param(
            Trial(
                "runtime",
                127,
                f'{RUNC}exec: "nvidia-smi": executable file not found in $PATH: unknown.',
                8,
            ),
            "injected no part of the driver into the container",
            'exec: "nvidia-smi"',
            "NVIDIA_VISIBLE_DEVICES",
            "",
            id="empty container",
        ),
        pytest.param(
            Trial("runtime", 6, "No devices were found\n", 8),
            "sees none",
            "No devices were found",
            "nvidia-smi on the host",
            "",
            id="no GPU in the container",
        ),
        pytest.param(
            Trial("runtime", 0, EIGHT.partition("GPU 7")[0], 8),
            "A container sees 7 of the host's 8 GPUs",
            "NVIDIA B200, NVIDIA B200",
            "on the host",
            "",
            id="fewer GPUs",
        ),
        pytest.param(
            Trial("cdi", 0, EIGHT.partition("GPU 7")[0], 8),
            "A container sees 7 of the host's 8 GPUs",
            "NVIDIA B200, NVIDIA B200",
            "renew it",
            "spec",
            id="fewer GPUs in the specification",
        ),
        pytest.param(
            Trial("runtime", 0, "", 8),
            "A container sees 0 of the host's 8 GPUs",
            "(it said nothing)",
            "on the host",
            "",
            id="silence",
        ),
        pytest.param(
            Trial("cdi", 125, "first\nsomething {{ new }}\n", 8),
            "failed with code 125 for a reason that is not known here",
            "something {{ new }}",
            "docker run --rm --device nvidia.com/gpu=all",
            "",
            id="unknown",
        ),
    ],
)
def test_diagnose(trial: Trial, cause: str, evidence: str, fix: str, remedy: str) -> None:
    problem = diagnose(trial)
    assert problem
    assert cause in problem.cause
    assert evidence in problem.evidence
    assert "\n" not in problem.evidence
    assert fix in problem.fix
    assert problem.remedy == remedy


VERSIONS = "Docker 28.5.2; runc version 1.3.6; NVIDIA Container Toolkit CLI version {}"
SPEC = (
    f"{SHIM}could not apply required modification to OCI specification: error modifying OCI spec: failed to create the"
    ' automatic CDI modifier: failed to generate CDI spec for mode "auto": failed to construct device spec generators: '
)
FILTER = (
    f"{HOOK}nvidia-container-cli: mount error: failed to add device rules: unable to find any existing device filters"
    " attached to the cgroup: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted: unknown.\n"
)


@pytest.mark.parametrize(
    ("output", "cause", "fix"),
    [
        (FILTER, "The toolkit is older than 1.18", "pdate the toolkit to 1.18 or newer"),
        (
            f"{HOOK}nvidia-container-cli: ldcache error: process /sbin/ldconfig terminated with signal 9\n",
            "ended by a signal",
            "LimitNOFILE",
        ),
        (
            f"{HOOK}nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open"
            f" shared"
            " object file: no such file or directory: unknown.\n",
            "finds no library of the driver",
            "snap list docker",
        ),
        (
            f"{RUNC}error during container init: error setting cgroup config for procHooks process:"
            " bpf_prog_query(BPF_CGROUP_DEVICE) failed: invalid argument: unknown.\n",
            "The kernel lacks CONFIG_CGROUP_BPF",
            "distribution's kernel",
        ),
        (
            f'{DAEMON}CDI device injection failed: conflicting device "nvidia.com/gpu=all" in specs a, b\n',
            "Two CDI",
            "one of",
        ),
        (f"{SHIM}ttrpc: closed: unknown.\n", "containerd", "systemctl status containerd"),
        (
            f"{SPEC}failed to get full GPU device editors: error getting device handle for index '1': Unknown Error\n",
            "The driver does not answer for one of the host's GPUs",
            "give the node back",
        ),
        (
            f"{SPEC}failed to initialize NVML: ERROR_LIBRARY_NOT_FOUND\n",
            "finds no library of the driver",
            "ldconfig -p",
        ),
        (
            "Unable to determine the device handle for GPU1: 0000:34:00.0: Unknown Error\n",
            "does not answer for one of the host's GPUs",
            "Reboot once",
        ),
        (
            f"{HOOK}nvidia-container-cli: initialization error: change root failed: no such file or directory\n",
            "name another folder for the driver",
            "Comment out root",
        ),
        (
            f"{SHIM}could not apply required modification to OCI specification: error modifying OCI spec: failed to"
            " inject CDI devices: unresolvable CDI devices runtime.nvidia.com/gpu=all: unknown",
            "could not make the specification at the start",
            "mostly the driver does not work",
        ),
        (
            "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system. Please make sure that the NVIDIA Display"
            " Driver is properly installed and present in your system.\n",
            "could not renew the list of libraries",
            "ldconfig",
        ),
    ],
)
@pytest.mark.parametrize("request_", ["runtime", "cdi"])
def test_what_the_layers_below_say(request_: str, output: str, cause: str, fix: str) -> None:
    problem = diagnose(Trial(request_, 125, output, 8, versions=VERSIONS.format("1.17.8")))
    assert problem
    assert cause in problem.cause
    assert fix in problem.fix
    assert "Docker 28.5.2; runc version 1.3.6" in problem.evidence
    assert "hgx.inference.nvidia_container_toolkit" not in problem.fix
    assert problem.remedy == ""


def test_the_version_of_the_toolkit_decides() -> None:
    old, new = (
        diagnose(Trial("runtime", 125, FILTER, 8, versions=VERSIONS.format(version)))
        for version in ("1.17.8", "1.19.0")
    )
    assert old
    assert new
    assert "Test:" not in old.fix
    assert "Test:" in new.fix
    assert "older than 1.18" not in new.cause


def test_long_lines_are_cut_around_what_matters() -> None:
    text = "x" * 3000 + " driver not loaded " + "y" * 3000
    problem = diagnose(Trial("runtime", 1, text, 8))
    assert problem
    assert "driver not loaded" in problem.evidence
    assert len(problem.evidence) < 420
    assert last_line("a\n\n") == "a"
