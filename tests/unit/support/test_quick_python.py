# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "support" / "quick_python"
SOURCE = "def fail():\n    raise ValueError('here')\n"


def run(archive: Path, cache: Path, source: str) -> str:
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("sent.py", source)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(archive)!r}); import sent; sent.fail()"],
        env={"PYTHONPATH": str(FOLDER), "HGX_ZIP_CACHE": str(cache)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.stderr


def test_code_is_kept_by_its_source_and_its_traceback_has_the_archive(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    first = run(tmp_path / "a.zip", cache, SOURCE)
    (kept,) = cache.iterdir()
    at = kept.stat().st_mtime_ns
    second = run(tmp_path / "b.zip", cache, SOURCE)
    assert (list(cache.iterdir()), kept.stat().st_mtime_ns) == ([kept], at)
    assert f'{tmp_path}/a.zip/sent.py", line 2, in fail' in first
    assert second == first.replace("a.zip", "b.zip")
    assert "there" in run(tmp_path / "a.zip", cache, SOURCE.replace("here", "there"))
    assert len(list(cache.iterdir())) == 2


def test_without_its_folder_python_works_as_ever(tmp_path: Path) -> None:
    assert "ValueError: here" in run(tmp_path / "a.zip", tmp_path / "none", SOURCE)
    assert not (tmp_path / "none").exists()
