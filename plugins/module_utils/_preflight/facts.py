# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a recipe needs, what a host has, and what a check finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .._docker.registry import Answer
from .._model.fit import Demand


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
    demand: Demand | None = None
    hf_home: str = ""
    ports: tuple[int, ...] = ()
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
    model_config: dict[str, Any] | None = None  # its config.json, if it is in the cache
    upgraded_driver: tuple[str, ...] = ()  # packages of the driver that an unattended upgrade may replace
