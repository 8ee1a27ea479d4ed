# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What makes the thousands of short Python programs of the tests cheaper: modules of Ansible, and Ansible itself.

Ansible sends each module as an archive of sources, and Python keeps compiled code only for files, so a third of a
module's processor time goes into compiling the same module_utils again. Here compiled code is kept by the hash of its
source. And Python looks for garbage less often, which a program that ends soon hardly has.

Python loads this at its start, so it imports only what Python has loaded by then.
"""

from __future__ import annotations

import _imp
import gc
import marshal
import os
import sys
import zipimport

FOLDER = os.environ.get("HGX_ZIP_CACHE", "/var/cache/hgx-zip")
plain = zipimport._compile_source  # type: ignore[attr-defined]


def compiled(pathname: str, source: bytes, *more: object) -> object:
    """Return the code of a source, with this path in its tracebacks."""
    path = f"{FOLDER}/{_imp.source_hash(20261201, source).hex()}-{len(source)}.{sys.implementation.cache_tag}"
    try:
        with open(path, "rb") as kept:
            code = marshal.loads(kept.read())
    except OSError:
        code = plain(pathname, source, *more)  # newer Pythons also name the module
        try:
            with open(f"{path}.{os.getpid()}", "wb") as fresh:
                fresh.write(marshal.dumps(code))
            os.replace(fresh.name, path)
        except OSError:
            pass
    else:
        _imp._fix_co_filename(code, pathname)  # type: ignore[attr-defined]
    return code


gc.set_threshold(100_000, 50, 1000)
if os.path.isdir(FOLDER):
    zipimport._compile_source = compiled  # type: ignore[attr-defined]
