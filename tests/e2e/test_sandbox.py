# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sandbox for foreign code in a real container of the server's image."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._endpoint import sandbox
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.sandbox import Sandbox

# What foreign code must not be able to do. Each attempt that succeeds is printed.
ATTEMPTS = b"""\
import json, os, socket, sys
done = {}
def attempt(name, act):
    try:
        done[name] = repr(act())
    except BaseException:
        pass
def fork_bomb():
    import signal
    children = 0
    try:
        while children < 200:
            if os.fork() == 0:
                signal.alarm(60)
                signal.pause()
            children += 1
    except OSError:
        pass
    return children
def memory():
    if os.fork() == 0:
        try:
            bytearray(b"x") * (1 << 30)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(-1, 0)[1]
def writes(folder):
    path = os.path.join(folder, "x")
    with open(path, "w") as file:
        file.write("x" * 4096)
    return path
for folder in ("/", "/tmp", "/var/tmp", "/dev", "/dev/shm", "/run", "/root", "/proc/self/cwd"):
    attempt("write " + folder, lambda: writes(folder))
attempt("network", lambda: socket.create_connection(("172.17.0.1", 22), 1))
attempt("address", lambda: socket.create_connection(("1.1.1.1", 53), 1))
attempt("root", lambda: os.setuid(0))
attempt("mount", lambda: os.unshare(0x20000))
status = open("/proc/self/status").read()
facts = {line.split(":")[0]: line.split(":")[1].strip() for line in status.splitlines()}
print(json.dumps({
    "done": done,
    "memory": memory(),
    "children": fork_bomb(),
    "uid": os.getuid(),
    "caps": [facts[name] for name in ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp")],
    "interfaces": [name for _index, name in socket.if_nameindex()],
}), flush=True)
os._exit(0)
"""


def test_foreign_code_is_held(cpu_image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = f"test-{os.getpid()}"
    monkeypatch.setattr(sandbox.secrets, "token_hex", lambda _size: token)
    found = Sandbox(cpu_image).execute(ATTEMPTS)
    assert found.trouble == "", found
    report = json.loads(found.output.splitlines()[-1])
    assert report["done"] == {}
    assert report["memory"] in (9, 256), "killed, or no memory"
    assert report["children"] < 32
    assert report["uid"] == 65534
    assert report["caps"] == ["0" * 16] * 3 + ["1", "2"]
    assert report["interfaces"] == ["lo"]
    flood = Sandbox(cpu_image).execute(b"while True: print('{\"results\": [1]}' * 1000)")
    assert flood.trouble == "it wrote more than 64 KiB"
    endless = Sandbox(cpu_image, 8).execute(b"import os, time\nos.fork()\nwhile True: time.sleep(1)")
    assert endless.trouble == "it did not end within 8 s"
    left = ["docker", "ps", "--all", "--quiet", "--filter", f"name=hgx-code-{token}"]
    assert subprocess.run(left, capture_output=True, text=True, check=True).stdout == ""
