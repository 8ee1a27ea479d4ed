# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait until a vLLM server in a container has answered a completion, or say why it cannot."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from .._core.http import HttpAnswer, request
from .._core.secrets import quoted, scrub
from .._core.units import human_duration
from .._docker.cli import DockerError, inspect_container
from .companions import Companions, RankFailed
from .log.in_force import flags_in_force
from .log.parse import parse
from .log.phases import HUNG_FIX
from .log.watch import LogFollower, failed, newest_lines, read_start, settled, stopped
from .release import LABEL
from .stall import Movement, explain, take_sample

POLL_INTERVAL_S = 0.5
REPLACEMENT_S = 2.0
STILL_SHOWN_S = 90.0
# A first completion compiles kernels, so it may take minutes; a server that does not answer it in this time hangs.
COMPLETION_TIMEOUT_S = 600.0
# A process that has said this will not come back, and takes the others down within moments. If it does not, they hang.
DOOMED = re.compile(
    r"EngineCore failed to start|EngineCore encountered a fatal error|Engine core initialization failed"
    r"|WorkerProc failed to start|died unexpectedly, shutting down|EngineCore hit an exception"
    r"|Timed out waiting for engine core process|taking the entire process down"
)
DOOMED_GRACE_S = 0.5


def is_doomed(lines: Iterable[str]) -> bool:
    """Return whether a process has said in these lines that it failed; what is logged of a request does not count."""
    said = parse(line for line in lines if DOOMED.search(line))
    return any(DOOMED.search(line.text) and not line.is_quiet for line in said)


class NotReady(Exception):
    """The server will not become ready, or did not in time. C(at_fault) is whether that is due to the server."""

    at_fault = True


class Replaced(NotReady):
    """Somebody else has replaced or removed the server."""

    at_fault = False


class Server(NamedTuple):
    """Where a server runs and how it is asked."""

    container: str
    base_url: str
    served_model_name: str
    api_key: str | None


class Limits(NamedTuple):
    """For how long a start may go on, and may stand still, in seconds. C(py_spy) is the program of that name."""

    timeout_s: float
    stall_s: float = float("inf")
    py_spy: str = ""


def wait_until_ready(
    server: Server,
    limits: Limits,
    report: Callable[..., None],
    args: Mapping[str, Any],
    companions: Companions | None = None,
) -> dict[str, Any]:
    """Return C({"seconds": float, "completion": str, "startup": dict}) once the server has answered a chat completion.

    C(args) are the server's options by name, which are compared with what its log says.
    C(/health) alone is no proof: some servers become healthy and fail the first request.
    C(companions) are the other ranks of a server across hosts. Only its head answers; the others wait for that.

    Raises NotReady with the cause once the container has ended, its engine has failed or it has refused the completion;
    and after C(limits).
    """
    try:
        return _wait(server, limits, report, args, companions)
    except RankFailed as exc:
        raise NotReady(str(exc)) from exc
    except NotReady as exc:
        if companions and exc.at_fault:
            raise NotReady(companions.fail(str(exc))) from exc
        raise


def _wait(
    server: Server,
    limits: Limits,
    report: Callable[..., None],
    args: Mapping[str, Any],
    companions: Companions | None,
) -> dict[str, Any]:
    details = inspect_container(server.container)
    if details is None:
        raise NotReady(f"There is no container {server.container}.")
    since = str(details["State"].get("StartedAt", ""))
    if not details["State"]["Running"]:
        lines = newest_lines(server.container, details["State"])
        raise NotReady(stopped(server.container, details, lines, ""))
    watch = _Watch(server, details, limits, report, companions)
    try:
        waited = watch.wait_for_health() if watch.is_head else watch.wait_for_head()
        completion = watch.wait_for_completion() if watch.is_head else ""
        if companions:
            companions.end()
    finally:
        watch.close()
    start = read_start(server.container, since)
    if waited and watch.is_head:  # else the log alone knows when that was
        start.answered(time.time())
    startup = {**start.result(), "flags": [flag._asdict() for flag in flags_in_force(args, start.said)]}
    return {"seconds": watch.elapsed(), "completion": completion, "startup": startup}


