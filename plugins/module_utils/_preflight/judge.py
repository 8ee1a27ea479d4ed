# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judge whether a host meets the needs of a recipe: what is needed, what was found, what to do.

Pure: C(host) inspects the host, this module compares. Each check is one function of CHECKS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .._core.units import GB, GIB
from .._docker.registry import Answer, parse_reference
from .._nvidia.fabric import judge_fabric
from .._nvidia.packages import version_key
from .._nvidia.smi import SLOWDOWNS
from .._nvidia.xid import find_xids

PLATFORMS = {"ubuntu": ("24.04",), "debian": ("12", "13")}
ARCHITECTURES = ("x86_64",)
CLOCK_SKEW_LIMIT_S = 30
FABRIC_JOINS_S = 600  # after a boot
# With these open kernel modules nvidia-smi hangs for good after about 66 days (open-gpu-kernel-modules#971).
_TIRING_MODULES = ("570.133.20", "580.105.08")
_TIRED_AFTER_S = 60 * 86400
# File systems on which the engine's storage is unusable, far too slow, or lost at a reboot.
BAD_DATA_ROOTS = ("nfs", "nfs4", "cifs", "fuse.sshfs", "tmpfs", "overlay")

_ADOPT_FIX = "Set nvidia_driver_mode: install (and nvidia_driver_reboot_ok: true if the host may be rebooted for it)."
# Their data-centre GPUs run programs for newer releases of CUDA with the libraries that the image brings.
_COMPATIBLE_BRANCHES = ("535", "570")


@dataclass(frozen=True)
class Alternative:
    """Another image for the same deployment, and what it needs."""

    tag: str
    driver_min: str = ""
    note: str = ""


@dataclass(frozen=True)
class Needs:
    """The requirements for the host. Zero, an empty text or None means no requirement."""

    gpu_count: int = 0
    gpu_name: str = ""
    gpu_memory_gib: float = 0
    driver_min: str = ""
    image: str = ""
    alternatives: tuple[Alternative, ...] = ()
    cuda_compatibility: bool = False
    install_driver: bool = False
    fabric: bool = False
    memory_gib: float = 0
    shm_gib: float = 0
    weights_gb: float = 0
    image_gb: float = 0
    disk_reserve_gb: float = 0
    hf_home: str = ""
    port: int = 0
    bind_address: str = "127.0.0.1"


@dataclass(frozen=True)
class Volume:
    """The file system of a folder."""

    folder: str
    mount: str
    device: str
    kind: str
    free_bytes: int

    @property
    def disk(self) -> str:
        """The identity of the disk that two folders share: a device may be mounted in several places."""
        return self.device if self.device.startswith("/") else self.mount


@dataclass(frozen=True)
class Host:
    """The facts of the host. None means unknown or not asked for."""

    os_id: str
    os_version: str
    architecture: str
    kernel: str
    headers: bool | None
    secure_boot: bool | None
    nvidia: dict[str, Any]
    own_pids: frozenset[int]
    volumes: dict[str, Volume]  # by what is stored: "weights", "images"
    other_volumes: tuple[Volume, ...]
    weights_missing_bytes: int | None
    image_present: bool | None
    memory_bytes: int
    shm_bytes: int
    port_trouble: str | None
    skew_s: float | None
    uptime_s: float
    kernel_log: str | None = None
    unreachable: dict[str, str] = field(default_factory=dict)
    reached: tuple[str, ...] = ()
    downloads: dict[str, Answer] = field(default_factory=dict)  # by name of the image or model
    python_packages: dict[str, Answer] = field(default_factory=dict)  # by pin
    source_conflicts: tuple[str, ...] = ()
    dpkg_problems: tuple[str, ...] = ()
    upgraded_driver: tuple[str, ...] = ()  # packages of the driver that an unattended upgrade may replace


@dataclass(frozen=True)
class Finding:
    """The outcome of one check. C(fix) is empty if there is nothing to do.

    C(certain) is false where the requirement may be met: that is a warning.
    """

    ok: bool
    need: str
    found: str
    fix: str = ""
    certain: bool = True


