# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The instances of an account: find, re-read and terminate them, and log each step in the journal."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from . import records
from .client import NOT_FOUND, ApiError, Client, LambdaError, poll
from .files import FORCED, Journal, Locked, lock, numbered
from .marks import Marks
from .records import Identity, Instance

# Journal events after which an instance may exist that is not listed yet.
PENDING = ("launching", "uncertain", "launched", "marked", "seen")
FORCE_FIX = "set force=true (in the role lambda_node_force) for one run"


class Account:
    """Finds and terminates instances. C(report) shows progress, and raises when the play is gone.

    C(warnings) are for the user, whether the run succeeds or fails.
    """

    def __init__(self, client: Client, state_dir: str, report: Callable[[str], None] = lambda line: None) -> None:
        self.client = client
        self.clock = client.clock
        self.report = report
        self.warnings: list[str] = []
        self.journal = Journal(os.path.join(state_dir, "journal.jsonl"), client.clock)
        self.marks = Marks(client)
        self._locks = os.path.join(state_dir, "locks")

    def find(self, identity: Identity) -> list[Instance]:
        """Return the instances that match and run, or may run."""
        return [one for one in self.running() if identity.matches(one)]

    def running(self) -> list[Instance]:
        """Return all instances of the account that run, or may run."""
        return [one for one in self.listed() if one["status"] not in records.GONE]

    def listed(self) -> list[Instance]:
        """Return all instances that the API lists, also terminated ones."""
        return [records.parse_instance(raw) for raw in self.client.get_list("/instances")]

    def find_one(self, identity: Identity) -> Instance | None:
        return unique(self.find(identity), identity)

    def get(self, id_: str, limit_s: float | None = None) -> Instance | None:
        """Return the current instance, or None if the API does not know it (yet)."""
        try:
            return records.parse_instance(self.client.get(f"/instances/{quote(id_, safe='')}", limit_s))
        except ApiError as exc:
            if exc.code == NOT_FOUND or exc.status == 404:
                return None
            raise

    def terminate(self, instance: Instance, why: str) -> bool:
        """Terminate an instance; return whether the API knows it. If not, it is gone, or not listed yet."""
        with contextlib.suppress(OSError):  # a full disk must not keep an instance billed
            self.journal.add("terminating", api=self.client.url, id=instance["id"], name=instance["name"], why=why)
        try:
            self.client.call("POST", "/instance-operations/terminate", {"instance_ids": [instance["id"]]})
        except ApiError as exc:
            if exc.code != NOT_FOUND:  # already gone, perhaps by an earlier try whose answer was lost
                raise
            return False
        return True

    def every(self, intervals: int) -> float:
        return max(0.01, intervals * self.client.interval_s)

    def note(self, event: str, identity: Identity, **facts: Any) -> None:
        try:
            self.journal.add(event, identity=str(identity), api=self.client.url, **facts)
        except OSError as exc:
            raise LambdaError(
                f"The journal of launches {self.journal.path} cannot be written ({exc.strerror or exc}). Free space "
                "there, or make it writable for this user."
            ) from exc

    def pending(self, identity: Identity) -> tuple[dict[str, Any] | None, str]:
        """Return the entry of a launch whose instance may exist and not be listed, or None.

        Also return why a launch may be recorded that cannot be read, or an empty text. Raises LambdaError if the whole
        journal cannot be read.
        """
        try:
            entry, unread = self.journal.last(identity=str(identity), api=self.client.url)
        except OSError as exc:
            raise LambdaError(
                f"The journal of launches {self.journal.path} cannot be read ({exc.strerror or exc}), so nothing is "
                "launched. Make it readable for this user."
            ) from exc
        told = (
            f"The journal of launches {self.journal.path} cannot be read in {numbered(unread)}. A launch of an "
            f"instance with {identity} may be recorded there, so nothing is launched. Check the Lambda console for an "
            f"instance that is not expected; then remove what cannot be read, or {FORCE_FIX}."
        )
        is_open = entry is not None and entry["event"] in PENDING
        return entry if is_open else None, told if unread else ""

    def saw(self, found: Instance) -> None:
        """Record that the instance of an open launch has appeared, so that the launch no longer blocks others."""
        token, api = found["tags"].get(records.LAUNCH), self.client.url
        if not token:
            return
        with contextlib.suppress(OSError):
            entry, _unread = self.journal.last(api=api, launch=token)
            if entry is None or entry["event"] not in PENDING:
                return
            identity = entry.get("identity")
            # It may have been looked up by its ID, but was launched by its name.
            if self.journal.last(api=api, identity=identity)[0] == entry:
                self.journal.add("seen", identity=identity, api=api, id=found["id"])
                self.forget_mark(found)

    def forget_mark(self, found: Instance) -> None:
        """Remove the mark of a launch whose instance was found."""
        token = found["tags"].get(records.LAUNCH)
        if token:
            with contextlib.suppress(LambdaError):
                self.marks.forget(token)

    def force(self, identity: Identity) -> None:
        """Record a person's decision that no earlier launch matters any more."""
        self.note(FORCED, identity)
        self.marks.remove(identity)

    @contextlib.contextmanager
    def alone(self, identity: Identity, limit_s: float) -> Iterator[None]:
        """Hold the lock of the instance against other runs of this user; wait up to C(limit_s) seconds for it."""
        with contextlib.ExitStack() as held:
            for _left_s in poll(self.clock, limit_s, self.every(1)):
                try:
                    held.enter_context(lock(self._locks, f"{self.client.url} {identity}"))
                    break
                except Locked:
                    self.report(f"another run is working on the instance with {identity}")
            else:
                raise LambdaError(
                    f"Another run has been working on the instance with {identity} for {limit_s:.0f} s. "
                    "Wait for it to end, or stop it, and run again."
                )
            yield


def unique(found: list[Instance], identity: Identity) -> Instance | None:
    """Return the only instance, or None. Raises LambdaError if there are several."""
    if len(found) > 1:
        listed = "; ".join(f"{records.described(instance)}, {records.priced(instance)}" for instance in found)
        raise LambdaError(
            f"{len(found)} running instances have {identity}, and each of them bills: {listed}. "
            "Give the id of the one you mean, and release those you do not need."
        )
    return found[0] if found else None
