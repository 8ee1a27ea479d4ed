# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python packages of an image that we have built: recorded by its build, and compared with those of its base."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from .cli import DockerError, run_docker

_FOLDER = "/usr/share/hgx-inference"
_BASE, _ALL = f"{_FOLDER}/base-packages.txt", f"{_FOLDER}/packages.txt"
_INSTALL = "RUN python3 -m pip install "
_SEPARATOR = "----"
_TIMEOUT_S = 60
# What pip says of a package that another one does not fit, and ends well all the same.
_UNFIT = re.compile(r"(\S+ \S+ requires .+, but you(?:'ll)? have .+ which is incompatible)")
_CONFLICT = re.compile(r"ERROR: (?:Cannot install|Could not find a version|No matching distribution)")
_CONFLICT_LINES = 12


class Packages(NamedTuple):
    """What C(pip freeze) has said of an image, and of the one that it was built from. Empty where nothing is known."""

    base: tuple[str, ...] = ()
    all: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """12 hex digits that follow from the packages, or nothing."""
        return hashlib.sha256("\n".join(self.all).encode()).hexdigest()[:12] if self.all else ""


def recording(dockerfile: str) -> str:
    """Return the Dockerfile with steps that record the packages before and after those that it installs."""
    if _INSTALL not in dockerfile:
        return dockerfile
    before = f"RUN mkdir -p {_FOLDER} && python3 -m pip freeze --all >{_BASE} || true\n"
    return f"{dockerfile.replace(_INSTALL, before + _INSTALL)}RUN python3 -m pip freeze --all >{_ALL} || true\n"


def read_packages(image: str) -> Packages:
    """Return the packages that were recorded in an image, read in a container without network; none if that fails."""
    words = f"cat {_BASE} && echo {_SEPARATOR} && cat {_ALL}"
    with suppress(DockerError):
        done = run_docker(["run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", words], _TIMEOUT_S)
        if done.rc == 0:
            base, _separator, installed = done.stdout.partition(f"{_SEPARATOR}\n")
            return Packages(*(tuple(sorted(filter(None, text.splitlines()))) for text in (base, installed)))
    return Packages()


def unasked(packages: Packages, dockerfile: str) -> list[str]:
    """Return in words what the build has changed beyond the packages that it was told to install."""
    pinned = {_normal(name) for name in re.findall(r"([\w.-]+)(?:\[[^]]*\])?==", dockerfile)}
    old, new = _versions(packages.base), _versions(packages.all)
    return [
        f"{name} {old.get(name, '(new)')} -> {new.get(name, '(gone)')}"
        for name in sorted({*old, *new} - pinned)
        if old.get(name) != new.get(name)
    ]


def unfit(lines: Iterable[str]) -> list[str]:
    """Return what pip has said of packages that do not fit each other."""
    return list(dict.fromkeys(match[1] for line in lines for match in [_UNFIT.search(line)] if match))


def conflict(lines: Sequence[str]) -> list[str]:
    """Return the lines in which pip says why it cannot install something; the last lines of a build do not."""
    first = next((index for index, line in enumerate(lines) if _CONFLICT.search(line)), None)
    if first is None:
        return []
    found = list(lines[first : first + _CONFLICT_LINES])
    end = next((index for index, line in enumerate(found) if "To fix this you could" in line), len(found))
    return [line for line in found[:end] if line.strip()]


def _versions(lines: Iterable[str]) -> Mapping[str, str]:
    """Return name -> version of lines such as V(name==1.2) or V(name @ file:///x)."""
    parts = (re.split(r"==| @ ", line, maxsplit=1) for line in lines if not line.startswith(("#", "-")))
    return {_normal(part[0]): part[-1].strip() for part in parts}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
