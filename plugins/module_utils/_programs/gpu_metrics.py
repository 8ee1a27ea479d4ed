# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of the GPUs as metrics, from nvidia-smi, for a host without NVIDIA's own exporter (DCGM)."""

from __future__ import annotations

import threading
from collections.abc import Callable

from . import exposition
from .commands import command
from .exposition import COUNTER, Family

_TIMEOUT_S = 10
SUBJECT = "gpus"
# Why a GPU is slower than it could be, though it has work.
REASONS = ("hw_thermal_slowdown", "hw_power_brake_slowdown", "sw_thermal_slowdown", "hw_slowdown", "sw_power_cap")
_FIGURES = (
    (
        "utilization.gpu",
        "hgx_gpu_utilization_ratio",
        "Share of the time with a kernel.",
        0.01,
        exposition.GAUGE,
    ),
    ("memory.used", "hgx_gpu_memory_used_bytes", "Memory in use.", 2**20, exposition.GAUGE),
    ("memory.total", "hgx_gpu_memory_bytes", "Memory.", 2**20, exposition.GAUGE),
    ("temperature.gpu", "hgx_gpu_temperature_celsius", "Temperature of the chip.", 1, exposition.GAUGE),
    ("power.draw", "hgx_gpu_power_watts", "Power drawn.", 1, exposition.GAUGE),
    ("enforced.power.limit", "hgx_gpu_power_limit_watts", "Power limit in force.", 1, exposition.GAUGE),
    ("clocks.sm", "hgx_gpu_sm_clock_hertz", "Clock of the multiprocessors.", 1e6, exposition.GAUGE),
    (
        "ecc.errors.uncorrected.volatile.total",
        "hgx_gpu_ecc_uncorrected_total",
        "Uncorrectable memory errors since the driver was loaded.",
        1,
        COUNTER,
    ),
)
_FABRIC = ("fabric.state", "fabric.status")
FIELDS = (
    "index",
    "pci.bus_id",
    *(field for field, *_rest in _FIGURES),
    *(f"clocks_event_reasons.{reason}" for reason in REASONS),
    *_FABRIC,
)
ARGV = ("nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits")


def families(output: str) -> list[Family]:
    """Return the metrics in the output of C(ARGV). A property that a GPU does not have, or not answer, is absent."""
    rows = [dict(zip(FIELDS, (cell.strip() for cell in line.split(",")))) for line in output.splitlines()]
    rows = [row for row in rows if len(row) == len(FIELDS) and row["index"].isdigit()]
    labelled = [({"gpu": row["index"], "bus_id": bus_id(row["pci.bus_id"])}, row) for row in rows]
    found = [Family("hgx_gpus", "GPUs that nvidia-smi lists.", [({}, len(rows) or None)])]
    for field, name, words, factor, kind in _FIGURES:
        found.append(Family(name, words, [(labels, _number(row[field], factor)) for labels, row in labelled], kind))
    throttled = [
        ({**labels, "reason": reason}, _flag(row[f"clocks_event_reasons.{reason}"]))
        for labels, row in labelled
        for reason in REASONS
    ]
    found.append(Family("hgx_gpu_throttled", "1 while the clocks are lowered for a reason.", throttled))
    joined = [(labels, _joined(row)) for labels, row in labelled]
    found.append(Family("hgx_gpu_fabric_joined", "1 if the GPU has joined the NVLink fabric.", joined))
    return found


def bus_id(text: str) -> str:
    """Return a PCI address as the kernel log has it: C(00000000:1B:00.0) as C(0000:1b:00)."""
    parts = text.lower().replace("pci:", "").split(".")[0].split(":")
    return ":".join([parts[0][-4:].rjust(4, "0"), *parts[1:]])


class Sampler:
    """Samples in a thread of its own: nvidia-smi may hang for good when a GPU is lost, and then the file gets old."""

    def __init__(self, run: Callable[[], str], folder: str) -> None:
        self._run = run
        self._folder = folder
        self._thread: threading.Thread | None = None

    def sample(self) -> None:
        """Begin a sample, unless one is under way."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._sample, daemon=True)
            self._thread.start()

    def wait(self, limit_s: float) -> None:
        """Wait for the sample under way, for at most C(limit_s)."""
        if self._thread is not None:
            self._thread.join(limit_s)

    def _sample(self) -> None:
        found = families(self._run())
        if exposition.render(found):
            exposition.write(SUBJECT, found, self._folder)


def query() -> str:
    """Return what nvidia-smi says. It fails when a GPU is lost, but may tell of the others."""
    return command(*ARGV, timeout_s=_TIMEOUT_S).stdout


def _number(text: str, factor: float) -> float | None:
    try:
        return float(text) * factor
    except ValueError:
        return None


def _flag(text: str) -> float | None:
    return {"Active": 1.0, "Not Active": 0.0}.get(text)


def _joined(row: dict[str, str]) -> float | None:
    state, status = (row[field].strip("[]") for field in _FABRIC)
    if state in ("N/A", "Not Supported", ""):
        return None
    return float((state, status) == ("Completed", "Success"))