def judge(needs: Needs, host: Host) -> dict[str, Finding | None]:
    """Return the finding of every check by name, or None if the check does not apply."""
    return {name: check(needs, host) for name, check in CHECKS.items()}


def _platform(needs: Needs, host: Host) -> Finding:
    known = ", ".join(f"{name.capitalize()} {' or '.join(versions)}" for name, versions in PLATFORMS.items())
    return Finding(
        host.os_version in PLATFORMS.get(host.os_id, ()),
        known,
        f"{host.os_id} {host.os_version}",
        "Use another image of the operating system; on Lambda it is GPU Base 24.04.",
    )


def _architecture(needs: Needs, host: Host) -> Finding:
    return Finding(
        host.architecture in ARCHITECTURES,
        " or ".join(ARCHITECTURES),
        host.architecture,
        "The recipes' images and packages are for x86-64 machines.",
    )


def _kernel_headers(needs: Needs, host: Host) -> Finding | None:
    if not (needs.gpu_count and needs.install_driver) or host.headers is None:
        return None
    return Finding(
        host.headers,
        f"the package linux-headers-{host.kernel}, to build the kernel module",
        "installed or offered by apt" if host.headers else "neither installed nor offered by apt",
        "Run 'apt-get update'. If they are gone from the archive, boot the newest kernel first.",
    )


def _gpu_hardware(needs: Needs, host: Host) -> Finding | None:
    """Check the GPUs on the PCI bus. No driver can bring back one that is missing there."""
    if not needs.gpu_count:
        return None
    count = len(host.nvidia["hardware"]["gpus"])
    return Finding(
        count >= needs.gpu_count,
        f"{needs.gpu_count} NVIDIA GPUs on the PCI bus",
        str(count),
        "Rent a machine of the recipe's type, or choose a recipe for this one. "
        "If this machine should have them, reboot once, then give it back.",
    )


def _driver(needs: Needs, host: Host) -> Finding | None:
    if not needs.gpu_count:
        return None
    version, problem = host.nvidia["driver_version"], host.nvidia["problem"]
    branch, tag = str(version).partition(".")[0], parse_reference(needs.image).version
    chosen = [other.driver_min for other in needs.alternatives if other.tag == tag and other.driver_min]
    driver_min = (chosen or [needs.driver_min])[0]
    need = f"a driver of version {driver_min} or newer that works"
    if needs.install_driver:
        return Finding(True, need, f"{version or 'none'} (nvidia_driver_mode is install)")
    if not host.nvidia["installed"]:
        return Finding(False, need, "no nvidia-smi, so no driver", _ADOPT_FIX)
    if problem:
        found = f"{version or 'unknown'}: {problem['cause']} ({problem['evidence']})"
        return Finding(False, need, found, problem["fix"])
    if version_key(version or "") >= version_key(driver_min):
        # The image's libraries would hide the newer ones of the host: CUDA error 803.
        extra = (
            "Take vllm_cuda_compatibility out: this driver is new enough, and the image's own libraries can break CUDA."
        )
        return Finding(not needs.cuda_compatibility, need, str(version), extra, certain=False)
    if needs.cuda_compatibility and branch in _COMPATIBLE_BRANCHES:
        return Finding(True, need, f"{version}, with the image's own CUDA libraries (vllm_cuda_compatibility)")
    return Finding(False, need, str(version), _old_driver_fix(needs, str(version)))


