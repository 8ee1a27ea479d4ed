# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In any order of launches, faults and releases on two machines, one name never bills twice, and none is refused."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ansible_collections.hgx.inference.plugins.module_utils._lambda.account import Account
from ansible_collections.hgx.inference.plugins.module_utils._lambda.client import (
    Client,
    LambdaError,
    Response,
    TransportError,
)
from ansible_collections.hgx.inference.plugins.module_utils._lambda.instance import Limits, Manager
from ansible_collections.hgx.inference.plugins.module_utils._lambda.launch import Wanted
from ansible_collections.hgx.inference.plugins.module_utils._lambda.records import Identity
from ansible_collections.hgx.inference.tests.support.lambda_api_server import KEY, LambdaApi, Refusal
from ansible_collections.hgx.inference.tests.support.simulated_clock import SimulatedClock

KIMI = Identity(name="kimi")
B200 = Wanted(type="gpu_8x_b200_sxm6", owner="eve", lifetime_hours=4)
URL = "http://127.0.0.1:1/api/v1"
LAUNCH = "/instance-operations/launch"
HOMES = ("here", "there")
HOURS_S = 7200.0


class Killed(BaseException):
    """The run ends without a further step."""


class Launches(RuleBasedStateMachine):
    """Two machines, each with a journal of its own, and one account."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = SimulatedClock()
        self.api = LambdaApi(boot_s=60.0, terminate_s=5.0, clock=self.clock.monotonic)
        self.folder = Path(tempfile.mkdtemp())
        self.no_waiting = mock.patch("os.fsync")
        self.no_waiting.start()
        self.fault = ""
        self.meanwhile: str | None = None
        self.is_open = False  # whether a launch was lost that made nothing, or a journal was damaged
        self.killed: str | None = None

    def teardown(self) -> None:
        self.no_waiting.stop()
        shutil.rmtree(self.folder)

    def send(self, method: str, url: str, headers: dict[str, str], body: bytes | None, timeout_s: float) -> Response:
        """Be the transport: answer as the API does, except for the planned fault of a launch."""
        path, fault = url[len(URL) :], ""
        if path == LAUNCH:
            fault, self.fault = self.fault, ""
            home, self.meanwhile = self.meanwhile, None
            if home:
                self.present(home)
        if fault == "cut before":
            raise TransportError("cut", sent=True)
        if fault == "refused":
            return Response(429, {}, b"{}")
        try:
            data = self.api.answer(method, path, json.loads(body) if body else None)
        except Refusal as exc:
            return Response(exc.status, {}, json.dumps(exc.body).encode())
        finally:
            if path == LAUNCH:
                self.api.lag_s, self.api.twins = 0.0, 0
        if fault == "cut after":
            raise TransportError("cut", sent=True)
        if fault in ("killed", "torn"):
            raise Killed
        if fault == "one ID":
            data = {"instance_ids": data["instance_ids"][-1:]}
        return Response(502 if fault == "bad gateway" else 200, {}, json.dumps({"data": data}).encode())

    def manager(self, home: str) -> Manager:
        client = Client(self, KEY, URL, clock=self.clock)
        account = Account(client, str(self.folder / home))
        return Manager(account, Limits(wait_s=600), probe=lambda host, port: True)

    def present(self, home: str) -> bool:
        """Ensure the instance; return whether it is there."""
        try:
            found = self.manager(home).present(KIMI, B200)
        except (LambdaError, Killed):
            return False
        return found["instance"] is not None

    def billed(self) -> list[dict[str, Any]]:
        self.api.advance()
        return [one for one in self.api.instances.values() if one["status"] in ("booting", "active")]

    def is_all_listed(self) -> bool:
        return all(until <= self.clock.now for until in self.api._hidden.values())

    @rule(
        home=st.sampled_from(HOMES),
        fault=st.sampled_from(["", "", "refused", "cut before", "cut after", "bad gateway", "killed", "torn"]),
        lag_s=st.sampled_from([0.0, 3.0, 50.0, 90.0, 3000.0]),
    )
    def launch(self, home: str, fault: str, lag_s: float) -> None:
        # A run that was killed has told no other machine: this is beyond what is promised.
        home = home if self.killed is None or self.is_all_listed() else self.killed
        self.fault, self.api.lag_s = fault, lag_s
        self.present(home)
        if self.fault != fault and fault == "cut before":
            self.is_open = True
        if self.fault != fault and fault in ("killed", "torn"):
            self.killed = home
        if self.fault != fault and fault == "torn":
            self.damage(home, 20)
        self.fault, self.api.lag_s = "", 0.0

    @precondition(lambda self: self.is_all_listed())
    @rule(home=st.sampled_from(HOMES), fault=st.sampled_from(["", "one ID"]), twins=st.sampled_from([0, 1]))
    def launch_at_once(self, home: str, fault: str, twins: int) -> None:
        """Launch here, and there in the moment in which the launch from here arrives; perhaps a proxy doubles it."""
        self.meanwhile = HOMES[1 - HOMES.index(home)]
        self.api.twins, self.fault = twins, fault
        self.present(home)
        self.meanwhile, self.api.twins, self.fault = None, 0, ""

    @rule(home=st.sampled_from(HOMES))
    def release(self, home: str) -> None:
        was_listed = self.is_all_listed()
        try:
            self.manager(home).absent(KIMI, force=False, owner="eve")
        except LambdaError:
            return
        if was_listed:
            assert self.billed() == []

    @rule(seconds=st.sampled_from([1.0, 61.0, 600.0, HOURS_S]))
    def wait(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    @precondition(lambda self: bool(self.billed()) and self.is_all_listed())
    @rule()
    def end_elsewhere(self) -> None:
        """The instance is terminated in the console, or preempted."""
        for instance in self.billed():
            instance.update(status="preempted")

    @rule(home=st.sampled_from(HOMES), cut=st.integers(1, 40))
    def cut_journal(self, home: str, cut: int) -> None:
        self.damage(home, cut)

    def damage(self, home: str, cut: int) -> None:
        """Cut the last line of a journal, as a crash of the machine does."""
        path = self.folder / home / "journal.jsonl"
        if path.exists() and path.stat().st_size > cut:
            path.write_bytes(path.read_bytes()[:-cut])
            self.is_open = True

    @rule(home=st.sampled_from(HOMES))
    def honest(self, home: str) -> None:
        """Once all is listed, and nothing was lost for ever, a run is not refused."""
        if self.is_all_listed() and not self.is_open:
            self.manager(home).present(KIMI, B200)
            assert len(self.billed()) == 1

    @invariant()
    def bills_once(self) -> None:
        assert len(self.billed()) <= 1, [one["tags"] for one in self.billed()]


Launches.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestLaunches = Launches.TestCase
