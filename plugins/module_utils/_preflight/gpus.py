# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judge the GPUs of a host, and the fabric between them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from .._core.finding import Finding
from .._model.fit import NO, UNKNOWN, Machine, judge_gpus
from .._nvidia.fabric import judge_fabric
from .._nvidia.smi import SLOWDOWNS
from .._nvidia.xid import find_xids
from .facts import Host, Needs

FABRIC_JOINS_S = 600  # after a boot
_STOPPED = ("failed", "inactive")
# With these open kernel modules nvidia-smi hangs for good after about 66 days (open-gpu-kernel-modules#971).
_TIRING_MODULES = ("570.133.20", "580.105.08")
_TIRED_AFTER_S = 60 * 86400

# What is set, and how to undo it.
_MODES = {
    "Prohibited": ("compute mode Prohibited, so no program may use it", "Run 'nvidia-smi -c 0'."),
    "Exclusive_Process": (
        "compute mode Exclusive_Process, so a second process on it finds it busy",
        "Run 'nvidia-smi -c 0'.",
    ),
    "unlicensed": (
        "a virtual GPU (vGPU) without a license: after 20 minutes it computes hardly more",
        "Configure the license (nvidia-gridd), or rent a whole GPU.",
    ),
    "confidential": (
        "confidential computing is on, and CUDA fails with error 802 until the GPUs are set ready",
        "'nvidia-smi conf-compute -grs' must say ready; 'nvidia-smi conf-compute -srs 1' sets that.",
    ),
    "no ECC": (
        "ECC is off, so errors of the memory stay unnoticed",
        "Run 'nvidia-smi -e 1', then reset the GPUs or reboot.",
    ),
}
_CERTAIN_MODES = {"Prohibited", "unlicensed"}


def gpu_hardware(needs: Needs, host: Host) -> Finding | None:
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


def gpu_count(needs: Needs, host: Host) -> Finding | None:
    if not answers(needs, host):
        return None
    count, on_bus = len(host.nvidia["gpus"]), host.nvidia["hardware"]["gpus"]
    found = str(count)
    if count < len(on_bus):
        missing = sorted(set(on_bus) - {gpu["bus_id"] for gpu in host.nvidia["gpus"]})
        said = re.findall(r"NVRM: .*(?:RmInitAdapter failed|fallen off the bus).*", host.kernel_log or "")
        found += f", without {', '.join(missing)}" + (f"; the kernel says: {said[-1].strip()}" if said else "")
    return Finding(
        count >= len(on_bus),
        f"all {len(on_bus)} GPUs of the PCI bus listed by the driver",
        found,
        "The driver has lost a GPU: see 'dmesg | grep -e NVRM -e Xid', reboot once, then give the machine back.",
    )


def gpu_model(needs: Needs, host: Host) -> Finding | None:
    gpus = sound_gpus(needs, host)
    if not gpus or not needs.gpu_name:
        return None
    others = [gpu for gpu in gpus if needs.gpu_name.lower() not in (gpu["name"] or "").lower()]
    names = sorted({gpu["name"] or "unknown" for gpu in (others or gpus)})
    return Finding(
        not others,
        f"{needs.gpu_name} GPUs",
        ", ".join(names),
        "The published figures hold for this model only. Rent the recipe's type, or choose a recipe for this one.",
    )


def gpu_memory(needs: Needs, host: Host) -> Finding | None:
    sizes = [(gpu["memory_total_mib"] or 0) / 1024 for gpu in sound_gpus(needs, host)]
    if not sizes or not needs.gpu_memory_gib:
        return None
    return Finding(
        min(sizes) >= needs.gpu_memory_gib,
        f"{needs.gpu_memory_gib:g} GiB of memory on each GPU",
        f"{min(sizes):.1f} GiB on the smallest",
        "The weights and the KV cache do not fit. Choose a recipe for this GPU.",
    )


def gpu_fit(needs: Needs, host: Host) -> Finding | None:
    """Check by arithmetic that weights, context and load fit. What depends on estimates, and the load, only warns."""
    sizes = [(gpu["memory_total_mib"] or 0) / 1024 for gpu in sound_gpus(needs, host)]
    if not sizes or needs.demand is None:
        return None
    demand = needs.demand._replace(config=host.model_config or needs.demand.config)
    # Missing GPUs are the matter of other checks.
    on = Machine(max(len(sizes), needs.gpu_count), round(min(sizes), 1))
    lines = [line for line in judge_gpus(demand, on) if line.verdict != UNKNOWN]
    if not any(line.name == "context" for line in lines):
        return None  # without the architecture only the weights are known, of which gpu_memory is the check
    short = [line for line in lines if line.verdict == NO]
    certain = {line.name for line in judge_gpus(demand, on, overhead_gib=0) if line.verdict == NO} - {"load"}
    return Finding(
        not short,
        "weights, one request of the full context, and the load of the benchmark in the memory of the GPUs",
        "; ".join(f"{line.name}: {line.words}" for line in short or lines),
        "Lower max-model-len, set kv-cache-dtype: fp8, or choose a recipe for this GPU. Without room for the load the"
        " server preempts requests.",
        certain=bool(certain),
    )


