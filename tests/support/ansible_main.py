# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a warm Python runs as a command of ansible-core.

It is no module of the collection there: Ansible has to find and load the collection by itself.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from ansible import constants
from ansible.cli import adhoc, inventory, playbook

# Modules as they are sent to hosts, which ansible-core builds for each run anew.
BUILT = tempfile.mkdtemp(prefix="ansible-built-")
atexit.register(shutil.rmtree, BUILT, ignore_errors=True)
MAINS = {"ansible": adhoc.main, "ansible-inventory": inventory.main, "ansible-playbook": playbook.main}


def main() -> None:
    """Be the command that sys.argv names. The folder for temporary files, chosen at an import, is one of its own."""
    constants.DEFAULT_LOCAL_TMP = tempfile.mkdtemp(prefix="ansible-local-")
    atexit.register(shutil.rmtree, constants.DEFAULT_LOCAL_TMP, ignore_errors=True)
    os.symlink(BUILT, os.path.join(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache"))
    MAINS[Path(sys.argv[0]).name]()
