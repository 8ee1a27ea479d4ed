# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Choose matching packages of the NVIDIA driver and its Fabric Manager."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from .._apt.packages import upstream

# The versions of each package in the repositories, newest first.
Available = Mapping[str, Sequence[str]]

# The name without a branch has the versions of all branches; one with a branch may be a virtual package.
_FABRIC_MANAGER = "nvidia-fabricmanager"


class NoFit(Exception):
    """The repositories lack a suitable version; the message lists what they have."""


def version_key(version: str) -> tuple[int, ...]:
    """Return a sort key for versions."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


def fabric_manager_names(branch: str) -> list[str]:
    """Return the packages that may provide the Fabric Manager of a driver branch."""
    return [f"{_FABRIC_MANAGER}-{branch}", _FABRIC_MANAGER]


def choose_driver(
    packages: Sequence[str], branch: str, exact: str, minimum: str, available: Available, with_fabric: bool
) -> str:
    """Return the driver version to install: the newest of the branch, or C(exact).

    With C(with_fabric) it is the newest with a matching Fabric Manager, which often follows days later.

    Raises NoFit if no version is suitable.
    """
    offered = {name: [upstream(version) for version in available.get(name, ())] for name in packages}
    missing = [name for name, versions in offered.items() if not versions]
    if missing:
        raise NoFit(
            f"No repository of this host has {' or '.join(missing)}. "
            "Check nvidia_driver_branch, nvidia_driver_packages and nvidia_driver_repository."
        )
    common = _newest_first(set.intersection(*map(set, offered.values())))
    fitting = [version for version in common if (version == exact if exact else version.partition(".")[0] == branch)]
    if not fitting:
        raise NoFit(
            f"No repository of this host has version {exact or branch + '.*'} of {', '.join(packages)}. "
            f"Available: {', '.join(common) or 'no version that all of them have'}."
        )
    if with_fabric:
        managers = _fabric_managers(branch, available)
        matched = [version for version in fitting if version in managers]
        if not matched:
            raise NoFit(
                "The Fabric Manager must have exactly the driver's version, and no repository of this host has such a "
                f"pair. Driver: {', '.join(fitting)}. Fabric Manager: {', '.join(managers) or 'none'}."
            )
        fitting = matched
    if minimum and version_key(fitting[0]) < version_key(minimum):
        raise NoFit(
            f"The newest fitting driver is {fitting[0]}, but at least {minimum} is needed. Set nvidia_driver_branch."
        )
    return fitting[0]


def choose_fabric_manager(version: str, available: Available) -> str:
    """Return the Fabric Manager of exactly the driver's version, as C(name=version).

    Raises NoFit if there is none.
    """
    branch = version.partition(".")[0]
    managers = _fabric_managers(branch, available)
    if version not in managers:
        raise NoFit(
            f"The Fabric Manager must have exactly the driver's version, {version}. The repositories of this host have "
            f"{', '.join(managers) or 'none'}. Set nvidia_driver_version to one of these, or nvidia_driver_repository."
        )
    return managers[version]


def pinned(name: str, version: str, available: Available) -> str:
    """Return C(name=version) with the package's full version."""
    return next(f"{name}={full}" for full in available[name] if upstream(full) == version)


def _fabric_managers(branch: str, available: Available) -> dict[str, str]:
    """Return all Fabric Managers of a branch: driver version -> C(name=version)."""
    found = {
        upstream(full): f"{name}={full}"
        for name in reversed(fabric_manager_names(branch))
        for full in reversed(available.get(name, ()))
        if full.partition(".")[0] == branch
    }
    return {version: found[version] for version in _newest_first(found)}


def _newest_first(versions: Iterable[str]) -> list[str]:
    return sorted(versions, key=version_key, reverse=True)
