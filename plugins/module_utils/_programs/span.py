# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service of a rank of a server across hosts: it follows its own container, and does what the head decides.

How the ranks are stands in state.json at the head, and what has been decided on every rank.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from . import exposition
from .group import DOWN, ENDED, RUNNING, STOPPED, Head, Order, Report
from .link import SILENT_S, Link
from .supervisor import GAVE_UP, UNWELL_STOP_S, Supervisor, docker, read, say
from .watch import Question

TURN_S = 1.0
# An unreachable rank makes the head ask for a token. One that waits behind long prompts may be late.
_TOKEN_LIMIT_S = 60.0
_TOKEN_INTERVAL_S = 30.0
_SIGNALS = {137: "killed", 139: "crashed", 143: "terminated"}


class SpanSupervisor(Supervisor):
    """Follows the container of one rank."""

    def __init__(self, settings_file: str, textfiles: str = exposition.TEXTFILE_DIR) -> None:
        super().__init__(settings_file)
        self._textfiles = textfiles
        span = self._settings()["span"]
        self._state["generation"] = int(read(self._state_file).get("generation", 0))
        self._rank = int(span["rank"])
        self._hosts: list[str] = span["hosts"]
        self._link = Link(self._rank, (span["head_address"], int(span["link_port"])), _read_key(span["key_file"]))
        self._carried = (0, True)  # generation and run of the order that was carried out last
        self._container, self._cause, self._since = RUNNING, "", time.monotonic()
        self._waiting: subprocess.Popen[bytes] | None = None
        self._engine = ""
        self._question: Question | None = None
        self._asked_at = 0.0

    def run(self) -> int:
        """Keep this rank as the head wants it, until that is over or a play takes over."""
        signal.signal(signal.SIGTERM, self._stop)
        was_paused = bool(self._settings().get("paused"))
        self._wait_for_engine()
        if self._running():
            self._is(RUNNING)
        else:
            self._wait_for_fabric()
            self._is(DOWN, "it was not running, as after a start of its host or its engine")
        head = Head(self._hosts, time.monotonic, self._no_more, self._answers, self._state["generation"])
        self._link.open()
        self._watch()
        order = Order()
        while was_paused or not self._settings().get("paused"):
            own = self._report()
            heard = self._link.heard()
            if self._rank == 0:
                before, order = order, head.step(own, heard)
                if before.run and not order.run:
                    self._state["stopped_at"] = round(time.time())
                    if head.counted:
                        self._count_restart()
                self._link.say({**own._asdict(), "order": order._asdict()})
                ranks = head.ranks(own, heard)
            else:
                order = _order(heard[0].message, order) if 0 in heard else order
                self._link.say(own._asdict())
                ranks = []
            self._keep(order, ranks)
            if self._carry_out(order):
                self._tell_the_last(order)
                return GAVE_UP if order.gave_up else 0
            self._link.wait(TURN_S)
            self._look()
        say("a play replaces the server, and starts this service again when the new one is ready")
        self._link.close()
        return 0

    def _carry_out(self, order: Order) -> bool:
        """Do what the head wants; return whether that was the last of it."""
        wanted = (order.generation, order.run)
        if wanted == self._carried:
            return False
        if not order.run:
            say(f"{order.why}: " + ("all ranks stop" if order.over else "all ranks stop, to start together"))
            if self._running():
                docker("stop", "-t", str(UNWELL_STOP_S if self._rank == 0 else 1), self._settings()["container"])
            self._is(DOWN, self._cause)
        elif self._carried == (order.generation, False):
            self._wait_for_engine()
            failed = self._start()
            self._is(ENDED if failed else RUNNING, failed)
        self._carried = wanted
        return order.over

    def _tell_the_last(self, order: Order) -> None:
        """Let the others know, as this process ends: the followers what to do, the head that it was done."""
        deadline = time.monotonic() + SILENT_S
        self._link.say({**self._report()._asdict(), **({"order": order._asdict()} if self._rank == 0 else {})})
        while time.monotonic() < deadline:
            heard = self._link.heard().values()
            done = [each for each in heard if each.message.get("generation") == order.generation]
            self._link.wait(TURN_S)
            if self._rank > 0 or len(done) == len(self._hosts) - 1:
                break
        self._link.close()

    def _look(self) -> None:
        """Find out whether the container has ended, and why."""
        if self._container != RUNNING or self._waiting is None or self._waiting.poll() is None:
            return
        if self._unwell:
            cause, self._unwell = self._unwell, ""
            self._is(ENDED, cause)
            return
        ended = self._ended(self._engine)
        if ended is None:
            self._is(RUNNING)
        elif not ended:
            self._is(STOPPED, "somebody stopped it")
        elif "ExitCode" in ended:
            code = ended["ExitCode"]
            killed = f", {_SIGNALS[code]}" if code in _SIGNALS else ""
            killed = ", out of memory" if ended.get("OOMKilled") else killed
            self._is(ENDED, f"the server ended by itself (exit code {code}{killed})")
        else:
            self._is(DOWN, "its Docker engine was started again")

    def _down_with_engine(self) -> dict[str, Any]:
        return {"Status": "exited"}

    def _is(self, state: str, cause: str = "") -> None:
        self._container, self._cause, self._since = state, cause, time.monotonic()
        if state == RUNNING:
            self._engine = self._engine_run()
            self._waiting = ended(self._settings()["container"])

    def _report(self) -> Report:
        since_s = round(time.monotonic() - self._since, 1)
        return Report(self._hosts[self._rank], *self._carried, self._container, self._cause, since_s)

    def _answers(self) -> bool | None:
        """Return whether the server answers a token, None while that is not known."""
        if self._question is None and time.monotonic() - self._asked_at > _TOKEN_INTERVAL_S:
            watch = self._settings()["watch"]
            body = {
                "model": watch["served_model_name"],
                "messages": [{"role": "user", "content": "Hello"}],
                "max_tokens": 1,
            }
            self._asked_at = time.monotonic()
            key = _read_key(watch["key_file"]).decode()
            self._question = Question(watch["base_url"], key, body, _TOKEN_LIMIT_S)
        answer = self._question.answer() if self._question else None
        if answer is None:
            return None
        self._question = None
        return answer.status == 200

    def _keep(self, order: Order, ranks: list[dict[str, Any]]) -> None:
        """Write what has been decided and how the ranks are, if that is new."""
        causes = [{**rank, "cause": "" if rank["state"] == RUNNING else rank["cause"]} for rank in ranks]
        new = {"generation": order.generation, "why": order.why, "ranks": causes, "link": self._link.problem}
        new["gave_up"] = order.why if order.gave_up else ""
        if any(self._state.get(name) != value for name, value in new.items()):
            self._state.update(new)
            self._save()
            if ranks:
                container = self._settings()["container"]
                found = metrics(container, ranks, order.why, self._state.get("stopped_at"))
                exposition.write(subject(container), found, self._textfiles)


