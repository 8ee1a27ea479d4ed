# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide the next step for a host's NVIDIA driver. Runs no program.

The role nvidia_driver inspects the host, takes the step of the plan, and repeats this until the plan is V(ready).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .packages import NoFit, choose_driver, choose_fabric_manager, fabric_manager_names, pinned, version_key

NVLSM = "nvlsm"

# Packages that provide nvidia-smi: of Ubuntu, of Debian, and of NVIDIA for Debian.
_HAS_SMI = re.compile(r"nvidia-(utils-\d|smi$|driver-cuda$)")

_SECURE_BOOT = ("key was rejected", "required key not available", "operation not permitted")


class Wanted(NamedTuple):
    """The wanted driver: the variables of the role, and the release of the running kernel."""

    mode: str
    minimum: str
    branch: str
    version: str
    packages: list[str]
    kernel: str


class Plan(NamedTuple):
    """The next step.

    C(action) is V(ready), V(install), V(load), V(reboot) or V(refuse); C(reason) says why and C(fix) what a person can
    do. C(packages) are to be installed, as C(name=version), and C(problem) says why they cannot be. C(version) is the
    driver's version after the step. C(hold) lists packages to hold against upgrades.
    """

    action: str
    reason: str
    fix: str = ""
    packages: tuple[str, ...] = ()
    problem: str = ""
    version: str = ""
    hold: tuple[str, ...] = ()


class _Defect(NamedTuple):
    kind: str
    what: str
    fix: str = ""


# What a person can do about each kind of defect if the role is not allowed to.
_BY_HAND = {
    "missing": "Install a driver",
    "old": "Install a newer driver, accept this one with a lower nvidia_driver_min",
    "closed": "Install the open kernel modules",
    "unbuilt": "Build the module (dkms autoinstall)",
    "unloaded": "Load the module (modprobe nvidia)",
    "stale": "Reboot the host",
}
_REPLACE = ("missing", "old", "other", "closed")


def make_plan(
    info: Mapping[str, Any],
    wanted: Wanted,
    apt: Mapping[str, Any] | None = None,
    load_error: str = "",
    nouveau: bool = False,
) -> Plan:
    """Return the next step for a host.

    C(info) is the result of the module nvidia_gpu_info, C(apt) that of apt_packages_info, needed only for the mode
    V(install). C(load_error) is the message of a failed modprobe, C(nouveau) whether that module is loaded.
    """
    if not info["hardware"]["gpus"]:
        return Plan("refuse", "There is no NVIDIA GPU on the PCI bus.", "Leave the role out for this host.")
    version = _userland(info, wanted, apt)
    defect = _find_defect(info, wanted, version)
    if apt is None:
        return _adopt(info, defect, version)
    if wanted.version and wanted.version.partition(".")[0] != wanted.branch:
        problem = f"nvidia_driver_version {wanted.version} is not in nvidia_driver_branch {wanted.branch}."
        return Plan("refuse", problem, "Change one of them.")
    if wanted.version and version_key(wanted.version) < version_key(wanted.minimum):
        problem = f"nvidia_driver_version {wanted.version} is lower than nvidia_driver_min {wanted.minimum}."
        return Plan("refuse", problem, "Change one of them.")
    order = _Order(info, wanted, apt, defect, version)
    if order.reasons:
        return order.plan()
    plan = _ready(info, version) if defect is None else _mend(defect, load_error.strip(), nouveau)
    return plan._replace(version=version, hold=_to_hold(info, wanted, apt, version))


def _userland(info: Mapping[str, Any], wanted: Wanted, apt: Mapping[str, Any] | None) -> str:
    """Return the version of the driver's libraries, or an empty text.

    nvidia-smi names no version without a kernel module, and only a part of it while another module is loaded.
    """
    version: str = info["driver_version"] or ""
    installed = apt["installed"] if apt else {}
    names = [name for name in installed if name in wanted.packages or _HAS_SMI.match(name)]
    known = [installed[name]["upstream"] for name in names]
    for other in (*known, info["installed_module_version"]):
        if other and info["installed"] and (not version or other.startswith(f"{version}.")):
            return str(other)
    return version


