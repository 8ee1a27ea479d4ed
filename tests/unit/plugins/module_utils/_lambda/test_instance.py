# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Launching and releasing against the loopback API: whatever goes wrong, a node is bought once."""

from __future__ import annotations

import errno
import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.progress import ControllerGone
from ansible_collections.hgx.inference.plugins.module_utils._lambda.account import Account
from ansible_collections.hgx.inference.plugins.module_utils._lambda.client import (
    Client,
    Clock,
    LambdaError,
    TransportError,
)
from ansible_collections.hgx.inference.plugins.module_utils._lambda.http import HttpTransport
from ansible_collections.hgx.inference.plugins.module_utils._lambda.instance import Limits, Manager, Outcome
from ansible_collections.hgx.inference.plugins.module_utils._lambda.launch import Wanted
from ansible_collections.hgx.inference.plugins.module_utils._lambda.records import Identity, Instance
from ansible_collections.hgx.inference.tests.support.lambda_api_server import KEY, Fault, LambdaApi, LambdaServer

KIMI = Identity(name="kimi")
B200 = Wanted(type="gpu_8x_b200_sxm6", owner="eve", lifetime_hours=4)
LAUNCH = "/instance-operations/launch"


class QuickClock(Clock):
    """A second of waiting takes a millisecond, or more where threads of a busy machine must not be late."""

    def __init__(self, second_s: float) -> None:
        self.skipped = 0.0
        self._second_s = second_s

    def time(self) -> float:
        return time.time() + self.skipped

    def monotonic(self) -> float:
        return time.monotonic() + self.skipped

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds) * self._second_s)
        self.skipped += max(0.0, seconds)


Make = Callable[..., Manager]


@pytest.fixture(autouse=True)
def no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the machine's certificates for each request takes longer than all the rest; http needs none."""
    monkeypatch.setattr(ssl.SSLContext, "set_default_verify_paths", lambda self: None)


@pytest.fixture
def server() -> Iterator[LambdaServer]:
    with LambdaServer(LambdaApi()) as server:
        yield server


@pytest.fixture
def make(server: LambdaServer, tmp_path: Path) -> Make:
    def make(
        check: bool = False,
        home: str = "state",
        terminate: bool = False,
        ssh: bool = True,
        mismatch: bool = False,
        second_s: float = 0.001,
        report: Callable[[str], None] = lambda line: None,
        **limits: Any,
    ) -> Manager:
        client = Client(HttpTransport(), KEY, server.url, clock=QuickClock(second_s))
        account = Account(client, str(tmp_path / home), report)
        return Manager(account, Limits(**limits), check, terminate, mismatch, probe=lambda host, port: ssh)

    return make


def together(*runs: Callable[[], Outcome]) -> list[Outcome]:
    """Return the results of runs that start at the same time."""
    results: list[Outcome] = []
    threads = [threading.Thread(target=lambda run=run: results.append(run())) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def journal(tmp_path: Path, home: str = "state") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / home / "journal.jsonl").read_text().splitlines()]


def test_a_launch(server: LambdaServer, make: Make, tmp_path: Path) -> None:
    result = make().present(KIMI, B200)
    (instance,) = server.running()
    assert result["changed"]
    assert result["instance"] is not None
    assert result["instance"]["id"] == instance["id"]
    assert result["price_usd_per_hour"] == 45.92
    assert "It bills until it is released" in result["msg"]
    tags = result["instance"]["tags"]
    assert (tags["hgx-managed-by"], tags["hgx-owner"]) == ("hgx.inference", "eve")
    assert set(tags) == {"hgx-managed-by", "hgx-owner", "hgx-launch", "hgx-launched-at", "hgx-expires-at"}
    entries = journal(tmp_path)
    assert [entry["event"] for entry in entries] == ["launching", "launched", "seen"]
    assert entries[0]["usd_per_hour"] == 45.92
    assert (tmp_path / "state" / "journal.jsonl").stat().st_mode & 0o777 == 0o600
    assert KEY not in (tmp_path / "state" / "journal.jsonl").read_text()


def test_ten_runs_buy_one(server: LambdaServer, make: Make) -> None:
    results = [make().present(KIMI, B200) for _run in range(10)]
    assert server.api.launches == len(server.running()) == 1
    assert [result["changed"] for result in results] == [True] + [False] * 9


def test_two_runs_at_once_of_one_user_buy_one(server: LambdaServer, make: Make) -> None:
    results = together(*[lambda: make().present(KIMI, B200)] * 2)
    assert server.api.launches == len(server.running()) == 1
    assert sorted(result["changed"] for result in results) == [False, True]


@pytest.mark.parametrize("round_", range(3))
def test_runs_at_once_of_several_users_leave_one(server: LambdaServer, make: Make, round_: int) -> None:
    runs = [lambda home=f"user{number}": make(home=home, second_s=0.02).present(KIMI, B200) for number in range(3)]
    results = together(*runs)
    server.api.advance()
    (instance,) = server.running()
    assert [result["instance"] and result["instance"]["id"] for result in results] == [instance["id"]] * 3


