# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The launch of one instance. A node costs 50 USD an hour, so no launch may happen twice.

Three things ensure that. A lock, held by the caller from the first check until the instance is listed, separates the
runs of one user. A journal, written before the launch, covers interrupted runs. A check after the launch for other
instances of the same name covers the runs of others.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .._core.progress import ControllerGone
from .._core.units import human_duration
from . import records
from .account import Account, Identity
from .client import NO_CAPACITY, TOO_MANY_REQUESTS, ApiError, LambdaError, Repeat, Uncertain, poll
from .records import Instance, Offer

# How often to poll for capacity, in request intervals; with Lambda's rate limit these are seconds.
CAPACITY_POLL = 15
# An instance that does not appear in the list within this time was never created.
SETTLE_S = 60.0
# How long no replacement is launched for an instance whose ID the API returned, but which it never listed.
UNSEEN_S = 3600.0
RIVAL_S = 30.0
PROMISED = "promised"  # not a status of the API: launched, but not listed yet
# Journal events after which an instance may exist that is not listed yet.
PENDING = ("launching", "uncertain", "launched", "seen")


@dataclass(frozen=True)
class Wanted:
    """What to launch if there is no such instance yet."""

    type: str | None = None
    regions: list[str] = field(default_factory=list)
    image_family: str = "gpu-base-24-04"
    image_id: str | None = None
    ssh_key: str | None = None
    file_systems: list[str] = field(default_factory=list)
    firewall_rulesets: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    owner: str | None = None
    lifetime_hours: float | None = None
    hostname: str | None = None
    user_data: str | None = None
    max_price_per_hour: float | None = None


class Plan(NamedTuple):
    """A launch of which everything but the region is known."""

    identity: Identity
    wanted: Wanted
    offer: Offer
    body: dict[str, Any]
    bound: str | None  # the region of the file systems
    rulesets: dict[tuple[str, str], str]  # (name, region) -> ID

    @property
    def regions(self) -> list[str]:
        return records.regions_to_try(self.offer, self.wanted.regions, self.bound)


class Launched(NamedTuple):
    instance: Instance
    own: bool  # whether this run has launched it


