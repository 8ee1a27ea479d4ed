# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container toolkit: what lets containers see the GPUs, and how it fails when something below it is not right.

The hook of an engine's C(--gpus) copies the stub nvidia-smi into the container, a CDI specification mounts it. Both
leave a snapshot of the machine's state, because a container has a /proc of its own. The container needs a python3.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

from . import state
from .state import uuid

CONFIG = Path("/etc/nvidia-container-runtime/config.toml")
SMI = Path("/usr/bin/nvidia-smi")
PROGRAMS = Path("/usr/lib/nvidia-stub/nvidia_stub")
CDI_FOLDERS = (Path("/etc/cdi"), Path("/var/run/cdi"))
CDI_KIND = "nvidia.com/gpu"
CDI_DEVICE = "NVIDIA_STUB_DEVICE_"  # the specification's mark on a container, one for each GPU
FROM_RUNTIME = "NVIDIA_STUB_FROM_RUNTIME"
HOOK = "/usr/bin/nvidia-container-runtime-hook"
DIRECT = (
    "invoking the NVIDIA Container Runtime Hook directly (e.g. specifying the docker --gpus flag) is not supported. "
    "Please use the NVIDIA Container Runtime (e.g. specify the --runtime=nvidia flag) instead"
)


def main(program: str, args: list[str]) -> int:
    commands = {
        "nvidia-cdi-hook": cdi_hook,
        "nvidia-container-cli": container_cli,
        "nvidia-container-runtime": runtime,
        "nvidia-container-runtime-hook": runtime_hook,
        "nvidia-ctk": ctk,
    }
    return commands[program](args)


def version() -> str:
    return state.read(state.VERSIONS / "toolkit") or "?"


def config() -> dict[str, Any]:
    try:
        return tomllib.loads(CONFIG.read_text())
    except FileNotFoundError:
        return {}


def mode() -> str:
    value: str = config().get("nvidia-container-runtime", {}).get("mode", "auto")
    return value


def nvml_error() -> str:
    """Why NVML cannot be used on the host, or nothing."""
    library, module = state.userland(), state.loaded_module()
    if library is None:
        return "load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory"
    if module is None:
        return "nvml error: driver not loaded"
    return "nvml error: driver/library version mismatch" if library != module else ""


def container_cli(args: list[str]) -> int:
    if {"-V", "--version"} & set(args):
        print(f"cli-version: {version()}\nlib-version: {version()}")
        return 0
    error = nvml_error()
    if error:
        return fail(f"nvidia-container-cli: initialization error: {error}")
    print(f"NVRM version:   {state.loaded_module()}\nCUDA version:   13.0")
    return 0


# --gpus and --runtime=nvidia


def runtime_hook(args: list[str]) -> int:
    """C(prestart): the state of a container that is being created stands on the standard input."""
    if args[:1] != ["prestart"]:
        return 0
    bundle = Path(json.load(sys.stdin)["bundle"])
    spec = json.loads((bundle / "config.json").read_text())
    wanted = environment(spec).get("NVIDIA_VISIBLE_DEVICES", "")
    if wanted in ("", "void"):
        return 0
    if mode() not in ("auto", "legacy") and FROM_RUNTIME not in os.environ:
        return fail(f"Using requested mode '{mode()}'\n{DIRECT}")
    error = nvml_error()
    if error:
        return fail(f"Auto-detected mode as 'legacy'\nnvidia-container-cli: initialization error: {error}")
    gpus = visible(wanted, state.Machine.load().gpus)
    if gpus is None:
        return fail(f"Auto-detected mode as 'legacy'\nnvidia-container-cli: device error: {wanted}: unknown device")
    rootfs = bundle / spec["root"]["path"]
    for source in (SMI, state.LIBRARIES / f"libnvidia-ml.so.{state.userland()}"):
        inside = below(rootfs, source)
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, inside)
    shutil.copytree(PROGRAMS, below(rootfs, PROGRAMS), dirs_exist_ok=True)
    no_cgroups = config().get("nvidia-container-cli", {}).get("no-cgroups", False)
    leave_snapshot(rootfs, gpus, "Unknown Error" if no_cgroups else "")
    return 0


def runtime(args: list[str]) -> int:
    """Run runc, after a look at what it is to create."""
    if "create" in args and "--bundle" in args:
        path = Path(args[args.index("--bundle") + 1]) / "config.json"
        spec = json.loads(path.read_text())
        if environment(spec).get("NVIDIA_VISIBLE_DEVICES", "") not in ("", "void"):
            if mode() == "cdi" and not cdi_specs():
                return fail(f"failed to inject CDI devices: unresolvable CDI devices {CDI_KIND}=all")
            hooks = spec.setdefault("hooks", {})
            others = [hook for hook in hooks.get("prestart") or [] if not hook["path"].endswith(Path(HOOK).name)]
            own = {"path": HOOK, "args": [HOOK, "prestart"], "env": [f"{FROM_RUNTIME}=1"]}
            hooks["prestart"] = [*others, own]
            path.write_text(json.dumps(spec))
    os.environ.pop("PYTHONPATH", None)
    return os.execvp("runc", ["runc", *args])


def environment(spec: dict[str, Any]) -> dict[str, str]:
    return dict(item.partition("=")[::2] for item in spec["process"].get("env", []))