def mig(needs: Needs, host: Host) -> Finding | None:
    if not answers(needs, host):
        return None
    on = [str(gpu["index"]) for gpu in host.nvidia["gpus"] if "Enabled" in gpu["mig"].values()]
    return Finding(
        not on,
        "multi-instance mode (MIG) off",
        f"on, or pending until a reset, on GPU {', '.join(on)}" if on else "off",
        "Switch it off: 'nvidia-smi -mig 0', then reset the GPUs or reboot.",
    )


def gpu_health(needs: Needs, host: Host) -> Finding | None:
    if not answers(needs, host):
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
    if gpu["ecc"]["repairs_pending"]:
        yield f"pending until a reset: {', '.join(gpu['ecc']['repairs_pending']).replace('_', ' ')}"
    if gpu["ecc"]["unrepairable"]:
        yield "unrepairable memory, for which NVIDIA replaces it"
    if gpu["recovery_action"]:
        yield f"the driver asks for '{gpu['recovery_action']}'"


def gpu_modes(needs: Needs, host: Host) -> Finding | None:
    """Check what someone has set, and a reboot does not undo. What may work only warns."""
    if not answers(needs, host):
        return None
    by_mode: dict[str, list[str]] = {}
    for gpu in host.nvidia["gpus"]:
        for mode in _modes(gpu):
            by_mode.setdefault(mode, []).append(str(gpu["index"]))
    return Finding(
        not by_mode,
        "GPUs in compute mode Default, with ECC, not confidential, and licensed if they are virtual",
        "; ".join(f"GPU {', '.join(indices)}: {_MODES[mode][0]}" for mode, indices in by_mode.items()) or "so set",
        " ".join(dict.fromkeys(_MODES[mode][1] for mode in by_mode)),
        certain=bool(_CERTAIN_MODES & set(by_mode)),
    )


def _modes(gpu: dict[str, Any]) -> Iterable[str]:
    if gpu["compute_mode"] in ("Prohibited", "Exclusive_Process"):
        yield gpu["compute_mode"]
    if gpu["vgpu"]["guest"] and str(gpu["vgpu"]["license"]).startswith("Unlicensed"):
        yield "unlicensed"
    if gpu["confidential"]:
        yield "confidential"
    if gpu["ecc"]["enabled"] is False:
        yield "no ECC"


def nvlink(needs: Needs, host: Host) -> Finding | None:
    """Check the links of GPUs that talk through switches. Bridges may join only some GPUs of a host."""
    # While the fabric is not complete, its links may be inactive, and the fabric is what is told.
    gpus = sound_gpus(needs, host)
    if not gpus or needs.install_driver or _has_incomplete_fabric(host):
        return None
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


def gpu_errors(needs: Needs, host: Host) -> Finding | None:
    """Check the driver's error reports since the boot. They stay after what they report is over."""
    if not needs.gpu_count or not host.nvidia["hardware"]["gpus"]:
        return None
    need = "no error report of the driver (Xid, SXid) since the boot"
    if host.kernel_log is None:
        return Finding(False, need, "unknown: the kernel log cannot be read", "See 'dmesg | grep Xid'.", certain=False)
    xids = find_xids(host.kernel_log)
    # All that some faults leave behind: each use of the GPU fails with it.
    waiting = [line.strip() for line in host.kernel_log.splitlines() if "NV_ERR_RESET_REQUIRED" in line][-1:]
    faults = [xid for xid in xids if xid.fix]
    told = [
        f"{xid.name} {xid.number} of {xid.bus_id}{f', {xid.times} times' if xid.times > 1 else ''}"
        f"{f' ({xid.meaning})' if xid.meaning else ''}: {xid.line}"
        for xid in faults or xids
    ]
    told += [f"a GPU waits for a reset: {line}" for line in waiting]
    fixes = [*dict.fromkeys(xid.fix for xid in faults), *("Reset the GPUs or reboot." for _line in waiting)]
    certain = bool(fixes)
    if certain:
        fixes.append("The log keeps the report until a boot: after a reset alone add gpu_errors to preflight_warn.")
    fix = " ".join(fixes) or "Look the number up in NVIDIA's Xid catalog."
    return Finding(not told, need, "; ".join(told) or "none", fix, certain=certain)