def _old_driver_fix(needs: Needs, version: str) -> str:
    """Return the ways to serve with a driver that is too old for the image, with what each costs."""
    ways = [
        "nvidia_driver_mode: install with nvidia_driver_reboot_ok: true installs a newer driver and reboots (about 10"
        " minutes)"
    ]
    if version.partition(".")[0] in _COMPATIBLE_BRANCHES:
        ways.append(
            "vllm_cuda_compatibility: true lets vLLM use the CUDA libraries of its image with this driver (no time; the"
            " image must bring them and support it, which vLLM 0.19 and later do)"
        )
    ways += [
        f"vllm_image_tag: {other.tag} needs driver {other.driver_min} only (the time of the pull){_noted(other)}"
        for other in needs.alternatives
        if other.driver_min and version_key(other.driver_min) <= version_key(version)
    ]
    return f"Choose one: {'; '.join(ways)}."


def _noted(other: Alternative) -> str:
    return f": {other.note}" if other.note else ""


def _driver_module(needs: Needs, host: Host) -> Finding | None:
    """Check that the loaded kernel module matches the libraries. Unattended upgrades break that."""
    if not needs.gpu_count or needs.install_driver or host.nvidia["problem"]:
        return None
    version, loaded = host.nvidia["driver_version"], host.nvidia["loaded_module"]
    if not version or not loaded:
        return None
    return Finding(
        loaded["version"] == version,
        f"the kernel module {version}, like the driver's libraries",
        f"{loaded['version']}{' (open)' if loaded['open'] else ' (proprietary)'} is loaded",
        "Reboot, so that the installed module is loaded, and hold the packages against unattended upgrades.",
    )


def _driver_hold(needs: Needs, host: Host) -> Finding | None:
    if not needs.gpu_count or needs.install_driver or not host.nvidia["driver_version"]:
        return None
    packages = host.upgraded_driver
    return Finding(
        not packages,
        "packages of the driver that no unattended upgrade replaces",
        f"{len(packages)} may be upgraded, such as {', '.join(packages[:3])}" if packages else "none may be upgraded",
        "An upgrade under the running driver makes CUDA fail until a reboot. Run 'apt-mark hold' with them, or set"
        " nvidia_driver_mode: install, which holds them.",
        certain=False,
    )


def _gpu_count(needs: Needs, host: Host) -> Finding | None:
    if not _answers(needs, host):
        return None
    count, on_bus = len(host.nvidia["gpus"]), len(host.nvidia["hardware"]["gpus"])
    return Finding(
        count >= on_bus,
        f"all {on_bus} GPUs of the PCI bus listed by the driver",
        str(count),
        "The driver has lost a GPU: see 'dmesg | grep -e NVRM -e Xid', reboot once, then give the machine back.",
    )


def _gpu_model(needs: Needs, host: Host) -> Finding | None:
    if not _answers(needs, host) or not needs.gpu_name:
        return None
    others = [gpu for gpu in host.nvidia["gpus"] if needs.gpu_name.lower() not in (gpu["name"] or "").lower()]
    names = sorted({gpu["name"] or "unknown" for gpu in (others or host.nvidia["gpus"])})
    return Finding(
        not others,
        f"{needs.gpu_name} GPUs",
        ", ".join(names),
        "The published figures hold for this model only. Rent the recipe's type, or choose a recipe for this one.",
    )


def _gpu_memory(needs: Needs, host: Host) -> Finding | None:
    if not _answers(needs, host) or not needs.gpu_memory_gib:
        return None
    sizes = [(gpu["memory_total_mib"] or 0) / 1024 for gpu in host.nvidia["gpus"]]
    return Finding(
        min(sizes) >= needs.gpu_memory_gib,
        f"{needs.gpu_memory_gib:g} GiB of memory on each GPU",
        f"{min(sizes):.1f} GiB on the smallest",
        "The weights and the KV cache do not fit. Choose a recipe for this GPU.",
    )


def _mig(needs: Needs, host: Host) -> Finding | None:
    if not _answers(needs, host):
        return None
    on = [str(gpu["index"]) for gpu in host.nvidia["gpus"] if "Enabled" in gpu["mig"].values()]
    return Finding(
        not on,
        "multi-instance mode (MIG) off",
        f"on, or pending until a reset, on GPU {', '.join(on)}" if on else "off",
        "Switch it off: 'nvidia-smi -mig 0', then reset the GPUs or reboot.",
    )