def visible(wanted: str, count: int) -> list[int] | None:
    """The GPUs that are asked for by C(all), numbers or UUIDs, or None if there is one that does not exist."""
    if wanted == "all":
        return list(range(count))
    known = {name: gpu for gpu in range(count) for name in (str(gpu), uuid(gpu))}
    names = wanted.split(",")
    return [known[name] for name in names] if all(name in known for name in names) else None


def below(rootfs: Path, path: Path) -> Path:
    return rootfs / path.relative_to("/")


def leave_snapshot(rootfs: Path, gpus: list[int], nvml: str = "") -> None:
    now = state.current()
    limit = now.machine.container_gpus
    shown = dataclasses.replace(
        now, gpus=tuple(gpus[: len(gpus) if limit is None else limit]), nvml=now.machine.container_nvml or nvml
    )
    path = below(rootfs, state.SNAPSHOT)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dataclasses.asdict(shown)))


# CDI


def cdi_hook(_args: list[str]) -> int:
    bundle = Path(json.load(sys.stdin)["bundle"])
    spec = json.loads((bundle / "config.json").read_text())
    gpus = [int(name.removeprefix(CDI_DEVICE)) for name in environment(spec) if name.startswith(CDI_DEVICE)]
    leave_snapshot(bundle / spec["root"]["path"], sorted(gpus))
    return 0


def cdi_spec(count: int, library: str) -> dict[str, Any]:
    def edits(gpus: list[int]) -> dict[str, Any]:
        return {"env": [f"{CDI_DEVICE}{gpu}=1" for gpu in gpus]}

    every = list(range(count))
    names = [(name, [gpu]) for gpu in every for name in (str(gpu), uuid(gpu))] + [("all", every)]
    mounts = [SMI, PROGRAMS, state.LIBRARIES / f"libnvidia-ml.so.{library}"]
    return {
        "cdiVersion": "0.5.0",
        "kind": CDI_KIND,
        "devices": [{"name": name, "containerEdits": edits(gpus)} for name, gpus in names],
        "containerEdits": {
            "env": ["NVIDIA_VISIBLE_DEVICES=void"],
            "hooks": [
                {
                    "hookName": "createContainer",
                    "path": "/usr/bin/nvidia-cdi-hook",
                    "args": ["nvidia-cdi-hook", "update-ldcache"],
                }
            ],
            "mounts": [
                {
                    "hostPath": str(path),
                    "containerPath": str(path),
                    "options": ["ro", "nosuid", "nodev", "rbind", "rprivate"],
                }
                for path in mounts
            ],
        },
    }


def cdi_specs() -> list[dict[str, Any]]:
    paths = [path for folder in CDI_FOLDERS for path in folder.glob("*") if path.suffix in (".json", ".yaml")]
    specs = [json.loads(path.read_text()) for path in paths]
    return [spec for spec in specs if spec["kind"] == CDI_KIND]


def cdi(args: list[str]) -> int:
    if args[:1] == ["list"]:
        names = sorted({f"{CDI_KIND}={device['name']}" for spec in cdi_specs() for device in spec["devices"]})
        print(f'time="2026-11-25T12:00:00Z" level=info msg="Found {len(names)} CDI devices"', file=sys.stderr)
        print("".join(f"{name}\n" for name in names), end="")
        return 0
    error = nvml_error()
    if error:
        message = f"failed to generate CDI spec: failed to create device CDI specs: failed to initialize NVML: {error}"
        return fail(f'time="2026-11-25T12:00:00Z" level=error msg="{message}"')
    text = json.dumps(cdi_spec(state.Machine.load().gpus, state.userland() or ""), indent=2)  # which is YAML, too
    target = option(args, "--output") or os.environ.get("NVIDIA_CTK_CDI_OUTPUT_FILE_PATH", "")
    if target:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).write_text(text + "\n")
        print('time="2026-11-25T12:00:00Z" level=info msg="Generated CDI spec with version 0.5.0"', file=sys.stderr)
    else:
        print(text)
    return 0


# nvidia-ctk


def ctk(args: list[str]) -> int:
    words = [arg for arg in args if arg not in ("--quiet", "-q", "--debug", "-d")]
    if words[:1] in (["--version"], ["-v"]):
        print(f"NVIDIA Container Toolkit CLI version {version()}\ncommit: 0000000000000000000000000000000000000000")
        return 0
    if words[:2] == ["cdi", "list"] or words[:2] == ["cdi", "generate"]:
        return cdi(words[1:])
    if words[:2] == ["runtime", "configure"]:
        return configure(words)
    return fail(f"nvidia-ctk: the stub does not know: {' '.join(args)}")


def configure(args: list[str]) -> int:
    path = Path(option(args, "--config") or "/etc/docker/daemon.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.loads(path.read_text()) if path.exists() else {}
    content.setdefault("runtimes", {})["nvidia"] = {"args": [], "path": "nvidia-container-runtime"}
    if "--set-as-default" in args:
        content["default-runtime"] = "nvidia"
    if "--cdi.enabled" in args:
        content.setdefault("features", {})["cdi"] = True
    path.write_text(json.dumps(content, indent=4))
    print(
        'time="2026-11-25T12:00:00Z" level=info msg="It is recommended that docker daemon be restarted."',
        file=sys.stderr,
    )
    return 0


def option(args: list[str], name: str) -> str:
    """The value of an option, as C(--name=value) or C(--name value)."""
    for index, arg in enumerate(args):
        if arg.startswith(f"{name}="):
            return arg.partition("=")[2]
        if arg == name and index + 1 < len(args):
            return args[index + 1]
    return ""


def fail(text: str) -> int:
    print(text, file=sys.stderr)
    return 1
