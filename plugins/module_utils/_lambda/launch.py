# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The launch of one instance. A node costs 50 USD an hour, so no launch may happen twice.

These things ensure that. A lock, held by the caller from the first check until the instance is listed, separates the
runs of one user. A journal, written before the launch, covers interrupted runs. A mark in the account tells other
machines of a launch whose answer was lost. Checks for other instances of the same name, after the launch and once the
instance is ready, cover the runs of others.

A launch of unknown outcome blocks further ones until its instance is listed or a person forces the matter. Two
instances of one name can bill only if they come from different machines, and one machine lost both the answer to its
launch and the way to leave a mark, or was killed between them. They bill until the run of the later one has its
instance ready and sees the other in the list; if the other is listed even later, until the next run reports both.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .._core.progress import ControllerGone
from .._core.units import human_duration
from . import records
from .account import FORCE_FIX, Account, unique
from .client import NO_CAPACITY, TOO_MANY_REQUESTS, ApiError, LambdaError, Repeat, Uncertain, poll
from .records import Identity, Instance, Offer

# How often to poll for capacity, in request intervals; with Lambda's rate limit these are seconds.
CAPACITY_POLL = 15
# How long to wait for an instance to appear in the list, or to leave it.
SETTLE_S = 60.0
# How long no replacement is launched for an instance whose ID the API returned, but which it never listed.
UNSEEN_S = 3600.0
RIVAL_S = 30.0
STATUS_S = 10.0  # for one request after a failure
PROMISED = "promised"  # not a status of the API: launched, but not listed yet


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
    rulesets: dict[tuple[str, str], list[str]]  # (name, region) -> IDs

    @property
    def regions(self) -> list[str]:
        return records.regions_to_try(self.offer, self.wanted.regions, self.bound)


class Launched(NamedTuple):
    instance: Instance
    own: bool  # whether this run has launched it
    asked: dict[str, Any]  # the body of the launch, if it is its own


class MismatchError(LambdaError):
    """The instance that Lambda has launched is not what was asked for."""