def _gpu_health(needs: Needs, host: Host) -> Finding | None:
    if not _answers(needs, host):
        return None
    troubles = [f"GPU {gpu['index']}: {trouble}" for gpu in host.nvidia["gpus"] for trouble in _troubles(gpu)]
    troubles += [f"nvidia-smi says: {note}" for note in host.nvidia["notes"]]
    return Finding(
        not troubles,
        "GPUs that answer, no uncorrectable memory errors, no pending row remapping, no pending recovery",
        "; ".join(troubles) or "none",
        "Reboot, which resets the GPUs and remaps rows. If the problem returns, give the machine back.",
    )


def _troubles(gpu: dict[str, Any]) -> Iterable[str]:
    if gpu["faults"]:
        more = f" and {len(gpu['faults']) - 3} more" if len(gpu["faults"]) > 3 else ""
        yield f"it does not answer ({', '.join(gpu['faults'][:3])}{more})"
    if gpu["ecc"]["volatile_uncorrected"]:
        yield f"{gpu['ecc']['volatile_uncorrected']} uncorrectable memory errors since the driver was loaded"
    if gpu["ecc"]["remapped_rows_pending"]:
        yield "memory rows are pending to be remapped"
    if gpu["ecc"]["remapped_rows_failed"]:
        yield "memory rows could not be remapped"
    if gpu["ecc"]["sram_threshold_exceeded"]:
        yield "too many uncorrectable errors in its SRAM, for which NVIDIA replaces it"
    if gpu["compute_mode"] == "Prohibited":
        yield "its compute mode is Prohibited, so no program may use it ('nvidia-smi -c 0' resets that)"
    if gpu["recovery_action"]:
        yield f"the driver asks for '{gpu['recovery_action']}'"


def _nvlink(needs: Needs, host: Host) -> Finding | None:
    """Check the links of GPUs that talk through switches. Bridges may join only some GPUs of a host."""
    # While the fabric is not complete, its links may be inactive, and the fabric is what is told.
    if not _answers(needs, host) or needs.install_driver or _has_incomplete_fabric(host):
        return None
    gpus = host.nvidia["gpus"]
    switches = host.nvidia["hardware"]["nvswitch"] != "none" or any(gpu["fabric"]["state"] for gpu in gpus)
    if not (needs.fabric or switches):
        return None
    need, links = "all NVLinks of each GPU active", {gpu["index"]: gpu["nvlink"] for gpu in gpus}
    if all(link is None for link in links.values()):
        found = "unknown: nvidia-smi nvlink --status tells nothing"
        return Finding(False, need, found, "See what it prints.", certain=False)
    most = max(link["active"] for link in links.values() if link)
    down = [
        f"GPU {index}: {link['active'] if link else 'no'} active" + (f", {link['inactive']} inactive" if link else "")
        for index, link in links.items()
        if link is None or link["active"] < most or link["inactive"]
    ]
    others = f"; {most} on each of the others" if len(down) < len(links) else ""
    return Finding(
        not down,
        need,
        "; ".join(down) + others if down else f"{most} on each GPU",
        "Reset the GPUs or reboot the host. If a link stays inactive, report it to the provider and use another node.",
    )


def _has_incomplete_fabric(host: Host) -> bool:
    return any(gpu["fabric"]["state"] not in (None, "Completed") for gpu in host.nvidia["gpus"])


def _gpu_errors(needs: Needs, host: Host) -> Finding | None:
    """Check the driver's error reports since the boot. They stay after what they report is over."""
    if not needs.gpu_count or not host.nvidia["hardware"]["gpus"]:
        return None
    need = "no error report of the driver (Xid) since the boot"
    if host.kernel_log is None:
        return Finding(False, need, "unknown: the kernel log cannot be read", "See 'dmesg | grep Xid'.", certain=False)
    xids = find_xids(host.kernel_log)
    faults = [xid for xid in xids if xid.fix]
    told = [
        f"Xid {xid.number} of {xid.bus_id}{f', {xid.times} times' if xid.times > 1 else ''}"
        f"{f' ({xid.meaning})' if xid.meaning else ''}: {xid.line}"
        for xid in faults or xids
    ]
    fixes = dict.fromkeys(xid.fix for xid in faults) or ["Look the number up in NVIDIA's Xid catalog."]
    return Finding(not xids, need, "; ".join(told) or "none", " ".join(fixes), certain=bool(faults))


