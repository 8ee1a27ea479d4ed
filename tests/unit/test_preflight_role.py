# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the preflight takes over from the settings of the roles that act later."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import yaml

from ansible_collections.hgx.inference.tests.support import ansible_command

DEFAULTS = Path(__file__).parents[2] / "roles" / "preflight" / "defaults" / "main.yml"
ADDRESSES = ("driver_repository", "toolkit_repository", "hub")
HOSTS = {
    "plain": {},
    "mirrored": {
        "nvidia_driver_repository": {"uris": ["https://mirror.example/cuda/"]},
        "nvidia_container_toolkit_repository": {},  # the host's own lists have it
        "hf_cache_endpoint": "https://hub.example",
    },
    "first": {"hf_cache_peers": ["first", "second"]},
    "second": {"hf_cache_peers": ["first", "second"]},
}
NVIDIA = ["https://developer.download.nvidia.com/compute/cuda/repos/", "https://nvidia.github.io/libnvidia-container/"]


def test_addresses_that_must_answer(tmp_path: Path) -> None:
    addresses = "{{ [" + ", ".join(f"preflight_{name} | trim" for name in ADDRESSES) + "] | to_json }}"
    write = {"copy": {"content": addresses, "dest": f"{tmp_path}/{{{{ inventory_hostname }}}}", "mode": "0600"}}
    play = {"hosts": "all", "gather_facts": False, "vars_files": [str(DEFAULTS)], "tasks": [write]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": HOSTS, "vars": local}}))
    environment = {name: value for name, value in os.environ.items() if name != "HF_ENDPOINT"}
    command = ["ansible-playbook", str(tmp_path / "play.yml"), "-i", str(tmp_path / "hosts.yml")]
    done = ansible_command.run(command, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {host: json.loads((tmp_path / host).read_text()) for host in HOSTS} == {
        "plain": [*NVIDIA, "https://huggingface.co"],
        "mirrored": ["https://mirror.example/cuda/", "", "https://hub.example"],
        "first": [*NVIDIA, "https://huggingface.co"],
        "second": [*NVIDIA, ""],
    }
