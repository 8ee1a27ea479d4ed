# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reach a node that nodes.sh has made: its commands run in the node's namespaces, its files lie below its root."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from ansible.plugins.connection import local

DOCUMENTATION = """
name: node
short_description: Reach a node that nodes.sh has made
description: Run commands in the namespaces of the process whose ID is in the file C(pid) of the node's folder.
extends_documentation_fragment: connection_pipelining
author: hgx.inference contributors
options:
  become_success_timeout: # of the connection that this one extends
    description: Seconds to wait for become.
    type: int
    default: 10
  become_strip_preamble:
    description: Strip what become says before the command.
    type: bool
    default: true
  folder:
    description: The node's folder.
    type: path
    required: true
    vars: [{name: node_folder}]
"""


class Connection(local.Connection):
    """The machine's own shell, in another place."""

    transport = "node"

    @property
    def _process(self) -> str:
        return Path(self.get_option("folder"), "pid").read_text(encoding="utf-8").strip()

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        namespaces = ("--mount", "--uts", "--ipc", "--net", "--pid")
        argv = ["nsenter", "--target", self._process, *namespaces, "--", "/bin/sh", "-c", cmd]
        found: tuple[int, bytes, bytes] = super().exec_command(f"exec {shlex.join(argv)}", in_data, sudoable)
        return found

    def put_file(self, in_path: str, out_path: str) -> Any:
        return super().put_file(in_path, self._below_root(out_path))

    def fetch_file(self, in_path: str, out_path: str) -> Any:
        return super().fetch_file(self._below_root(in_path), out_path)

    def _below_root(self, path: str) -> str:
        return os.path.join("/proc", self._process, "root", path.lstrip("/"))