def _pcie(needs: Needs, host: Host) -> Finding | None:
    """Check the width of the PCIe links. Their speed does not count: it falls while a GPU is idle."""
    if not _answers(needs, host):
        return None
    widths = {gpu["index"]: gpu["pcie_width"] for gpu in host.nvidia["gpus"]}
    narrow = [
        f"GPU {index}: {width['current']} of {width['max']} lanes"
        for index, width in widths.items()
        if width["current"] and width["max"] and width["current"] < width["max"]
    ]
    return Finding(
        not narrow,
        "all PCIe lanes of each GPU in use",
        "; ".join(narrow) or "all",
        "Loading and transfers between host and GPU are slower. Reboot once; if it stays, report the machine.",
        certain=False,
    )


def _uptime(needs: Needs, host: Host) -> Finding | None:
    loaded = needs.gpu_count and host.nvidia["loaded_module"]
    if not loaded or loaded["version"] not in _TIRING_MODULES or not loaded["open"]:
        return None
    days = host.uptime_s / 86400
    return Finding(
        host.uptime_s < _TIRED_AFTER_S,
        f"a boot less than {_TIRED_AFTER_S / 86400:.0f} days ago with the open kernel module {loaded['version']}:"
        " nvidia-smi was seen to hang for good with it after about 66 days",
        f"{days:.0f} days",
        "Reboot before that, or install a newer driver.",
        certain=False,
    )


def _gpu_clocks(needs: Needs, host: Host) -> Finding | None:
    if not _answers(needs, host):
        return None
    slow = [
        f"GPU {gpu['index']}: {SLOWDOWNS[reason]}"
        for gpu in host.nvidia["gpus"]
        for reason in gpu["clocks"]["event_reasons"]
        if reason in SLOWDOWNS
    ]
    slow += [
        f"GPU {gpu['index']}: limited to {gpu['power']['limit_w']:.0f} of {gpu['power']['default_limit_w']:.0f} W"
        for gpu in host.nvidia["gpus"]
        if gpu["power"]["limit_w"] is not None and gpu["power"]["limit_w"] < (gpu["power"]["default_limit_w"] or 0)
    ]
    return Finding(
        not slow,
        "nothing that slows the GPUs down",
        "; ".join(slow) or "nothing",
        "The benchmark would measure this. Reset the limit ('nvidia-smi -pl WATTS'), or report the machine.",
    )


def _persistence(needs: Needs, host: Host) -> Finding | None:
    if not _answers(needs, host):
        return None
    off = [str(gpu["index"]) for gpu in host.nvidia["gpus"] if not gpu["persistence"]]
    return Finding(
        not off,
        "persistence mode on",
        f"off on GPU {', '.join(off)}" if off else "on",
        "Run 'nvidia-smi -pm 1', or set nvidia_driver_mode: install, which keeps it on across reboots. Without it every"
        " start initialises all GPUs again.",
    )


def _fabric(needs: Needs, host: Host) -> Finding | None:
    """Check the fabric. Without it CUDA fails with error 802, even if all services report success."""
    # If the driver will be installed, its role fixes the Fabric Manager and waits for the fabric.
    if not _answers(needs, host) or needs.install_driver:
        return None
    if not needs.fabric and all(gpu["fabric"]["state"] is None for gpu in host.nvidia["gpus"]):
        return None
    verdict = judge_fabric(host.nvidia, required=needs.fabric)
    # GPUs take some minutes to join after a boot; the role nvidia_driver waits for that.
    joining = verdict.state == "waiting" and host.uptime_s < FABRIC_JOINS_S
    joining = joining and all(gpu["fabric"]["state"] for gpu in host.nvidia["gpus"])
    return Finding(
        verdict.state == "complete" or joining,
        "every GPU joined to the NVLink fabric: Completed, Success",
        f"{verdict.reason} The host booted {host.uptime_s:.0f} s ago: they may still join."
        if joining
        else verdict.reason,
        "" if joining else verdict.fix,
    )