@pytest.mark.parametrize("when", ["before it is ready", "just after"])
def test_an_adopted_instance_that_yields_to_an_earlier_launch(server: LambdaServer, make: Make, when: str) -> None:
    """Three runs at once: the third adopts the launch of the second before that of the first is listed."""
    earlier, later = ([{"key": "hgx-launch", "value": f"000000000000{number}-x"}] for number in (1, 2))
    adopted = server.api.add(name="kimi", tags=later)
    manager = make()
    wait = manager._wait_ready
    first: list[str] = []

    def wait_ready(instance: Instance) -> Instance:
        if first:
            return wait(instance)
        first.append(server.api.add(name="kimi", tags=earlier)["id"])
        server.api.instances[adopted["id"]]["status"] = "terminated"
        return instance if when == "just after" else wait(instance | {"status": "terminated"})

    manager._wait_ready = wait_ready  # type: ignore[method-assign]
    result = manager.present(KIMI, B200)
    assert [result["instance"] and result["instance"]["id"]] == first
    assert server.api.launches == 0


def test_a_run_that_comes_while_two_others_agree_waits_for_them(server: LambdaServer, make: Make) -> None:
    now = int(time.time() * 1000)
    tags = [[{"key": "hgx-launch", "value": f"{now - age:013d}-x"}] for age in (2000, 1000)]
    first, second = (server.api.add(name="kimi", tags=each) for each in tags)
    manager = make()
    find = manager._account.find
    asked: list[int] = []

    def find_and_yield(identity: Identity) -> list[Instance]:
        asked.append(1)
        if len(asked) == 3:
            server.api.instances[second["id"]]["status"] = "terminated"
        return find(identity)

    manager._account.find = find_and_yield  # type: ignore[method-assign]
    result = manager.present(KIMI, B200)
    assert result["instance"] and result["instance"]["id"] == first["id"]
    assert server.api.launches == 0


def test_a_launch_that_another_does_not_yield_to_yields(server: LambdaServer, make: Make) -> None:
    """The other was launched in the same moment, by a run whose clock is ahead and that has ended already."""
    manager = make()
    look = manager._launcher.settled

    def look_and_lose(identity: Identity) -> Any:
        found = look(identity)
        server.api.add(name="kimi", tags=[{"key": "hgx-launch", "value": "9999999999999-x"}])
        return found

    manager._launcher.settled = look_and_lose  # type: ignore[method-assign]
    result = manager.present(KIMI, B200)
    assert not result["changed"]
    server.api.advance()
    assert len(server.running()) == 1


def test_a_connection_cut_after_the_launch_gives_one(server: LambdaServer, make: Make, tmp_path: Path) -> None:
    server.faults = [Fault("cut_after", path=LAUNCH)]
    assert make().present(KIMI, B200)["changed"]
    assert not make().present(KIMI, B200)["changed"]
    assert server.api.launches == len(server.running()) == 1
    assert [entry["event"] for entry in journal(tmp_path)] == ["launching", "uncertain", "marked", "seen"]


def test_a_lost_launch_is_not_taken_for_that_of_another_run(server: LambdaServer, make: Make) -> None:
    server.faults = [Fault("cut_after", path=LAUNCH)]
    other = [{"key": "hgx-launch", "value": "0000000000001-x"}]
    manager = make()
    post = manager._launcher._post_launch

    def post_while_another_launches(body: dict[str, Any]) -> Any:
        server.api.add(name="kimi", tags=other)
        return post(body)

    manager._launcher._post_launch = post_while_another_launches  # type: ignore[method-assign]
    result = manager.present(KIMI, B200)
    server.api.advance()
    (instance,) = server.running()
    assert instance["tags"] == other
    assert result["instance"] is not None
    assert result["instance"]["id"] == instance["id"]


def test_a_launch_that_shows_up_late_gives_one(server: LambdaServer, make: Make) -> None:
    server.faults = [Fault("lagging", path=LAUNCH, seconds=0.03)]
    assert make().present(KIMI, B200)["changed"]
    assert server.api.launches == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("cut_before", path=LAUNCH),
        Fault("malformed", path=LAUNCH),
        Fault("malformed", path=LAUNCH, text='{"data": {"instance_ids": []}}'),
        Fault("status", path=LAUNCH, status=500),
        Fault("status", path=LAUNCH, status=504),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}-{len(fault.text)}",
)
def test_a_launch_without_an_answer_is_not_sent_again(server: LambdaServer, make: Make, fault: Fault) -> None:
    server.faults = [fault]
    with pytest.raises(LambdaError, match=r"no instance has appeared since\. Run again; it checks first"):
        make().present(KIMI, B200)
    assert server.count("POST", LAUNCH) == 1
    for run in (make(), make(check=True), make(home="other machine")):
        run._clock.skipped = 86400  # type: ignore[attr-defined]
        with pytest.raises(LambdaError, match=r"the answer was lost.*no other is launched.*force=true.*for one run"):
            run.present(KIMI, B200)
    assert server.count("POST", LAUNCH) == 1
    assert make().present(KIMI, B200, force=True)["changed"]
    assert server.api.launches == 1
    assert server.api.rulesets == {}, "the mark for other machines is gone"
    make().absent(KIMI, force=False)
    assert make().present(KIMI, B200)["changed"]
    make().absent(KIMI, force=False)
    assert make(home="other machine").present(KIMI, B200)["changed"]


