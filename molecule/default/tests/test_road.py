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
KNOWN_HOSTS = Path("/tmp/hgx-molecule-known-hosts")


def test_the_connection_was_cut_in_the_middle_of_the_download_and_of_the_start(host: Host) -> None:
    assert host.file("/var/tmp/download").exists
    assert host.file("/var/tmp/start").exists


def test_a_changed_host_key_of_the_instance_is_told_with_its_fix(tmp_path: Path) -> None:
    with urllib.request.urlopen("http://127.0.0.1:18555/_state", timeout=10) as answer:
        (node,) = json.load(answer)["instances"]
    name = f"lambda-{node['id']}"
    assert any(line.startswith(f"{name} ") for line in KNOWN_HOSTS.read_text().splitlines())
    key, known = tmp_path / "key", tmp_path / "known"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    known.write_text(f"{name} {key.with_suffix('.pub').read_text()}")
    ssh = f'-F none -o ProxyCommand="docker exec -i %h ssh-session" -o ControlPath=none -o UserKnownHostsFile={known}'
    (tmp_path / "play.yml").write_text("- hosts: inference\n  gather_facts: false\n  tasks: [ansible.builtin.ping: ]\n")
    done = subprocess.run(
        [
            *["ansible-playbook", tmp_path / "play.yml", "-i", SCENARIO / "inventory"],
            *["-e", json.dumps({"ansible_ssh_common_args": ssh})],
        ],
        # Molecule switches the check of host keys off.
        env={
            **os.environ,
            "ANSIBLE_STDOUT_CALLBACK": "hgx.inference.phases",
            "ANSIBLE_HOST_KEY_CHECKING": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert f"The SSH host key of {name} is not the one of the first connection" in done.stdout
    assert f"run again: ssh-keygen -f '{known}' -R '{name}'" in done.stdout