def _gpu_processes(needs: Needs, host: Host) -> Finding | None:
    if not _answers(needs, host):
        return None
    foreign = [
        f"GPU {gpu['index']}: {process['name']} (pid {process['pid']}, {process['memory_mib'] or 0} MiB)"
        for gpu in host.nvidia["gpus"]
        for process in gpu["processes"]
        if process["pid"] not in host.own_pids
    ]
    # Memory without a visible process belongs to another container or to a hanging process.
    foreign += [
        f"GPU {gpu['index']}: {gpu['memory_used_mib']} MiB in use by no visible process"
        for gpu in host.nvidia["gpus"]
        if (gpu["memory_used_mib"] or 0) > 2048 and not gpu["processes"] and not host.own_pids
    ]
    return Finding(
        not foreign,
        "no foreign process on the GPUs",
        "; ".join(foreign) or "none",
        "Stop it ('docker ps' and 'ps -fp PID' identify it): it takes memory and distorts the benchmark.",
    )


def _secure_boot(needs: Needs, host: Host) -> Finding | None:
    # A loaded module has already been accepted.
    if not needs.gpu_count or host.secure_boot is None or (host.nvidia["loaded_module"] and not needs.install_driver):
        return None
    return Finding(
        not host.secure_boot,
        "Secure Boot off, or a signed kernel module",
        "Secure Boot is on" if host.secure_boot else "off",
        "A module built on this host is not signed: switch Secure Boot off, or enrol a key with mokutil.",
    )


def _memory(needs: Needs, host: Host) -> Finding | None:
    if not needs.memory_gib:
        return None
    return Finding(
        host.memory_bytes >= needs.memory_gib * GIB,
        f"{needs.memory_gib:g} GiB of main memory",
        f"{host.memory_bytes / GIB:.1f} GiB",
        "Use a larger machine.",
    )


def _shared_memory(needs: Needs, host: Host) -> Finding | None:
    if not needs.shm_gib:
        return None
    return Finding(
        host.shm_bytes >= needs.shm_gib * GIB,
        f"{needs.shm_gib:g} GiB free in /dev/shm, which the workers use to communicate",
        f"{host.shm_bytes / GIB:.1f} GiB",
        f"Run 'mount -o remount,size={max(1, round(needs.shm_gib * 2))}G /dev/shm', or remove files there.",
    )


def _disk(needs: Needs, host: Host) -> Finding | None:
    """Check the free space. Weights and image may share a file system, so their needs are added up."""
    wanted: dict[str, float] = {}
    told: dict[str, list[str]] = {}
    volumes: dict[str, Volume] = {}
    weights = needs.weights_gb * GB if host.weights_missing_bytes is None else host.weights_missing_bytes
    image = 0.0 if host.image_present else needs.image_gb * GB
    for what, size in (("weights", weights), ("images", image)):
        volume = host.volumes.get(what)
        if volume is None or size <= 0:
            continue
        volumes[volume.disk] = volume
        wanted[volume.disk] = wanted.get(volume.disk, needs.disk_reserve_gb * GB) + size
        told.setdefault(volume.disk, []).append(f"{size / GB:.0f} GB for {what} in {volume.folder}")
    if not wanted:
        return None
    short = [disk for disk, size in wanted.items() if volumes[disk].free_bytes < size]
    shown = short or list(wanted)
    others = [volume for volume in host.other_volumes if volume.disk not in wanted]
    roomy = sorted(others, key=lambda volume: -volume.free_bytes)
    hint = f" {roomy[0].mount} ({roomy[0].device}) has {roomy[0].free_bytes / GB:.0f} GB free." if roomy else ""
    return Finding(
        not short,
        "; ".join(
            f"{wanted[disk] / GB:.0f} GB free on {disk} "
            f"({', '.join(told[disk])}, a reserve of {needs.disk_reserve_gb:g} GB)"
            for disk in shown
        ),
        "; ".join(f"{volumes[disk].free_bytes / GB:.0f} GB free on {disk}" for disk in shown),
        f"Free space, or set hf_cache_home or docker_data_root to a folder on another disk.{hint}",
    )


