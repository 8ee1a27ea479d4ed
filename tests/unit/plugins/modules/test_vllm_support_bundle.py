# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The archive holds what the programs say, and none of the secrets that they say with it."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.modules import vllm_support_bundle

KEY = "k3y-of-the-endpoint"
TOKEN = "hf_AbCdEfGhIjKlMnOp"
PASSWORD = "Pa55w0rd"
ENVIRONMENT = [f"DB_PASS={PASSWORD}", "VLLM_USE_V1=1", f"HTTPS_PROXY=http://user:{PASSWORD}@proxy:1/"]
INSPECT = [{"Id": "9c", "Config": {"Env": ENVIRONMENT, "Labels": {"my.token": PASSWORD}}}]
PROGRAMS = {
    "docker": f"""case "$1" in
logs) echo "loading; key {KEY}; Authorization: Bearer {PASSWORD}x";;
inspect) cat <<'END'
{json.dumps(INSPECT)}
END
;;
top) echo "PID 17";;
*) echo "docker $1";;
esac""",
    "dmesg": "echo 'NVRM: Xid (PCI:0000:17:00): 79'; echo 'eth0: link becomes ready'",
    "nvidia-smi": f"echo GPU 0; echo token={TOKEN}",
}


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Make an archive with programs that say secrets, and return its files."""
    programs, state, results = (tmp_path / name for name in ("bin", "state", "results"))
    for folder in (programs, results, state / "secrets", state / "supervisor", state / "releases" / "aaaaaaaaaaaa"):
        folder.mkdir(parents=True)
    for name, text in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    (state / "secrets" / "vllm_api_key").write_text(KEY)
    (state / "supervisor" / "watch.json").write_text(json.dumps({"state": "hanging", "words": f"key {KEY}"}))
    (state / "releases" / "aaaaaaaaaaaa" / "release.json").write_text(json.dumps({"env": {"MY_SECRET": PASSWORD}}))
    (results / "20261130T100000Z-smoke.json").write_text(json.dumps({"texts": [PASSWORD], "verdict": "pass"}))
    dest = tmp_path / "node-support.tar.gz"
    options = {
        "container": "vllm",
        "state_dir": str(state),
        "results_dir": str(results),
        "status": f"server  running with {TOKEN}",
        "secrets": [TOKEN],
        "dest": str(dest),
    }
    with patch_module_args(options), pytest.raises(SystemExit):
        vllm_support_bundle.main()
    result = json.loads(capsys.readouterr().out)
    assert (result["changed"], result["size"]) == (False, dest.stat().st_size)
    assert dest.stat().st_mode & 0o777 == 0o600
    with tarfile.open(dest) as opened:
        files = {
            member.name.partition("/")[2]: (opened.extractfile(member) or pytest.fail("no file")).read().decode()
            for member in opened.getmembers()
        }
    assert sorted(files) == sorted(result["files"])
    return files


def test_no_secret_is_in_any_file(archive: dict[str, str]) -> None:
    everything = "\n".join(archive.values())
    for secret in (KEY, TOKEN, PASSWORD):
        assert secret not in everything


def test_what_is_in_the_archive(archive: dict[str, str]) -> None:
    assert archive["log.txt"].startswith("loading; key ********")
    assert archive["host/kernel-log.txt"] == "NVRM: Xid (PCI:0000:17:00): 79\n"
    assert "VLLM_USE_V1=1" in archive["docker/inspect.json"]
    assert archive["nvidia/toolkit.txt"] == "(the program is not on this host)\n"
    assert json.loads(archive["results/20261130T100000Z-smoke.json"]) == {"texts": "(1 texts)", "verdict": "pass"}
    assert "releases/aaaaaaaaaaaa.json" in archive
    assert archive["status.txt"].startswith("server  running")
    assert json.loads(archive["supervisor/watch.json"])["state"] == "hanging"


def test_nothing_is_written_in_check_mode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = dict.fromkeys(("state_dir", "results_dir"), str(tmp_path))
    options = {"container": "vllm", "dest": str(tmp_path / "x.tar.gz"), "_ansible_check_mode": True, **folders}
    with patch_module_args(options), pytest.raises(SystemExit):
        vllm_support_bundle.main()
    assert json.loads(capsys.readouterr().out)["changed"] is False
    assert list(tmp_path.iterdir()) == []