def _find_defect(info: Mapping[str, Any], wanted: Wanted, version: str) -> _Defect | None:
    """Return why the driver is not the wanted one or does not work, or None."""
    loaded, on_disk, problem = info["loaded_module"], info["installed_module_version"], info["problem"]
    if not info["installed"]:
        return _Defect("missing", "No NVIDIA driver is installed.")
    if version and version_key(version) < version_key(wanted.minimum):
        return _Defect("old", f"The NVIDIA driver is {version}; at least {wanted.minimum} is needed.")
    if version and wanted.mode == "install" and wanted.version not in ("", version):
        return _Defect("other", f"The NVIDIA driver is {version}, not {wanted.version}.")
    if loaded and loaded["version"] == version:
        if problem is None:
            return _lost_gpus(info)
        what = f"NVIDIA driver {version}: {problem['cause']} ({problem['evidence']})."
        return _Defect("broken" if loaded["open"] else "closed", what, problem["fix"])
    if not version or on_disk != version:
        return _Defect(
            "unbuilt",
            f"The NVIDIA driver {version or ''} is installed, but its kernel module for the running kernel "
            f"{wanted.kernel} is {on_disk or 'missing'}.".replace("  ", " "),
            f"'dkms autoinstall -k {wanted.kernel}' builds it, or shows why it cannot be built.",
        )
    if not loaded:
        return _Defect("unloaded", f"The NVIDIA driver {version} is installed, but its kernel module is not loaded.")
    return _Defect("stale", f"The NVIDIA driver {version} is installed, but the module {loaded['version']} is loaded.")


def _lost_gpus(info: Mapping[str, Any]) -> _Defect | None:
    there = info["hardware"]["gpus"]
    lost = sorted(set(there) - {gpu["bus_id"] for gpu in info["gpus"]})
    if not lost:
        return None
    return _Defect(
        "broken",
        f"The driver lists {len(info['gpus'])} of {len(there)} GPUs; it lacks {', '.join(lost)}.",
        "See 'dmesg | grep -e NVRM -e Xid'. If a GPU has fallen off the bus, reboot, or contact the provider.",
    )


def _adopt(info: Mapping[str, Any], defect: _Defect | None, version: str) -> Plan:
    if defect is None:
        return _ready(info, version)
    if defect.kind not in _BY_HAND:
        return Plan("refuse", defect.what, defect.fix, version=version)
    reboot = " and nvidia_driver_reboot_ok: true" if info["loaded_module"] else ""
    return Plan(
        "refuse",
        f"{defect.what} It was left as it is (nvidia_driver_mode: adopt).",
        f"{_BY_HAND[defect.kind]}, or set nvidia_driver_mode: install{reboot} to let the role do it.",
        version=version,
    )


def _ready(info: Mapping[str, Any], version: str) -> Plan:
    kind = "open" if info["loaded_module"]["open"] else "closed"
    return Plan("ready", f"NVIDIA driver {version}, {kind} kernel modules, {len(info['gpus'])} GPUs.", version=version)


def _mend(defect: _Defect, load_error: str, nouveau: bool) -> Plan:
    """Return the step for a driver whose packages are all installed."""
    if defect.kind == "unloaded" and not load_error:
        return Plan("load", defect.what)
    if defect.kind in ("stale", "closed") or (defect.kind == "unloaded" and nouveau):
        return Plan(
            "reboot",
            defect.what + (" The module nouveau holds the GPUs." if nouveau else ""),
            "Reboot the host when it may go down ('systemctl reboot') and run this again, or set "
            "nvidia_driver_reboot_ok: true to let the role reboot it.",
        )
    if defect.kind == "unloaded" and any(words in load_error.lower() for words in _SECURE_BOOT):
        return Plan(
            "refuse",
            f"{defect.what} Secure Boot refuses it, because no enrolled key has signed it: {load_error}",
            "Switch Secure Boot off in the firmware, or enrol the key of DKMS ('mokutil --import "
            "/var/lib/shim-signed/mok/MOK.der', then reboot at the console).",
        )
    if defect.kind == "unloaded":
        return Plan("refuse", f"{defect.what} {load_error}", "See 'dmesg | grep -e NVRM -e nvidia'.")
    return Plan("refuse", defect.what, defect.fix)