class Launcher:
    """Launches an instance that does not exist yet."""

    def __init__(
        self, account: Account, terminate_on_failure: bool = False, terminate_on_mismatch: bool = False
    ) -> None:
        self._account = account
        self._client = account.client
        self._clock = account.clock
        self._terminate_on_failure = terminate_on_failure
        self._terminate_on_mismatch = terminate_on_mismatch

    def prepare(self, identity: Identity, wanted: Wanted) -> Plan:
        """Check everything that a launch needs, before anything is bought."""
        if identity.id:
            raise LambdaError(f"There is no running instance with {identity}. Give a name to launch one.")
        if not wanted.type:
            raise LambdaError(f"There is no instance with {identity}, and no instance_type that could be launched.")
        offer = records.parse_offer(self._client.get("/instance-types"), wanted.type)
        records.refuse_dear_offer(offer, wanted.max_price_per_hour)
        if wanted.lifetime_hours:
            records.expiry(self._clock.time(), wanted.lifetime_hours)
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

    def _known_rulesets(self) -> dict[tuple[str, str], list[str]]:
        found: dict[tuple[str, str], list[str]] = {}
        for entry in self._client.get_list("/firewall-rulesets"):
            place = entry.get("region")
            region = str(place.get("name")) if isinstance(place, dict) else ""
            found.setdefault((str(entry.get("name")), region), []).append(str(entry.get("id")))
        return found

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
                return Launched(found, False, {})
            self._client.wait_for_launch_slot()
            self._account.report(f"launching {plan.offer.name} in {region}")  # and stop here if the play is gone
            token, tags = self._tags(plan)
            asked = {**body, "tags": records.render_tags(tags)}
            price = plan.offer.price_usd_per_hour
            try:
                self._account.note(
                    "launching", plan.identity, launch=token, region=region, type=plan.offer.name, usd_per_hour=price
                )
            except LambdaError as exc:
                raise LambdaError(f"{exc} Nothing was launched.") from exc
            try:
                ids, lost = self._post_launch(asked)
            except LambdaError as exc:
                code = exc.code if isinstance(exc, ApiError) else "not sent"
                with contextlib.suppress(LambdaError):
                    self._account.note("refused", plan.identity, launch=token, code=code)
                if code == NO_CAPACITY:
                    return None
                refusal = f"{exc} Nothing was launched."
                if not isinstance(exc, ApiError) or exc.status != TOO_MANY_REQUESTS:
                    break
            else:
                return self._follow(plan, asked, token, ids, lost)
        raise LambdaError(refusal)

    def _post_launch(self, body: dict[str, Any]) -> tuple[list[str], str]:
        """Send a launch once. Return the IDs, or none and why they are unknown.

        Raises LambdaError if it was refused, or never sent.
        """
        try:
            answer = self._client.call("POST", "/instance-operations/launch", body, Repeat.NEVER)
        except Uncertain as exc:
            return [], str(exc)
        ids = answer.get("instance_ids") if isinstance(answer, dict) else None
        if isinstance(ids, list) and ids and all(isinstance(id_, str) and id_ for id_ in ids):
            return list(dict.fromkeys(ids)), ""
        return [], "The answer to the launch names no instance."

    def _follow(self, plan: Plan, asked: dict[str, Any], token: str, ids: list[str], lost: str) -> Launched:
        """Return the instance of a launch that was sent, once it is listed and the only one."""
        identity, region = plan.identity, asked["region_name"]
        if not ids:
            with contextlib.suppress(LambdaError):  # "launching" is in the journal, which says the same
                self._account.note("uncertain", identity, launch=token)
            mark = self._mark(identity, token, region, None)
            launched = self._look_for(identity, token, None, f"{lost}{mark}")
        else:
            with self.owned_up(promised(plan, asked, ids[0]), identity):
                self._account.note("launched", identity, launch=token, id=ids[0])
                try:
                    launched = self._look_for(identity, token, ids[0], lost)
                except LambdaError as exc:
                    raise LambdaError(f"{exc}{self._mark(identity, token, region, ids[0])}") from exc
        if not launched.own:
            return launched
        mine = launched.instance
        for id_ in ids[1:]:
            second = promised(plan, asked, id_)
            self._account.warnings.append(f"One launch made {len(ids)} instances. {self._end(second, identity)}")
        with self.owned_up(mine, identity):
            # An instance that lost its name stays open in the journal: no later run would find it by its name.
            if identity.matches(mine):
                self._account.note("seen", identity, id=mine["id"])
                if not ids:
                    self._account.forget_mark(mine)
            self.require_asked(mine, asked, plan.wanted.max_price_per_hour)
            self._account.warnings += [
                f"{records.described(mine)}: {odd}." for odd in records.odd_in_launch(mine, asked, plan.offer)
            ]
            return self._sole(mine, identity, is_last=False)._replace(asked=asked)

    def _mark(self, identity: Identity, token: str, region: str, id_: str | None) -> str:
        """Tell other machines of a launch whose instance is not listed. Return what to add to its message."""
        try:
            self._account.marks.add(identity, token, region, bool(id_))
            self._account.note("marked", identity, launch=token, id=id_)
        except LambdaError as exc:
            return f" Other machines do not know of this launch, because it could not be marked in the account ({exc})."
        return ""

    @staticmethod
    def require_asked(found: Instance, asked: dict[str, Any], max_price_per_hour: float | None) -> None:
        """Raise MismatchError if a new instance is not what was asked for."""
        problems = records.unlike_launch(found, asked, max_price_per_hour)
        if problems:
            raise MismatchError(
                f"Lambda has launched another instance than was asked for: {records.described(found)}, "
                f"but {'; '.join(problems)}."
            )

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
            tags[records.EXPIRES_AT] = records.expiry(now, wanted.lifetime_hours)
        return token, tags

    def _look_for(self, identity: Identity, token: str, id_: str | None, lost: str) -> Launched:
        """Return the launched instance once the API lists it. A repeated launch could buy a second one."""
        failure = ""
        for left_s in poll(self._clock, SETTLE_S, self._account.every(1)):
            try:
                self._account.report("launched, waiting for the instance to appear")
                known = [self._account.get(id_)] if id_ else self._account.running()
            except (LambdaError, ControllerGone) as exc:
                failure = f" {exc}"
                break
            found = [instance for instance in known if instance is not None]
            own = [instance for instance in found if id_ or instance["tags"].get(records.LAUNCH) == token]
            if own:
                return Launched(min(own, key=precedence), True, {})
            # A concurrent instance of another run must not hide that ours may still appear.
            others = [instance for instance in found if identity.matches(instance)]
            if others and left_s < SETTLE_S / 2:
                return Launched(others[0], False, {})
        if id_:
            raise LambdaError(f"Lambda has launched {id_} but does not list it.{failure}")
        raise LambdaError(
            f"{lost} The launch was sent, but no instance has appeared since.{failure} Run again; it checks first. "
            f"No other is launched until this one has appeared, or you {FORCE_FIX}. "
            f"The launch is in {self._account.journal.path}."
        )

    @contextlib.contextmanager
    def owned_up(self, instance: Instance, identity: Identity) -> Iterator[None]:
        """If our new instance fails to get ready, terminate it or say in the error what is still billed."""
        try:
            yield
        except (LambdaError, OSError, ControllerGone) as exc:
            told = self._after_failure(instance, identity, isinstance(exc, MismatchError))
            raise LambdaError(f"{str(exc).rstrip('.')}. {told}") from exc

    def _after_failure(self, instance: Instance, identity: Identity, is_mismatch: bool) -> str:
        option = "terminate_on_mismatch" if is_mismatch else "terminate_on_failure"
        status = self._status(instance)
        if status == "terminating":
            return f"{records.described(instance)} is being terminated, which ends its bill."
        if status in records.GONE:
            return f"{records.described(instance)} is {status}, so it is no longer billed."
        if self._terminate_on_mismatch if is_mismatch else self._terminate_on_failure:
            return self._end(instance, identity, f", as {option} asks")
        billed = f"{records.described(instance)} bills at {records.priced(instance)} until it is released"
        if not is_mismatch:
            return f"{billed}; run again to continue with it."
        return f"{billed}. To terminate such an instance at once, set {option} (in the role lambda_node_{option})."

    def _status(self, instance: Instance) -> str:
        """Return the current status of an instance, or the known one if there is no answer."""
        try:
            current = self._account.get(instance["id"], STATUS_S)
        except LambdaError:
            current = None
        return current["status"] if current else instance["status"]

    def _end(self, instance: Instance, identity: Identity, why: str = "") -> str:
        """Terminate an instance, check that it is gone, and return the sentence that tells so, or what it bills."""
        what, price = records.described(instance), records.priced(instance)
        try:
            is_known = self._account.terminate(instance, f"not wanted{why}")
        except (LambdaError, OSError) as exc:
            return f"{what} could NOT be terminated ({exc}) and bills at {price}."
        if not is_known and instance["status"] == PROMISED:
            return f"{what} could NOT be terminated, because the API does not know it yet; it may bill at {price}."
        try:
            for _left_s in poll(self._clock, SETTLE_S, self._account.every(1)):
                if all(one["id"] != instance["id"] for one in self._account.running()):
                    with contextlib.suppress(LambdaError):
                        self._account.note("terminated", identity, id=instance["id"])
                    self._account.forget_mark(instance)
                    return f"{what} was terminated{why}."
        except LambdaError as exc:
            return f"{what} was told to terminate{why}, but whether it did is unknown ({exc}). It may bill at {price}."
        return f"{what} was told to terminate{why}, but it still runs and bills at {price}. Check the Lambda console."

    def settled(self, identity: Identity) -> Instance | None:
        """Return the instance, None without one. Runs that launched at once are given the time to keep only one."""
        found: list[Instance] = []
        for _left_s in poll(self._clock, RIVAL_S, self._account.every(1)):
            found = self._account.find(identity)
            times = [launch_time(token_of(one)) or 0.0 for one in found]
            if len(found) < 2 or self._clock.time() - min(times) > SETTLE_S:
                break
        return unique(found, identity)

    def settle(self, identity: Identity, force: bool = False, wait: bool = True) -> Instance | None:
        """After a launch of unknown outcome, give its instance time to appear, and return it if it does.

        Raises LambdaError if it may still appear, unless a person decides with C(force) that it does not matter.
        """
        if identity.id:
            return None  # nothing is launched by an ID
        found, trouble = None, ""
        entry, unread = self._account.pending(identity)
        if entry:
            found, trouble = self._await(entry, identity, wait)
        if found is not None:
            return found
        trouble = trouble or unread
        if not trouble:
            found, trouble = self._marked(identity, wait)
        if found is not None:
            return found
        if trouble and not force:
            raise LambdaError(trouble)
        if trouble and wait:
            self._account.force(identity)
        return None

    def _await(self, entry: dict[str, Any], identity: Identity, wait: bool) -> tuple[Instance | None, str]:
        """Return the instance of a launch in the journal, or why it may still appear; neither if it is settled."""
        id_, token = entry.get("id"), entry.get("launch")
        # A time in the future, after the clock was set back, may be a moment ago.
        age_s = max(0.0, self._clock.time() - (launch_time(token) or float(entry["time"])))
        limit_s = SETTLE_S - age_s if wait else 0.0
        for _left_s in poll(self._clock, max(0.0, limit_s), self._account.every(1)):
            known = self._account.get(str(id_)) if id_ else self._launched_with(token)
            if known is not None:
                is_ours = known["status"] not in records.GONE and identity.matches(known)
                if is_ours or entry["event"] == "seen" or known["status"] in records.GONE:
                    return (known if is_ours else None), ""
                return None, (
                    f"{records.described(known)} was launched with {identity}, which does not match it any more, and "
                    f"bills at {records.priced(known)}. Release it by its ID, or {FORCE_FIX} to launch another one."
                )
            self._account.report("waiting for the instance of an interrupted launch to appear")
            found = self._account.find_one(identity)
            if found is not None:
                return found, ""
        if entry["event"] == "marked" and token not in self._account.marks.known(identity):
            return None, ""  # another machine has found the instance and released it
        has_id = bool(id_) or entry["event"] == "launched"
        if has_id and entry["event"] != "seen" and age_s < UNSEEN_S:
            return None, (
                f"Lambda has launched {id_ or 'an instance'} with {identity} {human_duration(age_s)} ago, and has not "
                "listed it since. It may still appear and be billed, so no other is launched, and it cannot be "
                f"released yet. Run again later, or check the Lambda console; {human_duration(UNSEEN_S)} after the "
                "launch it counts as never made."
            )
        if has_id:
            return None, ""
        where = entry.get("where", self._account.journal.path)
        return None, (
            f"An instance with {identity} was launched {human_duration(age_s)} ago, the answer was lost, and no such "
            f"instance is listed since. It may still appear and be billed, so no other is launched. The launch is "
            f"recorded in {where}. Run again later. If the Lambda console does not show the instance either, "
            f"{FORCE_FIX}."
        )

    def _launched_with(self, token: Any) -> Instance | None:
        """Return the instance of a launch that the API lists, also if it is terminated."""
        if not token:
            return None
        found = [one for one in self._account.listed() if one["tags"].get(records.LAUNCH) == token]
        return min(found, key=lambda one: one["status"] in records.GONE) if found else None

    def _marked(self, identity: Identity, wait: bool) -> tuple[Instance | None, str]:
        """Return the instance of an open launch of another machine, or why it may still appear; neither without one."""
        for token, has_id in self._account.marks.known(identity).items():
            event = "launched" if has_id else "uncertain"
            entry = {"event": event, "time": 0, "launch": token, "where": "a firewall rule set of the account"}
            found, trouble = self._await(entry, identity, wait)
            if found is not None or trouble:
                return found, trouble
            if wait:
                self._account.marks.forget(token)
        return None, ""

    def _sole(self, mine: Instance, identity: Identity, is_last: bool) -> Launched:
        """Keep only one of several instances that were launched concurrently.

        The first launch wins, and its run waits for the others to terminate theirs. If they do not, because they ended
        before this instance was listed, it terminates its own. A second instance of the same launch, as a proxy
        makes it that repeats a request, is terminated here.
        """
        rivals: list[Instance] = []
        for _left_s in poll(self._clock, 0.0 if is_last else RIVAL_S, self._account.every(1)):
            found = self._account.find(identity)
            rivals = [other for other in found if other["id"] != mine["id"]]
            twins = [other for other in rivals if other["tags"].get(records.LAUNCH) == token_of(mine)]
            for twin in twins:
                self._account.warnings.append(f"One launch made several instances. {self._end(twin, identity)}")
            rivals = [other for other in rivals if other not in twins]
            # A list without this instance may lack the others, too.
            if found and not rivals:
                break
            if rivals and precedence(mine) > min(map(precedence, rivals)):
                break
        if not rivals:
            return Launched(mine, True, {})
        first = min(rivals, key=precedence)
        if is_last and not (token_of(first) and precedence(first) < precedence(mine)):
            told = "; ".join(f"{records.described(other)}, {records.priced(other)}" for other in rivals)
            self._account.warnings.append(
                f"Other instances with {identity} run, too, and bill: {told}. Release those that you do not need."
            )
            return Launched(mine, True, {})
        self._account.warnings.append(self._end(mine, identity, ", because another launch of this name was earlier"))
        self._account.note("adopted", identity, id=first["id"])
        return Launched(first, False, {})

    def still_sole(self, mine: Instance, identity: Identity) -> Launched:
        """Check once more, when the instance is ready: an earlier launch may have been listed late."""
        return self._sole(mine, identity, is_last=True)


