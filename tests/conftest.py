# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all tests share: the commands they run are those of this environment and read this repository's settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ["ANSIBLE_CONFIG"] = str(Path(__file__).parents[1] / "ansible.cfg")
# No test may reach a real account, where it would cost real money.
os.environ.pop("LAMBDA_API_KEY", None)
