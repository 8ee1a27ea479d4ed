# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After two runs of the role: all is everywhere, the hub has sent each byte once, and nothing is left running."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host

SOLO = "hgx-hf-cache-solo"
FILES = {"acme/solo": 4, "acme/shared": 16}
SIZE = 10_000_000


def is_solo(host: Host) -> bool:
    return str(host.backend.get_hostname()) == SOLO


def home(host: Host) -> str:
    return "/home/alice/.cache/huggingface" if is_solo(host) else "/var/lib/huggingface"


def repo(host: Host) -> str:
    return "acme/solo" if is_solo(host) else "acme/shared"


def test_the_snapshot_is_what_the_hub_published(host: Host) -> None:
    folder = f"{home(host)}/hub/models--{repo(host).replace('/', '--')}"
    commit = host.file(f"{folder}/refs/main").content_string
    listing = host.check_output(f"cd {folder}/snapshots/{commit} && find . -type l | sort")
    names = [*(f"./model-{number}.safetensors" for number in range(1, FILES[repo(host)] + 1)), "./sub/config.json"]
    assert listing.split() == sorted(names)
    # Every blob bears the name of its own hash.
    host.check_output(
        f"cd {folder}/blobs && for blob in $(ls | grep -E '^.{{64}}$'); do echo $blob $blob; done | sha256sum --check"
    )


def test_the_hub_has_sent_each_byte_once(host: Host) -> None:
    if not is_solo(host):
        pytest.skip("asked once, where the hub runs")
    sent = json.loads(host.check_output("curl -s http://127.0.0.1:18080/stats"))
    assert sent == {
        **{f"model-{number}.safetensors": SIZE * (2 if number <= 4 else 1) for number in range(1, 17)},
        "sub/config.json": 6,
    }


def test_all_belongs_to_the_user(host: Host) -> None:
    if not is_solo(host):
        pytest.skip("root's cache")
    assert host.check_output("find /home/alice ! -user alice") == ""
    assert host.file("/home/alice/.cache").mode == 0o750
    assert host.file(home(host)).mode == 0o750
    modes = host.check_output(f"find {home(host)}/hub -type f -name '*[0-9a-f]' -path '*/blobs/*' -printf '%m\\n'")
    assert set(modes.split()) == {"640"}


def test_nothing_is_left_of_the_sharing(host: Host) -> None:
    assert host.run("ss -Hltn | grep -E ':(80|18765) '").stdout == ""
    assert host.run("ls /run/hgx-hf-cache-peers* /run/systemd/transient/hgx-hf-cache-peers*").stdout == ""


def test_nginx_came_without_a_reload_of_systemd_and_stays_off(host: Host) -> None:
    """A reload can take the GPUs away from running containers."""
    assert host.run("journalctl --boot --quiet --grep '^Reloading'").stdout == ""
    serves = str(host.backend.get_hostname()) in ("hgx-hf-cache-a", "hgx-hf-cache-b")
    assert host.file("/usr/sbin/nginx").exists == serves
    if serves:
        assert host.run("systemctl is-enabled nginx").stdout.strip() == "disabled"


def test_no_token_is_left(host: Host) -> None:
    # The arguments of a module in the background lie in a folder of their user for 5 s after its end.
    left = "ls -d ~/.ansible/tmp/*/ ~alice/.ansible/tmp/*/ 2>/dev/null"
    host.check_output(f"timeout 20 sh -c 'while [ -n \"$({left})\" ]; do sleep 1; done'")
    assert host.run(f"grep -rlF hf_molecule {home(host)} /home /var/log /run /root /tmp /var/tmp").stdout == ""