def _docker_root(needs: Needs, host: Host) -> Finding | None:
    volume = host.volumes.get("images")
    if volume is None:
        return None
    return Finding(
        volume.kind not in BAD_DATA_ROOTS,
        "a local disk under Docker's data root",
        f"{volume.folder} is on {volume.device} ({volume.kind}, mounted at {volume.mount})",
        "Set docker_data_root to a folder on a local disk.",
    )


def _port(needs: Needs, host: Host) -> Finding | None:
    if not needs.port:
        return None
    return Finding(
        host.port_trouble is None,
        f"port {needs.port} of {needs.bind_address} free, or taken by our own server",
        host.port_trouble or "free or ours",
        "Stop what has it, or set another vllm_port or vllm_bind_address.",
    )


def _clock(needs: Needs, host: Host) -> Finding | None:
    if host.skew_s is None:
        return None
    return Finding(
        abs(host.skew_s) <= CLOCK_SKEW_LIMIT_S,
        f"a clock within {CLOCK_SKEW_LIMIT_S} s of this machine's",
        f"{abs(host.skew_s):.0f} s {'ahead' if host.skew_s > 0 else 'behind'}",
        "Switch on time synchronisation ('timedatectl set-ntp true'): certificates and package lists fail otherwise.",
    )


def _reachability(needs: Needs, host: Host) -> Finding | None:
    if not host.unreachable and not host.reached:
        return None
    by_reason: dict[str, list[str]] = {}
    for url, reason in host.unreachable.items():
        by_reason.setdefault(reason, []).append(url)
    return Finding(
        not host.unreachable,
        "an answer from every download source",
        "; ".join(f"{reason}: {', '.join(urls)}" for reason, urls in by_reason.items())
        or f"all answer: {', '.join(host.reached)}",
        "Open the network for them, set a proxy, or name a mirror (hf_cache_endpoint, registry mirrors, apt sources).",
    )


def _downloads(needs: Needs, host: Host) -> Finding | None:
    """Check that registry and hub have what will be downloaded. What does not answer is another check's."""
    told = {name: answer for name, answer in host.downloads.items() if answer.state != "unknown"}
    if not told:
        return None
    lacking = {name: answer for name, answer in told.items() if answer.state != "present"}
    fixes = dict.fromkeys(_download_fix(needs, name == needs.image, answer) for name, answer in lacking.items())
    found = [
        f"{name}: {_DOWNLOAD_STATES[answer.state]} ({answer.detail})" for name, answer in (lacking or told).items()
    ]
    return Finding(
        not lacking, "the image and the models where they will be downloaded", "; ".join(found), " ".join(fixes)
    )


def _python_packages(needs: Needs, host: Host) -> Finding | None:
    """Check that the packages exist which the image is built with. A build without them fails after its pull."""
    answers = host.python_packages
    if not answers:
        return None
    absent = {pin: answer for pin, answer in answers.items() if answer.state == "absent"}
    unknown = {pin: answer for pin, answer in answers.items() if answer.state == "unknown"}
    told = absent or unknown or answers
    words = {"absent": "not there", "unknown": "unknown", "present": "there"}
    found = [
        f"{pin}: {words[answer.state]}" + (f" ({answer.detail})" if answer.detail else "")
        for pin, answer in told.items()
    ]
    fix = (
        "Correct vllm_image_pip, by default image.pip of the recipe."
        if absent
        else "Nothing is wrong as far as is known: the build asks the index again."
    )
    return Finding(
        not absent and not unknown,
        "the packages that the image is built with, in pip's index",
        "; ".join(found),
        fix,
        certain=bool(absent),
    )


