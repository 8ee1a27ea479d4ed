# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the get-pip.py that ansible-test downloads: the pip bundled with Python, then the named packages.

It keeps `make sanity` independent of one more host.
"""

from __future__ import annotations

import ensurepip
import os
import subprocess
import sys


def main() -> None:
    """Take get-pip.py's arguments: requirements to install, and options, which are ignored."""
    environment = dict(os.environ)  # ensurepip makes pip ignore its configuration; the second step needs it
    ensurepip.bootstrap(default_pip=True)
    wanted = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if wanted:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *wanted], env=environment, check=True)


if __name__ == "__main__":
    main()