def promised(plan: Plan, asked: dict[str, Any], id_: str) -> Instance:
    """Return an instance of which only the ID is known."""
    kind = {"name": plan.offer.name, "price_cents_per_hour": plan.offer.price_usd_per_hour * 100}
    known = {"id": id_, "status": PROMISED, "name": plan.identity.name, "region": {"name": asked["region_name"]}}
    return records.parse_instance({**known, "instance_type": kind, "tags": asked["tags"]})


def token_of(instance: Instance) -> str:
    return instance["tags"].get(records.LAUNCH, "")


def launch_time(token: Any) -> float | None:
    """Return the time of a launch in seconds since 1970, or None if that is no token of ours."""
    match = re.match(r"(\d{13})-", token) if isinstance(token, str) else None
    return int(match[1]) / 1000 if match else None


def precedence(instance: Instance) -> tuple[str, str]:
    """Return the sort key of launches, by time. Instances without a token were launched by others and come first."""
    return token_of(instance), instance["id"]


def ruleset_ids(plan: Plan, region: str) -> dict[str, Any]:
    """Return the part of a launch that names the firewall rule sets; they belong to a region."""
    names = plan.wanted.firewall_rulesets
    missing = [name for name in names if (name, region) not in plan.rulesets]
    if missing:
        raise LambdaError(
            f"There is no firewall rule set {', '.join(missing)} in {region}; rule sets belong to a region. Create it "
            "there with hgx.inference.lambda_firewall_ruleset, or name only regions that have it. Nothing was launched."
        )
    several = [f"{len(plan.rulesets[name, region])} named {name}" for name in names if plan.rulesets[name, region][1:]]
    if several:
        raise LambdaError(
            f"There are several firewall rule sets of one name in {region}: {', '.join(several)}. Remove all but one "
            "in the Lambda console. Nothing was launched."
        )
    return {"firewall_rulesets": [{"id": plan.rulesets[name, region][0]} for name in names]} if names else {}
