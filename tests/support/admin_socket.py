# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for the administrative socket of HAProxy: the states of some servers, and what was asked of them."""

from __future__ import annotations

import socketserver
from pathlib import Path


class AdminSocket(socketserver.ThreadingUnixStreamServer):
    """Answers C(show stat) and C(set server); a server that is put back is up at once."""

    daemon_threads = True

    def __init__(self, path: Path, servers: dict[str, str]) -> None:
        super().__init__(str(path), _Handler)
        self.servers = servers
        self.orders: list[str] = []

    def answer(self, command: str) -> str:
        words = command.split()
        if words[:2] == ["show", "stat"]:
            rows = [f"vllm,{name},{status},0,L7OK" for name, status in self.servers.items()]
            return "\n".join(["# pxname,svname,status,scur,check_status", *rows])
        if words[:2] == ["set", "server"]:
            name, state = words[2].partition("/")[2], words[4]
            self.servers[name] = "MAINT" if state == "maint" else "UP"
            self.orders.append(f"{name} {state}")
            return ""
        return f"unknown command: {command}"


class _Handler(socketserver.StreamRequestHandler):
    server: AdminSocket

    def handle(self) -> None:
        command = self.rfile.readline().decode().strip()
        self.wfile.write(f"{self.server.answer(command)}\n\n".encode())
