# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write metrics for the textfile collector of node exporter. What is unknown is absent, and never 0."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

# Where the node exporter of Debian and Ubuntu reads files. Without this folder a host has none, and nothing is written.
TEXTFILE_DIR = "/var/lib/prometheus/node-exporter"
COUNTER, GAUGE = "counter", "gauge"
Labels = Mapping[str, str]


class Family(NamedTuple):
    """All samples of one name. A value that is None is unknown."""

    name: str
    help: str
    samples: Sequence[tuple[Labels, float | None]]
    kind: str = GAUGE


def render(families: Iterable[Family]) -> str:
    """Return the text of the families that have a known value."""
    lines = []
    for family in families:
        known = [(labels, value) for labels, value in family.samples if value is not None and math.isfinite(value)]
        if known:
            lines += [f"# HELP {family.name} {_escaped(family.help)}", f"# TYPE {family.name} {family.kind}"]
            lines += [f"{family.name}{_labels(labels)} {float(value):.15g}" for labels, value in known]
    return "".join(f"{line}\n" for line in lines)


def path_of(subject: str, folder: str = TEXTFILE_DIR) -> str:
    """Return the file of a subject, such as C(watch_vllm)."""
    return os.path.join(folder, f"hgx_{subject}.prom")


def write(subject: str, families: Iterable[Family], folder: str = TEXTFILE_DIR) -> None:
    """Replace the file of a subject where there is a folder for it. A failure must not end what is reported."""
    path = path_of(subject, folder)
    with suppress(OSError):
        if os.path.isdir(folder):
            temporary = f"{path}.{os.getpid()}.new"  # node exporter reads names that end in .prom
            with open(temporary, "w", encoding="utf-8") as stream:
                stream.write(render(families))
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)


def remove(subject: str, folder: str = TEXTFILE_DIR) -> None:
    """Remove the file of a subject, whose metrics are unknown from now on."""
    with suppress(OSError):
        os.unlink(path_of(subject, folder))


def _labels(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{_escaped(str(value), quoted=True)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(text: str, quoted: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quoted else text