class Launcher:
    """Launches an instance that does not exist yet."""

    def __init__(self, account: Account, terminate_on_failure: bool = False) -> None:
        self._account = account
        self._client = account.client
        self._clock = account.clock
        self._terminate_on_failure = terminate_on_failure

    def prepare(self, identity: Identity, wanted: Wanted) -> Plan:
        """Check everything that a launch needs, before anything is bought."""
        if identity.id:
            raise LambdaError(f"There is no running instance with {identity}. Give a name to launch one.")
        if not wanted.type:
            raise LambdaError(f"There is no instance with {identity}, and no instance_type that could be launched.")
        offer = records.parse_offer(self._client.get("/instance-types"), wanted.type)
        records.refuse_dear_offer(offer, wanted.max_price_per_hour)
        body: dict[str, Any] = {
            "instance_type_name": wanted.type,
            "ssh_key_names": [self._ssh_key(wanted.ssh_key)],
            "image": {"id": wanted.image_id} if wanted.image_id else {"family": wanted.image_family},
        }
        optional = {
            "name": identity.name,
            "hostname": wanted.hostname,
            "user_data": wanted.user_data,
            "file_system_names": wanted.file_systems,
        }
        body.update({key: value for key, value in optional.items() if value})
        bound = self._file_system_region(wanted.file_systems)
        rulesets = self._known_rulesets() if wanted.firewall_rulesets else {}
        return Plan(identity, wanted, offer, body, bound, rulesets)

    def _ssh_key(self, name: str | None) -> str:
        names = [str(key.get("name")) for key in self._client.get_list("/ssh-keys")]
        if name in names or (name is None and len(names) == 1):
            return name or names[0]
        known = f"The account has {', '.join(sorted(names))}." if names else "The account has none."
        if name is None:
            raise LambdaError(f"Name the SSH key to log in with (ssh_key, in the role lambda_node_ssh_key). {known}")
        raise LambdaError(
            f"The account has no SSH key {name!r}. {known} Add yours in the Lambda console under SSH keys."
        )

    def _file_system_region(self, names: list[str]) -> str | None:
        """Return the one region of the file systems; None without file systems."""
        if not names:
            return None
        known = {
            str(entry.get("name")): str((entry.get("region") or {}).get("name"))
            for entry in self._client.get_list("/file-systems")
        }
        missing = [name for name in names if name not in known]
        if missing:
            raise LambdaError(
                f"The account has no file system {', '.join(missing)}. It has {', '.join(sorted(known)) or 'none'}."
            )
        regions = sorted({known[name] for name in names})
        if len(regions) > 1:
            places = ", ".join(f"{name} in {known[name]}" for name in names)
            raise LambdaError(f"File systems of one instance must be in one region, but {places}.")
        return regions[0]

    def _known_rulesets(self) -> dict[tuple[str, str], str]:
        return {
            (str(entry.get("name")), str((entry.get("region") or {}).get("name"))): str(entry.get("id"))
            for entry in self._client.get_list("/firewall-rulesets")
        }

    def launch(self, plan: Plan, capacity_s: float) -> Launched:
        """Launch in the first region with capacity, waiting as long as allowed, and return the instance."""
        started = self._clock.monotonic()
        full: set[str] = set()
        for number, left_s in enumerate(poll(self._clock, capacity_s, self._account.every(CAPACITY_POLL))):
            if number:
                offer = records.parse_offer(self._client.get("/instance-types"), plan.offer.name)
                records.refuse_dear_offer(offer, plan.wanted.max_price_per_hour)
                plan = plan._replace(offer=offer)
            for region in plan.regions:
                launched = self._launch_in(region, plan)
                if launched is not None and launched.own:
                    with self.owned_up(launched.instance):
                        self._account.note("seen", plan.identity, id=launched.instance["id"])
                        return self._sole(launched.instance, plan.identity)
                if launched is not None:
                    return launched
                full.add(region)
            self._account.report(f"no free {plan.offer.name} yet, trying for another {human_duration(left_s)}")
        waited_s = self._clock.monotonic() - started
        others = plan.offer._replace(regions=[region for region in plan.offer.regions if region not in full])
        raise LambdaError(records.explain_no_capacity(others, plan.wanted.regions, plan.bound, waited_s))

    def _launch_in(self, region: str, plan: Plan) -> Launched | None:
        """Launch in one region; return None if it has no capacity after all.

        If the API limits the rate, the launch is sent again, each time after checking that none exists.
        """
        body = {**plan.body, "region_name": region, **ruleset_ids(plan, region)}
        refusal = ""
        for number, _left_s in enumerate(poll(self._clock, self._client.timeout_s, self._account.every(1))):
            found = self._account.find_one(plan.identity) if number else None
            if found is not None:
                return Launched(found, own=False)
            self._client.wait_for_launch_slot()
            self._account.report(f"launching {plan.offer.name} in {region}")  # and stop here if the play is gone
            token, tags = self._tags(plan)
            price = plan.offer.price_usd_per_hour
            self._account.note(
                "launching", plan.identity, launch=token, region=region, type=plan.offer.name, usd_per_hour=price
            )
            try:
                id_, lost = self._post_launch({**body, "tags": records.render_tags(tags)})
            except ApiError as exc:
                self._account.note("refused", plan.identity, launch=token, code=exc.code)
                if exc.code == NO_CAPACITY:
                    return None
                refusal = f"{exc} Nothing was launched."
                if exc.status != TOO_MANY_REQUESTS:
                    break
            else:
                with self.owned_up(promised(plan, region, id_)) if id_ else contextlib.nullcontext():
                    self._account.note("launched" if id_ else "uncertain", plan.identity, launch=token, id=id_)
                    return self._look_for(plan.identity, token, id_, lost)
        raise LambdaError(refusal)

    def _post_launch(self, body: dict[str, Any]) -> tuple[str | None, str]:
        """Send a launch once. Return the ID, or None and why it is unknown. Raises ApiError if it was refused."""
        try:
            answer = self._client.call("POST", "/instance-operations/launch", body, Repeat.NEVER)
        except Uncertain as exc:
            return None, str(exc)
        ids = answer.get("instance_ids") if isinstance(answer, dict) else None
        if isinstance(ids, list) and ids and isinstance(ids[0], str):
            return ids[0], ""
        return None, "The answer to the launch names no instance."

    def _tags(self, plan: Plan) -> tuple[str, dict[str, str]]:
        """Return the token of a launch and the tags of its instance. Tokens sort by time."""
        wanted, now = plan.wanted, self._clock.time()
        token = f"{int(now * 1000):013d}-{secrets.token_hex(4)}"
        tags = {
            **plan.identity.tags,
            **wanted.tags,
            records.MANAGED: records.MANAGED_VALUE,
            records.LAUNCH: token,
            records.LAUNCHED_AT: records.iso_time(now),
        }
        if wanted.owner:
            tags[records.OWNER] = wanted.owner
        if wanted.lifetime_hours and records.EXPIRES_AT not in tags:
            tags[records.EXPIRES_AT] = records.iso_time(now + wanted.lifetime_hours * 3600)
        return token, tags

    def _look_for(self, identity: Identity, token: str, id_: str | None, lost: str) -> Launched:
        """Return the launched instance once the API lists it. A repeated launch could buy a second one."""
        failure = ""
        for left_s in poll(self._clock, SETTLE_S, self._account.every(1)):
            try:
                self._account.report("launched, waiting for the instance to appear")
                known = [self._account.get(id_)] if id_ else self._account.find(identity)
            except (LambdaError, ControllerGone) as exc:
                failure = f" {exc}"
                break
            found = [instance for instance in known if instance is not None]
            own = [instance for instance in found if id_ or instance["tags"].get(records.LAUNCH) == token]
            # A concurrent instance of another run must not hide that ours may still appear.
            if own or (found and left_s < SETTLE_S / 2):
                return Launched((own or found)[0], own=bool(own))
        if id_:
            raise LambdaError(f"Lambda has launched {id_} but does not list it.{failure}")
        raise LambdaError(
            f"{lost} The launch was sent, but no instance has appeared since.{failure} Run again; it checks first. "
            f"The launch is in {self._account.journal.path}."
        )

    @contextlib.contextmanager
    def owned_up(self, instance: Instance) -> Iterator[None]:
        """If our new instance fails to get ready, terminate it or say in the error what is still billed."""
        try:
            yield
        except (LambdaError, OSError, ControllerGone) as exc:
            raise LambdaError(f"{str(exc).rstrip('.')}. {self._after_failure(instance)}") from exc

    def _after_failure(self, instance: Instance) -> str:
        what, price = records.described(instance), records.priced(instance)
        if not self._terminate_on_failure:
            return f"{what} bills at {price} until it is released; run again to continue with it."
        try:
            known = self._account.terminate(instance, "not ready, and terminate_on_failure is set")
        except (LambdaError, OSError) as exc:
            return f"{what} could NOT be terminated ({exc}) and bills at {price}."
        if not known and instance["status"] == PROMISED:
            return f"{what} could NOT be terminated, because the API does not know it yet; it may bill at {price}."
        return f"{what} was terminated, as terminate_on_failure asks."

    def settle(self, identity: Identity) -> Instance | None:
        """After an interrupted launch, look up its instance by ID and give it time to appear.

        Raises LambdaError if it may still appear.
        """
        entry = self._account.journal.last(identity=str(identity), api=self._client.url)
        if entry is None or entry.get("event") not in PENDING:
            return None
        # A time in the future, after the clock was set back, may be a moment ago.
        age_s = max(0.0, self._clock.time() - float(entry.get("time", 0)))
        id_ = str(entry["id"]) if entry.get("id") else None
        if not id_ and age_s >= SETTLE_S:
            return None
        for _left_s in poll(self._clock, max(0.0, SETTLE_S - age_s), self._account.every(1)):
            known = self._account.get(id_) if id_ else None
            if known is not None:
                return known if known["status"] not in records.GONE and identity.matches(known) else None
            self._account.report("waiting for the instance of an interrupted launch to appear")
            found = self._account.find_one(identity)
            if found is not None:
                return found
        if entry["event"] == "launched" and age_s < UNSEEN_S:
            raise LambdaError(
                f"Lambda has launched {id_} with {identity} {human_duration(age_s)} ago, and has not listed it since. "
                "It may still appear and be billed, so no other is launched, and it cannot be released yet. Run "
                f"again later, or check the Lambda console; {human_duration(UNSEEN_S)} after the launch it counts as "
                "never made."
            )
        return None

    def _sole(self, mine: Instance, identity: Identity) -> Launched:
        """Keep only one of several instances that were launched concurrently from different machines.

        The first launch wins, and its run waits for the others to terminate theirs. If they do not, because they ended
        before this instance was listed, it terminates its own.
        """
        rivals: list[Instance] = []
        for _left_s in poll(self._clock, RIVAL_S, self._account.every(1)):
            found = self._account.find(identity)
            rivals = [other for other in found if other["id"] != mine["id"]]
            # A list without this instance may lack the others, too.
            if found and not rivals:
                break
            if rivals and precedence(mine) > min(map(precedence, rivals)):
                break
        if not rivals:
            return Launched(mine, own=True)
        self._account.terminate(mine, "yields to another launch of the same name")
        first = min(rivals, key=precedence)
        self._account.note("adopted", identity, id=first["id"])
        return Launched(first, own=False)


def promised(plan: Plan, region: str, id_: str) -> Instance:
    """Return an instance of which only the ID is known."""
    kind = {"name": plan.offer.name, "price_cents_per_hour": plan.offer.price_usd_per_hour * 100}
    known = {"id": id_, "status": PROMISED, "name": plan.identity.name, "region": {"name": region}}
    return records.parse_instance({**known, "instance_type": kind})


def precedence(instance: Instance) -> tuple[str, str]:
    """Return the sort key of launches, by time. Instances without a token were launched by others and come first."""
    return instance["tags"].get(records.LAUNCH, ""), instance["id"]


def ruleset_ids(plan: Plan, region: str) -> dict[str, Any]:
    """Return the part of a launch that names the firewall rule sets; they belong to a region."""
    names = plan.wanted.firewall_rulesets
    missing = [name for name in names if (name, region) not in plan.rulesets]
    if missing:
        raise LambdaError(
            f"There is no firewall rule set {', '.join(missing)} in {region}; rule sets belong to a region. Create it "
            "there with hgx.inference.lambda_firewall_ruleset, or name only regions that have it. Nothing was launched."
        )
    return {"firewall_rulesets": [{"id": plan.rulesets[name, region]} for name in names]} if names else {}
