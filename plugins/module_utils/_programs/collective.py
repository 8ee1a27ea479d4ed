# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Add up a tensor across the nodes of a server, by the PyTorch of its image, and measure how fast that goes.

Each node runs it in a container of its own: C(rank) of C(nodes), with C(processes) of them, one for each GPU. The line
that it prints is C({seconds, rounds, bytes, world}) on the head, C({}) elsewhere, C({missing}) with the nodes that did
not come, or C({error}). It ends by itself after C(timeout_s).
"""

from __future__ import annotations

import datetime
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

_POLL_S = 0.1
_GRACE_S = 60  # also for a busy machine


class Missing(Exception):
    """Nodes that did not come."""

    def __init__(self, nodes: list[int]) -> None:
        super().__init__(str(nodes))
        self.nodes = nodes


def main(job: Mapping[str, Any]) -> None:
    """Run one process for each GPU and wait for them. Exits with 1 if one of them failed."""
    # Whatever hangs. The first process of a container is killed by no signal that it has no handler for.
    signal.signal(signal.SIGALRM, lambda _number, _frame: os._exit(1))
    signal.alarm(int(job["timeout_s"]) + _GRACE_S)
    children = []
    for local in range(job["processes"]):
        child = os.fork()
        if not child:
            os._exit(_one(job, local))
        children.append(child)
    codes = [os.waitpid(child, 0)[1] for child in children]
    raise SystemExit(int(any(codes)))


def _one(job: Mapping[str, Any], local: int) -> int:
    signal.alarm(int(job["timeout_s"]) + _GRACE_S)
    number = job["rank"] * job["processes"] + local
    try:
        answer = measure(job, local)
    except Missing as exc:
        answer = {"missing": exc.nodes}
    except Exception as exc:  # whatever the library raises
        answer = {"error": f"{type(exc).__name__}: {exc}"}
    failed = "missing" in answer or "error" in answer
    if failed or number == 0:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return int(failed)


def measure(job: Mapping[str, Any], local: int) -> dict[str, Any]:
    """Meet the others and add up; return the outcome on the head. Raises Missing, and whatever the library raises."""
    import torch
    from torch import distributed

    number, world = job["rank"] * job["processes"] + local, job["nodes"] * job["processes"]
    limit = datetime.timedelta(seconds=job["timeout_s"])
    store = distributed.TCPStore(job["head"], job["port"], None, number == 0, timeout=limit / 2, wait_for_workers=False)
    meet(store, number, world, job)
    device = torch.device("cpu")
    if job["backend"] == "nccl":
        torch.cuda.set_device(local)
        device = torch.device("cuda", local)
    meeting = distributed.PrefixStore("group", store)
    distributed.init_process_group(job["backend"], store=meeting, rank=number, world_size=world, timeout=limit)
    tensor = torch.ones(job["bytes"] // 4, dtype=torch.float32, device=device)
    distributed.all_reduce(tensor)
    if tensor[0].item() != world or tensor[-1].item() != world:
        raise ValueError(f"the sum over {world} processes is {tensor[0].item():g}")
    rounds, started = 0, time.monotonic()
    while rounds < job["rounds"]:
        distributed.all_reduce(tensor)
        rounds += 1
    tensor[0].item()  # until it is there
    seconds = time.monotonic() - started
    store.set(f"done/{number}", "")
    if number == 0:
        _await(store, [f"done/{other}" for other in range(world)], time.monotonic() + _GRACE_S / 10)
        return {"seconds": seconds, "rounds": rounds, "bytes": job["bytes"], "world": world}
    return {}


def meet(store: Any, number: int, world: int, job: Mapping[str, Any]) -> None:
    """Wait for all processes. Raises Missing with the nodes of those that did not come in time."""
    store.set(f"here/{number}", "")
    late = _await(store, [f"here/{other}" for other in range(world)], time.monotonic() + job["timeout_s"] / 2)
    if late:
        raise Missing(sorted({int(key.partition("/")[2]) // job["processes"] for key in late}))


def _await(store: Any, keys: list[str], deadline: float) -> list[str]:
    """Return which keys are not there at the deadline."""
    while True:
        late = [key for key in keys if not store.check([key])]
        if not late or time.monotonic() >= deadline:
            return late
        time.sleep(_POLL_S)
