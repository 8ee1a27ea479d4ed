# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the machine below the driver: PCI devices, kernel modules, and the programs around them.

"Loaded" is a file in /proc/driver, "built" one below /lib/modules; the mounts that make this possible are gone after a
reboot, as they should be.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import state
from .state import Machine, bus_id, installed_module, module_file

PCI = Path("/sys/bus/pci/devices")
SYS_MODULE = Path("/sys/module")
MODULES = state.RUN / "modules"
NEED_DRIVER = {"nvidia_uvm", "nvidia_modeset", "nvidia_drm", "nvidia_peermem"}
NVIDIA, MELLANOX = "0x10de", "0x15b3"
GPU, SWITCH, INFINIBAND = "0x030200", "0x068000", "0x020700"


def main(program: str, args: list[str]) -> int:
    commands = {"dkms": dkms, "lsmod": lsmod, "modinfo": modinfo, "modprobe": modprobe}
    return commands[program](args)


def boot() -> None:
    """Put the hardware in place and load what a boot loads."""
    state.RUN.mkdir(parents=True, exist_ok=True)
    MODULES.write_text("")
    for place in (Path("/proc/driver"), PCI, SYS_MODULE):
        if not os.path.ismount(place):
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "nvidia-stub", place], check=True)
    proc_modules = Path("/proc/modules")  # not in a kernel without modules
    if proc_modules.exists() and not os.path.ismount(proc_modules):
        subprocess.run(["mount", "--bind", MODULES, proc_modules], check=True)
    place_devices()
    if installed_module(os.uname().release):  # its package keeps nouveau away
        modprobe(["nvidia"])
    elif Machine.load().nouveau:
        load("nouveau")
    # systemd's own service for it asks libkmod, which knows nothing of stubs.
    for path in sorted(Path("/etc/modules-load.d").glob("*.conf")):
        for line in (state.read(path) or "").splitlines():  # some are dangling links
            if line.strip() and line.strip()[0] not in "#;":
                modprobe([line.strip()])


