# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The preflight only looks: no reboot, no reload of systemd, nothing installed."""

from __future__ import annotations

import json

from testinfra.host import Host


def test_the_machine_has_not_noticed(host: Host) -> None:
    assert json.loads(host.check_output("nvidia-stub events")) == {"boots": 0, "reloads": 0}


def test_the_port_is_still_held_by_whom_it_was(host: Host) -> None:
    holds = host.backend.get_hostname() == "hgx-preflight-defects"
    assert host.service("squatter").is_running is holds
