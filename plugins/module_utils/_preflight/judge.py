# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judge whether a host meets the needs of a recipe: what is needed, what was found, what to do.

Pure: C(host) inspects the host, this module compares. Each check is one function of CHECKS, most
of those of GPUs in C(gpus).
"""

from __future__ import annotations

from collections.abc import Callable

from .._core.finding import Finding
from .._core.units import GB, GIB
from .._docker.registry import Answer, parse_reference
from .._model.fit import weights_gb
from .._nvidia.packages import version_key
from . import gpus
from .facts import Alternative, Host, Needs, Volume

PLATFORMS = {"ubuntu": ("24.04",), "debian": ("12", "13")}
ARCHITECTURES = ("x86_64",)
CLOCK_SKEW_LIMIT_S = 30
# File systems on which the engine's storage is unusable, far too slow, or lost at a reboot.
BAD_DATA_ROOTS = ("nfs", "nfs4", "cifs", "fuse.sshfs", "tmpfs", "overlay")

_ADOPT_FIX = "Set nvidia_driver_mode: install (and nvidia_driver_reboot_ok: true if the host may be rebooted for it)."
# Their data-centre GPUs run programs for newer releases of CUDA with the libraries that the image brings.
_COMPATIBLE_BRANCHES = ("535", "570")


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


def _page_cache(needs: Needs, host: Host) -> Finding | None:
    """Downloaded weights stay in the memory that nobody else uses; so the start reads them from there."""
    spare = host.memory_bytes - needs.memory_gib * GIB
    if not needs.weights_gb or spare < 0:  # too little memory for the server is told by itself
        return None
    return Finding(
        spare >= needs.weights_gb * GB,
        f"{needs.weights_gb * GB / GIB:.0f} GiB of main memory beside what the server needs, so that the weights are"
        " still there after the download and for the next start",
        f"{spare / GIB:.1f} GiB",
        "The server starts all the same, but reads the weights from the disk, at the disk's speed.",
        certain=False,
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
    if not weights and host.weights_missing_bytes is None and needs.demand:
        weights = (weights_gb(needs.demand.config) or 0) * GB
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
    if not needs.ports:
        return None
    ports = ", ".join(map(str, needs.ports))
    return Finding(
        host.port_trouble is None,
        f"port{'s' if len(needs.ports) > 1 else ''} {ports} of {needs.bind_address} free, or taken by our own server",
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
    "gpu_hardware": gpus.gpu_hardware,
    "secure_boot": _secure_boot,
    "kernel_headers": _kernel_headers,
    "driver": _driver,
    "driver_module": _driver_module,
    "driver_hold": _driver_hold,
    "gpu_count": gpus.gpu_count,
    "gpu_model": gpus.gpu_model,
    "gpu_memory": gpus.gpu_memory,
    "gpu_fit": gpus.gpu_fit,
    "fabric": gpus.fabric,
    "mig": gpus.mig,
    "gpu_health": gpus.gpu_health,
    "gpu_modes": gpus.gpu_modes,
    "nvlink": gpus.nvlink,
    "gpu_errors": gpus.gpu_errors,
    "pcie": gpus.pcie,
    "uptime": gpus.uptime,
    "gpu_processes": gpus.gpu_processes,
    "gpu_clocks": gpus.gpu_clocks,
    "persistence": gpus.persistence,
    "memory": _memory,
    "page_cache": _page_cache,
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
