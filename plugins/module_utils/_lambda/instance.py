# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ensure that one instance is present, absent or restarted."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict
from urllib.parse import quote

from . import records
from .account import Account
from .client import ApiError, LambdaError, Repeat, poll
from .launch import Launched, Launcher, Plan, Wanted, precedence, token_of
from .records import Identity, Instance

# How often to poll, in request intervals; with Lambda's rate limit these are seconds.
POLL = 5
PROBE_TIMEOUT_S = 5.0
ENDED = ("terminated", "preempted")


@dataclass(frozen=True)
class Limits:
    """Times in seconds."""

    wait_s: float = 1800
    capacity_s: float = 0
    ssh_port: int = 22  # 0: do not wait for SSH


class Outcome(TypedDict):
    changed: bool
    msg: str
    instance: Instance | None
    price_usd_per_hour: float | None
    diff: dict[str, dict[str, Any]]


def answers_ssh(address: str, port: int) -> bool:
    """Return whether an SSH server answers."""
    try:
        with socket.create_connection((address, port), timeout=PROBE_TIMEOUT_S) as connection:
            connection.settimeout(PROBE_TIMEOUT_S)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


class Manager:
    """Ensures the state of an instance, or predicts the change in check mode."""

    def __init__(
        self,
        account: Account,
        limits: Limits,
        check_mode: bool = False,
        terminate_on_failure: bool = False,
        terminate_on_mismatch: bool = False,
        probe: Callable[[str, int], bool] = answers_ssh,
    ) -> None:
        self._account = account
        self._client = account.client
        self._clock = account.clock
        self._launcher = Launcher(account, terminate_on_failure, terminate_on_mismatch)
        self._limits = limits
        self._check = check_mode
        self._probe = probe

    def present(self, identity: Identity, wanted: Wanted, force: bool = False) -> Outcome:
        """Ensure that exactly one such instance exists, is active and answers SSH.

        With C(force), an earlier launch of unknown outcome does not block another one.
        """
        if self._check:
            found = self._account.find_one(identity) or self._launcher.settle(identity, force, wait=False)
            return self._keep(found, wanted) if found else planned(self._launcher.prepare(identity, wanted))
        with self._account.alone(identity, self._limits.wait_s + self._limits.capacity_s):
            found = self._launcher.settled(identity) or self._launcher.settle(identity, force)
            if found is None:
                launched = self._launcher.launch(self._launcher.prepare(identity, wanted), self._limits.capacity_s)
            else:
                launched = Launched(found, False, {})
                self._account.saw(found)
        if launched.own:
            with self._launcher.owned_up(launched.instance, identity):
                ready = self._wait_ready(launched.instance)
                self._launcher.require_asked(ready, launched.asked, wanted.max_price_per_hour)
                launched = self._launcher.still_sole(ready, identity)
        if not launched.own:
            return self._adopt(launched.instance, identity, wanted)
        msg = f"Launched {records.described(ready)} for {records.priced(ready)}. It bills until it is released."
        return outcome(True, msg, ready, after=summary(ready))

    def _adopt(self, found: Instance, identity: Identity, wanted: Wanted) -> Outcome:
        """Adopt the existing instance. If its run yields to an earlier launch meanwhile, adopt that one instead."""
        while True:
            kept: Outcome | LambdaError
            try:
                kept = self._keep(found, wanted)
            except LambdaError as exc:
                kept = exc
            listed = self._account.find(identity)
            first = min(filter(token_of, listed), key=precedence, default=found)
            is_listed = any(one["id"] == found["id"] for one in listed)
            if first["id"] == found["id"] or (is_listed and precedence(found) < precedence(first)):
                if isinstance(kept, LambdaError):
                    raise kept
                return kept
            found = first

    def _keep(self, found: Instance, wanted: Wanted) -> Outcome:
        """Adopt the existing instance. Only its tags can still be changed."""
        require_owner(found, wanted.owner, "adopted")
        require_same(found, wanted)
        tags = {**found["tags"], **wanted.tags}
        changed = tags != found["tags"]
        ready = found if self._check else self._wait_ready(self._tag(found, tags) if changed else found)
        verb = "Would try to tag" if self._check else "Tagged"
        what = f"{verb} {records.described(ready)}" if changed else f"{records.described(ready)} is there"
        before, after = ({"tags": found["tags"]}, {"tags": tags}) if changed else ({}, {})
        return outcome(changed, f"{what}, for {records.priced(ready)}.", ready, before, after)

    def _tag(self, found: Instance, tags: dict[str, str]) -> Instance:
        """Change the tags and verify the change, because the API documents only a change of the name."""
        # The name is sent, too, because an API that replaces all fields would clear it.
        body = {**({"name": found["name"]} if found["name"] else {}), "tags": records.render_tags(tags)}
        try:
            self._client.call("POST", f"/instances/{quote(found['id'], safe='')}", body)
        except ApiError as exc:
            if exc.status >= 500:
                raise
            raise LambdaError(f"{exc} {records.explain_kept_tags(found, tags)}") from exc
        seen = found
        for _left_s in poll(self._clock, self._account.every(POLL), self._account.every(1)):
            seen = self._account.get(found["id"]) or seen
            if tags.items() <= seen["tags"].items():
                return seen
        raise LambdaError(records.explain_kept_tags(seen, tags))

    def _wait_ready(self, instance: Instance) -> Instance:
        """Return the instance once it is active and answers SSH."""
        current: Instance | None = instance
        port = self._limits.ssh_port
        seen = instance
        for left_s in poll(self._clock, self._limits.wait_s, self._account.every(POLL)):
            if current is not None:
                seen = current
            if seen["status"] in records.GONE:
                raise LambdaError(
                    f"{records.described(seen)} is {seen['status']} instead of active. Run again to launch another."
                )
            if seen["status"] == "unhealthy":
                raise LambdaError(
                    f"{records.described(seen)} is unhealthy instead of active. Restart it in the Lambda console, or "
                    "release it and launch another."
                )
            address = seen["ip"]
            if seen["status"] == "active" and (not port or (address and self._probe(address, port))):
                return seen
            missing = f"{seen['status']}, {address or 'no address yet'}"
            self._account.report(f"{seen['name'] or seen['id']}: {missing}, {'active' if not port else 'SSH'} awaited")
            current = self._account.get(instance["id"], max(1.0, left_s))
        wanted = f"an answer on port {port} of {seen['ip']}" if seen["status"] == "active" else "it to become active"
        raise LambdaError(
            f"{records.described(seen)} is {seen['status']}; {self._limits.wait_s:.0f} s were not enough for {wanted}. "
            "Check it in the Lambda console, or allow more time with wait_timeout (in the role "
            "lambda_node_wait_timeout_s)."
        )

    def absent(self, identity: Identity, force: bool, owner: str | None = None) -> Outcome:
        """Ensure that there is no such instance. Needs C(force) for one of another owner or of another launcher."""
        if self._check:
            found = self._account.find_one(identity)
            require_releasable(found, force, owner)
        else:
            # An instance of a launch that is in progress or was interrupted could appear later and be billed.
            with self._account.alone(identity, self._limits.wait_s):
                found = self._account.find_one(identity) or self._launcher.settle(identity, force)
                require_releasable(found, force, owner)
                if found is not None:
                    self._account.saw(found)
                    self._account.terminate(found, "asked for")
        if found is None:
            others = [records.described(one) for one in self._account.running()]
            billing = f" Others run, and bill: {'; '.join(others)}." if others else ""
            return outcome(False, f"There is no running instance with {identity}.{billing}", None)
        cost = records.cost_usd(found, self._clock.time())
        total = "" if cost is None else f" It has cost about {cost:.2f} USD."
        if self._check:
            return outcome(True, f"Would terminate {records.described(found)}.{total}", found, summary(found))
        for _left_s in poll(self._clock, self._limits.wait_s, self._account.every(POLL)):
            current = self._account.get(found["id"])
            if current is None or current["status"] in ENDED:
                # An API that does not know the ID for a moment may still list the instance.
                current = next((one for one in self._account.running() if one["id"] == found["id"]), None)
            if current is None:
                self._account.forget_mark(found)
                msg = f"Terminated {records.described(found)}.{total}"
                return outcome(True, msg, {**found, "status": "terminated"}, summary(found))
            self._account.report(f"{found['name'] or found['id']}: {current['status']}")
        raise LambdaError(
            f"{records.described(found)} was told to terminate, but still exists after {self._limits.wait_s:.0f} s. "
            "Check the Lambda console: it may still be billed."
        )

    def restarted(self, identity: Identity, force: bool, owner: str | None = None) -> Outcome:
        found = self._account.find_one(identity)
        if found is None:
            raise LambdaError(f"There is no running instance with {identity} that could be restarted.")
        require_managed(found, force, "restarted")
        require_owner(found, owner, "restarted", force)
        change: tuple[dict[str, Any], dict[str, Any]] = {"status": found["status"]}, {"status": "restarted"}
        if self._check:
            return outcome(True, f"Would restart {records.described(found)}.", found, *change)
        self._account.note("restarting", identity, id=found["id"])
        body = {"instance_ids": [found["id"]]}
        answer = self._client.call("POST", "/instance-operations/restart", body, Repeat.REFUSED)
        restarted = answer.get("restarted_instances") if isinstance(answer, dict) else None
        ids = [one.get("id") for one in restarted if isinstance(one, dict)] if isinstance(restarted, list) else None
        if ids is not None and found["id"] not in ids:
            raise LambdaError(
                f"Lambda has accepted the restart of {records.described(found)}, but does not list it as restarted. "
                "Check it in the Lambda console."
            )
        # Until the restart begins, the API reports "active" and the old SSH server still answers.
        self._clock.sleep(self._account.every(POLL))
        ready = self._wait_ready(self._account.get(found["id"]) or found)
        return outcome(True, f"Restarted {records.described(ready)}.", ready, *change)