def lose(server: LambdaServer, make: Make) -> None:
    """Launch an instance whose ID is lost, and which the API does not show yet."""
    server.faults = [Fault("lagging", path=LAUNCH, seconds=1000)]
    manager = make()
    post = manager._launcher._post_launch

    def post_and_lose(body: dict[str, Any]) -> tuple[list[str], str]:
        post(body)
        return [], "The answer was lost."

    manager._launcher._post_launch = post_and_lose  # type: ignore[method-assign]
    with pytest.raises(LambdaError, match="no instance has appeared since"):
        manager.present(KIMI, B200)


@pytest.mark.parametrize("home", ["state", "other machine"])
def test_a_lost_launch_that_appears_after_hours_is_adopted(server: LambdaServer, make: Make, home: str) -> None:
    lose(server, make)
    later = make(home=home)
    later._clock.skipped = 7200  # type: ignore[attr-defined]
    with pytest.raises(LambdaError, match="the answer was lost"):
        later.present(KIMI, B200)
    with pytest.raises(LambdaError, match="the answer was lost"):
        later.absent(KIMI, force=False)
    server.api._hidden.clear()
    assert not make(home=home).present(KIMI, B200)["changed"]
    assert server.api.launches == 1
    assert make(home=home).absent(KIMI, force=False)["changed"]
    assert server.api.rulesets == {}
    assert make().present(KIMI, B200)["changed"], "the launch is settled, also where it was lost"


def test_a_lost_launch_that_was_released_elsewhere_is_settled(server: LambdaServer, make: Make) -> None:
    """The list still has the terminated instance, so the next run knows that the launch is over."""
    lose(server, make)
    server.api._hidden.clear()
    (instance,) = server.api.instances.values()
    instance.update(status="preempted")
    assert make(home="other machine").present(KIMI, B200)["changed"]
    assert server.api.rulesets == {}


def test_a_lost_launch_that_appears_under_another_name_blocks_until_it_is_released(
    server: LambdaServer, make: Make
) -> None:
    server.faults = [Fault("cut_after", path=LAUNCH)]
    server.api.launched_as = {"name": "other"}
    with pytest.raises(LambdaError, match=r"its name is 'other', not 'kimi'.*bills at"):
        make().present(KIMI, B200)
    server.api.launched_as = {}
    with pytest.raises(LambdaError, match=r"was launched with name 'kimi', which does not match it any more.*bills"):
        make().present(KIMI, B200)
    (instance,) = server.running()
    make().absent(Identity(id=instance["id"]), force=False)
    assert server.api.rulesets == {}
    assert make().present(KIMI, B200)["changed"]


def test_a_launch_that_cannot_be_marked_says_so(server: LambdaServer, make: Make) -> None:
    server.faults = [Fault("cut_before", path=LAUNCH), Fault("status", "POST", "/firewall", status=403)]
    with pytest.raises(LambdaError, match="Other machines do not know of this launch"):
        make().present(KIMI, B200)


def test_a_launch_that_was_never_sent_blocks_nothing(make: Make, tmp_path: Path) -> None:
    manager = make()
    send = manager._client._transport.send

    def refuse(method: str, url: str, *more: Any) -> Any:
        if url.endswith(LAUNCH):
            raise TransportError("ConnectionRefusedError", sent=False)
        return send(method, url, *more)

    manager._client._transport.send = refuse  # type: ignore[method-assign, assignment]
    with pytest.raises(LambdaError, match="Nothing was launched"):
        manager.present(KIMI, B200)
    assert journal(tmp_path)[-1]["event"] == "refused"
    assert make().present(KIMI, B200)["changed"]


@pytest.mark.parametrize("cut", [b'{"event": "launching", "identi', b"\0" * 40 + b"\n", b'{"event": "launching"}\n'])
def test_a_journal_that_cannot_be_read_blocks_a_launch(
    server: LambdaServer, make: Make, tmp_path: Path, cut: bytes
) -> None:
    make().present(KIMI, B200)
    make().absent(KIMI, force=False)
    path = tmp_path / "state" / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + cut)
    for check in (True, False):
        with pytest.raises(LambdaError, match=rf"{path} cannot be read in line 5\. .*so nothing is launched"):
            make(check=check).present(KIMI, B200)
    assert server.api.launches == 1
    assert make().present(KIMI, B200, force=True)["changed"]
    make().absent(KIMI, force=False)
    assert make().present(KIMI, B200)["changed"], "a person has decided once"


