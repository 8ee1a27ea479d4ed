# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the unit tests share: none meets a Docker engine of this machine, so all pass without one."""

from __future__ import annotations

import os

os.environ["DOCKER_HOST"] = "unix:///nonexistent/docker.sock"
