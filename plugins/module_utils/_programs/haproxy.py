# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The socket of a running HAProxy, and the reload that forgets no state of a server.

The unit of the gateway starts this file as a program: C(haproxy.py reload SOCKET STATE_FILE MASTER_PID).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

_ANSWER_TIMEOUT_S = 10
_RELOAD_TIMEOUT_S = 60
_POLL_S = 0.1


class HaproxyError(Exception):
    """HAProxy does not answer, or refuses a command."""


class Server(NamedTuple):
    """A server of a backend: what HAProxy says of it, such as V(UP) or V(MAINT), and the requests that run on it."""

    status: str
    sessions: int
    check: str

    @property
    def up(self) -> bool:
        """Return whether it takes traffic. V(no check) is a server without a check."""
        return self.status.startswith("UP") or self.status == "no check"

    @property
    def maint(self) -> bool:
        return self.status.startswith("MAINT")


class Admin:
    """The commands that the gateway needs, sent to the socket of a running HAProxy. Each raises HaproxyError.

    After a reload, the old workers live until their last request has ended. They are reached by the master's socket,
    which lies beside that of the worker.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._master = os.path.join(os.path.dirname(path), "master.sock")

    def ask(self, command: str) -> str:
        """Return the answer of the worker that takes new connections."""
        return self._exchange(self._path, command)

    def _exchange(self, path: str, command: str) -> str:
        answer = b""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_ANSWER_TIMEOUT_S)
                connection.connect(path)
                connection.sendall(f"{command}\n".encode())
                connection.shutdown(socket.SHUT_WR)  # else the master waits for another command
                while True:
                    part = connection.recv(65536)
                    if not part:
                        break
                    answer += part
        except OSError as exc:
            raise HaproxyError(f"HAProxy does not answer at {path}: {exc}") from exc
        return answer.decode("utf-8", "replace").strip()

    def set_state(self, backend: str, server: str, state: str) -> None:
        """Set the state of a server in every worker, since old ones still take requests on open connections."""
        command = f"set server {backend}/{server} state {state}"
        answer = self.ask(command)
        if answer:
            raise HaproxyError(f"HAProxy refuses '{command}': {answer}")
        for worker in self._old_workers():
            self._exchange(self._master, f"@!{worker} {command}")

    def servers(self, backend: str) -> dict[str, Server]:
        """Return the servers of a backend by name, with the sessions of all workers."""
        servers = read_servers(self.ask("show stat"), backend)
        for worker in self._old_workers():
            with suppress(HaproxyError):  # it may have ended meanwhile
                for name, old in read_servers(self._exchange(self._master, f"@!{worker} show stat"), backend).items():
                    if name in servers:
                        servers[name] = servers[name]._replace(sessions=servers[name].sessions + old.sessions)
        return servers

    def _old_workers(self) -> list[int]:
        return old_workers(self._exchange(self._master, "show proc")) if os.path.exists(self._master) else []

    def worker(self) -> int:
        """Return the process ID of the worker that takes new connections."""
        for line in self.ask("show info").splitlines():
            name, _colon, value = line.partition(":")
            if name == "Pid":
                return int(value)
        raise HaproxyError(f"HAProxy at {self._path} does not tell its process")


def read_servers(table: str, backend: str) -> dict[str, Server]:
    """Return the servers of a backend from the answer to C(show stat), by name."""
    lines = table.splitlines()
    if not lines or not lines[0].startswith("# "):
        raise HaproxyError(f"HAProxy answers no statistics: {table[:200]}")
    names = lines[0][2:].split(",")
    servers = {}
    for line in lines[1:]:
        row: Mapping[str, str] = dict(zip(names, line.split(",")))
        if row.get("pxname") == backend and row.get("svname") not in (None, "FRONTEND", "BACKEND"):
            servers[row["svname"]] = Server(row["status"], int(row["scur"] or 0), row.get("check_status", ""))
    return servers


def old_workers(table: str) -> list[int]:
    """Return the process IDs of the workers that a reload has replaced, from the answer to C(show proc)."""
    rest = table.partition("# old workers")[2].partition("# programs")[0]
    return [int(words[0]) for words in map(str.split, rest.splitlines()) if words and words[0].isdigit()]


def reload(
    admin: Admin, state_file: str, send: Callable[[], None], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Replace the worker by one that reads the configuration again, and keep the state of each server.

    C(send) tells the master to reload. The file exists only meanwhile, because HAProxy also reads a stale one.
    Raises HaproxyError, also if the configuration cannot be loaded; the old worker then goes on.
    """
    old = admin.worker()
    state = admin.ask("show servers state")
    temporary = f"{state_file}.new"
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(handle, "w", encoding="utf-8") as stream:
            stream.write(f"{state}\n")
        os.replace(temporary, state_file)
        send()
        for _attempt in range(int(_RELOAD_TIMEOUT_S / _POLL_S)):
            with suppress(HaproxyError):  # while the socket changes hands
                if admin.worker() != old:
                    return
            sleep(_POLL_S)
        raise HaproxyError(f"HAProxy still runs its old configuration after {_RELOAD_TIMEOUT_S} s; see its log")
    finally:
        for path in (temporary, state_file):
            with suppress(FileNotFoundError):
                os.unlink(path)


def main(argv: list[str]) -> int:
    """Run the reload, and say what has failed."""
    socket_path, state_file, master = argv[1:]
    try:
        reload(Admin(socket_path), state_file, lambda: os.kill(int(master), signal.SIGUSR2))
    except (HaproxyError, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