class _Order:
    """The packages to install, and why. A package that no repository has is listed without a version."""

    def __init__(
        self, info: Mapping[str, Any], wanted: Wanted, apt: Mapping[str, Any], defect: _Defect | None, version: str
    ) -> None:
        self.reasons: list[str] = []
        self._packages: list[str] = []
        self._problems: list[str] = []
        self._wanted, self._version = wanted, version
        self._installed, self._available = apt["installed"], apt["available"]
        nvswitch = info["hardware"]["nvswitch"]
        if defect and defect.kind in _REPLACE and not (defect.kind == "closed" and self._has(*wanted.packages)):
            self._driver(defect, with_fabric=nvswitch != "none")
        headers = f"linux-headers-{wanted.kernel}"
        if not self._has(headers) and (self._packages or (defect and defect.kind == "unbuilt")):
            if defect and defect.kind == "unbuilt":
                self.reasons.append(f"{defect.what} The kernel headers to build it are missing.")
            self._newest(headers, "If a newer kernel is installed, reboot into it first.")
        if nvswitch != "none":
            self._fabric_manager(info["fabric_manager"]["version"])
        if nvswitch == "nvlink5" and not self._has(NVLSM):
            self.reasons.append(f"The subnet manager {NVLSM} is missing; NVLink 5 needs it.")
            self._newest(NVLSM, "Check nvidia_driver_repository.")
        names = {*wanted.packages, headers, NVLSM}
        interrupted = [name for name in apt["unfinished"] if name in names or "nvidia" in name]
        if interrupted:
            self.reasons.append(f"An earlier installation was interrupted: {', '.join(interrupted)}.")

    def plan(self) -> Plan:
        return Plan(
            "install",
            " ".join(self.reasons),
            packages=tuple(self._packages),
            problem=" ".join(self._problems),
            version=self._version,
        )

    def _has(self, *names: str) -> bool:
        return all(name in self._installed for name in names)

    def _driver(self, defect: _Defect, with_fabric: bool) -> None:
        self.reasons.append(defect.what)
        wanted, before = self._wanted, self._version
        if before and not any(
            "nvidia" in name and package["upstream"] == before for name, package in self._installed.items()
        ):
            self._problems.append(
                "It was installed by NVIDIA's .run file: remove it with 'nvidia-uninstall', reboot, and run this again."
            )
        self._version = ""

        def choose() -> list[str]:
            self._version = choose_driver(
                wanted.packages, wanted.branch, wanted.version, wanted.minimum, self._available, with_fabric
            )
            return [pinned(name, self._version, self._available) for name in wanted.packages]

        self._add(choose, wanted.packages)

    def _fabric_manager(self, there: str | None) -> None:
        if there and there == self._version:
            return
        self.reasons.append(
            f"The Fabric Manager is {there or 'missing'}; this NVSwitch machine needs exactly the driver's version."
        )
        if self._version:
            names = fabric_manager_names(self._version.partition(".")[0])
            self._add(lambda: [choose_fabric_manager(self._version, self._available)], names[:1])
        else:
            self._packages.append(fabric_manager_names(self._wanted.branch)[0])
            self._problems.append("Its version follows from the driver's, which is unknown.")

    def _newest(self, name: str, fix: str) -> None:
        if self._available.get(name):
            self._packages.append(f"{name}={self._available[name][0]}")
        else:
            self._packages.append(name)
            self._problems.append(f"No repository of this host has {name}. {fix}")

    def _add(self, choose: Callable[[], list[str]], names: list[str]) -> None:
        try:
            self._packages.extend(choose())
        except NoFit as exc:
            self._packages.extend(names)
            self._problems.append(str(exc))


def _to_hold(info: Mapping[str, Any], wanted: Wanted, apt: Mapping[str, Any], version: str) -> tuple[str, ...]:
    """Return the driver's packages that are not held yet."""
    named = {*wanted.packages, *([NVLSM] if info["hardware"]["nvswitch"] == "nvlink5" else [])}
    return tuple(
        sorted(
            name
            for name, package in apt["installed"].items()
            if not package["held"] and (name in named or ("nvidia" in name and package["upstream"] == version))
        )
    )
