# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module apt_packages_info against stand-ins of dpkg-query and apt-cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.modules import apt_packages_info


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of programs of a host, which is first on PATH."""
    (tmp_path / "dpkg-query").write_text(
        "#!/bin/sh\nprintf 'nvlsm\\t2025.06.11-1\\thold\\tinstalled\\tok\\n'\n"
        "printf 'vim\\t9-1\\tinstall\\t%s\\tok\\n' installed\n"
    )
    (tmp_path / "apt-cache").write_text(
        '#!/bin/sh\nshift\nfor name; do echo " $name | 1.2-1 | http://x/ Packages"; done\n'
    )
    for program in tmp_path.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(apt_packages_info, "_JOURNAL", str(tmp_path / "updates"))
    return tmp_path


def ask(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        apt_packages_info.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_what_there_is(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = ask(capsys, installed=["nv*"], available=["nvlsm"])
    assert result["installed"] == {"nvlsm": {"version": "2025.06.11-1", "upstream": "2025.06.11", "held": True}}
    assert result["available"] == {"nvlsm": ["1.2-1"]}
    assert (result["changed"], result["unfinished"], result["interrupted"]) == (False, [], False)


def test_nothing_is_asked_for(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (host / "apt-cache").write_text("#!/bin/sh\nexit 1\n")
    result = ask(capsys)
    assert (result["installed"], result["available"]) == ({}, {})


def test_an_unfinished_package(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = host / "dpkg-query"
    program.write_text(program.read_text().replace("' installed", "' half-configured"))
    result = ask(capsys)
    assert (result["unfinished"], result["interrupted"]) == (["vim"], True)


def test_a_killed_dpkg_leaves_a_journal(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (host / "updates").mkdir()
    (host / "updates" / "tmp.i").touch()
    assert not ask(capsys)["interrupted"]
    (host / "updates" / "0001").touch()
    assert ask(capsys)["interrupted"]
