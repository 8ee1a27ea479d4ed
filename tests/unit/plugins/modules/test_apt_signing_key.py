# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A signing key reaches the disk only with the expected fingerprint."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.modules import apt_signing_key
from ansible_collections.hgx.inference.tests.unit.plugins.module_utils._apt.test_keys import FINGERPRINT, KEY


def run(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    check = options.pop("check", False)
    with patch_module_args({**options, "_ansible_check_mode": check}), pytest.raises(SystemExit):
        apt_signing_key.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "key.gpg"
    path.write_bytes(base64.b64decode(KEY))
    return path


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_the_expected_key(scheme: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = {
        "source": f"{scheme}{source}",
        "fingerprints": ["0" * 40, FINGERPRINT.lower()],
        "dest": str(tmp_path / "d"),
    }
    assert run(capsys, **wanted, check=True)["changed"]
    assert not (tmp_path / "d").exists()
    result = run(capsys, **wanted)
    assert (result["changed"], result["fingerprints"]) == (True, [FINGERPRINT])
    assert (tmp_path / "d").read_bytes() == source.read_bytes()
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o644
    assert not run(capsys, **wanted)["changed"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, f"has the fingerprint {FINGERPRINT}, and {'0' * 40} is expected, so it is not trusted"),
        (b"<html>", "cannot be used: it is no file of OpenPGP keys"),
        (b"", "cannot be used: it has no OpenPGP public key"),
    ],
)
def test_another_key_is_not_written(
    content: bytes | None, words: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        source.write_bytes(content)
    result = run(capsys, source=str(source), fingerprints=["0" * 40], dest=str(tmp_path / "d"))
    assert words in result["msg"]
    assert not (tmp_path / "d").exists()


def test_a_key_that_cannot_be_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = (tmp_path / "none").as_uri()
    result = run(capsys, source=source, fingerprints=[FINGERPRINT], dest=str(tmp_path / "d"))
    assert result["msg"].startswith(f"The signing key {source} cannot be read: ")