def test_a_full_disk_launches_nothing(
    server: LambdaServer, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes half a line, and then no more."""
    write, left = os.write, [40]

    def fill(descriptor: int, content: bytes) -> int:
        if not os.readlink(f"/proc/self/fd/{descriptor}").endswith("journal.jsonl"):
            return write(descriptor, content)
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written, left[0] = write(descriptor, content[: left[0]]), 0
        return written

    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(LambdaError, match=r"cannot be written \(No space left on device\).*Nothing was launched"):
        make().present(KIMI, B200)
    assert server.api.launches == 0
    assert (tmp_path / "state" / "journal.jsonl").read_bytes() == b""
    monkeypatch.undo()
    assert make().present(KIMI, B200)["changed"]


KIND = {"name": "gpu_8x_h100", "price_cents_per_hour": 4592}


@pytest.mark.parametrize("terminate", [False, True])
@pytest.mark.parametrize(
    ("real", "words"),
    [
        ({"instance_type": KIND}, "it is a gpu_8x_h100, not a gpu_8x_b200_sxm6"),
        (
            {"instance_type": {**KIND, "name": B200.type, "price_cents_per_hour": 6100}},
            "it costs 61.00 USD an hour, more",
        ),
        ({"region": {"name": "us-west-1"}}, "it is in us-west-1, not in us-east-1"),
        ({"image": {"id": "i", "family": "lambda-stack-24-04"}}, "its image is lambda-stack-24-04, not gpu-base-24-04"),
        ({"name": "kimi-2"}, "its name is 'kimi-2', not 'kimi'"),
        ({"ssh_key_names": ["other"]}, "its SSH key is other, not laptop"),
        ({"firewall_rulesets": [{"id": "open"}]}, "its firewall rule sets are open, not none"),
        ({"tags": []}, "it lacks the tag hgx-expires-at"),
    ],
)
def test_another_instance_than_was_asked_for(
    server: LambdaServer, make: Make, real: dict[str, Any], words: str, terminate: bool
) -> None:
    server.api.launched_as = real
    manager = make(mismatch=terminate)
    with pytest.raises(LambdaError, match=words) as caught:
        manager.present(KIMI, replace(B200, max_price_per_hour=60))
    if terminate:
        assert "was terminated, as terminate_on_mismatch asks" in str(caught.value)
        server.api.advance()
        assert server.running() == []
        server.api.launched_as = {}
        assert make().present(KIMI, B200)["changed"]
        return
    assert "bills at" in str(caught.value) and "set terminate_on_mismatch" in str(caught.value)
    if "tag" not in words and "image" not in words and "rule sets" not in words:
        with pytest.raises(LambdaError):
            make().present(KIMI, replace(B200, max_price_per_hour=60, ssh_key="laptop", regions=["us-east-1"]))
    assert server.api.launches == 1


def test_what_only_looks_odd_warns(server: LambdaServer, make: Make) -> None:
    server.api.launched_as = {"instance_type": {"name": "gpu_8x_b200_sxm6", "price_cents_per_hour": 4600}}
    manager = make()
    assert manager.present(KIMI, replace(B200, max_price_per_hour=60))["changed"]
    (warning,) = manager._account.warnings
    assert warning.endswith("it costs 46.00 USD an hour; offered were 45.92.")
    make().absent(KIMI, force=False)
    server.api.launched_as = {"instance_type": None}
    manager = make()
    assert manager.present(KIMI, B200)["changed"]
    assert [line.partition(": ")[2][:30] for line in manager._account.warnings] == [
        "the API gives no price for it;",
        "the API does not say its type.",
    ]


@pytest.mark.parametrize("home", ["state", "other machine"])
def test_one_launch_that_makes_two_instances_leaves_one(server: LambdaServer, make: Make, home: str) -> None:
    server.api.twins = 1
    manager = make(home=home)
    if home != "state":  # the answer names one of them only, as where a proxy has sent the request twice
        post = manager._launcher._post_launch
        manager._launcher._post_launch = lambda body: (post(body)[0][1:], "")  # type: ignore[method-assign]
    assert manager.present(KIMI, B200)["changed"]
    server.api.advance()
    assert len(server.running()) == 1
    assert "was terminated" in manager._account.warnings[0]


def test_an_earlier_launch_that_is_listed_late_wins(server: LambdaServer, make: Make) -> None:
    """It was made on another machine that is cut off; this run meets it once its own instance is ready."""

    def report(line: str) -> None:
        if "SSH awaited" in line:
            server.api.add(name="kimi", tags=[{"key": "hgx-launch", "value": "0000000000001-x"}])
            manager._probe = lambda host, port: True

    manager = make(ssh=False, report=report)
    result = manager.present(KIMI, B200)
    server.api.advance()
    (instance,) = server.running()
    assert result["instance"] is not None
    assert result["instance"]["id"] == instance["id"]
    assert "was terminated, because another launch of this name was earlier" in manager._account.warnings[0]


def test_another_instance_of_the_name_that_appears_meanwhile_is_told(server: LambdaServer, make: Make) -> None:
    def report(line: str) -> None:
        if "SSH awaited" in line:
            server.api.add(name="kimi")
            manager._probe = lambda host, port: True

    manager = make(ssh=False, report=report)
    assert manager.present(KIMI, B200)["changed"]
    assert "run, too, and bill: kimi" in manager._account.warnings[0]
    assert len(server.running()) == 2


def test_a_termination_without_effect_is_told(server: LambdaServer, make: Make) -> None:
    server.api.deaf_to = {"terminate"}
    with pytest.raises(LambdaError, match=r"was told to terminate.*but it still runs and bills at 45\.92"):
        make(ssh=False, terminate=True, wait_s=60).present(KIMI, B200)
    with pytest.raises(LambdaError, match="was told to terminate, but still exists"):
        make(wait_s=30).absent(KIMI, force=False)


def test_a_release_is_over_when_the_list_says_so(server: LambdaServer, make: Make) -> None:
    make().present(KIMI, B200)
    server.api.deaf_to = {"terminate"}
    manager = make(wait_s=30)
    manager._account.get = lambda id_, limit_s=None: None  # type: ignore[method-assign]
    with pytest.raises(LambdaError, match="still exists"):
        manager.absent(KIMI, force=False)


def test_a_restart_without_effect_is_told(server: LambdaServer, make: Make) -> None:
    make().present(KIMI, B200)
    server.api.deaf_to = {"restart"}
    with pytest.raises(LambdaError, match="does not list it as restarted"):
        make().restarted(KIMI, force=False)


@pytest.mark.parametrize("hours", [float("nan"), float("inf"), -1, 1e12])
def test_a_lifetime_that_is_no_time(server: LambdaServer, make: Make, hours: float) -> None:
    with pytest.raises(LambdaError, match=r"lifetime_hours is .*Nothing was launched"):
        make().present(KIMI, replace(B200, lifetime_hours=hours))
    assert server.api.launches == 0


def test_a_run_that_was_killed_after_the_launch(server: LambdaServer, make: Make) -> None:
    """Its instance is not in the list yet when the next run looks; the journal makes that wait."""
    first = make()
    server.faults = [Fault("lagging", path=LAUNCH, seconds=0.03)]

    def die(*_args: Any) -> None:
        raise KeyboardInterrupt

    first._launcher._look_for = die  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        first.present(KIMI, B200)
    assert not make().present(KIMI, B200)["changed"]
    assert server.api.launches == 1


def test_a_lost_launch_that_is_released_by_its_id_is_settled(server: LambdaServer, make: Make) -> None:
    first = make()
    first._launcher._follow = lambda *_args: die()  # type: ignore[method-assign]

    def die() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.present(KIMI, B200)
    (instance,) = server.running()
    assert make().absent(Identity(id=instance["id"]), force=False)["changed"]
    assert make().present(KIMI, B200)["changed"]


def test_a_release_and_a_new_launch_need_no_waiting(server: LambdaServer, make: Make) -> None:
    make().present(KIMI, B200)
    make().absent(KIMI, force=False)
    manager = make()
    assert manager.present(KIMI, B200)["changed"]
    assert server.api.launches == 2
    assert len(server.running()) == 1


def test_too_many_requests_at_the_launch(server: LambdaServer, make: Make) -> None:
    server.faults = [Fault("status", path=LAUNCH, status=429, times=2)]
    assert make().present(KIMI, B200)["changed"]
    assert server.api.launches == 1


def test_a_storm_of_429_at_the_launch_ends(server: LambdaServer, make: Make) -> None:
    server.faults = [Fault("status", path=LAUNCH, status=429, times=1000)]
    with pytest.raises(LambdaError, match=r"\(429\).* Nothing was launched"):
        make().present(KIMI, B200)
    assert server.count("POST", LAUNCH) < 10


@pytest.mark.parametrize("kind", ["status", "malformed"])
def test_storms_while_looking(server: LambdaServer, make: Make, kind: str) -> None:
    server.faults = [Fault(kind, method="GET", status=429, times=2) for _kind in range(3)]
    assert make().present(KIMI, B200)["changed"]


def test_a_full_region_is_passed_over(server: LambdaServer, make: Make) -> None:
    server.api.full = {"us-east-1"}
    result = make().present(KIMI, B200)
    assert result["instance"] is not None
    assert result["instance"]["region"] == "us-west-1"


def test_no_capacity_is_told_at_once(server: LambdaServer, make: Make) -> None:
    server.api.capacity["gpu_8x_b200_sxm6"] = ["us-west-1"]
    with pytest.raises(LambdaError, match=r"no free gpu_8x_b200_sxm6 in us-east-1.*There is capacity in us-west-1"):
        make().present(KIMI, Wanted(type="gpu_8x_b200_sxm6", regions=["us-east-1"]))
    assert server.count("POST", LAUNCH) == 0


def test_capacity_is_waited_for(server: LambdaServer, make: Make) -> None:
    server.api.capacity["gpu_8x_b200_sxm6"] = []
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        if "no free" in line and len(lines) == 3:
            server.api.capacity["gpu_8x_b200_sxm6"] = ["us-west-1"]

    assert make(report=report, capacity_s=600).present(KIMI, B200)["changed"]
    assert lines[0] == "no free gpu_8x_b200_sxm6 yet, trying for another 10 min"


def test_nothing_is_bought_for_nobody(server: LambdaServer, make: Make) -> None:
    def report(line: str) -> None:
        raise ControllerGone("Nobody has watched this task for 121 s; it was stopped.")

    with pytest.raises(ControllerGone):
        make(report=report, capacity_s=600).present(KIMI, B200)
    assert server.count("POST", LAUNCH) == 0


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(), "no instance_type that could be launched"),
        (Wanted(type="gpu_9x"), "no instance type 'gpu_9x'"),
        (Wanted(type="gpu_8x_b200_sxm6", max_price_per_hour=40), "more than max_price_per_hour"),
        (Wanted(type="gpu_1x_a10", ssh_key="other"), "no SSH key 'other'. The account has laptop"),
        (Wanted(type="gpu_1x_a10", file_systems=["nfs"]), "no file system nfs"),
        (Wanted(type="gpu_1x_a10", file_systems=["east", "west"]), "must be in one region, but east in us-east-1"),
        (Wanted(type="gpu_1x_a10", firewall_rulesets=["open"]), "no firewall rule set open in us-east-1"),
        (Wanted(type="gpu_1x_a10", image_family="typo"), "image: Not an image."),
    ],
)
def test_refusals_before_anything_is_bought(server: LambdaServer, make: Make, wanted: Wanted, words: str) -> None:
    server.api.file_systems = {"east": "us-east-1", "west": "us-west-1"}
    with pytest.raises(LambdaError, match=words):
        make().present(KIMI, wanted)
    assert server.api.launches == 0


def test_several_ssh_keys_need_a_choice(server: LambdaServer, make: Make) -> None:
    server.api.ssh_keys = ["b", "a"]
    with pytest.raises(LambdaError, match=r"Name the SSH key .* has a, b"):
        make().present(KIMI, B200)


def test_file_systems_and_rule_sets_go_with_the_region(server: LambdaServer, make: Make) -> None:
    server.api.file_systems = {"weights": "us-west-1"}
    server.api.answer("POST", "/firewall-rulesets", {"name": "api", "region": "us-west-1", "rules": []})
    wanted = Wanted(type="gpu_1x_a10", file_systems=["weights"], firewall_rulesets=["api"], user_data="#cloud-config")
    result = make().present(KIMI, wanted)
    assert result["instance"] is not None
    assert result["instance"]["region"] == "us-west-1"
    assert result["instance"]["firewall_rulesets"] == list(server.api.rulesets)


def test_rule_sets_of_one_name_are_ambiguous(server: LambdaServer, make: Make) -> None:
    made = server.api.answer("POST", "/firewall-rulesets", {"name": "api", "region": "us-west-1", "rules": []})
    server.api.rulesets["twin"] = {**made, "id": "twin"}
    wanted = Wanted(type="gpu_1x_a10", regions=["us-west-1"], firewall_rulesets=["api"])
    with pytest.raises(LambdaError, match=r"several firewall rule sets of one name in us-west-1: 2 named api.*Nothing"):
        make().present(KIMI, wanted)
    assert server.api.launches == 0


def test_check_mode_tells_the_price_and_buys_nothing(server: LambdaServer, make: Make, tmp_path: Path) -> None:
    plan = make(check=True).present(KIMI, B200)
    assert plan["changed"]
    assert plan["price_usd_per_hour"] == 45.92
    assert plan["msg"] == (
        "Would launch a gpu_8x_b200_sxm6 with name 'kimi' in us-east-1, for 45.92 USD an hour, "
        "183.68 USD until it expires."
    )
    assert server.api.launches == 0
    assert not (tmp_path / "state" / "journal.jsonl").exists()
    make().present(KIMI, B200)
    assert not make(check=True).present(KIMI, B200)["changed"]
    assert make(check=True).absent(KIMI, force=False)["changed"]
    assert make(check=True).restarted(KIMI, force=False)["changed"]
    assert len(server.running()) == 1


def test_another_instance_of_that_name(server: LambdaServer, make: Make) -> None:
    server.api.add(name="kimi")
    with pytest.raises(LambdaError, match=r"it is a gpu_8x_b200_sxm6, not a gpu_1x_a10.*Nothing was launched"):
        make().present(KIMI, Wanted(type="gpu_1x_a10"))
    server.api.add(name="kimi")
    with pytest.raises(LambdaError, match="2 running instances have name 'kimi', and each of them bills"):
        make().present(KIMI, B200)


def test_tags_of_an_instance_can_be_added_where_the_api_takes_them(server: LambdaServer, make: Make) -> None:
    server.api.takes_tags = True
    tag = Wanted(type="gpu_8x_b200_sxm6", tags={"team": "a"})
    make().present(KIMI, B200)
    result = make().present(KIMI, tag)
    assert result["changed"]
    assert result["diff"]["after"]["tags"]["team"] == "a"
    assert result["instance"]
    assert result["instance"]["tags"]["team"] == "a"
    assert {"key": "team", "value": "a"} in server.running()[0]["tags"]
    assert {"key": "hgx-owner", "value": "eve"} in server.running()[0]["tags"]
    assert server.running()[0]["name"] == "kimi"
    assert not make().present(KIMI, tag)["changed"]


def refuse_fields() -> Fault:
    return Fault("status", method="POST", path="/instances/", status=400, code="global/invalid-parameters")


@pytest.mark.parametrize("faults", [[], [refuse_fields()]], ids=["passed over", "refused"])
def test_tags_that_the_api_does_not_take_are_told(server: LambdaServer, make: Make, faults: list[Fault]) -> None:
    launched = make().present(KIMI, B200)["instance"]
    assert launched is not None
    later = Wanted(type="gpu_8x_b200_sxm6", tags={"hgx-expires-at": "2099-01-01T00:00:00Z"})
    server.faults = faults
    words = f"did not change hgx-expires-at of kimi.*still expires at {launched['expires_at']}, and is then released by"
    with pytest.raises(LambdaError, match=words):
        make().present(KIMI, later)
    assert make(check=True).present(KIMI, later)["msg"].startswith("Would try to tag kimi")
    assert not make().present(KIMI, B200)["changed"]


def test_an_expiry_that_is_given_is_not_overwritten(make: Make) -> None:
    wanted = Wanted(type="gpu_8x_b200_sxm6", lifetime_hours=8, tags={"hgx-expires-at": "2099-01-01T00:00:00Z"})
    assert "45.92 USD an hour, until 2099-01-01T00:00:00Z." in make(check=True).present(KIMI, wanted)["msg"]
    launched = make().present(KIMI, wanted)["instance"]
    assert launched is not None
    assert launched["expires_at"] == "2099-01-01T00:00:00Z"
    assert not make().present(KIMI, wanted)["changed"]


def test_a_node_of_another_owner_is_left_alone(server: LambdaServer, make: Make) -> None:
    make().present(KIMI, B200)
    words = "belongs to eve, not to bob, so it is not"
    for check in (True, False):
        with pytest.raises(LambdaError, match=f"{words} adopted.*HGX_OWNER.*another name"):
            make(check=check).present(KIMI, Wanted(type="gpu_1x_a10", owner="bob"))
        with pytest.raises(LambdaError, match=f"{words} terminated.*force=true"):
            make(check=check).absent(KIMI, force=False, owner="bob")
        with pytest.raises(LambdaError, match=f"{words} restarted.*force=true"):
            make(check=check).restarted(KIMI, force=False, owner="bob")
    assert server.count("POST", "/instance-operations/restart") == 0
    assert len(server.running()) == 1
    assert make().restarted(KIMI, force=True, owner="bob")["changed"]
    assert make().absent(KIMI, force=True, owner="bob")["changed"]
    make().present(KIMI, B200)
    assert make().absent(KIMI, force=False, owner="eve")["changed"]


def test_a_node_without_an_owner_is_anybodys(server: LambdaServer, make: Make) -> None:
    server.api.add(name="kimi", tags=[{"key": "hgx-managed-by", "value": "hgx.inference"}])
    assert not make().present(KIMI, B200)["changed"]
    assert make().absent(KIMI, force=False, owner="bob")["changed"]


def test_by_tag(make: Make) -> None:
    identity = Identity(tags={"role": "kimi"})
    assert make().present(identity, B200)["changed"]
    assert not make().present(identity, B200)["changed"]
    assert make().absent(identity, force=False)["changed"]


@pytest.mark.parametrize("terminate", [False, True])
def test_a_node_that_does_not_get_ready(server: LambdaServer, make: Make, terminate: bool) -> None:
    words = "was terminated, as terminate_on_failure asks" if terminate else "bills at 45.92 USD an hour until"
    with pytest.raises(LambdaError, match=f"an answer on port 22 of 127.0.0.1.*{words}"):
        make(ssh=False, terminate=terminate, wait_s=60).present(KIMI, B200)
    server.api.advance()
    assert len(server.running()) == (0 if terminate else 1)


def no_answers(server: LambdaServer, manager: Manager) -> None:
    server.faults = [Fault("status", method="GET", path="/instances/", status=503, times=1000)]


def full_disk(server: LambdaServer, manager: Manager) -> None:
    add = manager._account.journal.add

    def fail(event: str, **facts: Any) -> None:
        if event != "launching":
            raise OSError(28, "No space left on device")
        add(event, **facts)

    manager._account.journal.add = fail  # type: ignore[method-assign]


def gone_controller(server: LambdaServer, manager: Manager) -> None:
    def report(line: str) -> None:
        if line.startswith("launched"):
            raise ControllerGone("Nobody has watched this task.")

    manager._account.report = report


@pytest.mark.parametrize("spoil", [no_answers, full_disk, gone_controller])
@pytest.mark.parametrize("terminate", [False, True])
def test_a_failure_before_the_node_was_seen(
    server: LambdaServer, make: Make, spoil: Callable[[LambdaServer, Manager], None], terminate: bool
) -> None:
    manager = make(terminate=terminate)
    spoil(server, manager)
    with pytest.raises(LambdaError) as caught:
        manager.present(KIMI, B200)
    (id_,) = server.api.instances
    what = f"kimi ({id_}, gpu_8x_b200_sxm6 in us-east-1)"
    words = "was terminated, as terminate_on_failure asks" if terminate else "bills at 45.92 USD an hour until"
    assert f"{what} {words}" in str(caught.value)
    assert len(server.running()) == (0 if terminate else 1)


def hide(server: LambdaServer) -> None:
    """Let the next launch make an instance that the API does not show."""
    server.faults = [Fault("lagging", path=LAUNCH, seconds=1000)]


def test_a_node_that_is_not_shown_is_not_called_terminated(server: LambdaServer, make: Make) -> None:
    hide(server)
    with pytest.raises(LambdaError, match=r"NOT be terminated, because the API does not know it yet; it may bill"):
        make(terminate=True).present(KIMI, B200)


def test_nothing_is_bought_in_place_of_a_node_that_is_not_shown(server: LambdaServer, make: Make) -> None:
    hide(server)
    with pytest.raises(LambdaError, match=r"has launched \w+ but does not list it"):
        make().present(KIMI, B200)
    later = make()
    other = make(home="other machine")
    with pytest.raises(LambdaError, match="no other is launched"):
        other.present(KIMI, B200)
    later._clock.skipped = 600  # type: ignore[attr-defined]
    words = r"1\d min ago, .* so no other is launched"
    with pytest.raises(LambdaError, match=words):
        later.present(KIMI, B200)
    with pytest.raises(LambdaError, match=words):
        later.absent(KIMI, force=False)
    server.api._hidden.clear()
    assert not later.present(KIMI, B200)["changed"]
    assert server.api.launches == 1


def test_a_node_that_is_never_shown_is_given_up(server: LambdaServer, make: Make) -> None:
    hide(server)
    with pytest.raises(LambdaError):
        make().present(KIMI, B200)
    much_later = make()
    much_later._clock.skipped = 3700  # type: ignore[attr-defined]
    assert much_later.present(KIMI, B200)["changed"]


@pytest.mark.parametrize(
    "change", [{"status": "terminated"}, {"name": "other"}, {}], ids=["ended", "renamed", "unknown"]
)
def test_a_node_that_was_seen_and_is_gone_is_no_obstacle(
    server: LambdaServer, make: Make, change: dict[str, str]
) -> None:
    make().present(KIMI, B200)
    if change:
        next(iter(server.api.instances.values())).update(change)
    else:
        server.api.instances.clear()
    later = make()
    later._clock.skipped = 120  # type: ignore[attr-defined]
    assert later.present(KIMI, B200)["changed"]


def test_a_node_that_the_list_omits_is_known_by_its_id(server: LambdaServer, make: Make) -> None:
    make().present(KIMI, B200)
    later = make()
    later._clock.skipped = 120  # type: ignore[attr-defined]
    later._account.find_one = lambda identity: None  # type: ignore[method-assign]
    assert not later.present(KIMI, B200)["changed"]
    assert server.api.launches == 1


def test_an_adopted_node_is_never_terminated(server: LambdaServer, make: Make) -> None:
    make().present(KIMI, B200)
    with pytest.raises(LambdaError, match="were not enough"):
        make(ssh=False, terminate=True, wait_s=60).present(KIMI, B200)
    assert len(server.running()) == 1


@pytest.mark.parametrize("status", ["unhealthy", "terminating", "preempted"])
def test_a_node_that_fails_while_it_boots(server: LambdaServer, make: Make, status: str) -> None:
    def report(line: str) -> None:
        if "awaited" in line:
            next(iter(server.api.instances.values())).update(status=status)
            server.api.terminate_s = 60

    with pytest.raises(LambdaError, match=f"is {status} instead of active") as caught:
        make(ssh=False, report=report).present(KIMI, B200)
    assert ("bills at" in str(caught.value)) is (status == "unhealthy")
    assert ("no longer billed" in str(caught.value)) is (status == "preempted")


def test_release(server: LambdaServer, make: Make, tmp_path: Path) -> None:
    make().present(KIMI, B200)
    server.faults = [Fault("cut_after", path="/instance-operations/terminate")]
    result = make().absent(KIMI, force=False)
    assert result["changed"]
    assert "Terminated kimi" in result["msg"]
    assert "It has cost about 0.0" in result["msg"]
    assert server.running() == []
    assert not make().absent(KIMI, force=False)["changed"]
    assert journal(tmp_path)[-1]["event"] == "terminating"


def test_a_release_right_after_an_interrupted_launch(server: LambdaServer, make: Make) -> None:
    """The instance is not in the list yet when the release looks; the journal makes that wait."""
    manager = make()
    gone_controller(server, manager)
    server.faults = [Fault("lagging", path=LAUNCH, seconds=0.03)]
    with pytest.raises(LambdaError, match="Nobody has watched"):
        manager.present(KIMI, B200)
    assert make().absent(KIMI, force=False)["changed"]
    assert server.running() == []


def test_a_release_waits_for_a_run_that_may_launch(make: Make) -> None:
    with make()._account.alone(KIMI, 1), pytest.raises(LambdaError, match="Another run has been working"):
        make(wait_s=5).absent(KIMI, force=False)


@pytest.mark.parametrize("state", ["absent", "restarted"])
def test_what_others_launched_is_left_alone(server: LambdaServer, make: Make, state: str) -> None:
    id_ = server.api.add(name="kimi")["id"]
    with pytest.raises(LambdaError, match="was not launched by this collection"):
        getattr(make(), state)(KIMI, force=False)
    assert len(server.running()) == 1
    assert getattr(make(), state)(Identity(id=id_), force=True)["changed"]


def test_release_needs_a_unique_name(server: LambdaServer, make: Make) -> None:
    ids = [server.api.add(name="kimi", tags=[{"key": "hgx-managed-by", "value": "hgx.inference"}])["id"] for _n in "ab"]
    with pytest.raises(LambdaError, match="Give the id of the one you mean"):
        make().absent(KIMI, force=True)
    make().absent(Identity(id=ids[0]), force=False)
    assert [one["id"] for one in server.running()] == [ids[1]]


def test_a_release_that_does_not_end(server: LambdaServer, make: Make) -> None:
    make().present(KIMI, B200)
    server.api.terminate_s = 60
    with pytest.raises(LambdaError, match=r"still exists after 30 s.*may still be billed"):
        make(wait_s=30).absent(KIMI, force=False)


def test_restart(server: LambdaServer, make: Make) -> None:
    with pytest.raises(LambdaError, match="no running instance with name 'kimi' that could be restarted"):
        make().restarted(KIMI, force=False)
    make().present(KIMI, B200)
    assert make().restarted(KIMI, force=False)["changed"]
    assert server.count("POST", "/instance-operations/restart") == 1


def test_an_id_cannot_be_launched(make: Make) -> None:
    with pytest.raises(LambdaError, match="Give a name to launch one"):
        make().present(Identity(id="0123"), B200)


def test_a_lock_that_is_held_too_long(make: Make) -> None:
    manager = make(wait_s=5)
    with (
        manager._account.alone(KIMI, 1),
        pytest.raises(LambdaError, match="Another run has been working on the instance with name 'kimi' for 5 s"),
    ):
        make(wait_s=5).present(KIMI, B200)