def answers(server: Server, limit_s: float) -> bool:
    """Return whether a server is healthy and answers a chat completion within a time, in seconds."""
    return request(f"{server.base_url}/health", 1).status == 200 and _completion(server, limit_s).status == 200


def newest_start(container: str) -> dict[str, Any]:
    """Return C(startup) of a server that runs, and nothing if there is none, or no engine yet."""
    with contextlib.suppress(DockerError):
        details = inspect_container(container)
        if details and details["State"]["Running"]:
            return read_start(container, str(details["State"].get("StartedAt", ""))).result()
    return {}


class _Watch:
    """Looks at container and log while something is waited for, and raises NotReady as soon as it cannot come."""

    def __init__(
        self,
        server: Server,
        container: Mapping[str, Any],
        limits: Limits,
        report: Callable[..., None],
        companions: Companions | None = None,
    ) -> None:
        self._companions = companions
        self._server = server
        self._container = container
        self._since = str(container["State"].get("StartedAt", ""))
        self._follower = LogFollower(server.container, self._since)
        self._limits = limits
        self._report = report
        self._started = time.monotonic()
        self._shown = ""
        has_gpus = bool((container.get("HostConfig") or {}).get("DeviceRequests"))
        self._movement = Movement(
            limits.stall_s,
            lambda: take_sample(server.container, self._follower.lines(), has_gpus),
            time.monotonic,
        )

    @property
    def is_head(self) -> bool:
        return self._companions is None or self._companions.is_head

    def close(self) -> None:
        self._follower.close()

    def elapsed(self) -> float:
        return round(time.monotonic() - self._started, 1)

    def wait_for_health(self) -> bool:
        """Return whether there was anything to wait for."""
        waited = False
        while request(f"{self._server.base_url}/health", 1).status != 200:
            waited = True
            self._look()
            if self.elapsed() > self._limits.timeout_s:
                raise NotReady(self._late())
            self._follower.ended.wait(POLL_INTERVAL_S)
        return waited

    def wait_for_head(self) -> bool:
        """Wait at a follower, which answers nobody. The head is the first to say that it takes too long."""
        while self._companions and not self._companions.head_answers():
            self._look()
            if self.elapsed() > self._limits.timeout_s + COMPLETION_TIMEOUT_S:
                raise NotReady(self._late())
            self._follower.ended.wait(POLL_INTERVAL_S)
        return True

    def wait_for_completion(self) -> str:
        """Return the text of a completion. The request runs beside the watch: who hangs does not answer it either."""
        received: list[HttpAnswer] = []
        server = self._server
        asking = threading.Thread(
            target=lambda: received.append(_completion(server, COMPLETION_TIMEOUT_S)), daemon=True
        )
        asking.start()
        while asking.is_alive():
            self._look(words="waiting for the first completion")
            asking.join(POLL_INTERVAL_S)
        answer = received[0] if received else HttpAnswer(0, "")
        if answer.status == 200:
            return self._text(answer)
        # An engine that dies of a request takes its container down moments later, and then its log has the cause.
        if answer.status not in (401, 403, 404):
            for _moment in range(5):
                self._look()
                self._follower.ended.wait(1)
        raise NotReady(self._refused(_http_words(answer, server)))

    def _look(self, words: str = "") -> None:
        """Raise NotReady if the server will not come; else report the progress."""
        self._require_running()
        self._require_hope()
        doing = words or self._follower.start.title()
        words = words or self._follower.start.words()
        if self._companions:
            self._companions.tell(words)
        still_s = self._movement.still_s()
        # A follower that has loaded its part stands still, as it must.
        if still_s > self._limits.stall_s and self.is_head:
            log = self._follower.lines()
            message = explain(self._server.container, doing, still_s, self._movement.last, self._limits.py_spy, log)
            raise NotReady(message)
        still = f", nothing has moved for {human_duration(still_s)}" if still_s > STILL_SHOWN_S else ""
        self._report(f"{self.elapsed():.0f} s, {words}{still}", force=words != self._shown)
        self._shown = words

    def _require_running(self) -> dict[str, Any]:
        name = self._server.container
        details = settled(name) if self._follower.ended.is_set() else inspect_container(name)
        if details is None:
            time.sleep(REPLACEMENT_S)  # between the removal of one and the start of the next
            details = inspect_container(name)
        if details is None:
            raise Replaced(f"The container {name} was removed while its server was waited for.")
        if details["Id"] != self._container["Id"]:
            raise Replaced(_replaced(name, self._container, details))
        state = details["State"]
        if state.get("Paused"):
            raise NotReady(f"The container {name} is paused. Let it go on with 'docker unpause {name}'.")
        if state["Running"] and str(state.get("StartedAt", "")) == self._since and not state.get("Restarting"):
            if self._follower.ended.is_set():  # only the engine was started again
                self._follower.close()
                self._follower = LogFollower(name, self._since)
            return details
        self._follower.ended.wait(1)  # its last lines
        doing = f" while {self._follower.start.title()}"
        if state["Running"] or state.get("Restarting"):
            doing += ", and was started again"
        raise NotReady(stopped(name, details, self._follower.lines(), doing))

    def _require_hope(self) -> None:
        """Raise NotReady if a process has failed for good, also if the container runs on all the same."""
        if not is_doomed(self._follower.lines()):
            return
        self._follower.ended.wait(DOOMED_GRACE_S)
        lines = self._follower.lines()  # with an engine that was started again, the log is read from its start
        details = self._require_running()
        name = self._server.container
        headline = f"The server in {name} failed while {self._follower.start.title()}, though its container still runs"
        message = [*failed(details, lines, headline), f"The whole log: docker logs {name}"]
        raise NotReady("\n".join(message))

    def _late(self) -> str:
        last = [f"  {scrub(line.partition(' ')[2])[:300]}" for line in self._follower.lines()[-6:]]
        fix = (
            f"raise vllm_ready_timeout above {self._limits.timeout_s:.0f}, since it was still moving, and run the play"
            " again. A server that runs by then is not restarted."
        )
        if self._follower.start.is_complete:
            fix = HUNG_FIX.format(self._server.container)
        message = [
            f"The server in {self._server.container} is not ready after {self._limits.timeout_s:.0f} s; it is"
            f" {self._follower.start.words()}. Its newest lines:",
            *last,
            f"Fix: {fix}",
            f"The whole log: docker logs {self._server.container}",
        ]
        return "\n".join(message)

    def _text(self, answer: HttpAnswer) -> str:
        try:
            message = json.loads(answer.body)["choices"][0]["message"]
            text = str(message.get("content") or message.get("reasoning") or message.get("reasoning_content") or "")
        except (ValueError, LookupError, TypeError, AttributeError):
            raise NotReady(self._refused(f"the answer is no completion: {quoted(answer.body, 300)}")) from None
        if not text.strip():
            raise NotReady(self._refused("it answers with an empty text. See model, chat template and parsers."))
        return text

    def _refused(self, words: str) -> str:
        server = self._server
        return (
            f"The server in {server.container} is healthy but does not answer a chat completion as"
            f" {server.served_model_name!r}: {words}\nThe whole log: docker logs {server.container}"
        )


def _completion(server: Server, limit_s: float) -> HttpAnswer:
    body = {"model": server.served_model_name, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}
    return request(f"{server.base_url}/v1/chat/completions", limit_s, body, server.api_key or "")


def _replaced(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    ours, other = ((each["Config"].get("Labels") or {}).get(LABEL) for each in (old, new))
    return (
        f"The container {name} was replaced while its server was waited for, by"
        f" {f'release {other}' if other else 'one that this collection did not make'}. Nothing is known to be wrong"
        f" with {f'release {ours}' if ours else 'this server'}: playbooks/status.yml shows who deployed the other one."
    )


def _http_words(answer: HttpAnswer, server: Server) -> str:
    if answer.status == 0:
        return f"no answer ({answer.body})."
    if answer.status in (401, 403):
        return (
            f"HTTP {answer.status}. Another program is behind this address, or the server was started with another"
            " API key."
        )
    if answer.status == 404:
        return f"HTTP 404: {quoted(answer.body, 300)}\nFix: {server.base_url}/v1/models lists the names that it serves."
    return f"HTTP {answer.status}: {quoted(answer.body, 500)}"
