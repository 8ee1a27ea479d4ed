# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What provision has left behind: a node that the account knows."""

from __future__ import annotations

import json
import urllib.request

from testinfra.host import Host


def test_the_account_knows_one_node() -> None:
    with urllib.request.urlopen("http://127.0.0.1:18555/_state", timeout=10) as answer:
        state = json.load(answer)
    (node,) = state["instances"]
    tags = {tag["key"]: tag["value"] for tag in node["tags"]}
    assert (node["status"], node["name"]) == ("active", "hgx-molecule-default")
    assert (tags["hgx-owner"], tags["hgx-managed-by"]) == ("molecule", "hgx.inference")


def test_the_key_is_not_on_the_node(host: Host) -> None:
    # In two pieces, because sudo writes this command into the journal.
    found = host.run("grep -rlF secret_hgx-''test /var/lib/hgx-inference /root /home /etc /var/log")
    assert found.stdout == ""