def require_same(found: Instance, wanted: Wanted) -> None:
    problems = records.differences(
        found, wanted.type, wanted.regions, wanted.ssh_key, wanted.file_systems, wanted.max_price_per_hour
    )
    if problems:
        raise LambdaError(
            f"{records.described(found)} exists, but {'; '.join(problems)}. These cannot be changed: "
            "give another name to launch a second one, or release this one first. Nothing was launched."
        )


def require_managed(found: Instance, force: bool, verb: str) -> None:
    if not found["managed"] and not force:
        raise LambdaError(
            f"{records.described(found)} was not launched by this collection (it lacks the tag "
            f"{records.MANAGED}={records.MANAGED_VALUE}), so it is not {verb}. If it is yours, "
            "set force=true (in the role lambda_node_force)."
        )


def require_releasable(found: Instance | None, force: bool, owner: str | None) -> None:
    if found is not None:
        require_managed(found, force, "terminated")
        require_owner(found, owner, "terminated", force)


def require_owner(found: Instance, owner: str | None, verb: str, force: bool | None = None) -> None:
    """Raise LambdaError if the instance belongs to somebody else. C(force) is None where it does not apply."""
    if owner and found["owner"] not in (None, owner) and not force:
        forced = "" if force is None else " To proceed anyway, set force=true (in the role lambda_node_force)."
        raise LambdaError(
            f"{records.described(found)} belongs to {found['owner']}, not to {owner}, so it is not {verb}. If both "
            "are you, give the same owner (HGX_OWNER, or lambda_node_owner of the role); for a node of your own choose "
            f"another name (lambda_node_name).{forced}"
        )