def place_devices() -> None:
    """Fill the PCI bus with what the machine has, each GPU with the driver that holds it."""
    machine = Machine.load()
    for path in PCI.iterdir():
        shutil.rmtree(path)
    for gpu in range(machine.gpus):
        place_device(bus_id(gpu), NVIDIA, GPU)
        for driver in {"nvidia", "nouveau"} & set(loaded()):
            (PCI / bus_id(gpu) / "driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
    if machine.nvswitch == "pci":
        for number in range(4):
            place_device(f"0000:{6 + number:02x}:00.0", NVIDIA, SWITCH)
    if machine.nvswitch == "nvlink5":
        for number in range(4):
            place_device(f"0000:05:00.{number}", MELLANOX, INFINIBAND, b"CX7 SW_MNG bridge")
        place_device("0000:29:00.0", MELLANOX, INFINIBAND, b"CX7 adapter")  # one that only talks to other hosts


def place_device(address: str, vendor: str, device_class: str, vpd: bytes = b"") -> None:
    folder = PCI / address
    folder.mkdir()
    (folder / "vendor").write_text(f"{vendor}\n")
    (folder / "class").write_text(f"{device_class}\n")
    if vpd:
        (folder / "vpd").write_bytes(b"\x82\x10\x00" + vpd + b"\x00\x78")


def loaded() -> list[str]:
    return [line.split()[0] for line in (state.read(MODULES) or "").splitlines()]


def load(module: str, version: str = "") -> None:
    """Write down that a module is loaded, where a role may look for it."""
    if module in loaded():
        return
    with MODULES.open("a") as modules:
        modules.write(f"{module} 16384 0 - Live 0x0000000000000000\n")
    folder = SYS_MODULE / module
    folder.mkdir(exist_ok=True)
    (folder / "initstate").write_text("live\n")
    if module == "nvidia":
        (folder / "version").write_text(f"{version}\n")
        state.PROC_VERSION.parent.mkdir(exist_ok=True)
        state.PROC_VERSION.write_text(
            f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {version}  Release Build  (dvs-builder@)  \n"
            "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2)\n"
        )
    place_devices()


def unload(module: str) -> None:
    kept = [line for line in (state.read(MODULES) or "").splitlines() if line.split()[0] != module]
    MODULES.write_text("".join(f"{line}\n" for line in kept))  # in place: it is mounted elsewhere
    shutil.rmtree(SYS_MODULE / module, ignore_errors=True)
    if module == "nvidia":
        shutil.rmtree(state.PROC_VERSION.parent, ignore_errors=True)
    place_devices()


def modprobe(args: list[str]) -> int:
    release = os.uname().release
    names = [arg.replace("-", "_") for arg in args if not arg.startswith("-") and "=" not in arg]
    flags = {arg for arg in args if arg.startswith("-")}
    for name in names[:1] if not flags & {"-a", "--all", "-va"} else names:
        version = installed_module(release)
        if flags & {"-r", "--remove"}:
            if name == "nvidia" and (state.FABRIC_MANAGER.exists() or state.PERSISTENCED.exists()):
                return fail("modprobe: FATAL: Module nvidia is in use.")
            unload(name)
        elif name in loaded():
            continue
        elif name == "nvidia" and version:
            if "nouveau" in loaded() or not Machine.load().gpus:
                return fail("modprobe: ERROR: could not insert 'nvidia': No such device")
            load(name, version)
        elif name == "ib_umad" or (name in NEED_DRIVER and version):
            if name in NEED_DRIVER and modprobe(["nvidia"]):
                return 1
            load(name)
        else:
            return fail(f"modprobe: FATAL: Module {name} not found in directory /lib/modules/{release}")
    return 0


def modinfo(args: list[str]) -> int:
    release = os.uname().release
    field = args[args.index("-F") + 1] if "-F" in args else ""
    name = args[-1].replace("-", "_")
    version = installed_module(release)
    if name == "ib_umad":
        values = {"filename": f"/lib/modules/{release}/kernel/drivers/infiniband/core/ib_umad.ko"}
    elif name == "nvidia" and version:
        values = {
            "filename": str(module_file(release)),
            "version": version,
            "license": "Dual MIT/GPL",
            "vermagic": f"{release} SMP preempt mod_unload ",
        }
    else:
        return fail(f"modinfo: ERROR: Module {name} not found.")
    if field:
        print(values.get(field, ""))
    else:
        print("\n".join(f"{key + ':':<16}{value}" for key, value in values.items()))
    return 0


def lsmod(_args: list[str]) -> int:
    print("Module                  Size  Used by")
    for name in loaded():
        print(f"{name:<19} 16384  0")
    return 0


def dkms(args: list[str]) -> int:
    """C(status), and C(autoinstall) and C(remove), which the packages' scripts call."""
    release = os.uname().release
    target = module_file(release)
    sources = [path.parent.name.removeprefix("nvidia-") for path in Path("/usr/src").glob("nvidia-*/dkms.conf")]
    command = args[0] if args else "status"
    if command == "remove":
        target.unlink(missing_ok=True)
    elif command == "autoinstall":
        for version in sources:
            if not Path(f"/lib/modules/{release}/build").exists():
                print(
                    f"Module build for kernel {release} was skipped since the\n"
                    "kernel headers for this kernel do not seem to be installed."
                )
            elif Machine.load().dkms != "ok":
                log = Path(f"/var/lib/dkms/nvidia/{version}/build/make.log")
                log.parent.mkdir(parents=True, exist_ok=True)
                log.write_text(
                    f"DKMS make.log for nvidia-{version} for kernel {release} (x86_64)\n"
                    "nvidia/nv-mmap.c:321:5: error: implicit declaration of function 'vm_flags_set'\n"
                    "make: *** [Makefile:115: modules] Error 2\n"
                )
                print(f"Error! Bad return status for module build on kernel: {release} (x86_64)")
                print(f"Consult {log} for more information.")
                return 10
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(f"{version}\n")
                (Path("/lib/modules") / release / "modules.dep").write_text("updates/dkms/nvidia.ko:\n")
    else:
        for version in sources:
            built = installed_module(release) == version
            print(f"nvidia/{version}" + (f", {release}, x86_64: installed" if built else ": added"))
    return 0


def fail(line: str) -> int:
    print(line, file=sys.stderr)
    return 1
