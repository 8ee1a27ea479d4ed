# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs inside an image, after the args worker: it asks that for several command lines, for one import of vLLM."""

from __future__ import annotations

import sys
from typing import Any


def main(job: dict[str, Any]) -> None:
    """Print one line of JSON for each of C(job["argvs"])."""
    worker = sys.modules["programs.args_worker"]
    for argv in job["argvs"]:
        worker.main({"argv": argv, "model": False})