def planned(plan: Plan) -> Outcome:
    """Return the predicted launch, for check mode."""
    offer, region = plan.offer, plan.regions[0] if plan.regions else None
    where = f"in {region}" if region else "once there is capacity (none now)"
    price, hours = offer.price_usd_per_hour, plan.wanted.lifetime_hours
    expires = plan.wanted.tags.get(records.EXPIRES_AT)
    total = f", until {expires}" if expires else f", {price * hours:.2f} USD until it expires" if hours else ""
    msg = f"Would launch a {offer.name} with {plan.identity} {where}, for {price:.2f} USD an hour{total}."
    after = {"type": offer.name, "region": region, "price_usd_per_hour": price}
    return {**outcome(True, msg, None, after=after), "price_usd_per_hour": price}


def outcome(
    changed: bool,
    msg: str,
    instance: Instance | None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Outcome:
    price = instance["price_usd_per_hour"] if instance else None
    diff = {"before": before or {}, "after": after or {}}
    return {"changed": changed, "msg": msg, "instance": instance, "price_usd_per_hour": price, "diff": diff}


def summary(instance: Instance) -> dict[str, Any]:
    """Return the fields of an instance for a diff."""
    return {"id": instance["id"], "name": instance["name"], "type": instance["type"], "region": instance["region"]}
