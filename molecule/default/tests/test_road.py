# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way to the node: two cuts that the play has outlived, and a host key that belongs to the instance."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from pathlib import Path

from testinfra.host import Host

SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
KNOWN_HOSTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "known_hosts"


def test_the_connection_was_cut_in_the_middle_of_the_download_and_of_the_start(host: Host) -> None:
    assert host.file("/var/tmp/download").exists
    assert host.file("/var/tmp/start").exists


def test_a_changed_host_key_is_told_with_its_fix(tmp_path: Path) -> None:
    with urllib.request.urlopen("http://127.0.0.1:18555/_state", timeout=10) as answer:
        (node,) = json.load(answer)["instances"]
    name = f"lambda-{node['id']}"
    (line,) = [line for line in KNOWN_HOSTS.read_text().splitlines() if line.startswith(f"{name} ssh-ed25519 ")]
    other = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    before = KNOWN_HOSTS.read_text()
    KNOWN_HOSTS.write_text(before.replace(line.split()[2], other.with_suffix(".pub").read_text().split()[1]))
    (tmp_path / "play.yml").write_text("- hosts: inference\n  gather_facts: false\n  tasks: [ansible.builtin.ping: ]\n")
    try:
        done = subprocess.run(
            ["ansible-playbook", tmp_path / "play.yml", "-i", SCENARIO / "inventory"],
            env={
                **os.environ,
                "ANSIBLE_STDOUT_CALLBACK": "hgx.inference.phases",
                # Not the connection that is open already.
                "ANSIBLE_SSH_ARGS": "-o ControlPath=none",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        KNOWN_HOSTS.write_text(before)
    assert done.returncode == 4, done.stdout + done.stderr
    assert f"The SSH host key of {name} is not the one of the first connection" in done.stdout
    assert f"run again: ssh-keygen -f '{KNOWN_HOSTS}' -R '{name}'" in done.stdout
