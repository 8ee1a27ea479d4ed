# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all tests share: the commands they run are those of this environment and read this repository's settings."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
ROOT = Path(__file__).parents[1]
os.environ["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
# The tests, and the modules that they run, spend less time on what Python does beside their work.
gc.set_threshold(100_000, 50, 1000)
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(ROOT / "tests" / "support" / "quick_python"), os.environ.get("PYTHONPATH")])
)
os.environ["HGX_ZIP_CACHE"] = str(ROOT / ".cache" / "zip")
(ROOT / ".cache" / "zip").mkdir(parents=True, exist_ok=True)
# No test may reach a real account, where it would cost real money.
os.environ.pop("LAMBDA_API_KEY", None)
