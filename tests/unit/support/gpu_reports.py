# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports of nvidia-smi for tests: recorded ones of H100, and ones of B200 that are constructed from them."""

from __future__ import annotations

import copy
import xml.etree.ElementTree as ET
from pathlib import Path

RECORDED = Path(__file__).parents[1] / "fixtures" / "nvidia-smi"


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


def constructed_b200(elements: dict[str, str], count: int = 8) -> str:
    """Return a report of B200 GPUs: the recorded one of an H100 with other values, the last GPU with C(elements) too.

    A path such as C(fabric/state) is written C(fabric__state).
    """
    root = ET.fromstring(recorded("h100-x2-idle.xml"))
    template, *others = root.findall("gpu")
    for gpu in (template, *others):
        root.remove(gpu)
    for index in range(count):
        gpu = copy.deepcopy(template)
        changes = {
            "product_name": "NVIDIA B200",
            "product_architecture": "Blackwell",
            "uuid": f"GPU-00000000-0000-0000-0000-00000000000{index}",
            "pci__pci_bus_id": f"00000000:{16 + index:02X}:00.0",
            "fb_memory_usage__total": "183359 MiB",
        }
        for path, value in {**changes, **(elements if index == count - 1 else {})}.items():
            element = gpu.find(path.replace("__", "/"))
            assert element is not None, path
            element.text = value
        root.append(gpu)
    root.find("attached_gpus").text = str(count)  # type: ignore[union-attr]
    return ET.tostring(root, encoding="unicode")


def constructed_lost_b200(words: str) -> str:
    """Return a report of B200 GPUs whose last one answers C(words) for all but its place on the bus."""
    root = ET.fromstring(constructed_b200({}))
    for leaf in root.findall("gpu")[-1].iter():
        if not len(leaf) and not leaf.tag.startswith(("pci_", "minor_")):
            leaf.text = words
    return ET.tostring(root, encoding="unicode")


def all_links_inactive(*uuids: str) -> str:
    """Return the links as C(nvidia-smi nvlink --status) printed them on a B200 node whose last GPU had lost all."""
    *healthy, last = uuids
    text = ""
    for index, uuid in enumerate(healthy):
        text += f"GPU {index}: NVIDIA B200 (UUID: {uuid})\n"
        text += "".join(f"\t Link {link}: 53.125 GB/s\n" for link in range(18))
    text += f"GPU {len(healthy)}: NVIDIA B200 (UUID: {last})\n"
    return text + "NVML: Unable to retrieve NVLink information as all links are inActive\n"