def subject(container: str) -> str:
    """Return the name under which the head of a server writes its metrics."""
    return f"span_{container}"


def metrics(
    container: str, ranks: Sequence[Mapping[str, Any]], why: str, stopped_at: float | None
) -> list[exposition.Family]:
    """Return the metrics of the ranks; C(why) and C(stopped_at), an epoch, are of the newest time all were stopped."""
    server = {"server": container}
    return [
        exposition.Family(
            "hgx_span_rank_up",
            "1 if the container of a rank runs and its host is heard.",
            [
                ({**server, "rank": str(rank["rank"]), "host": str(rank["host"])}, float(rank["state"] == RUNNING))
                for rank in ranks
            ],
        ),
        exposition.Family(
            "hgx_span_stopped_timestamp_seconds",
            "When all ranks were last stopped together, and why.",
            [({**server, "why": why}, stopped_at)],
        ),
    ]


def ended(container: str) -> subprocess.Popen[bytes]:
    """Return a process that ends when the container does."""
    return subprocess.Popen(  # pylint: disable=ansible-bad-function  # it is no part of a module
        ["docker", "wait", container],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def make(settings_file: str) -> Supervisor:
    """Return the supervisor for these settings."""
    alone = Supervisor(settings_file)
    return SpanSupervisor(settings_file) if alone.spans() else alone


def _order(message: Any, before: Order) -> Order:
    with suppress(KeyError, TypeError):
        return Order(**message["order"])
    return before


def _read_key(path: str) -> bytes:
    with suppress(OSError), open(path, "rb") as stream:
        return stream.read().strip()
    return b""