def pcie(needs: Needs, host: Host) -> Finding | None:
    """Check the PCIe links. A speed counts only beside faster ones in state P0: it may fall while a GPU is idle."""
    if not answers(needs, host):
        return None
    gpus = host.nvidia["gpus"]
    widths = {gpu["index"]: gpu["pcie_width"] for gpu in gpus}
    slow = [
        f"GPU {index}: {width['current']} of {width['max']} lanes"
        for index, width in widths.items()
        if width["current"] and width["max"] and width["current"] < width["max"]
    ]
    generations = {gpu["index"]: gpu["pcie_generation"] for gpu in gpus if gpu["performance_state"] == "P0"}
    most = max((generation or 0 for generation in generations.values()), default=0)
    slow += [
        f"GPU {index}: generation {generation}, and {most} on others"
        for index, generation in generations.items()
        if generation and generation < most
    ]
    return Finding(
        not slow,
        "all PCIe lanes of each GPU in use, at the same speed",
        "; ".join(slow) or "all",
        "Loading and transfers between host and GPU are slower. Reboot once; if it stays, report the machine.",
        certain=False,
    )


def uptime(needs: Needs, host: Host) -> Finding | None:
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


def gpu_clocks(needs: Needs, host: Host) -> Finding | None:
    if not answers(needs, host):
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


def persistence(needs: Needs, host: Host) -> Finding | None:
    gpus = sound_gpus(needs, host)
    if not gpus:
        return None
    off = [str(gpu["index"]) for gpu in gpus if not gpu["persistence"]]
    return Finding(
        not off,
        "persistence mode on",
        f"off on GPU {', '.join(off)}" if off else "on",
        "Run 'nvidia-smi -pm 1', or set nvidia_driver_mode: install, which keeps it on across reboots. Without it every"
        " start initialises all GPUs again.",
    )


def fabric(needs: Needs, host: Host) -> Finding | None:
    """Check the fabric. Without it CUDA fails with error 802, even if all services report success."""
    # If the driver will be installed, its role fixes the Fabric Manager and waits for the fabric.
    gpus = sound_gpus(needs, host)
    if not gpus or needs.install_driver:
        return None
    if not needs.fabric and all(gpu["fabric"]["state"] is None for gpu in gpus):
        return None
    need = "every GPU joined to the NVLink fabric: Completed, Success"
    verdict = judge_fabric({**host.nvidia, "gpus": gpus}, required=needs.fabric)
    manager = host.nvidia["fabric_manager"]["state"]
    if verdict.state == "complete" and host.nvidia["hardware"]["nvswitch"] != "none" and manager in _STOPPED:
        return Finding(
            False,
            f"{need}, and a Fabric Manager that watches it",
            f"{verdict.reason} The Fabric Manager is {manager}: nothing deals with resets and errors of links.",
            "Run 'systemctl enable --now nvidia-fabricmanager'. Its journal (journalctl -u) says why it ended.",
            certain=False,
        )
    # GPUs take some minutes to join after a boot; the role nvidia_driver waits for that.
    joining = verdict.state == "waiting" and host.uptime_s < FABRIC_JOINS_S
    joining = joining and all(gpu["fabric"]["state"] for gpu in gpus)
    return Finding(
        verdict.state == "complete" or joining,
        need,
        f"{verdict.reason} The host booted {host.uptime_s:.0f} s ago: they may still join."
        if joining
        else verdict.reason,
        "" if joining else verdict.fix,
    )


def gpu_processes(needs: Needs, host: Host) -> Finding | None:
    if not answers(needs, host):
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


def answers(needs: Needs, host: Host) -> bool:
    """Return whether GPUs are needed and the driver lists some."""
    return bool(needs.gpu_count and host.nvidia["gpus"])


def sound_gpus(needs: Needs, host: Host) -> list[dict[str, Any]]:
    """Return the GPUs, if any are needed, without those that answer nothing, of which only gpu_health tells."""
    gpus: list[dict[str, Any]] = host.nvidia["gpus"] if needs.gpu_count else []
    return [gpu for gpu in gpus if not (gpu["faults"] and gpu["memory_total_mib"] is None)]