_DOWNLOAD_STATES = {
    "present": "there",
    "absent": "not there",
    "denied": "refused",
    "limited": "refused for now, too many requests",
}


def _download_fix(needs: Needs, is_image: bool, answer: Answer) -> str:
    if answer.state == "limited":
        return (
            "Wait, log in on the host ('sudo docker login'), which raises the limit, or use a mirror."
            if is_image
            else "Wait, or set HF_TOKEN, which raises the limit."
        )
    if not is_image:
        return (
            "Set HF_TOKEN to a token of an account that may read it, and accept the model's terms on its page."
            if answer.state == "denied"
            else "Correct the repository or revision (hf_cache_models, recipe_file)."
        )
    others = [f"vllm_image_tag: {other.tag}{_noted(other)}" for other in needs.alternatives]
    named = f" The recipe names others: {'; '.join(others)}." if others else ""
    named += " vllm_image_fallback: true takes the first of them that there is." if others else ""
    if answer.state == "denied":
        return f"It is private or does not exist: 'sudo docker login' on the host, or correct vllm_image_name.{named}"
    return f"The tag was deleted or is misspelt: set vllm_image_tag or vllm_image_digest.{named}"


def _apt_sources(needs: Needs, host: Host) -> Finding | None:
    return Finding(
        not host.source_conflicts,
        "each package repository listed with one key",
        "; ".join(host.source_conflicts) or "no conflict",
        "apt refuses to work at all with 'Conflicting values set for option Signed-By': keep one of the files.",
    )


def _packages(needs: Needs, host: Host) -> Finding | None:
    return Finding(
        not host.dpkg_problems,
        "no half-installed package",
        "; ".join(host.dpkg_problems) or "none",
        "Run 'dpkg --configure -a' and 'apt-get --fix-broken install'.",
    )


CHECKS: dict[str, Callable[[Needs, Host], Finding | None]] = {
    "platform": _platform,
    "architecture": _architecture,
    "gpu_hardware": _gpu_hardware,
    "secure_boot": _secure_boot,
    "kernel_headers": _kernel_headers,
    "driver": _driver,
    "driver_module": _driver_module,
    "driver_hold": _driver_hold,
    "gpu_count": _gpu_count,
    "gpu_model": _gpu_model,
    "gpu_memory": _gpu_memory,
    "fabric": _fabric,
    "mig": _mig,
    "gpu_health": _gpu_health,
    "nvlink": _nvlink,
    "gpu_errors": _gpu_errors,
    "pcie": _pcie,
    "uptime": _uptime,
    "gpu_processes": _gpu_processes,
    "gpu_clocks": _gpu_clocks,
    "persistence": _persistence,
    "memory": _memory,
    "shared_memory": _shared_memory,
    "disk": _disk,
    "docker_root": _docker_root,
    "port": _port,
    "clock": _clock,
    "apt_sources": _apt_sources,
    "packages": _packages,
    "reachability": _reachability,
    "downloads": _downloads,
    "python_packages": _python_packages,
}


def _answers(needs: Needs, host: Host) -> bool:
    """Return whether GPUs are needed and the driver lists some."""
    return bool(needs.gpu_count and host.nvidia["gpus"])


def render(findings: dict[str, Finding]) -> str:
    """Return the findings as lines of text: name, need, found, fix."""
    lines: list[str] = []
    for name, finding in findings.items():
        lines.append(f"  {name}")
        for label, text in (("need", finding.need), ("found", finding.found), ("fix", finding.fix)):
            if text:
                lines.append(f"    {label:<6}{text}")
    return "\n".join(lines)
